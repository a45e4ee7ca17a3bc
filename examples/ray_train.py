"""`recsys fit`, `validate`, `test` and `predict` on the workers of Ray Train, on this machine or on a cluster.

    pip install 'recsys-zoo[engines]' 'ray[train]'
    python examples/ray_train.py [--workers 2] [--gpu] [--storage runs/ray] fit --config sasrec_qilin ...

Behind the verb stands what stands behind `recsys`. All machines must see the working directory, the data, the folder of
runs and the storage, where Ray keeps its own records, under the same paths. RAY_ADDRESS names the cluster.
"""

import argparse
import os
from pathlib import Path
from typing import Any

from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

RAY = {
    "--trainer.strategy": "ray_ddp",
    "--trainer.plugins": "ray.train.lightning.RayLightningEnvironment",
    "--trainer.devices": "auto",
}


def work(config: dict[str, Any]) -> None:
    """One worker's share: Ray has started its process and joined it with the others."""
    from lightning.pytorch.strategies import StrategyRegistry
    from ray.train.lightning import RayDDPStrategy

    from recsys.training.cli import run

    StrategyRegistry.register("ray_ddp", RayDDPStrategy, override=True)
    os.chdir(config["folder"])
    run([*config["args"], *(part for setting in RAY.items() for part in setting)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="processes, wherever Ray finds room for them")
    parser.add_argument("--gpu", action="store_true", help="a GPU for each")
    parser.add_argument("--storage", type=Path, default=Path("runs/ray"))
    parser.add_argument("verb", choices=("fit", "validate", "test", "predict"))
    parser.add_argument("args", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    TorchTrainer(
        work,
        train_loop_config={"folder": os.getcwd(), "args": [given.verb, *given.args]},
        scaling_config=ScalingConfig(num_workers=given.workers, use_gpu=given.gpu),
        run_config=RunConfig(storage_path=str(given.storage.resolve())),
    ).fit()
