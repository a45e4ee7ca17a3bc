"""`recsys export`."""

from pathlib import Path

from recsys.commands.parsing import call
from recsys.errors import InputError


def export(file: str, output: str | None = None, results: str | None = None, licence: str | None = None) -> None:
    """Make a checkpoint folder of a .ckpt file of `recsys fit`, or of another folder: nothing in the file is run.

    Args:
        file: Lightning's .ckpt, or a checkpoint folder whose card is to say more.
        output: Checkpoint folder to write (default: FILE without .ckpt).
        results: What `recsys test` measured of these very weights (default: test.json of the run, if it is of them).
        licence: Licence of the data, for the card; `recsys publish` asks for it.
    """
    from recsys.checkpoints import save
    from recsys.checkpoints.export import export as complete

    source = Path(file)
    target = Path(output or source.with_suffix(""))
    if target == source:
        raise InputError("--output: name the checkpoint folder to write.")
    if target.exists() and not (target / "manifest.json").is_file():
        raise InputError(f"--output {target}: exists and is no checkpoint folder; name another.")
    checkpoint = complete(source, Path(results) if results else None, licence)
    save(checkpoint, target)
    measured = f"{len(checkpoint.metrics)} metrics" if checkpoint.metrics else "no metrics"
    print(f"Wrote {checkpoint.network.title} of {len(checkpoint.items) - 1:,} items, with {measured}, to {target}")


def main(args: list[str]) -> None:
    """Parse and run."""
    call(export, args, positional=True)
