"""The LightningDataModule: a data set folder in, batches out."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np

from recsys.data.batches import BatchLoader, request_rows, training_rows
from recsys.data.cache import cached, cached_content
from recsys.data.dataset import Dataset
from recsys.data.features import ItemColumns
from recsys.data.histories import Histories, histories
from recsys.data.items import item_file, read_kinds
from recsys.errors import InputError
from recsys.models.content import Content


class SequenceData(pl.LightningDataModule):
    """Histories of a folder of atomic files.

    Args:
        path: Data set folder, as written by `recsys convert` or taken from RecBole.
        max_len: Longest history that a model is shown, in items.
        batch_size: Training windows per step and process.
        eval_batch_size: Requests per evaluation step.
        stride: Distance between the ends of a user's training windows, in items (default: half of max_len). Smaller
            gives every target more history and costs more windows.
        vocabulary: Splits whose items make up the vocabulary, or `catalogue`: all items of the `.item` file, so that
            models with content can rank what nobody has clicked yet.
        min_count: Clicks in those splits that an item needs to be in the vocabulary; the others are left out of
            histories, and count as missed where they were clicked. Of a catalogue, clicks that an item needs for a
            vector of its own; the others are told by content alone.
        categories: Token fields of the `.item` file that tell items apart (default: Qilin's taxonomies).
        vectors: Field of the `.item` file with a vector of each item, which models with content read as it is.
        search_margin: Seconds that must lie between a search and the start of a request that may see it; at 0, a
            search in the second before is seen, one in the same second never.
        seed: Seed of the order of training windows.
    """

    def __init__(
        self,
        path: str,
        max_len: int = 50,
        batch_size: int = 128,
        eval_batch_size: int = 512,
        stride: int | None = None,
        vocabulary: Literal["train", "train+valid", "catalogue"] = "train",
        min_count: int = 1,
        categories: list[str] | None = None,
        vectors: str | None = None,
        search_margin: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = {"max_len": max_len, "batch_size": batch_size, "eval_batch_size": eval_batch_size}
        for name, value in {**sizes, "min_count": min_count}.items():
            if value < 1:
                raise InputError(f"--data.{name} {value}: must be at least 1.")
        if search_margin < 0:
            raise InputError(f"--data.search_margin {search_margin}: must be at least 0, or a request saw its future.")
        if stride is not None and not 1 <= stride <= max_len:
            raise InputError(f"--data.stride {stride}: must lie between 1 and max_len, {max_len}.")
        self.path, self.max_len, self.seed = Path(path), max_len, seed
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.stride = stride or max(1, max_len // 2)
        self.vocabulary, self.min_count = tuple(vocabulary.split("+")), min_count
        self.categories, self.vectors = categories, vectors
        self.search_margin = search_margin
        self.times = self.searches = True
        """Whether batches carry them; a model that reads neither is spared the time that it takes to gather them."""
        self._histories: dict[str, Histories] = {}
        self._training: BatchLoader | None = None
        self._stopped: dict[str, Any] = {}

    @cached_property
    def dataset(self) -> Dataset:
        """The data set, read on first use, from the cache where it lies there."""
        return cached(self.path, self.vocabulary, self.min_count)

    @cached_property
    def content(self) -> Content:
        """What the `.item` file says of the items, read on first use."""
        return cached_content(self.path, self.dataset.items, self.categories, self.vectors)

    @cached_property
    def kinds(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The items' categories, of all fields and of the first, as `read_kinds` numbers them; None without any."""
        return read_kinds(self.path, self.dataset.items, self.categories)

    @property
    def vector_width(self) -> int:
        """Width of the vectors that came with the items, 0 where none are to be read."""
        return 0 if self.vectors is None else self.content.vector.shape[1]

    @property
    def n_items(self) -> int:
        """Size of the item vocabulary, padding included."""
        return len(self.dataset.items)

    @property
    def n_users(self) -> int:
        """Number of users, the unknown one included."""
        return 1 + len(self.dataset.users)

    @property
    def item_columns(self) -> ItemColumns:
        """What the `.item` file says of the items, by column."""
        return ItemColumns(item_file(self.path), self.dataset.items)

    def histories(self, split: str) -> Histories:
        """What the models may know when they answer `split`."""
        if split not in self._histories:
            self._histories[split] = histories(self.dataset, split, self.search_margin)
        return self._histories[split]

    def popularity(self) -> np.ndarray:
        """Training clicks per item `[items]`, 0 for padding."""
        events = self.dataset.events
        return np.bincount(events.item[(events.split == 0) & (events.item > 0)], minlength=self.n_items)

    def train_dataloader(self) -> BatchLoader:
        """Windows of the training histories."""
        train = self.histories("train")
        rows = training_rows(train, self.max_len, self.stride)
        self._training = self._loader(train, rows, self.batch_size, training=True)
        self._training.load_state_dict(self._stopped)
        self._stopped = {}
        return self._training

    def state_dict(self) -> dict[str, Any]:
        """How far training has come within its epoch.

        Lightning asks the loader too, but forgets to tell it when somebody has asked for the number of steps before.
        """
        return {} if self._training is None else self._training.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on there with the next `train_dataloader`."""
        self._stopped = state_dict

    def val_dataloader(self) -> BatchLoader:
        """Requests of the validation split."""
        return self._requests("valid")

    def test_dataloader(self) -> BatchLoader:
        """Requests of the test split."""
        return self._requests("test")

    def predict_dataloader(self) -> BatchLoader:
        """Requests of the test split."""
        return self._requests("test")

    def _requests(self, split: str) -> BatchLoader:
        seen = self.histories(split)
        return self._loader(seen, request_rows(seen, self.max_len), self.eval_batch_size, training=False)

    def _loader(self, seen: Histories, rows, size: int, training: bool) -> BatchLoader:  # type: ignore[no-untyped-def]
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        reads = {"times": self.times, "searches": self.searches}
        return BatchLoader(self.dataset, seen, rows, size, training, self.seed, rank, world, **reads)
