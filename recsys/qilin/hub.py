"""Qilin from the Hugging Face Hub, into the Hub's own cache: what is there already is never fetched again."""

import re
from collections.abc import Callable
from pathlib import Path

from recsys.errors import InputError
from recsys.qilin.schema import NEEDS, SYNTHETIC

PREFIX = "hf://"

_SOURCE = re.compile(r"hf://(?:datasets/)?(?P<repository>[^/@\s]+/[^/@\s]+)(?:@(?P<revision>\S+))?")

# The parquet of both layouts, and what a synthetic Qilin says of itself; images and the rest stay there.
_FILES = [f"{folder}{config}/*.parquet" for config in NEEDS for folder in ("", "data/")] + [SYNTHETIC]

_OTHERWISE = "A local folder that holds the same files works too."


def fetch(source: str, progress: Callable[[str], None]) -> tuple[Path, str]:
    """Local folder and commit of `hf://owner/name[@revision]`, downloaded unless it is in the cache.

    A broken connection is taken up again in the middle of a file; an interrupted run goes on with the files that it
    had not finished. With `HF_HUB_OFFLINE=1`, or without a network, the cache answers. huggingface_hub shows its bars
    on a terminal, and reads `HF_HOME`, `HF_ENDPOINT` and `HF_TOKEN`.

    Raises:
        InputError: not such an address, no such repository or revision, neither network nor copy, a failed download.
    """
    address = _SOURCE.fullmatch(source)
    if address is None:
        raise InputError(
            f"{source}: not an address on the Hub; it should be hf://owner/name or hf://owner/name@revision."
        )
    repository, revision = address["repository"], address["revision"] or "main"

    from huggingface_hub import constants, errors, snapshot_download  # late: only who downloads waits for it

    progress(f"fetching {repository}@{revision} from {constants.ENDPOINT}")
    try:
        folder = Path(snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=_FILES))
    except errors.HFValidationError as error:
        raise InputError(f"{source}: {_first_line(error)}") from error
    except errors.RepositoryNotFoundError as error:
        login = "no such data set, or none without logging in (`hf auth login`)"
        raise InputError(f"{source}: {login}; Qilin is hf://THUIR/Qilin. {_OTHERWISE}") from error
    except errors.RevisionNotFoundError as error:
        raise InputError(f"{source}: {repository} has no revision {revision!r}; `main` is the latest.") from error
    except errors.LocalEntryNotFoundError as error:
        reach = f"{constants.ENDPOINT} does not answer as it should ({_first_line(error.__cause__ or error)})"
        reach = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else reach
        raise InputError(f"{source}: {reach}, and the cache holds no complete copy. {_OTHERWISE}") from error
    except (errors.HTTPError, OSError) as error:
        raise InputError(
            f"{source}: the download failed ({_first_line(error)}); the next run keeps what is finished. {_OTHERWISE}"
        ) from error
    if not any(folder.rglob("*.parquet")):
        raise InputError(f"{source}: holds none of Qilin's parquet files; Qilin is hf://THUIR/Qilin.")
    return folder, folder.name


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
