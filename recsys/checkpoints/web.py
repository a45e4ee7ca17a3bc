"""One file over HTTPS: taken up again where the connection broke, and never more of it than it may have."""

import errno
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from recsys.errors import InputError, Unreachable

TIMEOUT, ATTEMPTS, BLOCK = 30.0, 4, 1 << 20
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_URL = re.compile(r"https?://[^\s?#@\\]+")
Progress = Callable[[str], None]


def check(url: str) -> None:
    """See that an address is one of a folder that may be read.

    Raises:
        InputError: not HTTPS (plain HTTP is for this machine alone), or with a password, a query or a fragment.
    """
    if not _URL.fullmatch(url):
        raise InputError(
            f"{url.partition('?')[0].rpartition('@')[2]}: an address should be https://host/folder, without a "
            "password, a query or a fragment."
        )
    if url.startswith("http:") and not _is_here(url):
        raise InputError(f"{url}: plain http is for this machine alone; use https.")


def get(url: str, target: Path, most: int, exact: bool, progress: Progress) -> None:
    """Write what `url` holds to `target`; what lies there already is taken as its beginning.

    Args:
        url: The address of the file. What stands behind its `?`, which may be a signature, is told to nobody.
        target: Where it goes.
        most: Bytes that it may have at most.
        exact: Whether it must have as many.
        progress: Told how far it has come.

    Raises:
        Unreachable: the server does not answer, or breaks off again and again; what has come stays.
        InputError: the server has no such file, or another size of it.
    """
    for attempt in range(ATTEMPTS):
        before = target.stat().st_size if target.exists() else 0
        try:
            _go_on(url, target, before, most, exact, progress)
            return
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # what has come is no beginning of what is there now
                target.unlink()
            elif error.code < 500:
                raise InputError(f"{_shown(url)}: the server says {error.code} {error.reason}.") from error
            failure: Exception = error
        except (urllib.error.URLError, HTTPException, OSError) as error:
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise
            failure = error
        if target.exists() and target.stat().st_size > before:
            progress(f"the connection broke; going on at byte {target.stat().st_size:,}")
        elif attempt:
            break
        time.sleep(0.1 * 4**attempt)
    reason = getattr(failure, "reason", failure)
    said = f"the server does not answer as it should ({reason}); the next run goes on from here."
    raise Unreachable(f"{_shown(url)}: {said}")


def _go_on(url: str, target: Path, start: int, most: int, exact: bool, progress: Progress) -> None:
    if exact and start == most > 0:
        return
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "recsys-zoo"})
    if 0 < start < most:
        request.add_header("Range", f"bytes={start}-")
    with _opener(url).open(request, timeout=TIMEOUT) as answer:
        goes_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        come = start if goes_on else 0
        length = answer.headers.get("Content-Length")
        expected = come + int(length) if length is not None and length.isdecimal() else None
        if expected is not None and (expected > most or (exact and expected != most)):
            target.unlink(missing_ok=True)
            raise InputError(
                f"{_shown(url)}: the server has {expected:,} bytes; it should be {most:,}{'' if exact else ' at most'}."
            )
        said = time.monotonic()
        with target.open("ab" if goes_on else "wb") as file:
            while block := answer.read1(BLOCK):
                come += len(block)
                if come > most:
                    break
                file.write(block)
                if time.monotonic() - said > 2:
                    said = time.monotonic()
                    progress(f"{target.name}: {come / 1e6:,.1f} of {most / 1e6:,.1f} MB" if exact else target.name)
    if come > most:
        target.unlink(missing_ok=True)
        raise InputError(f"{_shown(url)}: the server sends more than the {most:,} bytes that it may have.")
    if come < (most if exact else expected or 0):
        raise ConnectionError(f"it broke off after {come:,} bytes")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another, but never off HTTPS."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """Refuse what would be read in the open."""
        if urlsplit(newurl).scheme != "https" and not (_is_here(req.full_url) and _is_here(newurl)):
            raise InputError(f"{_shown(req.full_url)}: it leads to {_shown(newurl)!r:.200}, which is not https.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _shown(url: str) -> str:
    return url.partition("?")[0]


def _opener(url: str) -> Any:
    """Of HTTP and HTTPS alone: no redirect may end in a file of this machine."""
    proxy = urllib.request.ProxyHandler({} if _is_here(url) else None)
    opener = urllib.request.OpenerDirector()
    for handler in (
        *(proxy, urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(), _Redirects()),
        *(urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor()),
    ):
        opener.add_handler(handler)
    return opener


def _is_here(url: str) -> bool:
    parts = urlsplit(url)
    try:
        return parts.scheme in ("http", "https") and (
            parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
        )
    except ValueError:
        return False
