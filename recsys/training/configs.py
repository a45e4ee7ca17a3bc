"""The configs that ship, by name."""

from pathlib import Path

from recsys.errors import InputError, did_you_mean
from recsys.files import shipped

SPACES = "spaces"
"""The folder in `zoo_configs` that holds no configs but what `recsys sweep` tries."""


def find_config(name: str, missing: str | None = None, spaces: bool = False) -> str:
    """A config file's path: as given, or by name among the shipped `zoo_configs` and the folders in it.

    With `spaces`, that of a space for `recsys sweep`.

    Raises:
        InputError: there is none; `missing` is what to say then.
    """
    if Path(name).exists():
        return name
    stem = name.removeprefix("zoo_configs/").removesuffix(".yaml")
    files = sorted(shipped("zoo_configs").rglob("*.yaml"))
    files = [file for file in files if (file.parent.name == SPACES) == spaces]
    for file in files:
        if file.as_posix().endswith(f"/{stem}.yaml"):
            return str(file)
    known = {file.stem for file in files}
    raise InputError(f"{missing or f'--config {name}: no such file.'}{did_you_mean(stem, known)}")
