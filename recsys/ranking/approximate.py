"""The best of the catalogue without looking at most of it: an inverted file of item vectors (faiss).

Item vectors are put into cells around k-means centres; a request looks into the cells whose centres it scores highest.
What it finds has its exact score; what lies in other cells is missed.
"""

from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys.errors import InputError
from recsys.ranking.arguments import at_least_one, excluded


class Index:
    """An inverted file over a table of item vectors.

    Args:
        table: `[items, dim]`; row 0 is padding and never found.
        cells: Number of cells; by default sqrt(items), with which two million items take half a minute.
        probes: Number of cells that a request looks into.
        seed: Of the k-means.

    Raises:
        InputError: faiss is not installed; numbers below 1.
    """

    def __init__(self, table: Tensor, cells: int | None = None, probes: int = 32, seed: int = 0) -> None:
        try:
            import faiss
        except ModuleNotFoundError as error:
            raise InputError("Approximate search needs faiss: pip install 'recsys-zoo[ann]'.") from error
        vectors = np.ascontiguousarray(table[1:].detach().float().cpu().numpy())
        items, dim = vectors.shape
        cells = max(1, min(items, round(sqrt(items)))) if cells is None else cells
        at_least_one(items=items, cells=cells)
        self.items, self.cells = items, cells
        # A vector lies in the cell of the nearest centre: by the product, all would go to the longest ones. A request
        # looks where its product with the centre is large.
        nearest, self._centres = faiss.IndexFlatL2(dim), faiss.IndexFlatIP(dim)
        self._file: Any = faiss.IndexIVFFlat(nearest, dim, cells, faiss.METRIC_INNER_PRODUCT)
        self._file.cp.spherical = False
        self._file.cp.seed = seed
        self._file.cp.min_points_per_centroid = 1  # a small catalogue is no reason to warn
        self._file.train(vectors)
        self._file.add_with_ids(vectors, np.arange(1, items + 1))
        self._centres.add(nearest.reconstruct_n(0, cells))
        self._file.quantizer = self._centres
        self.probe(probes)

    def probe(self, cells: int) -> None:
        """Let each request look into so many cells from now on."""
        at_least_one(cells=cells)
        self._file.nprobe = min(cells, self.cells)

    def top_k(
        self, vectors: Tensor, k: int, exclude: tuple[np.ndarray, np.ndarray] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Ids and scores `[requests, k]` as of `ranking.top_k`, of the items that the probed cells hold.

        Raises:
            InputError: k below 1, offsets that cannot be.
        """
        at_least_one(k=k)
        offsets, seen = (part.numpy() for part in excluded(exclude, len(vectors)))
        depth = min(self.items, k + int(np.diff(offsets).max(initial=0)))
        scores, ids = self._file.search(np.ascontiguousarray(vectors.detach().float().cpu().numpy()), depth)
        # Each pair as one number.
        row = np.arange(len(ids))[:, None] * (self.items + 1)
        taken = row[np.repeat(np.arange(len(ids)), np.diff(offsets)), 0] + np.where(seen <= self.items, seen, 0)
        lost = (ids < 1) | np.isin(row + ids, taken)
        scores, ids = np.where(lost, -np.inf, scores).astype(np.float32), np.where(lost, 0, ids)
        order = np.lexsort((ids, -scores))[:, :k]
        best = np.full((len(ids), k), -np.inf, np.float32)
        best[:, : order.shape[1]] = np.take_along_axis(scores, order, 1)
        found = np.zeros((len(ids), k), np.int64)
        found[:, : order.shape[1]] = np.take_along_axis(ids, order, 1)
        return torch.from_numpy(found), torch.from_numpy(best)
