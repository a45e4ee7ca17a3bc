"""`recsys compare`."""

import sys
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from recsys import experiments
from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.experiments import Comparison, Group, Row, formats
from recsys.files import atomic_file
from recsys.progress import step

METRICS = (
    "Metrics to show, the table is sorted by the first (default: ndcg@10, and exposed/ndcg@10 where there is one)."
)


def compare(
    runs: list[str],
    metric: list[str] | None = None,
    baseline: str | None = None,
    slice: str | None = None,
    format: Literal["terminal", "md", "csv", "json", "html"] | None = None,
    output: str | None = None,
) -> None:
    """Runs side by side: seeds of a setting as one, with 95 % intervals and paired differences to a baseline.

    Intervals are over users, of the seeds' mean; behind the number of seeds stands how far the interval over seeds
    reaches. p is that of a randomisation test over users, pW that of Wilcoxon's signed-rank test; both are corrected by
    Holm's method for the number of settings that are compared with the baseline. Without values per request, intervals
    are over seeds, and those of differences Welch's.

    Args:
        runs: Folders of runs, of wandb's offline ones or of checkpoints; ENTITY/PROJECT[/RUN_ID] on a server.
        metric: Metrics to show; the table is sorted by the first.
        baseline: Folder, name or model of the run to compare with (default: the first).
        slice: Name of a slice of the test requests, as `recsys test` was told them: of these alone.
        format: How to write it (default: by the ending of --output, else for the terminal).
        output: File to write to, instead of printing.
    """
    chosen = format or (Path(output).suffix.removeprefix(".") if output else "terminal")
    if chosen not in ("terminal", *formats.FORMATS):
        raise InputError(f"--output {output}: must end in one of .{', .'.join(formats.FORMATS)}, or give --format.")
    found = experiments.comparison(experiments.read_runs(runs), metric, baseline, slice, step)
    for warning in found.warnings:
        print(f"recsys: warning: {warning}", file=sys.stderr)
    if output is None and chosen == "terminal":
        show(found, Console(width=max(Console().width, 120)))
    elif output is None:
        print(formats.FORMATS[chosen](found), end="")
    else:
        with atomic_file(Path(output)) as file, file.open("w", encoding="utf-8") as opened:
            if chosen == "terminal":
                show(found, Console(file=opened, width=160))
            else:
                opened.write(formats.FORMATS[chosen](found))


def show(found: Comparison, console: Console) -> None:
    """A table for each group, what sets it apart, and what is left out."""
    for group in found.groups:
        print_group(found, group, console)
        for why in group.why:
            console.print(f"Not ranked with the first table: {why}.", highlight=False)
    if len(found.groups) > 1:
        console.print(formats.NOTE, highlight=False)
    for run, why in found.left_out:
        console.print(f"Left out: {run.name}: {why}.", highlight=False)


def print_group(found: Comparison, group: Group, console: Console) -> None:
    """One table of comparable settings, the baselines below them, then what differs and what was measured."""
    about = f"{formats.title(found, group)} (95 % intervals, p corrected by Holm's method)"
    several = any(row.seeds is not None or row.flags for row in group.ranked)
    table = Table(title=about)
    headings = ["run", "model", *(column for name in group.rows for column in (name, "difference"))]
    for heading in headings + ["seeds"] * several:
        table.add_column(heading, overflow="fold")
    for row in group.ranked:
        cells = [cell for each in group.of(row).values() for cell in _cells(each)]
        flagged = "\n".join([formats.seeds_text(row), *row.flags])
        table.add_row(row.run.name, row.run.model, *cells, *[flagged] * several)
    for called, values in group.baselines().items():
        cells = [cell for name in group.rows for cell in (f"{values[name]:.4f}" if name in values else "", "")]
        table.add_row("—", called, *cells)
    console.print(table)
    if any(group.differs):
        differs = Table("run", "what differs", title="Configuration")
        for row, own in zip(group.ranked, group.differs, strict=True):
            differs.add_row(row.run.name, formats.config_text(own))
        console.print(differs)
    run = group.ranked[0].run
    for name in group.rows if run.protocols else ():
        said = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in run.protocol_of(name).items())
        console.print(f"{name}: {said}", style="dim", highlight=False)


def _cells(row: Row) -> tuple[str, str]:
    if row.difference is None:
        return formats.text_of(row.value), "baseline"
    tests = f"\np {formats.p_text(row.p)}, pW {formats.p_text(row.wilcoxon_p)}" if row.paired else ""
    return formats.text_of(row.value), formats.text_of(row.difference, "+") + tests


def main(args: list[str]) -> None:
    """Parse and run."""
    call(
        compare,
        args,
        positional=True,
        lists={
            "runs": "Folders of runs, of wandb's offline ones or of checkpoints; ENTITY/PROJECT[/RUN_ID] on a server.",
            "--metric": METRICS,
        },
    )
