"""Training steps on a GPU beside what the card can do, and beside the same step written RecBole's way.

    python benchmarks/gpu.py [--device cuda] [--items 100000 2000000] [--steps 50] [--windows 40]

Every step predicts the same targets: ours reads windows of 50 items once and predicts at each of them, RecBole's reads
a row of up to 50 items for every target, computes the full matrix of logits and takes Adam as it comes. What a step
does is counted as it runs: FLOP of matrix products, and bytes that its operations read and write, those that a cache
holds among them. The card's ceilings, copying and multiplying, are measured first, and at the end exact full ranking.
On a GPU "compiled" is the same step with `--model.compile_layers true`; nothing of it is counted, since what is fused
does not pass through the counter.
"""

import argparse
import csv
import gc
import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import partial
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from recsys.files import atomic_file
from recsys.losses import FullSoftmax, Loss, SampledSoftmax
from recsys.models import Batch, BERT4Rec, Model, SASRec, SearchSASRec
from recsys.models.batch import point_rows
from recsys.ranking import top_k
from recsys.training.compilation import compile_layers

LENGTH, DIM, SEARCHES, GRAMS = 50, 64, 10, 24
K, SEEN, RANKING = 100, 20, "top_k"
MODELS: tuple[type[Model], ...] = (SASRec, BERT4Rec, SearchSASRec)
LOSSES: tuple[type[Loss], ...] = (FullSoftmax, SampledSoftmax)
KINDS = [
    (None, None, False),
    *((model, loss, False) for model in MODELS for loss in LOSSES),
    *((model, FullSoftmax, True) for model in MODELS),
]
Step = Callable[[], int]
"""Takes a training step and gives the number of its targets."""
PRECISIONS = ("fp32", "tf32", "bf16")  # tf32 is what `recsys fit` does on a GPU where nothing else is asked for
RECBOLE = "RecBole's SASRec"
SECONDS = 2.0  # for the steps of a row of the table, where they are slow
VERSIONS = f"python {platform.python_version()}, torch {torch.__version__}"
LOOKUPS = ("embedding", "gather", "index", "index_select")  # read of their first tensor what they give
ADDITIONS = ("index_add_", "index_put_", "scatter_", "scatter_add_")  # read and write of it what they are given
OTHERS = {torch.ops.aten.addmm_: lambda total, left, right, **_: 2 * left[0] * left[1] * right[1]}
if find_spec("triton"):
    from recsys.losses.fused_softmax import normalize, table_gradient

    for kernel in (normalize, table_gradient):  # two products each
        OTHERS[kernel._opoverload.overloadpacket] = lambda rows, table, *_, **__: 4 * rows[0] * rows[1] * table[0]
OVERWRITES = ("copy_", "fill_", "normal_", "zero_")  # only write it


@dataclass(frozen=True)
class Figure:
    """One kind of step over one catalogue, or one ceiling."""

    device: str
    items: int
    model: str
    loss: str
    precision: str
    outcome: str = "ok"
    targets: int = 0
    step_ms: float = float("nan")
    tflop: float = float("nan")
    gbyte: float = float("nan")
    peak_gb: float = float("nan")
    versions: str = VERSIONS

    @property
    def tflops(self) -> float:
        """Products, 10^12 FLOP/s."""
        return 1e3 * self.tflop / self.step_ms

    @property
    def gbytes(self) -> float:
        """Reads and writes, 10^9 bytes/s."""
        return 1e3 * self.gbyte / self.step_ms


class Traffic(TorchDispatchMode):
    """Adds up the bytes of the tensors that every operation reads and writes; of look-ups, the rows that they touch."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {argument.name: value for argument, value in zip(function._schema.arguments, args, strict=False)}
        given |= kwargs or {}
        storages = {tensor.untyped_storage().data_ptr() for tensor in tensors(given)}
        result = function(*args, **(kwargs or {}))
        made = size(tensor for tensor in tensors(result) if tensor.untyped_storage().data_ptr() not in storages)
        name = function.overloadpacket.__name__
        if name in LOOKUPS:
            self.bytes += 2 * made
        elif name in ADDITIONS:
            self.bytes += 3 * max(map(size, map(tensors, list(given.values())[1:])))
        elif not function.is_view and not name.startswith(("empty", "new_empty")):
            self.bytes += made + sum(
                passes(name, argument) * size(tensors(given.get(argument.name)))
                for argument in function._schema.arguments
            )
        return result


def passes(name: str, argument: Any) -> int:
    """How often an operation goes over an argument: once to read it, once more where it writes it."""
    if argument.alias_info is None or not argument.alias_info.is_write:
        return 1
    scaled = name.startswith("_fused_adam") and argument.name == "grads"  # written only under a gradient scaler
    return 1 if argument.is_out or name in OVERWRITES or scaled else 2


def tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def size(some: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in some)


def batch(items: int, windows: int, device: str) -> Batch:
    """Full windows of random items, each with searches, and a target at every position."""
    item = torch.randint(1, items, (windows, LENGTH + 1))
    points = windows * LENGTH
    row = torch.arange(windows).repeat_interleave(LENGTH)
    search = windows * SEARCHES
    return Batch(
        item=item[:, :-1].contiguous(),
        timestamp=torch.arange(LENGTH).expand(windows, LENGTH).contiguous(),
        request_timestamp=torch.arange(1, LENGTH + 1).expand(windows, LENGTH).contiguous(),
        next_item=item[:, -1].contiguous(),
        point_row=row,
        point_position=torch.arange(LENGTH).repeat(windows),
        request=torch.arange(points),
        target_point=torch.arange(points),
        target_item=item[:, 1:].flatten(),
        search_row=torch.arange(windows).repeat_interleave(SEARCHES),
        search_position=torch.randint(LENGTH, (search,)),
        search_type=torch.randint(9, (search,)),
        search_gram=torch.randint(1, 1 << 32, (search, GRAMS)),
        user=torch.zeros(points, dtype=torch.int64),
    ).to(device)


def popularity(items: int) -> Tensor:
    """Clicks by rank, as Zipf has them."""
    clicks = (1e7 / torch.arange(1, items + 1)).round().clamp(min=1)
    clicks[0] = 0
    return clicks


def our_step(
    model: type[Model], kind: type[Loss], items: int, windows: int, device: str, precision: str, compiled: bool
) -> Step:
    """As `recsys fit` takes it."""
    with torch.device(device):  # a CPU takes seconds to draw two million vectors
        network = model(n_items=items, max_len=LENGTH, dim=DIM)
    if compiled:
        compile_layers(network, device)
    given, loss = batch(items, windows, device), kind()
    loss.prepare(popularity(items))
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.0, fused=True)

    def once() -> int:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            vectors, table, target = network.training_points(given)
            value = loss(vectors, table, target)
        value.backward()
        optimizer.step()
        return len(target)

    return once


def recbole_step(items: int, windows: int, device: str, precision: str) -> Step:
    """RecBole's row for every target, its class's own loss, and Adam as it comes."""
    with torch.device(device):
        network: Any = SASRec(items, LENGTH, DIM)
    given = batch(items, windows, device)
    item, count = point_rows(given)
    rows = {"item_id_list": item, "item_length": count, "item_id": given.target_item}
    optimizer = torch.optim.Adam(network.parameters())

    def once() -> int:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            value = network.calculate_loss(rows)
        value.backward()
        optimizer.step()
        return len(item)

    return once


def timed(once: Callable[[], Any], steps: int, device: str) -> float:
    """Mean milliseconds of at most `steps` calls; the device is waited for once, as in training."""
    for _ in range(2):  # the first has to load and choose kernels
        started = perf_counter()
        once()
        wait(device)
    count = max(1, min(steps, int(SECONDS / (perf_counter() - started))))
    started = perf_counter()
    for _ in range(count):
        once()
    wait(device)
    return 1e3 * (perf_counter() - started) / count


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def allow(precision: str) -> None:
    """Set whether products of float32 may be rounded to TF32."""
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")


def ceilings(device: str, steps: int) -> Iterator[Figure]:
    """Copying, and a square product of each precision."""
    name, (numbers, side) = device_name(device), (1 << 29, 8192) if device == "cuda" else (1 << 22, 512)
    source, target = (torch.ones(numbers, device=device) for _ in range(2))
    ms = timed(partial(target.copy_, source), steps, device)
    yield Figure(name, 0, "ceiling", "copy", "fp32", step_ms=ms, gbyte=8 * numbers / 1e9)
    del source, target
    for precision in PRECISIONS:
        allow(precision)
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        left, right = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
        ms = timed(partial(torch.mm, left, right), steps, device)
        yield Figure(name, 0, "ceiling", "product", precision, step_ms=ms, tflop=2 * side**3 / 1e12)


def figure(
    model: Any, loss: Any, compiled: bool, precision: str, items: int, windows: int, steps: int, device: str
) -> Figure:
    """Build, count, time and forget one kind of step."""
    named = (model.__name__ + ", compiled" * compiled, loss.__name__) if model else (RECBOLE, "full logits")
    clear(device)
    allow(precision)
    torch.manual_seed(0)
    measured: dict[str, Any] = {}
    try:
        shape = (items, windows, device, precision)
        once = recbole_step(*shape) if model is None else our_step(model, loss, *shape, compiled)
        if compiled:
            measured["targets"] = once()
        else:
            with FlopCounterMode(display=False, custom_mapping=OTHERS) as products, Traffic() as traffic:
                measured["targets"] = once()
            measured |= {"tflop": products.get_total_flops() / 1e12, "gbyte": traffic.bytes / 1e9}
        measured["step_ms"] = timed(once, steps, device)
        if device == "cuda":
            measured["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
    except torch.OutOfMemoryError as error:
        asked = re.search(r"Tried to allocate ([\d.]+ \w+)", str(error))
        measured = {"outcome": f"out of memory{f', asked for {asked[1]} more' if asked else ''}"}
    return Figure(device_name(device), items, *named, precision, **measured)


def ranking(items: int, requests: int, steps: int, device: str) -> Figure:
    """The best `K` of all items that each request has not seen, ids brought to the processor."""
    clear(device)
    torch.manual_seed(0)
    vectors, table = (torch.randn(count, DIM, device=device) for count in (requests, items))
    seen = SEEN * torch.arange(requests + 1), torch.randint(1, items, (SEEN * requests,))
    ms = timed(lambda: top_k(vectors, table, K, seen)[0].cpu(), steps, device)
    some = min(4, requests)
    theirs = top_k(vectors[:some].cpu(), table.cpu(), K, (seen[0][: some + 1], seen[1][: SEEN * some]))[0]
    same = torch.equal(top_k(vectors, table, K, seen)[0][:some].cpu(), theirs)
    measured: dict[str, Any] = {"step_ms": ms, "targets": requests, "tflop": 2 * requests * items * DIM / 1e12}
    if device == "cuda":
        measured["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
    outcome = "ok" if same else "not the processor's ids"
    return Figure(device_name(device), items, RANKING, f"{K} best, {SEEN} seen", "fp32", outcome, **measured)


def clear(device: str) -> None:
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"CPU {platform.machine()}"


def show(figures: list[Figure]) -> None:
    """Each step with its share of the ceilings, and its time beside RecBole's."""
    best = {(f.loss, f.precision): f for f in figures if f.model == "ceiling"}
    copy = best["copy", "fp32"]
    products = ", ".join(f"{p} {best['product', p].tflops:,.1f}" for p in PRECISIONS)
    grid = Table(title=f"{copy.device}: copy {copy.gbytes:,.0f} GB/s; product {products} TFLOP/s; {VERSIONS}")
    names = ["items", "model", "loss", "precision", "targets", "ms", "targets/s", "times RecBole's"]
    for name in [*names, "TFLOP/s", "of peak", "GB/s", "of copy", "peak GB"]:
        grid.add_column(name, justify="left" if name in names[1:4] else "right")
    for f in figures:
        if f.model in ("ceiling", RANKING):
            continue
        cells = [f"{f.items:,}", f.model, f.loss, f.precision]
        if f.outcome == "ok":
            theirs = next(t for t in figures if (t.items, t.model, t.precision) == (f.items, RECBOLE, f.precision))
            ratio = (theirs.step_ms / theirs.targets) / (f.step_ms / f.targets) if theirs.targets else float("nan")
            cells += [f"{f.targets:,}", f"{f.step_ms:.2f}", f"{1e3 * f.targets / f.step_ms:,.0f}", f"{ratio:.1f}"]
            rates = [(f.tflops, best["product", f.precision].tflops, ".2f"), (f.gbytes, copy.gbytes, ",.0f")]
            for rate, peak, form in rates:
                cells += ["–", "–"] if isnan(rate) else [f"{rate:{form}}", f"{rate / peak:.0%}"]
            cells.append(f"{f.peak_gb:.2f}")
        else:
            cells += ["", f.outcome]
        grid.add_row(*cells)
    Console(width=max(Console().width, 150)).print(grid)
    for f in (f for f in figures if f.model == RANKING):
        print(f"{f.model}, {f.loss}: {f.targets:,} requests, {f.items:,} items: {f.step_ms:.0f} ms, {f.outcome}")


def save(figures: list[Figure], folder: Path) -> Path:
    slug = re.sub(r"[^a-z0-9]+", "-", figures[0].device.lower()).strip("-")
    path = folder / f"gpu-{slug}.csv"
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Figure)], lineterminator="\n")
        writer.writeheader()
        for each in figures:
            writer.writerow({k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in asdict(each).items()})
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--items", type=int, nargs="+", default=[100_000, 2_000_000])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--windows", type=int, default=40, help=f"windows of {LENGTH} items per step")
    parser.add_argument("--requests", type=int, default=11_115, help="requests to rank for, as many as Qilin tests")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("No CUDA device here; --device cpu takes the same steps on the processor.")
        sys.exit()
    found = list(ceilings(args.device, args.steps))
    for n in args.items:
        for kind in KINDS[: None if args.device == "cuda" else -len(MODELS)]:  # launches are what compiling saves
            for precision in PRECISIONS:
                found.append(figure(*kind, precision, n, args.windows, args.steps, args.device))
                print(f"  {found[-1]}", file=sys.stderr, flush=True)
                save(found, args.results)
        found.append(ranking(n, args.requests, args.steps, args.device))
        path = save(found, args.results)
    show(found)
    print(path)
