"""Lightning's `.ckpt` files: what training notes in them, and how a checkpoint is made of one without its data.

They are for resuming, and hold a pickle. It is read by torch's reader of weights alone, which makes tensors, numbers,
texts and containers and runs nothing.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys.atomic import Vocabulary
from recsys.checkpoints.archive import refuse_packed
from recsys.checkpoints.build import build
from recsys.checkpoints.folder import Checkpoint, fill
from recsys.checkpoints.manifest import brief
from recsys.errors import InputError

KEY = "recsys-zoo"
"""Where in a `.ckpt` the note stands."""
NETWORK = "network."
"""What the names of the network's weights begin with."""


def note(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a `.ckpt` must hold beside its weights, so that a checkpoint can be made of it."""
    network = checkpoint.network
    facts = {"model": type(network).__name__, "hyperparameters": network.hyperparameters, "data": checkpoint.data}
    ids = "\n".join(checkpoint.items.tokens).encode()
    return {
        "facts": json.dumps(facts),
        "items": torch.frombuffer(bytearray(ids), dtype=torch.uint8) if ids else torch.empty(0, dtype=torch.uint8),
        "popularity": torch.from_numpy(np.ascontiguousarray(checkpoint.popularity, np.int64)),
    }


def read(file: Path) -> Checkpoint:
    """The checkpoint in a `.ckpt` file that `recsys fit` wrote, with no metrics.

    Raises:
        InputError: no such file, not what `torch.save` writes, anything in it that is to be run, no note of this
            library's, or parts that do not fit each other.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file.")
    refuse_packed(file)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        said = brief(error).partition("WeightsUnpickler error: ")[2] or brief(error)
        raise InputError(f"{file}: refused, it holds more than weights; nothing of it ran ({said}).") from error
    except Exception as error:  # whatever torch makes of bytes that it never wrote
        raise InputError(f"{file}: refused, it is not what Lightning writes ({brief(error)}).") from error
    noted, state = (content.get(key) if isinstance(content, dict) else None for key in (KEY, "state_dict"))
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise InputError(f"{file}: no Lightning checkpoint, it holds no state_dict of tensors.")
    if not isinstance(noted, dict):
        raise InputError(
            f"{file}: not written by `recsys fit` of this version, so that nothing tells what model it is of. Train "
            "again, or resume it for a step: recsys fit --ckpt_path FILE"
        )
    weights = {name.removeprefix(NETWORK): x for name, x in state.items() if str(name).startswith(NETWORK)}
    try:
        facts, items = json.loads(noted["facts"]), noted["items"].numpy().tobytes().decode()
        popularity, data = noted["popularity"].numpy(), dict(facts["data"])
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{file}: what it notes of its model is damaged ({brief(error)}).") from error
    network = build(file, facts, sum(tensor.numel() for tensor in weights.values()))
    vocabulary = Vocabulary(items.split("\n") if items else [])
    if not network.n_items == len(vocabulary) == len(popularity):
        raise InputError(f"{file}: its vocabulary has not the {network.n_items - 1} items of its model.")
    try:
        fill(network, weights)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"{file}: not the weights of the {network.title} that it notes ({brief(error)}).") from error
    return Checkpoint(network.eval(), vocabulary, popularity, data, {})
