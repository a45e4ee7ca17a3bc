"""How kernels are compiled and run in threads, and how arrays are brought into the one form for which they are."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import ArrayLike

from recsys.errors import InputError

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile on first call, without the GIL; what was compiled is kept on disk, for the next process.

    Numba keeps it in `$NUMBA_CACHE_DIR`, beside the source or in the user's cache folder, whichever can be written
    first. Where none can (a read-only installation and no home), it is kept in the temporary folder.
    """
    kernel: Function
    try:
        kernel = numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # "no locator available"
        kernel = _cached_in(_private_folder(), function)
    return kernel


def _cached_in(folder: str | None, function: Function) -> Function:
    kernel: Function
    if folder is None:
        kernel = numba.njit(function, nogil=True)
        return kernel
    named = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = folder  # asked for only now, when the kernel chooses its place
    try:
        kernel = numba.njit(function, cache=True, nogil=True)
    except RuntimeError:
        kernel = numba.njit(function, nogil=True)
    finally:
        numba.config.CACHE_DIR = named
    return kernel


def _private_folder() -> str | None:
    """A folder for temporary files of this user alone: what lies in it is executed."""
    if not hasattr(os, "getuid"):
        return os.path.join(tempfile.gettempdir(), "recsys-zoo-numba")  # Windows: the temporary folder is the user's
    try:
        folder = os.path.join(tempfile.gettempdir(), f"recsys-zoo-numba-{os.getuid()}")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if private else None


_BLOCK = 6000  # requests whose intermediate results stay near the core, and in memory that is used again


def in_blocks(run: Callable[[int, int], Any], requests: int, threads: int) -> None:
    """Call `run(start, stop)` on blocks of the requests, `threads` of them at the same time.

    The kernels are serial: what a request gets does not depend on its block. A parallel kernel would not survive a
    fork under OpenMP, nor two threads at once under numba's own layer.
    """
    if threads < 1:
        raise InputError(f"threads must be at least 1, not {threads}.")
    blocks = [(start, min(start + _BLOCK, requests)) for start in range(0, requests, _BLOCK)]
    if threads == 1 or len(blocks) < 2:
        for start, stop in blocks:
            run(start, stop)
        return
    with ThreadPoolExecutor(min(threads, len(blocks))) as pool:
        for done in [pool.submit(run, start, stop) for start, stop in blocks]:
            done.result()


def integers(name: str, values: ArrayLike, ndim: int = 1) -> np.ndarray:
    """Return `values` as a contiguous, writable int64 array with `ndim` dimensions, copied only where needed."""
    array = _array(name, values)
    if array.size and array.dtype.kind not in "iu":
        raise InputError(f"{name} must hold integers, not {array.dtype}.")
    return _settled(name, array, ndim, np.int64)


def floats(name: str, values: ArrayLike, ndim: int = 1) -> np.ndarray:
    """Return `values` as a contiguous, writable float64 array with `ndim` dimensions, copied only where needed."""
    array = _array(name, values)
    if array.size and array.dtype.kind not in "fiub":
        raise InputError(f"{name} must hold numbers, not {array.dtype}.")
    return _settled(name, array, ndim, np.float64)


def whole_cutoffs(cutoffs: Iterable[int]) -> list[int]:
    """Return the cutoffs as a list, or raise."""
    whole: list[int] = integers("cutoffs", list(cutoffs)).tolist()
    if not whole or min(whole) < 1:
        raise InputError(f"cutoffs must be one or more integers from 1 on, not {whole}.")
    return whole


def check_offsets(name: str, offsets: np.ndarray, requests: int, ids: int) -> None:
    """Raise unless `offsets [requests + 1]` cut `ids` values into one part for each request."""
    if len(offsets) != requests + 1:
        raise InputError(f"{name} must hold {requests + 1} numbers for {requests} requests, not {len(offsets)}.")
    if offsets[0] != 0 or offsets[-1] != ids or (offsets[1:] < offsets[:-1]).any():
        raise InputError(f"{name} must ascend from 0 to {ids}, the number of ids.")


def _array(name: str, values: ArrayLike) -> np.ndarray:
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:  # rows of several lengths; a tensor on a device
        raise InputError(f"{name} must be an array, its rows of one length: {error}") from None


def _settled(name: str, array: np.ndarray, ndim: int, dtype: type) -> np.ndarray:
    if array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} dimension(s), not shape {list(array.shape)}.")
    # Read-only arrays are a type of their own to numba, and would be compiled for a second time.
    return np.require(array, dtype, ["C", "A", "W"])
