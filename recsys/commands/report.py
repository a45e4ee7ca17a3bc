"""`recsys report`."""

from collections.abc import Sequence
from pathlib import Path

from recsys import experiments
from recsys.commands.output import step
from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.experiments import Run
from recsys.files import atomic_file

USUAL = ("ndcg@10", "exposed/ndcg@10")


def report(
    runs: list[str], output: Path = Path("report.html"), metric: list[str] | None = None, baseline: str | None = None
) -> None:
    """Runs on one page: ranking, differences, learning, cutoffs, coverage, slices, settings and a card for each.

    The page needs nothing from elsewhere, reads well on a phone and in the dark, and prints.

    Args:
        runs: Folders of runs, or folders that hold such folders.
        output: HTML file to write.
        metric: Metrics to rank by and to compare, the first of them first.
        baseline: Folder, name or model of the run to compare with (default: the first).
    """
    if output.is_dir():
        raise InputError(f"--output {output}: is a folder; name a file, as in {output / 'report.html'}.")
    found = experiments.find_runs([Path(run) for run in runs])
    text = experiments.report(found, metric or _usual(found), _named(found, baseline), step)
    with atomic_file(output) as file:
        file.write_text(text, "utf-8")
    print(f"Wrote {output} ({len(text) / 1e6:.1f} MB): open it in any browser.")


def _usual(found: Sequence[Run]) -> list[str]:
    tested = [run for run in found if run.tested]
    return [name for name in USUAL if name == USUAL[0] or all(f"test/{name}" in run.metrics for run in tested)]


def _named(found: Sequence[Run], baseline: str | None) -> Run | None:
    if baseline is None:
        return None
    base = next((r for r in found if baseline in (str(r.folder), r.name, r.folder.parent.name, r.model)), None)
    if base is None:
        raise InputError(f"--baseline {baseline}: none of {', '.join(sorted({r.name for r in found}))}.")
    return base


def main(args: list[str]) -> None:
    """Parse and run."""
    call(
        report,
        args,
        positional=True,
        lists={
            "runs": "Folders of runs, or folders that hold such folders.",
            "--metric": "Metrics to rank by and to compare (default: ndcg@10, and exposed/ndcg@10 where there is one).",
        },
    )
