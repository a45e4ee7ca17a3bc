"""A checkpoint as one graph, for ONNX Runtime or `torch.export`: item numbers in, the best items out.

What needs this library, ids and the hashing of queries, stays outside. In between nothing differs from `Recommender`:
popularity for who has nothing to go by, exclusion, and the smaller number first where scores are equal.
"""

import logging
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import polars as pl
import torch
from torch import Tensor, nn

from recsys.checkpoints.folder import Checkpoint
from recsys.checkpoints.manifest import brief
from recsys.checkpoints.traceable import traceable
from recsys.errors import InputError
from recsys.files import atomic_folder
from recsys.models import BERT4Rec
from recsys.models.batch import Batch
from recsys.models.text import MAX_GRAMS
from recsys.ranking.keys import packed, unpacked

Format = Literal["onnx", "torch"]


class Graph(nn.Module):
    """Scores of all items, or the best `k` of them, from padded rows.

    Inputs, by name, those that the model reads: `item` `[users, length]` int64 numbers of the items, oldest first,
    right-padded with 0; `exclude` `[users, n]` int64 numbers of what may not come back, 0 for nothing; `query`
    `[users, queries, 48]` int64 as `gram_matrix` hashes them, 0 for nothing; `timestamp` `[users, length]` and `now`
    `[users]` int64 seconds.

    Args:
        checkpoint: The model, and the popularity that answers who has nothing to go by.
        k: Number of items; 0 for the scores of all.
        format: What it is made for: ONNX has a rule for equal scores, which PyTorch must be told.

    Raises:
        InputError: a model that knows only its own users, a `k` that cannot be.
    """

    popularity: Tensor

    def __init__(self, checkpoint: Checkpoint, k: int, format: Format = "torch") -> None:
        super().__init__()
        if checkpoint.network.embeds_users:
            raise InputError(
                f"{checkpoint.network.title} has a vector for each user of its data set and none for anyone else: a "
                "graph of it could answer nobody. Export a model that embeds no users."
            )
        if not 0 <= k < len(checkpoint.items):
            raise InputError(f"k is {k}: of {len(checkpoint.items) - 1} items; 0 stands for the scores of all.")
        self.network, self.k, self.format = traceable(checkpoint.network), k, format
        self.register_buffer("popularity", torch.from_numpy(checkpoint.popularity).float())
        self.searches = self.network.uses_searches
        self.times = self.network.uses_times and not self.searches
        # BERT4Rec puts a mask behind the history, and has no more places.
        self.max_len = self.network.hyperparameters["max_len"] - isinstance(self.network, BERT4Rec)

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, in order."""
        return ["item", "exclude", *["query"] * self.searches, *["timestamp", "now"] * self.times]

    @property
    def outputs(self) -> list[str]:
        """`item_id` and `score`, `[users, k]` each; or `score` `[users, items]`, number 0 being padding."""
        return ["item_id", "score"] if self.k else ["score"]

    def forward(self, item: Tensor, exclude: Tensor, *more: Tensor) -> tuple[Tensor, ...]:
        """The outputs."""
        count = (item > 0).sum(1)
        last, rows = (count - 1).clamp(min=0), torch.arange(item.shape[0])
        nothing = item.new_zeros(0)
        batch = Batch(
            item=item,
            timestamp=more[0] if self.times else None,
            request_timestamp=_returned(more[0], more[1], last) if self.times else None,
            next_item=nothing,
            point_row=rows,
            point_position=last,
            request=rows,
            target_point=nothing,
            target_item=nothing,
            search_row=nothing,
            search_position=nothing,
            search_type=nothing,
            search_gram=more[0] if self.searches else nothing,
        )
        table = self.network.item_vectors()
        vectors = self.network.encode(batch)
        score = (vectors if table is None else vectors @ table.T).float()
        answerable = count > 0
        if self.searches:
            answerable = answerable | (more[0] > 0).any(-1).any(-1)
        score = torch.where(answerable[:, None], score, self.popularity)
        excluded = torch.zeros_like(score, dtype=torch.bool).scatter(1, exclude, True)
        padding = torch.arange(score.shape[1]) == 0
        score = score.masked_fill(excluded | padding, -torch.inf)
        if not self.k:
            return (score,)
        if self.format == "onnx":
            best, ids = score.topk(self.k, dim=1)
        else:
            ids, best = unpacked(packed(score, torch.arange(score.shape[1])).topk(self.k, dim=1).values)
        return ids * (best > -torch.inf), best


def _returned(timestamp: Tensor, now: Tensor, last: Tensor) -> Tensor:
    """`[users, length]` when each user came back after each item: at the next one, and at last now."""
    place = torch.arange(timestamp.shape[1])
    following = timestamp[:, (place + 1).clamp(max=timestamp.shape[1] - 1)]
    return torch.where(place == last[:, None], now[:, None], following)


def export_graph(
    checkpoint: Checkpoint,
    folder: Path,
    format: Format = "onnx",
    k: int = 10,
    progress: Callable[[str], None] = lambda message: None,
) -> list[str]:
    """Write `model.onnx` (or `model.pt2`) and `items.parquet` into a new folder; the names of the graph's inputs.

    Row i of `items.parquet` is item number i + 1.

    Raises:
        InputError: a model that is no graph, a `k` that cannot be, a package that is missing.
    """
    missing = [name for name in ("onnx", "onnxscript") if format == "onnx" and find_spec(name) is None]
    if missing:
        raise InputError(f"ONNX needs {' and '.join(missing)}: pip install 'recsys-zoo[export]'.")
    graph = Graph(checkpoint, k, format).eval()
    progress(f"tracing {checkpoint.network.title}")
    program = traced(graph)
    items = {"item_id": list(checkpoint.items.tokens), "popularity": checkpoint.popularity[1:]}
    with atomic_folder(folder) as temporary:
        pl.DataFrame(items).write_parquet(temporary / "items.parquet")
        if format == "torch":
            torch.export.save(program, temporary / "model.pt2")
        else:
            progress("translating to ONNX")
            _onnx(program, graph, checkpoint, temporary / "model.onnx")
    return graph.inputs


def traced(graph: Graph) -> torch.export.ExportedProgram:
    """The graph for any number of users, any length up to `max_len`, any number of queries and exclusions.

    Raises:
        InputError: what the model does depends on values that a graph does not know.
    """
    users, length = torch.export.Dim("users", min=1), torch.export.Dim("length", min=1, max=max(2, graph.max_len))
    size = min(3, graph.max_len)
    along = {1: length} if graph.max_len > 1 else {}
    examples: dict[str, tuple[Tensor, dict[int, Any]]] = {
        "item": (torch.ones(2, size, dtype=torch.int64), {0: users, **along}),
        "exclude": (torch.ones(2, 4, dtype=torch.int64), {0: users, 1: torch.export.Dim("excluded", min=1)}),
        "query": (
            torch.ones(2, 5, MAX_GRAMS, dtype=torch.int64),
            {0: users, 1: torch.export.Dim("queries", min=1)},
        ),
        "timestamp": (torch.ones(2, size, dtype=torch.int64), {0: users, **along}),
        "now": (torch.ones(2, dtype=torch.int64), {0: users}),
    }
    given = [examples[name] for name in graph.inputs]
    shapes = [shape for _, shape in given]
    nested = (*shapes[:2], *[tuple(shapes[2:])] * (len(shapes) > 2))  # what *more takes is one of its arguments
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The tensor attributes")  # what a forward leaves behind, and no one reads
            return torch.export.export(graph, tuple(example for example, _ in given), dynamic_shapes=nested)
    except Exception as error:  # of whatever kind torch finds
        raise InputError(f"{graph.network.title} cannot be traced as a graph ({brief(error)}).") from error


def _onnx(program: torch.export.ExportedProgram, graph: Graph, checkpoint: Checkpoint, path: Path) -> None:
    from onnxscript import optimizer

    for chatty in ("torch.onnx", "onnxscript"):  # of torchvision, which nobody asked for, and of what was not folded
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LeafSpec.*")  # torch's exporter of its own pytree
        made = torch.onnx.export(
            program, input_names=graph.inputs, output_names=graph.outputs, dynamo=True, optimize=False, verbose=False
        )
    assert made is not None, "the new exporter returns a program"
    # all of its optimisation but the rules, of which one takes x + 1e-15 for x, also where x is 0 and divided by
    optimizer.inline(made.model)
    optimizer.fold_constants(made.model)
    optimizer.remove_unused_nodes(made.model)
    made.model.metadata_props.update(
        {
            "model": checkpoint.network.title,
            "max_len": str(graph.max_len),
            "k": str(graph.k),
            "items_sha256": checkpoint.items.sha256,
        }
    )
    made.save(path)
