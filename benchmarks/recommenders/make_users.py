"""A checkpoint with random weights, and users in Parquet and JSONL: nothing that is measured holds them in memory."""

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl
import torch
from referee import DIM, HEADS, LAYERS, MAX_LEN

from recsys import checkpoints
from recsys.atomic import Vocabulary
from recsys.checkpoints import Checkpoint
from recsys.files import atomic_file
from recsys.models import SASRec

LONGEST = 20  # items of a history: 1 to 20, each as likely


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    network = SASRec(args.items + 1, MAX_LEN, DIM, LAYERS, HEADS, 4 * DIM)
    tokens = Vocabulary([f"n{i}" for i in range(args.items)])
    checkpoint = Checkpoint(network, tokens, np.arange(args.items + 1), {"name": "random"}, {})
    checkpoints.save(checkpoint, args.folder / "checkpoint")
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, LONGEST + 1, args.users)
    item = pl.Series(tokens.tokens).gather(generator.integers(0, args.items, int(lengths.sum())))
    user = np.repeat(np.arange(args.users), lengths)
    frame = pl.DataFrame({"user": user, "history": item}).group_by("user", maintain_order=True).agg("history")
    frame = frame.select(user_id="u" + pl.col("user").cast(pl.String), history="history")
    with atomic_file(args.folder / "users.jsonl") as file, file.open("w") as lines:
        for row in frame.iter_rows(named=True):
            lines.write(json.dumps(row) + "\n")
    with atomic_file(args.folder / "users.parquet") as file:
        frame.write_parquet(file, row_group_size=65_536)


if __name__ == "__main__":
    main()
