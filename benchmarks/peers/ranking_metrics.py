"""Each library's own way to the same metrics, run by benchmarks/metrics.py in an environment of that library.

    python benchmarks/peers/ranking_metrics.py NAME DATA.npz [--threads 1] [--repeats 3]

Prints one JSON line: the means, CPU and wall milliseconds of the fastest repeat, and how many requests it saw. NAME is
one of WAYS. Only what is timed is in the returned function; the input that a library wants is made before.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

CUTOFFS = (1, 3, 5, 10, 20, 50, 100)
METRICS = ("hit", "recall", "precision", "ndcg", "mrr", "map")
ROUNDS = 10_000  # of the bootstrap
FEW = 500  # requests that the slowest libraries are given; their time is scaled up

Data = dict[str, Any]
Run = Callable[[], dict[str, float]]


def recsys(data: Data, threads: int) -> Run:
    from recsys.metrics import evaluate

    def run() -> Any:
        return evaluate(data["ranked"], (data["offsets"], data["relevant"]), CUTOFFS, threads=threads)

    return run


def recsys_frames(data: Data, threads: int) -> Run:
    from recsys.metrics import evaluate

    recommended, wanted = _frames(data, "request_id")
    return lambda: evaluate(recommended, wanted, CUTOFFS, threads=threads)  # type: ignore[return-value]


def recsys_beyond(data: Data, threads: int) -> Run:
    from recsys.metrics import catalogue, popularity

    ranked, counts = data["ranked"], data["counts"]
    items = len(counts) - 1

    def run() -> dict[str, Any]:
        lists = popularity(ranked, counts, CUTOFFS, compat="recbole", threads=threads)
        return catalogue(ranked, items, CUTOFFS, compat="recbole") | lists

    return run


def recsys_bootstrap(data: Data, threads: int) -> Run:
    """Intervals of the six differences between the lists and the same lists in another order."""
    from recsys.metrics import mean_intervals

    differences, users = paired_differences(data)

    def run() -> dict[str, float]:
        found = mean_intervals(differences, users, ROUNDS, threads=threads)
        return {f"{end}/{name}": value for name, each in found.items() for end, value in each._asdict().items()}

    return run


def paired_differences(data: Data) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Six metrics' differences `[requests]`, and the users: each request of one of its own, the most that there are."""
    from recsys.metrics import evaluate

    relevant = data["offsets"], data["relevant"]
    one, other = (evaluate(ranked, relevant, [10]) for ranked in (data["ranked"], data["ranked"][:, ::-1]))
    return {name: one[name] - other[name] for name in one}, np.arange(len(data["ranked"]))


def recbole(data: Data, threads: int) -> Run:
    """RecBole's evaluator finds the hits on the way to its matrix; it is given that matrix."""
    metrics = _recbole_metrics("Hit", "Recall", "Precision", "NDCG", "MRR", "MAP")
    ranked, offsets, relevant = data["ranked"], data["offsets"], data["relevant"]
    parts = zip(ranked, np.split(relevant, offsets[1:-1]), strict=True)
    hits = np.stack([np.isin(row, wanted) for row, wanted in parts])
    struct = _recbole_struct({"rec.topk": np.column_stack([hits, np.diff(offsets)]).astype(np.int32)})
    return lambda: {name: value for metric in metrics for name, value in metric.calculate_metric(struct).items()}


RECBOLE_NAMES = {"itemcoverage": "coverage", "giniindex": "gini", "shannonentropy": "entropy"}
RECBOLE_NAMES |= {"averagepopularity": "popularity", "tailpercentage": "tail"}


def recbole_beyond(data: Data, threads: int) -> Run:
    metrics = _recbole_metrics("ItemCoverage", "GiniIndex", "ShannonEntropy", "AveragePopularity")
    return _recbole_lists(data, data["ranked"], metrics)


def recbole_tail(data: Data, threads: int) -> Run:
    """It looks each listed item up in a list of a tenth of the catalogue: two requests must do."""
    return _recbole_lists(data, data["ranked"][:2], _recbole_metrics("TailPercentage"))


def _recbole_lists(data: Data, ranked: np.ndarray, metrics: list[Any]) -> Run:
    counts = dict(enumerate(data["counts"].tolist()))
    occurring = {item: count for item, count in counts.items() if item and count}
    struct = _recbole_struct({"rec.items": ranked})
    struct.set("data.num_items", len(counts) - 1)
    struct.set("data.count_items", occurring)

    def run() -> dict[str, float]:
        found = {name: value for metric in metrics for name, value in metric.calculate_metric(struct).items()}
        return {f"{RECBOLE_NAMES[n.split('@')[0]]}@{n.split('@')[1]}": value for n, value in found.items()}

    return run


def _recbole_metrics(*names: str) -> list[Any]:
    setattr(np, "float", float)  # noqa: B010 - RecBole 1.2.1 asks for an alias that NumPy no longer has
    from recbole.evaluator import metrics

    return [getattr(metrics, name)({"topk": CUTOFFS, "metric_decimal_place": 17, "tail_ratio": 0.1}) for name in names]


def _recbole_struct(matrices: dict[str, np.ndarray]) -> Any:
    import torch
    from recbole.evaluator.collector import DataStruct

    struct = DataStruct()
    for name, matrix in matrices.items():
        struct.set(name, torch.from_numpy(np.ascontiguousarray(matrix)))
    return struct


def rectools(data: Data, threads: int) -> Run:
    from rectools import metrics

    recommended, wanted = _frames(data, "user_id")
    classes = {
        "hit": "HitRate",
        "recall": "Recall",
        "precision": "Precision",
        "ndcg": "NDCG",
        "mrr": "MRR",
        "map": "MAP",
    }
    each = {f"{name}@{k}": getattr(metrics, classes[name])(k) for name in METRICS for k in CUTOFFS}
    return lambda: metrics.calc_metrics(each, recommended, wanted)


def _frames(data: Data, key: str) -> tuple[Any, Any]:
    import pandas as pd

    requests, depth = data["ranked"].shape
    listed = {
        key: np.repeat(np.arange(requests), depth),
        "item_id": data["ranked"].ravel(),
        "rank": np.tile(np.arange(1, depth + 1), requests),
    }
    wanted = {key: np.repeat(np.arange(requests), np.diff(data["offsets"])), "item_id": data["relevant"]}
    return pd.DataFrame(listed), pd.DataFrame(wanted)


def replay(data: Data, threads: int) -> Run:
    from replay import metrics

    _, depth = data["ranked"].shape
    scores = np.arange(depth, 0, -1.0).tolist()
    recommended = {i: list(zip(row, scores, strict=True)) for i, row in enumerate(data["ranked"].tolist())}
    wanted = {i: part.tolist() for i, part in enumerate(np.split(data["relevant"], data["offsets"][1:-1]))}
    classes = {
        "hit": "HitRate",
        "recall": "Recall",
        "precision": "Precision",
        "ndcg": "NDCG",
        "mrr": "MRR",
        "map": "MAP",
    }
    each = {name: getattr(metrics, of)(list(CUTOFFS)) for name, of in classes.items()}

    def run() -> dict[str, float]:
        values = {name: metric(recommended, wanted) for name, metric in each.items()}
        return {f"{name}@{k}": values[name][f"{classes[name]}@{k}"] for name in METRICS for k in CUTOFFS}

    return run


def replay_torch(data: Data, threads: int) -> Run:
    """Its builder knows no hit rate: 35 numbers, not 42."""
    import torch
    from replay.metrics.torch_metrics_builder import TorchMetricsBuilder

    torch.set_num_threads(threads)
    sizes = np.diff(data["offsets"])
    padded = np.full((len(sizes), sizes.max()), -1)
    padded[np.arange(sizes.max()) < sizes[:, None]] = data["relevant"]
    ranked, wanted = torch.from_numpy(data["ranked"]), torch.from_numpy(padded)

    def run() -> dict[str, float]:
        builder = TorchMetricsBuilder(list(METRICS[1:]), list(CUTOFFS), item_count=len(data["counts"]))
        builder.reset()
        for part, relevant in zip(ranked.split(256), wanted.split(256), strict=True):
            builder.add_prediction(part, relevant)
        return builder.get_metrics()

    return run


def ranx(data: Data, threads: int) -> Run:
    import numba
    import pandas as pd
    from ranx import Qrels, Run, evaluate

    numba.set_num_threads(threads)
    recommended, wanted = (
        frame.astype({"request_id": str, "item_id": str}).astype({"request_id": object, "item_id": object})
        for frame in _frames(data, "request_id")
    )
    wanted["score"], recommended["score"] = 1, -recommended["rank"].astype(float)
    assert isinstance(wanted, pd.DataFrame)
    qrels = Qrels.from_df(wanted, q_id_col="request_id", doc_id_col="item_id", score_col="score")
    run = Run.from_df(recommended, q_id_col="request_id", doc_id_col="item_id", score_col="score")
    names = {f"{name}@{k}": f"{'hit_rate' if name == 'hit' else name}@{k}" for name in METRICS for k in CUTOFFS}

    def once() -> dict[str, float]:
        values = evaluate(qrels, run, list(names.values()))
        return {ours: values[theirs] for ours, theirs in names.items()}

    return once


def torchmetrics(data: Data, threads: int) -> Run:
    """It knows as relevant only what is listed: the others are appended, below all that is."""
    import torch
    from torchmetrics import retrieval

    torch.set_num_threads(threads)
    ranked, offsets, relevant = data["ranked"][:FEW], data["offsets"], data["relevant"]
    scores, targets, indexes = [], [], []
    for i, row in enumerate(ranked):
        wanted = relevant[offsets[i] : offsets[i + 1]]
        missed = len(np.setdiff1d(wanted, row))
        # Targets of scores that are not above 0 are dropped.
        scores.append(np.arange(len(row) + missed, 0, -1.0, dtype=np.float32))
        targets.append(np.append(np.isin(row, wanted), np.ones(missed, bool)))
        indexes.append(np.full(len(row) + missed, i))
    score, target, index = (torch.from_numpy(np.concatenate(part)) for part in (scores, targets, indexes))
    classes = {"hit": "HitRate", "recall": "Recall", "precision": "Precision", "ndcg": "NormalizedDCG"}
    classes |= {"mrr": "MRR", "map": "MAP"}

    def run() -> dict[str, float]:
        values = {}
        for name, of in classes.items():
            for k in CUTOFFS:
                metric = getattr(retrieval, f"Retrieval{of}")(top_k=k)
                metric.update(score, target, indexes=index)
                values[f"{name}@{k}"] = float(metric.compute())
        return values

    return run


WAYS: dict[str, tuple[Callable[[Data, int], Run], str]] = {
    "recsys": (recsys, "numba"),
    "recsys, frames": (recsys_frames, "numba"),
    "recsys, beyond accuracy": (recsys_beyond, "numba"),
    "recsys, bootstrap": (recsys_bootstrap, "numba"),
    "RecBole": (recbole, "recbole"),
    "RecBole, beyond accuracy": (recbole_beyond, "recbole"),
    "RecBole, tail": (recbole_tail, "recbole"),
    "RecTools": (rectools, "rectools"),
    "RePlay": (replay, "replay-rec"),
    "RePlay, torch": (replay_torch, "replay-rec"),
    "ranx": (ranx, "ranx"),
    "torchmetrics": (torchmetrics, "torchmetrics"),
}
SEEN = {"RecBole, tail": 2, "torchmetrics": FEW}  # requests, where not all


def measure(name: str, data: Data, threads: int, repeats: int) -> dict[str, Any]:
    way, package = WAYS[name]
    run = way(data, threads)
    values = run()  # compiles, where there is something to compile
    cpu, wall = [], []
    for _ in range(repeats):
        started = time.process_time(), time.perf_counter()
        run()
        cpu.append(time.process_time() - started[0])
        wall.append(time.perf_counter() - started[1])
    seen = min(SEEN.get(name, len(data["ranked"])), len(data["ranked"]))
    means = {column: float(np.nanmean(value)) for column, value in values.items() if "@" in column}
    scale = len(data["ranked"]) / seen
    return {
        "values": means,
        "cpu_ms": min(cpu) * 1e3 * scale,
        "wall_ms": min(wall) * 1e3 * scale,
        "seen": seen,
        "package": f"{package} {version(package)}",
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=WAYS)
    parser.add_argument("data")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    with np.load(args.data) as arrays:
        print(json.dumps(measure(args.name, dict(arrays), args.threads, args.repeats)))
