"""`recsys download`."""

from pathlib import Path

from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.progress import step


def download(source: str, output: str | None = None) -> None:
    """Fetch a checkpoint, compare every file with its sha256, and print the folder that it lies in.

    What is in the cache already is verified and not fetched again; what was interrupted goes on.

    Args:
        source: Its name (`recsys models` lists them), or hf://owner/name[@revision], wandb://entity/project/name:alias,
            https://host/folder.
        output: Folder to write it to (default: the cache).
    """
    from recsys.checkpoints import sources

    target = Path(output) if output else None
    if target is not None and target.exists() and not (target / "manifest.json").is_file():
        raise InputError(f"--output {output}: exists and is no checkpoint folder; name another.")
    folder = sources.fetch(source, step)
    if target is not None:
        sources.copy(folder, target)
    print(target or folder)


def main(args: list[str]) -> None:
    """Parse and run."""
    call(download, args, positional=True)
