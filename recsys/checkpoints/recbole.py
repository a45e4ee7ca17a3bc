"""RecBole's `.pth` files: read without running anything in them, and turned into checkpoints.

RecBole pickles its `Config` beside the weights. Here the pickle is read by an unpickler that knows how to make tensors
and containers, and puts an inert stand-in in the place of every other object of the libraries that RecBole's own files
name. A file that names anything else is refused.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys import atomic
from recsys.atomic import Vocabulary
from recsys.checkpoints.archive import refuse_packed
from recsys.checkpoints.folder import Checkpoint
from recsys.errors import InputError
from recsys.models import BERT4Rec, Model, RecBole, SASRec
from recsys.models.recbole_zoo import FEATURED, defaults

TOLERATED = frozenset(["_codecs", "logging", "numpy", "recbole", "torch", "yaml"])
"""Packages whose objects become stand-ins; RecBole's files name classes of these."""
BUILTINS = frozenset(["bytearray", "complex", "frozenset", "getattr", "object", "range", "set", "slice"])
"""Builtins that become stand-ins too; some members of an Enum are pickled by `getattr`."""
_SHAPE = {
    "dim": "hidden_size",
    "layers": "n_layers",
    "heads": "n_heads",
    "inner_dim": "inner_size",
    "dropout": "hidden_dropout_prob",
}
OWN = {"SASRec": _SHAPE, "BERT4Rec": {**_SHAPE, "mask_ratio": "mask_ratio"}}
"""Models with a class of their own here: its arguments, and RecBole's names of them."""
FILTERS: dict[str, tuple[Any, ...]] = {
    "rm_dup_inter": (None,),
    "val_interval": (None, {}),
    "user_inter_num_interval": (None, "[0,inf)"),
    "item_inter_num_interval": (None, "[0,inf)"),
    "alias_of_item_id": (None, []),
    "benchmark_filename": (None, []),
}
"""Settings that change the vocabulary, with the values that leave it as it is."""
MISSING = ["", " ", "#N/A", "#N/A N/A", "#NA", "<NA>", "N/A", "n/a", "NA", "NULL", "null", "None", "NaN", "nan"]
MISSING += ["-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"]
"""Texts that pandas, by which RecBole reads, takes for a missing value."""


class StandIn:
    """Takes the place of an object that is not made: it accepts whatever a pickle does to it and does nothing."""

    state: Any = None

    def __new__(cls, *args: Any, **kwargs: Any) -> "StandIn":
        """Ignore the arguments."""
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        """Keep what the object would have been filled with; the settings of a `Config` are found there."""
        self.state = state


class _Unpickler(pickle.Unpickler):
    """Makes tensors of the records in an archive of `torch.save`, and nothing else that has any behaviour."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}/data.pkl")))
        self.archive, self.root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        """The few things that may be called; a stand-in of the same name for what RecBole's files may name."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self.tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return self.parameter
        if module == "torch" and name.endswith("Storage"):
            return name
        if module.split(".")[0] in TOLERATED or (module in ("builtins", "__builtin__") and name in BUILTINS):
            return type(name, (StandIn,), {"__module__": module})
        raise pickle.UnpicklingError(f"it names {module}.{name}, which has no place in a checkpoint; nothing of it ran")

    def persistent_load(self, pid: Any) -> Tensor:
        """The numbers of one storage, as a flat tensor."""
        kind, storage, key, _, _ = pid
        if kind != "storage" or not isinstance(storage, str) or storage not in _DTYPES:
            raise pickle.UnpicklingError(f"it holds a {storage} where numbers are expected")
        numbers = bytearray(self.archive.read(f"{self.root}/data/{key}"))
        return torch.frombuffer(numbers, dtype=_DTYPES[storage]) if numbers else torch.empty(0, dtype=_DTYPES[storage])

    def tensor(self, storage: Tensor, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
        """A tensor in place of `torch._utils._rebuild_tensor_v2`; it must lie within its storage."""
        return storage.as_strided(tuple(size), tuple(stride), offset).clone()

    def parameter(self, data: Tensor, *_: Any) -> Tensor:
        """The data of a parameter in place of `torch._utils._rebuild_parameter`."""
        return data


_REFUSED = (
    *(zipfile.BadZipFile, pickle.UnpicklingError, EOFError),
    *(
        AttributeError,
        TypeError,
        ValueError,
        LookupError,
        RuntimeError,
        ArithmeticError,
    ),  # a pickle that makes no sense
)
_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def read(file: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings and the weights in a RecBole checkpoint.

    Raises:
        InputError: no such file, not an archive of torch 1.6 or newer, or something in it that RecBole does not save.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file.")
    refuse_packed(file)
    try:
        content = _content(file)
    except _REFUSED as error:
        raise InputError(f"{file}: refused, {error}.") from error
    config = content.get("config") if isinstance(content, dict) else None
    state = config.state if isinstance(config, StandIn) else None
    settings = state.get("final_config_dict") if isinstance(state, dict) else None
    if not isinstance(settings, dict):
        raise InputError(f"{file}: no RecBole checkpoint, it holds no Config of RecBole's beside its weights.")
    weights = content.get("state_dict")
    if not isinstance(weights, dict) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        raise InputError(f"{file}: its state_dict is not a table of tensors.")
    return settings, dict(weights)


def _content(file: Path) -> Any:
    with zipfile.ZipFile(file) as archive:
        roots = [name.removesuffix("/data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise pickle.UnpicklingError("it is not what torch.save writes")
        return _Unpickler(archive, roots[0]).load()


def vocabulary(folder: Path, settings: dict[str, Any]) -> tuple[Vocabulary, np.ndarray]:
    """The item ids in RecBole's order, and the interactions of each item `[items]`.

    RecBole numbers items before it sorts anything: in the order in which they first stand in `.inter` and then, if the
    settings load it, in `.item` (`Dataset._remap`). Lines without a user or an item are left out before, and so are
    those of users or items that a loaded `.user` or `.item` file lacks.

    Raises:
        InputError: a missing file or field, or settings that filter the data, which is not repeated here.
    """
    for name, harmless in FILTERS.items():
        if settings.get(name) not in harmless:
            raise InputError(
                f"the model was trained on filtered data ({name}: {settings[name]}): its item numbers cannot be told "
                "from the files. Write the filtered data as a data set of its own, and train on that."
            )
    stem = folder.resolve().name
    user, item = str(settings.get("USER_ID_FIELD", "user_id")), str(settings.get("ITEM_ID_FIELD", "item_id"))
    inter = _known(atomic.read(folder / f"{stem}.inter", [user, item]))
    items = [inter[item]]
    for suffix, field in (("user", user), ("item", item)):
        file = folder / f"{stem}.{suffix}"
        if file.is_file() and _loaded(settings, suffix):
            named = _known(atomic.read(file, [field]))[field]
            items += [named] if suffix == "item" else []
            if settings.get("filter_inter_by_user_or_item", True) is True:
                inter = inter.filter(pl.col(field).is_in(named.implode()))
                items[0] = inter[item]
    tokens = Vocabulary(pl.concat(items).unique(maintain_order=True).to_list())
    return tokens, np.bincount(tokens.encode(inter[item]), minlength=len(tokens))


def convert(file: Path, folder: Path) -> Checkpoint:
    """The checkpoint of a RecBole model and of the data set folder that it was trained on.

    Raises:
        InputError: as `read` and `vocabulary`; a model that cannot serve; parts that do not fit each other.
    """
    settings, weights = read(file)
    items, popularity = vocabulary(folder, settings)
    network = _network(settings, len(items))
    if network.embeds_users:
        raise InputError(f"{file}: {network.title} has a vector for each of its users and could serve nobody here.")
    inner = network.inner if isinstance(network, RecBole) else network
    expected, held = (len(state.get("item_embedding.weight", ())) for state in (inner.state_dict(), weights))
    if expected != held:
        raise InputError(
            f"{folder}: {len(items) - 1} items, but the model in {file} knows {len(items) - 1 + held - expected}: this "
            "is not the data set that it was trained on."
        )
    try:
        inner.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"{file}: not the weights of the {network.title} in its settings ({error}).") from error
    data = {"name": folder.resolve().name, "imported_from": file.name, "max_len": network.hyperparameters["max_len"]}
    return Checkpoint(network.eval(), items, popularity, data, {})


def _network(settings: dict[str, Any], n_items: int) -> Model:
    """SASRec and BERT4Rec as this library's own classes, whatever these do not offer by the adapter."""
    name, max_len = str(settings.get("model")), settings.get("MAX_ITEM_LIST_LENGTH", 50)
    if name in OWN and (settings.get("hidden_act"), settings.get("layer_norm_eps")) == ("gelu", 1e-12):
        shape = {ours: settings[theirs] for ours, theirs in OWN[name].items() if theirs in settings}
        return SASRec(n_items, max_len, **shape) if name == "SASRec" else BERT4Rec(n_items, max_len, **shape)
    if name in FEATURED:
        raise InputError(
            f"{name} reads features of items, which RecBole keeps in a pickled copy of its data set: that is not read. "
            f"Train it here instead: recsys fit --config {name}"
        )
    changed = {key: settings[key] for key, value in defaults(name).items() if settings.get(key, value) != value}
    return RecBole(name, n_items, max_len, n_users=2, settings=changed)


def _known(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows without a missing value."""
    return frame.filter(~pl.any_horizontal(pl.all().is_in(MISSING)))


def _loaded(settings: dict[str, Any], suffix: str) -> bool:
    """Whether RecBole reads that file beside `.inter` (`Dataset._get_load_and_unload_col`)."""
    columns = settings.get("load_col")
    return columns is None or bool(columns.get(suffix))
