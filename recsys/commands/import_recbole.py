"""`recsys import-recbole`."""

from pathlib import Path

from recsys.commands.parsing import call
from recsys.errors import InputError


def import_recbole(file: str, dataset: str | None = None, output: str | None = None) -> None:
    """Turn a checkpoint that RecBole wrote into one that recommends: nothing in it is run, whatever it holds.

    Args:
        file: RecBole's .pth file.
        dataset: Folder of atomic files that it was trained on, from which the ids of its items are told.
        output: Checkpoint folder to write (default: FILE without .pth).
    """
    if dataset is None:
        raise InputError("--dataset: name the folder of atomic files that the model was trained on.")
    from recsys import checkpoints
    from recsys.checkpoints import recbole

    target = Path(output or Path(file).with_suffix(""))
    if target == Path(file) or (target.exists() and not (target / "manifest.json").is_file()):
        raise InputError(f"--output {target}: exists and is no checkpoint folder; name another.")
    checkpoint = recbole.convert(Path(file), Path(dataset))
    checkpoints.save(checkpoint, target)
    print(f"Wrote {checkpoint.network.title} of {len(checkpoint.items) - 1:,} items to {target}")


def main(args: list[str]) -> None:
    """Parse and run."""
    call(import_recbole, args, positional=True)
