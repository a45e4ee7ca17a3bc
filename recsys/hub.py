"""The Hugging Face Hub: addresses on it, and what goes wrong there, in one sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from recsys.errors import InputError, Unreachable

PREFIX = "hf://"

_SOURCE = re.compile(
    r"hf://(?:datasets/)?(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-]+(?:/[\w.-]+)*))?", re.ASCII
)


@dataclass(frozen=True)
class Address:
    """A repository on the Hub, at one of its revisions."""

    repository: str
    revision: str


def parse(source: str) -> Address:
    """What `hf://owner/name[@revision]` names; `main` is the revision where none is given.

    Raises:
        InputError: not such an address.
    """
    found = _SOURCE.fullmatch(source)
    if found is None:
        raise InputError(
            f"{source}: not an address on the Hub; it should be hf://owner/name or hf://owner/name@revision."
        )
    return Address(found["repository"], found["revision"] or "main")


@contextmanager
def explained(source: str, address: Address, missing: str, otherwise: str) -> Iterator[None]:
    """Say of a failed download what is the matter.

    Args:
        source: The address as typed.
        address: What it names.
        missing: What there is none of, where there is no such repository: "no such data set".
        otherwise: What else works where the Hub does not.

    Raises:
        Unreachable: neither network nor copy.
        InputError: no such repository or revision, a failed download.
    """
    from huggingface_hub import constants, errors  # late: only who downloads waits for it

    try:
        yield
    except errors.HFValidationError as error:
        raise InputError(f"{source}: {first_line(error)}") from error
    except errors.RepositoryNotFoundError as error:
        login = f"{missing}, or none without logging in (`hf auth login`)"
        raise InputError(f"{source}: {login}. {otherwise}") from error
    except errors.RevisionNotFoundError as error:
        named = f"{address.repository} has no revision {address.revision!r}"
        raise InputError(f"{source}: {named}; `main` is the latest.") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        reach = f"{constants.ENDPOINT} does not answer as it should ({first_line(error.__cause__ or error)})"
        reach = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else reach
        raise Unreachable(f"{source}: {reach}, and the cache holds no complete copy. {otherwise}") from error
    except (errors.HTTPError, OSError) as error:
        said = f"the download failed ({first_line(error)}); the next run keeps what is finished. {otherwise}"
        answered = isinstance(error, errors.HfHubHTTPError) or not isinstance(error, errors.HTTPError)
        raise (InputError if answered else Unreachable)(f"{source}: {said}") from error


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
