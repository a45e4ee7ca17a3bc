"""`recsys compare`."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from recsys import experiments
from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.experiments import Row
from recsys.metrics import Interval

METRICS = (
    "Metrics to show, the table is sorted by the first (default: ndcg@10, and exposed/ndcg@10 where there is one)."
)

BASELINES = {
    "ceiling": "best possible",
    "popular": "popularity",
    "recent": "recent popularity",
    "random": "chance",
    "position": "order of exposure",
}


def compare(runs: list[str], metric: list[str] | None = None, baseline: str | None = None) -> None:
    """Tested runs side by side, with 95 % intervals over users and paired differences to a baseline.

    p is that of a randomisation test over users, pW that of Wilcoxon's signed-rank test; both are corrected by Holm's
    method for the number of runs that are compared with the baseline.

    Args:
        runs: Folders of runs, or folders that hold such folders.
        metric: Metrics to show; the table is sorted by the first.
        baseline: Folder, name or model of the run to compare with (default: the first).
    """
    found = experiments.find_runs([Path(run) for run in runs])
    base = None
    if baseline is not None:
        base = next((r for r in found if baseline in (str(r.folder), r.name, r.folder.parent.name, r.model)), None)
        if base is None:
            raise InputError(f"--baseline {baseline}: none of {', '.join(sorted({r.name for r in found}))}.")
    first, *more = metric or ["ndcg@10", "exposed/ndcg@10"]
    if metric is None:
        more = [name for name in more if all(f"test/{name}" in run.metrics for run in found)]
    groups = experiments.comparable(found, [first, *more])
    for group in groups:
        rows = {name: experiments.compare(group, name, base)[0] for name in (first, *more)}
        print_group(rows)
    if len(groups) > 1:
        print("Runs on different data or under different protocols stand in tables of their own.")


def print_group(rows: dict[str, list[Row]]) -> None:
    """One table of comparable runs with a row for each by metric, the baselines below them, then what was measured."""
    console = Console(width=max(Console().width, 120))
    ordered = next(iter(rows.values()))
    run, of_run = ordered[0].run, {name: {row.run.folder: row for row in found} for name, found in rows.items()}
    table = Table(title=f"{run.data} (test split, 95 % intervals over users, p corrected by Holm's method)")
    for heading in ("run", "model", *(column for name in rows for column in (name, "difference"))):
        table.add_column(heading, overflow="fold")
    for row in ordered:
        cells = [cell for found in of_run.values() for cell in _cells(found[row.run.folder])]
        table.add_row(row.run.name, row.run.model, *cells)
    for ranker, called in BASELINES.items():
        values = [run.metrics.get(f"test/{ranker}/{name}") for name in rows]
        if any(value is not None for value in values):
            cells = [cell for value in values for cell in ("" if value is None else f"{value:.4f}", "")]
            table.add_row("—", called, *cells)
    console.print(table)
    for name in rows if run.protocols else ():
        said = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in run.protocol_of(name).items())
        console.print(f"{name}: {said}", style="dim", highlight=False)


def _cells(row: Row) -> tuple[str, str]:
    if row.difference is None:
        return _text(row.value), "baseline"
    return _text(row.value), f"{_text(row.difference, '+')}\np {_p(row.p)}, pW {_p(row.wilcoxon_p)}"


def _p(p: float | None) -> str:
    return "?" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _text(interval: Interval, sign: str = "") -> str:
    mean, low, high = interval
    return f"{mean:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"


def main(args: list[str]) -> None:
    """Parse and run."""
    call(
        compare,
        args,
        positional=True,
        lists={"runs": "Folders of runs, or folders that hold such folders.", "--metric": METRICS},
    )
