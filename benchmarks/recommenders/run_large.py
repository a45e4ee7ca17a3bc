"""A large catalogue: the exact search, its memory, and what an index misses and saves.

Vectors are noise around 1,000 centres, or noise alone, which has nothing that an index could go by: the two ends. Or
they are those of a trained checkpoint, and the users' those of the requests of the test split.
"""

import argparse
import json
import resource
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from recsys import Recommender, atomic
from recsys.ranking import top_k, warm_up
from recsys.ranking.approximate import Index
from recsys.recommender.questions import batch_of, questions

DIM, K, CENTRES = 64, 10, 1000


def tables(items: int, users: int, kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Item vectors `[items + 1, 64]`, and users near some of the items."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(items + 1, DIM, generator=generator)
    vectors = torch.randn(users, DIM, generator=generator)
    if kind == "centred":
        centres = torch.randn(CENTRES, DIM, generator=generator)
        of = torch.randint(CENTRES, (items + 1,), generator=generator)
        for part in torch.arange(items + 1).split(65_536):
            table[part] = 0.5 * table[part] + centres[of[part]]
        vectors = 0.5 * vectors + centres[torch.randint(CENTRES, (users,), generator=generator)]
    return table, vectors


@torch.no_grad()
def trained(checkpoint: Path, data: Path, users: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Item vectors of a checkpoint, and its vectors of requests of the test split that it knows something of."""
    model = Recommender.from_pretrained(checkpoint)
    frame = atomic.read(data / f"{data.name}.request", ["history", "split"])
    histories = frame.filter(frame["split"] == "test")["history"].to_list()
    known = [mine for items in histories if (mine := [item for item in items if item in model.numbers])]
    some = [known[i] for i in np.random.default_rng(0).permutation(len(known))[:users]]
    asked = questions(model.numbers, some, None, None, None, "raise", str)
    length = int(model.network.hyperparameters["max_len"])
    vectors = model.network.encode(batch_of(asked, range(len(some)), length, times=False, searches=False))
    table = model.network.item_vectors()
    assert table is not None, "SASRec has a table"
    return table, vectors


def cpu_ms(once: object, vectors: torch.Tensor) -> float:
    """The median CPU time of one user's search."""
    found = []
    for row in vectors:
        began = time.process_time()
        once(row[None])  # type: ignore[operator]
        found.append(1000 * (time.process_time() - began))
    return median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=["centred", "noise", "trained"], required=True)
    parser.add_argument("--items", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--probes", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.kind == "trained":
        table, vectors = trained(args.checkpoint, args.data, args.users)
    else:
        table, vectors = tables(args.items, args.users, args.kind)
    warm_up()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    exact, _ = top_k(vectors, table, K)
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    alone = cpu_ms(lambda row: top_k(row, table, K), vectors[:50])
    rows: list[dict[str, object]] = [{"search": "exact", "one_cpu_ms": alone, "recall": 1.0}]
    if args.kind == "noise":  # centres cost memory to make, and hide what the search needs
        rows[0]["extra_mib"] = extra
    began = time.process_time()
    index = Index(table)
    built = time.process_time() - began
    for probes in args.probes:
        index.probe(probes)
        found, _ = index.top_k(vectors, K)
        recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(found.tolist(), exact.tolist(), strict=True)])
        alone = cpu_ms(lambda row: index.top_k(row, K), vectors[:50])
        name = f"{probes} of {index.cells} cells"
        rows.append({"search": name, "one_cpu_ms": alone, "recall": float(recall), "build_cpu_s": built})
    shared = {"kind": args.kind, "items": len(table) - 1, "users": len(vectors)}
    args.out.write_text(json.dumps([shared | row for row in rows]))


if __name__ == "__main__":
    main()
