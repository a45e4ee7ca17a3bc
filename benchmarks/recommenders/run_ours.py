"""This project: SASRec in a checkpoint, asked by external ids through `Recommender`."""

import numpy as np
import polars as pl
import torch
from referee import DIM, HEADS, LAYERS, MAX_LEN, K, Recommender, begin, judge

import recsys
from recsys.atomic import Vocabulary
from recsys.checkpoints import Checkpoint
from recsys.models import SASRec
from recsys.recommender.questions import batch_of, questions


def main() -> None:
    args, histories = begin(__doc__, "torch", "polars")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    items = int(histories.max()) + 1
    network = SASRec(items + 1, MAX_LEN, DIM, LAYERS, HEADS, args.inner).eval()
    vocabulary = Vocabulary([str(i) for i in range(items)])
    model = recsys.Recommender(Checkpoint(network, vocabulary, np.zeros(items + 1), {}, {}))
    users = pl.DataFrame({"user_id": range(len(histories)), "history": histories.tolist()})
    lists = [[str(item) for item in row] for row in histories]

    def many() -> np.ndarray:
        return model.recommend_frame(users, k=K)["item_id"].to_numpy().reshape(-1, K)

    def one(user: int) -> np.ndarray:
        return np.array([int(item) for item in model.recommend(lists[user], k=K).item_ids])

    def vectors(count: int) -> tuple[np.ndarray, np.ndarray]:
        asked = questions(model.numbers, lists[:count], None, None, None, "raise", str)
        with torch.no_grad():
            found = network.encode(batch_of(asked, range(count), MAX_LEN, times=False, searches=False))
        return found.numpy(), network.item_vectors().detach().numpy()[1:]

    weights = sum(weight.numel() for weight in network.parameters())
    judge("recsys", Recommender(many, one, vectors, weights), histories, args)


if __name__ == "__main__":
    main()
