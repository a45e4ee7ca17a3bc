"""RecBole 1.2.1: its own Config, Dataset, loaders, networks and Trainer, judged after each of its epochs.

    python run_recbole.py SASRec --data ml-100k/ml-100k.inter --out JOB.json --patience 5

Three things are not as shipped. NumPy's removed names are put back, or nothing runs. Times are the places in each
user's history, because RecBole sorts by float32, in which a sixth of the users would be tested on another item. And
the anomaly mode that RecBole leaves on for the whole process is off where quality is measured, once it has been seen
that the losses are the same to the bit; what an epoch costs is measured with it on.
"""

import sys
import types
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from referee import DIM, HEADS, LAYERS, MAX_LEN, Log, Split, begin

BATCH = 256  # RecBole's default is 2,048: dearer by the epoch, and eight times fewer steps in one
PART = 24  # steps whose cost stands for the 380 of an epoch
SAME_STEPS = 12


def put_back() -> None:
    """The names of old packages that RecBole looks for."""
    for name, replacement in {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}.items():
        if name not in vars(np):
            setattr(np, name, replacement)
    sys.modules["ray"] = types.ModuleType("ray")  # tunes hyperparameters, which nobody asks for here
    sys.modules["ray.tune"] = types.ModuleType("ray.tune")
    sys.argv[1:] = []  # RecBole's Config reads the command line


def write_ranked(log: Log, folder: Path) -> None:
    """The log as a data set of RecBole whose times are places in the history."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{folder.name}.inter").open("w", encoding="utf-8") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for user, names in zip(log.users, log.names, strict=True):
            file.writelines(f"{user}\t{item}\t{place}\n" for place, item in enumerate(names))


def prepared(model: str, folder: Path, seed: int) -> tuple[Any, Any, Any, Any]:
    """RecBole's trainer and its three loaders, as `run_recbole` makes them."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    settings = {
        "data_path": str(folder.parent),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "MAX_ITEM_LIST_LENGTH": MAX_LEN,
        "hidden_size": DIM,
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "loss_type": "CE",
        "train_neg_sample_args": None,
        "train_batch_size": BATCH,
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "use_gpu": False,
        "seed": seed,
        "state": "ERROR",
        "show_progress": False,
        "checkpoint_dir": str(folder.parent / "saved"),
    }
    config = Config(model=model, dataset=folder.name, config_dict=settings)
    init_seed(seed, config["reproducibility"])
    train, valid, test = data_preparation(config, create_dataset(config))
    init_seed(seed, config["reproducibility"])
    network = get_model(model)(config, train._dataset)
    return get_trainer(config["MODEL_TYPE"], model)(config, network), train, valid, test


class Scores:
    """RecBole's `full_sort_predict` for all users, in the referee's order of users and items."""

    def __init__(self, log: Log, network: Any, valid: Any, test: Any) -> None:
        self.network, self.rows = network, {}
        columns = valid._dataset.token2id("item_id", log.items)
        self.columns = torch.from_numpy(np.asarray(columns))
        for split, loader in {"valid": valid, "test": test}.items():
            rows = loader._dataset.inter_feat
            user = loader._dataset.token2id("user_id", log.users)
            row_of = {int(u): i for i, u in enumerate(rows["user_id"])}
            self.rows[split] = rows[torch.tensor([row_of[int(u)] for u in user])]
            tokens = loader._dataset.id2token("item_id", self.rows[split]["item_id"].numpy())
            place = -2 if split == "valid" else -1
            assert list(tokens) == [names[place] for names in log.names], "RecBole tests on other items"

    @torch.no_grad()
    def __call__(self, split: Split) -> np.ndarray:
        self.network.eval()
        rows = self.rows[split]
        parts = [self.network.full_sort_predict(rows[i : i + 256]) for i in range(0, len(rows), 256)]
        return torch.cat(parts)[:, self.columns].numpy()


def losses(model: str, folder: Path, seed: int, anomaly: bool) -> list[float]:
    """The losses of RecBole's first steps."""
    trainer, train, _, _ = prepared(model, folder, seed)
    torch.autograd.set_detect_anomaly(anomaly)
    found: list[float] = []

    def noted(interaction: Any) -> Any:
        loss = trainer.model.calculate_loss(interaction)
        found.append(float(loss.detach()))
        if len(found) > SAME_STEPS:
            raise StopIteration
        return loss

    with suppress(StopIteration):
        trainer._train_epoch(train, 0, loss_func=noted)
    return found


def part_of_epoch(trainer: Any, train: Any) -> int:
    """The first steps of RecBole's own epoch; the targets that they train."""
    targets = 0

    def counted(interaction: Any) -> Any:
        nonlocal targets
        if targets >= PART * BATCH:
            raise StopIteration
        targets += len(interaction["item_id"])
        return trainer.model.calculate_loss(interaction)

    with suppress(StopIteration):
        trainer._train_epoch(train, 0, loss_func=counted)
    return targets


def whole_epoch(trainer: Any, train: Any, epoch: int) -> int:
    """RecBole's own epoch; the targets that it trains."""
    trainer._train_epoch(train, epoch)
    return len(train._dataset)


def main() -> None:
    args, referee = begin(__doc__, "recbole", "torch", "numpy", "pandas")
    put_back()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    folder = Path("ml-100k-ranked").absolute()  # RecBole leaves files wherever it runs
    write_ranked(referee.log, folder)
    if not args.cost:
        with_mode, without = (losses(args.model, folder, args.seed, mode) for mode in (True, False))
        assert with_mode == without, "anomaly mode changes the losses"
        referee.job["losses_with_and_without_anomaly_mode"] = with_mode
    trainer, train, valid, test = prepared(args.model, folder, args.seed)
    assert torch.is_anomaly_enabled() or not args.cost, "RecBole as shipped leaves anomaly mode on"
    torch.autograd.set_detect_anomaly(args.cost)
    scores, epoch, enough = Scores(referee.log, trainer.model, valid, test), 0, False
    while not enough:
        referee.watch.start()
        targets = part_of_epoch(trainer, train) if args.cost else whole_epoch(trainer, train, epoch)
        referee.watch.stop()
        referee.job["part_of_epoch"] = targets / len(train._dataset)
        enough, epoch = referee.judge(targets, scores), epoch + 1
    referee.finish()


if __name__ == "__main__":
    main()
