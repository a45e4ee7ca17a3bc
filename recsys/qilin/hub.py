"""Qilin from the Hugging Face Hub, into the Hub's own cache: what is there already is never fetched again."""

from collections.abc import Callable
from pathlib import Path

from recsys import hub
from recsys.errors import InputError
from recsys.hub import PREFIX
from recsys.qilin.schema import NEEDS, SYNTHETIC

__all__ = ["PREFIX", "fetch"]

# The parquet of both layouts, and what a synthetic Qilin says of itself; images and the rest stay there.
_FILES = [f"{folder}{config}/*.parquet" for config in NEEDS for folder in ("", "data/")] + [SYNTHETIC]

_MISSING = "no such data set (Qilin is hf://THUIR/Qilin)"
_OTHERWISE = "A local folder that holds the same files works too."


def fetch(source: str, progress: Callable[[str], None]) -> tuple[Path, str]:
    """Local folder and commit of `hf://owner/name[@revision]`, downloaded unless it is in the cache.

    A broken connection is taken up again in the middle of a file; an interrupted run goes on with the files that it
    had not finished. With `HF_HUB_OFFLINE=1`, or without a network, the cache answers. huggingface_hub shows its bars
    on a terminal, and reads `HF_HOME`, `HF_ENDPOINT` and `HF_TOKEN`.

    Raises:
        InputError: not such an address, no such repository or revision, neither network nor copy, a failed download.
    """
    address = hub.parse(source)
    repository, revision = address.repository, address.revision

    from huggingface_hub import constants, snapshot_download  # late: only who downloads waits for it

    progress(f"fetching {repository}@{revision} from {constants.ENDPOINT}")
    with hub.explained(source, address, _MISSING, _OTHERWISE):
        folder = Path(snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=_FILES))
    if not any(folder.rglob("*.parquet")):
        raise InputError(f"{source}: holds none of Qilin's parquet files; Qilin is hf://THUIR/Qilin.")
    return folder, folder.name
