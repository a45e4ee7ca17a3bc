"""`recsys report`."""

from pathlib import Path

from recsys import experiments
from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.files import atomic_file
from recsys.progress import step


def report(
    runs: list[str],
    output: Path = Path("report.html"),
    metric: list[str] | None = None,
    baseline: str | None = None,
    slice: str | None = None,
) -> None:
    """Runs on one page: ranking, differences, learning, cutoffs, coverage, slices, settings and a card for each.

    The page needs nothing from elsewhere, reads well on a phone and in the dark, and prints.

    Args:
        runs: Folders of runs, of wandb's offline ones or of checkpoints; ENTITY/PROJECT[/RUN_ID] on a server.
        output: HTML file to write.
        metric: Metrics to rank by and to compare, the first of them first.
        baseline: Folder, name or model of the run to compare with (default: the first).
        slice: Name of a slice of the test requests, as `recsys test` was told them: rank and compare by these alone.
    """
    if output.is_dir():
        raise InputError(f"--output {output}: is a folder; name a file, as in {output / 'report.html'}.")
    step("reading runs")
    found = experiments.read_runs(runs)
    step(f"comparing {len(found):,} runs")
    text = experiments.report(experiments.comparison(found, metric, baseline, slice, step))
    try:
        with atomic_file(output) as file:
            file.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"--output {output}: cannot be written ({error.strerror or error}).") from error
    print(f"Wrote {output} ({len(text) / 1e6:.1f} MB): open it in any browser.")


def main(args: list[str]) -> None:
    """Parse and run."""
    call(
        report,
        args,
        positional=True,
        lists={
            "runs": "Folders of runs, of wandb's offline ones or of checkpoints; ENTITY/PROJECT[/RUN_ID] on a server.",
            "--metric": "Metrics to rank by and to compare (default: ndcg@10, and exposed/ndcg@10 where there is one).",
        },
    )
