"""RecBole's sequential models through one adapter: the network, the loss and the scores are RecBole's own.

A target of a causal network is answered from the window that it stands in, as are all other targets of that window. The
other networks are given one row per target, the target's history cut behind what it sees (RecBole's data augmentation);
the rows of a batch are made when the batch is trained, and none is kept.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recsys.errors import InputError
from recsys.models.base import ItemSpace, Model, recbole_class, recbole_fields
from recsys.models.batch import Batch, point_counts, point_rows
from recsys.models.content import LazyTable
from recsys.models.recbole_encoder import fuse
from recsys.models.recbole_graph import vectorise_graph
from recsys.models.recbole_windows import answered
from recsys.models.recbole_zoo import CAUSAL, DOT_PRODUCT, FEATURED, OTHER_SCORES, merged_settings

_NEVER_READ = ("embedding_seq_item", "project_emb")
"""Parameters of NPE, of GRU4RecCPR and SASRecCPR that take part in nothing, which several processes would wait for."""

_TILE = 1 << 26  # numbers: what TransRec, which repeats its item table for every row, may hold at a time, 256 MiB


class RecBole(Model):
    """A model of RecBole by its name.

    Args:
        model: RecBole's name of the model, such as GRU4Rec.
        n_items: Size of the item vocabulary, padding included.
        max_len: Longest history, in items (RecBole's `MAX_ITEM_LIST_LENGTH`).
        n_users: Number of users plus one; of no use but to models that embed users.
        settings: The model's settings that differ from RecBole's defaults, in RecBole's names. `loss_type: model.loss`
            leaves the loss to whoever trains, for the models of `DOT_PRODUCT`.
        features: The columns of the items by name, read by models with `settings.selected_features`: numbers of their
            values, `[items]` or `[items, values]`, 0 for none. A checkpoint, whose weights hold them, gives the number
            of different values and the width instead.

    Raises:
        InputError: a model that RecBole has not or that is not taken; a setting or a column that is not there; no
            RecBole.
    """

    def __init__(
        self,
        model: str,
        n_items: int,
        max_len: int = 50,
        n_users: int = 0,
        settings: dict[str, Any] | None = None,
        features: Any = None,
    ) -> None:
        super().__init__()
        merged, network_class = merged_settings(model, settings or {}), recbole_class(model)
        self._arguments = [name for name in signature(network_class.forward).parameters if name != "self"]
        self.embeds_users = "user" in self._arguments
        if n_items < 3:
            raise InputError(f"n_items is {n_items}: RecBole's models need at least 2 items beside padding.")
        if self.embeds_users and n_users < 2:
            raise InputError(f"{model} embeds users: n_users is {n_users}, name their number plus one.")
        self.n_items = n_items
        self.brings_loss = model in OTHER_SCORES or merged["loss_type"] != "model.loss"
        if not self.brings_loss:
            merged["loss_type"] = "CE"  # RecBole builds no network without
        reranked = merged.get("reranker_CAN_NUM", 0)
        if max(int(part) for part in str(reranked).split(",")) > n_items:
            raise InputError(f"settings: {model}, reranker_CAN_NUM {reranked}: at most {n_items}, the number of items.")
        space, shapes = ItemSpace(n_items, n_users, max_len), {}
        if model in FEATURED:
            shapes = self._take({} if features is None else features, merged["selected_features"])
            merged["selected_features"] = list(shapes)
            space = FeatureSpace(n_items, shapes, self)
        try:
            self.inner = network_class(recbole_fields(max_len, **merged), space)
        except (TypeError, ValueError, RuntimeError, ArithmeticError, AssertionError, SystemExit) as error:
            raise InputError(f"{model}: RecBole cannot build it with these settings ({error}).") from error
        fuse(self.inner)
        vectorise_graph(self.inner)
        for name, parameter in self.inner.named_parameters():
            parameter.requires_grad_(not name.startswith(_NEVER_READ))
        self.model, self.max_len = model, max_len
        self.hyperparameters = {
            "model": model,
            "n_items": n_items,
            "max_len": max_len,
            "n_users": n_users if self.embeds_users else 0,
            "settings": dict(settings or {}),
            **({"features": shapes} if shapes else {}),
        }

    def _take(self, features: Mapping[str, Any], names: Any) -> dict[str, list[int]]:
        """Keep the numbers of these columns in buffers; how many values each has, and its width if it has one."""
        shapes: dict[str, list[int]] = {}
        if not names:
            raise InputError("settings: selected_features names no column of the items.")
        for place, name in enumerate(dict.fromkeys([names] if isinstance(names, str) else names)):
            try:
                given = features[name]
            except KeyError:
                raise InputError(f"settings: selected_features: no column {name!r} of the items is given.") from None
            if isinstance(given, np.ndarray):
                numbers, shapes[name] = torch.tensor(given), [1 + int(given.max()), *given.shape[1:]]
            else:
                numbers, shapes[name] = torch.zeros(self.n_items, *given[1:], dtype=torch.int32), list(given)
            self.register_buffer(f"feature_{place}", numbers)
        return shapes

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """As every module; a checkpoint may not name values that a column of the items has not."""
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        for place, (name, (values, *_)) in enumerate(self.hyperparameters.get("features", {}).items()):
            numbers = self.get_buffer(f"feature_{place}")
            if not 0 <= int(numbers.min()) <= int(numbers.max()) < values:
                args[-1].append(f"the column {name} names values that are not among its {values}")

    @property
    def title(self) -> str:
        """RecBole's name of the model."""
        return self.model

    @property
    def item_embedding(self) -> nn.Embedding:
        """The table that histories are read with; only HGN predicts with another."""
        table: nn.Embedding = self.inner.item_embedding
        return table

    def encode(self, batch: Batch) -> Tensor:
        """What `forward` makes of each point's history `[points, dim]`; of `OTHER_SCORES` scores `[points, items]`.

        A point without a history is answered as if a padding item were in it.
        """
        item, count = point_rows(batch)
        rows = self.rows(item, count.clamp(min=1), batch.user)
        if self.model in DOT_PRODUCT:
            return self._vectors(rows)
        return self._whole_rows(rows)

    def _vectors(self, rows: dict[str, Tensor]) -> Tensor:
        """RecBole's `forward`, `[rows, dim]`."""
        vectors: Tensor = self.inner(*(rows[_FIELD[name]] for name in self._arguments))
        return vectors

    def _whole_rows(self, rows: dict[str, Tensor]) -> Tensor:
        """Scores `[rows, items]` by RecBole's `full_sort_predict`, some rows at a time."""
        width = self.n_items * self.inner.embedding_size if self.model == "TransRec" else self.n_items
        count, size = len(rows["item_length"]), max(1, _TILE // width)
        parts = [{name: x[i : i + size] for name, x in rows.items()} for i in range(0, count, size)]
        scores = [self.inner.full_sort_predict(part).view(-1, self.n_items) for part in parts]
        return torch.cat(scores) if scores else torch.zeros(0, self.n_items, device=rows["item_length"].device)

    def item_vectors(self, item_ids: Tensor | None = None) -> Tensor | None:
        """What the model multiplies `forward` with `[items, dim]`; None of `OTHER_SCORES`."""
        if self.model not in DOT_PRODUCT:
            return None
        prediction = self.inner.item_embedding_for_prediction if self.model == "HGN" else self.item_embedding
        table = prediction.weight if item_ids is None else prediction.weight[item_ids]
        if self.model == "CORE":
            return nn.functional.normalize(table, dim=-1) / self.inner.temperature
        return nn.functional.relu(table) if self.model == "NPE" else table

    def own_loss(self, batch: Batch) -> Tensor | None:
        """RecBole's `calculate_loss` of the targets with a history, the mean over them; its parts are added up."""
        point, target = self._trained(batch)
        if not len(point):  # nothing to learn from, but a step that Lightning can take
            return torch.stack([parameter.sum() for parameter in self.parameters()]).sum() * 0.0
        if not self.brings_loss:
            return None
        with self._asked(batch, point, target) as rows:
            loss = self.inner.calculate_loss(rows)
        return torch.stack(loss).sum() if isinstance(loss, tuple) else loss

    def training_points(self, batch: Batch) -> tuple[Tensor, Tensor | LazyTable, Tensor]:
        """As every model, of the targets with a history."""
        (point, target), table = self._trained(batch), self.item_vectors()
        assert table is not None, "a model without item vectors brings its loss"
        with self._asked(batch, point, target) as rows:
            return self._vectors(rows), table, target

    def _trained(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Point and item of the targets with a history."""
        trained = point_counts(batch)[batch.target_point] > 0
        return batch.target_point[trained], batch.target_item[trained]

    @contextmanager
    def _asked(self, batch: Batch, point: Tensor, target: Tensor) -> Iterator[dict[str, Tensor]]:
        """The rows to be read, of which the network within answers these points."""
        if self.model in CAUSAL:
            length = (batch.item > 0).sum(1).clamp(min=1)
            with answered(self.inner, batch.point_row[point], batch.point_position[point]):
                yield self.rows(batch.item, length, target=target)
        else:
            item, count = point_rows(batch)
            user = None if batch.user is None else batch.user[point]
            yield self.rows(item[point], count[point], user, target)

    def rows(
        self, item: Tensor, count: Tensor, user: Tensor | None = None, target: Tensor | None = None
    ) -> dict[str, Tensor]:
        """RecBole's interaction of histories `[rows, length]` of `count` items each, oldest first, right-padded.

        `target` is one item for each row, or for each point of the rows that is to be `answered`. The negative item of
        pairwise losses is drawn uniformly from all but the target, as by RecBole's sampler.
        """
        if self.embeds_users and user is None:
            raise InputError(f"{self.model} embeds users, and this batch does not tell whose histories it holds.")
        for module in self.inner.modules():  # many make tensors on the device that they were told at their birth
            if "device" in vars(module):
                module.device = item.device
        padded = nn.functional.pad(item, (0, self.max_len - item.shape[1]))
        place = torch.arange(self.max_len, device=item.device) - (self.max_len - count)[:, None]
        inverse = padded.gather(1, place % self.max_len)
        target = torch.zeros_like(count) if target is None else target
        negative = torch.randint_like(target, 1, self.n_items - 1)
        return {
            "user_id": torch.zeros_like(count) if user is None else user,
            # SHAN is trained on left-padded histories, and given right-padded ones by RecBole's full_sort_predict alone
            "item_id_list": inverse if self.model == "SHAN" else padded,
            "Inverse_item_id_list": inverse,
            "item_length": count,
            "item_id": target,
            "neg_item_id": negative + (negative >= target).to(negative),
        }


class FeatureSpace(ItemSpace):
    """An ItemSpace of items with features, whose numbers lie in the buffers of `owner` and move with it."""

    def __init__(self, n_items: int, shapes: dict[str, list[int]], owner: nn.Module) -> None:
        super().__init__(n_items)
        kinds = import_module("recbole.utils").FeatureType
        self.field2type = {name: kinds.TOKEN_SEQ if len(shape) > 1 else kinds.TOKEN for name, shape in shapes.items()}
        self._shapes, self._owner = shapes, owner

    def num(self, field: str) -> int:
        """Number of values of a column, 0 included, or of items."""
        return self._shapes[field][0] if field in self._shapes else super().num(field)

    def get_item_feature(self) -> "FeatureSpace":
        """RecBole's table of the items: this, by `[]`."""
        return self

    def to(self, device: Any) -> "FeatureSpace":
        """It is where its owner is."""
        return self

    def __getitem__(self, field: str) -> Tensor:
        """The numbers of a column, `[items]` or `[items, values]`."""
        return self._owner.get_buffer(f"feature_{list(self._shapes).index(field)}")


_FIELD = {
    "user": "user_id",
    "item_seq": "item_id_list",
    "seq_item": "item_id_list",
    "item_seq_len": "item_length",
    "seq_item_len": "item_length",
}
"""The arguments of RecBole's `forward`, as the fields of an interaction."""
