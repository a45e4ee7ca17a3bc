"""How kernels are compiled, and how arrays are brought into the one form for which they are."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import ArrayLike

from recsys.errors import InputError

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile on first call, without the GIL, cached on disk where there is a disk to cache on."""
    kernel: Function
    try:
        kernel = numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # "no locator available": a read-only installation and no home folder either
        kernel = numba.njit(function, nogil=True)
    return kernel


def integers(name: str, values: ArrayLike, ndim: int = 1) -> np.ndarray:
    """Return `values` as a contiguous, writable int64 array with `ndim` dimensions, copied only where needed."""
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise InputError(f"{name} must hold integers, not {array.dtype}.")
    return _settled(name, array, ndim, np.int64)


def floats(name: str, values: ArrayLike, ndim: int = 1) -> np.ndarray:
    """Return `values` as a contiguous, writable float64 array with `ndim` dimensions, copied only where needed."""
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "fiub":
        raise InputError(f"{name} must hold numbers, not {array.dtype}.")
    return _settled(name, array, ndim, np.float64)


def _settled(name: str, array: np.ndarray, ndim: int, dtype: type) -> np.ndarray:
    if array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} dimension(s), not shape {list(array.shape)}.")
    # Read-only arrays are a type of their own to numba, and would be compiled for a second time.
    return np.require(array, dtype, ["C", "A", "W"])
