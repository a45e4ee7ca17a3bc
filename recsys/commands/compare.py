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


def compare(runs: list[str], metric: list[str] | None = None, baseline: str | None = None) -> None:
    """Tested runs side by side, with 95 % intervals over users and paired differences to a baseline.

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
    groups = experiments.compare(found, first, base)
    others = [
        {row.run.folder: row for group in experiments.compare(found, name, base) for row in group} for name in more
    ]
    for group in groups:
        print_group(group, first, list(zip(more, others, strict=True)))
    if len(groups) > 1:
        print("Runs on different data or under different protocols stand in tables of their own.")


def print_group(rows: list[Row], metric: str, others: list[tuple[str, dict[Path, Row]]]) -> None:
    """One table of comparable runs, with popularity as its last row."""
    console = Console(width=max(Console().width, 120))
    run = rows[0].run
    table = Table(title=f"{run.data} (test split, 95 % intervals over users, full ranking unless 'exposed')")
    for name in ("run", "model", *(column for m in (metric, *(m for m, _ in others)) for column in (m, "difference"))):
        table.add_column(name, overflow="fold")
    for row in rows:
        cells = [cell for each in (row, *(by[row.run.folder] for _, by in others)) for cell in _cells(each)]
        table.add_row(row.run.name, row.run.model, *cells)
    popular = [run.metrics.get(f"test/popular/{name}") for name in (metric, *(name for name, _ in others))]
    cells = [cell for value in popular for cell in ("" if value is None else f"{value:.4f}", "")]
    table.add_row("—", "popularity", *cells)
    console.print(table)


def _cells(row: Row) -> tuple[str, str]:
    difference = "baseline" if row.difference is None else _text(row.difference, "+")
    return _text(row.value), difference


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
