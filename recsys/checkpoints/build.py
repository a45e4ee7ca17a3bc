"""A network from a foreign configuration: only classes of `recsys.models`, and never larger than the weights for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from recsys import models
from recsys.checkpoints.manifest import brief
from recsys.errors import InputError, did_you_mean
from recsys.models import Model

FACTOR, SPARE = 2, 1 << 16
"""Numbers that building may take for each number of the weights (layers are copies of a first), and besides."""


class Bounded(TorchDispatchMode):
    """Lets tensors be made until they hold `numbers` numbers, and refuses the next before it takes any memory."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.left = numbers

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Ask what the operation would make, of tensors without memory, and then do it."""
        returns = func._schema.returns
        if any(each.alias_info is None for each in returns):
            made = _imagined(func, args, kwargs or {})
            made = made if isinstance(made, tuple | list) else (made,)
            new = (tensor for tensor, each in zip(made, returns, strict=False) if each.alias_info is None)
            self.left -= sum(tensor.numel() for tensor in new if isinstance(tensor, Tensor))
            if self.left < 0:
                raise ValueError("they make a model larger than its weights")
        return func(*args, **(kwargs or {}))


def _imagined(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The result of an operation on the meta device; None where only the real one can tell."""

    def imagine(value: Any) -> Any:
        return torch.empty_like(value, device="meta") if isinstance(value, Tensor) else value

    moved = {"device": torch.device("meta")} if any(a.name == "device" for a in func._schema.arguments) else {}
    try:
        return func(*tree_map(imagine, args), **{**tree_map(imagine, kwargs), **moved})
    except (NotImplementedError, RuntimeError):
        return None


def build(where: Path, config: dict[str, Any], numbers: int) -> Model:
    """The network that `config` names, with weights of no meaning; its weights are to be `numbers` numbers.

    Raises:
        InputError: no such model, hyperparameters that it has not, or that ask for more than `numbers` fill.
    """
    name, given = config.get("model"), config.get("hyperparameters")
    known = {n for n in models.__all__ if issubclass(getattr(models, n), Model) and n != "Model"}
    if not isinstance(name, str) or name not in known:
        raise InputError(f"{where}: unknown model {name!r:.80}.{did_you_mean(str(name)[:80], known)}")
    try:
        if not isinstance(given, dict):
            raise TypeError(f"{given!r:.80} instead of names and values")
        if (largest := max(map(abs, _integers(given)), default=0)) > numbers + SPARE:
            raise ValueError(f"{largest:,} is more than there are weights")
        with Bounded(FACTOR * numbers + SPARE):
            network: Model = getattr(models, name)(**given)
    except Exception as error:  # whatever a class makes of arguments that it was never meant to get
        raise InputError(f"{where}: these are no hyperparameters of {name} ({brief(error)}).") from error
    return network


def _integers(value: Any) -> Iterator[int]:
    """All whole numbers in nested lists and tables."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _integers(part)
