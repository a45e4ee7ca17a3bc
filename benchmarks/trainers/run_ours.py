"""This project's configs for MovieLens-100k, fitted by `recsys fit` as anyone would, judged after each epoch.

    python run_ours.py sasrec_ml-100k --data ml-100k/ml-100k.inter --out JOB.json

A config stops by its own rule unless --patience says otherwise.
"""

import tempfile
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from referee import Referee, Split, begin

from recsys.training.cli import RecsysCLI, quiet
from recsys.training.configs import find_config


class Judged(pl.Callback):
    """Takes the time of each epoch and has it judged."""

    def __init__(self, referee: Referee) -> None:
        self.referee, self.targets = referee, 0

    def on_fit_start(self, trainer: pl.Trainer, module: Any) -> None:
        module.loss.register_forward_pre_hook(self.count)

    def count(self, loss: Any, arguments: tuple[Any, ...]) -> None:
        self.targets += len(arguments[2])

    def on_train_epoch_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.targets = 0
        self.referee.watch.start()

    def on_validation_start(self, trainer: pl.Trainer, module: Any) -> None:
        if not trainer.sanity_checking:
            self.referee.watch.stop()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        module.eval()
        trainer.should_stop |= self.referee.judge(self.targets, lambda split: scores(module, self.referee, split))
        module.train()


@torch.no_grad()
def scores(module: Any, referee: Referee, split: Split) -> np.ndarray:
    """The model's vectors of requests and items, multiplied."""
    data, log = module.data, referee.log
    table = module.network.item_vectors()
    columns = torch.tensor(data.dataset.items.encode(log.items))
    users = {name: i for i, name in enumerate(log.users)}
    found = torch.empty(len(log.users), len(log.items))
    for batch in data.val_dataloader() if split == "valid" else data.test_dataloader():
        names = [data.dataset.users[data.dataset.requests.user[i]] for i in batch.request.tolist()]
        found[[users[name] for name in names]] = (module.network.encode(batch) @ table.T)[:, columns]
    return found.numpy()


def main() -> None:
    args, referee = begin(__doc__, "recsys-zoo", "torch", "lightning", "numpy")
    torch.set_num_threads(1)

    class CLI(RecsysCLI):
        def before_instantiate_classes(self) -> None:
            super().before_instantiate_classes()
            self.trainer_defaults["callbacks"].append(Judged(referee))

    quiet()
    with tempfile.TemporaryDirectory() as runs:
        arguments = ["fit", "--config", find_config(args.model), "--data.path", str(args.data.parent), "--runs", runs]
        arguments += ["--seed_everything", str(args.seed), "--trainer.logger", "false"]
        arguments += ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
        if args.patience is not None:
            arguments += ["--early_stopping.patience", str(args.patience)]
        CLI([*arguments, *args.more])
    referee.finish()


if __name__ == "__main__":
    main()
