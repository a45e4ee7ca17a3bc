"""MovieLens-100k out of RecBole's installed wheel: real data without a download and without a copy of ours."""

import importlib.util
import shutil
from pathlib import Path

from recsys.errors import InputError
from recsys.files import atomic_folder

SUFFIXES = ("inter", "item", "user")


def ml_100k(output: Path) -> None:
    """Write RecBole's ml-100k as the data set folder `output`, its files named after it.

    Raises:
        InputError: RecBole is not installed, or `output` holds something else.
    """
    found = importlib.util.find_spec("recbole")
    if found is None or not found.submodule_search_locations:
        raise InputError("ml-100k comes with RecBole, which is not installed: pip install --no-deps recbole==1.2.1")
    source = Path(found.submodule_search_locations[0]) / "dataset_example" / "ml-100k"
    name = output.resolve().name
    if output.exists() and not (output / f"{name}.inter").is_file():
        raise InputError(f"{output}: exists and is no data set folder; name another --output.")
    with atomic_folder(output) as temporary:
        for suffix in SUFFIXES:
            shutil.copyfile(source / f"ml-100k.{suffix}", temporary / f"{name}.{suffix}")
