"""Two processes train together, measure what one does, and recommend to everybody once, whoever starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch

from recsys import checkpoints
from recsys.data import SequenceData
from recsys.experiments import find_runs
from recsys.training.cli import run

SMALL = {"dim": "8", "dropout": "0.1"}
MODELS = {
    "sasrec_qilin": {**SMALL, "inner_dim": "16"},
    "bert4rec_qilin": {**SMALL, "inner_dim": "16"},
    "searchsasrec_qilin": {**SMALL, "inner_dim": "16"},
    "hstu_qilin": SMALL,
    "esasrec_qilin": {**SMALL, "inner_dim": "16"},
    "recbole/NPE": {"settings.embedding_size": "8"},  # some of whose parameters have never a gradient
}
VERBS = ("validate", "test", "predict")
TWO = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

EACH = """
import json, os, sys
import torch
from recsys.training.cli import run
from recsys.training.throughput import Throughput

found = []
for args in json.loads(sys.argv[1]):
    cli = run(args)
    (counted,) = (callback._fit.tolist() for callback in cli.trainer.callbacks if isinstance(callback, Throughput))
    found.append({"scores": cli.model.scores, "counted": counted})
    torch.distributed.barrier()  # the next command may need what the first process has written
with open(f"{sys.argv[2]}/found.{os.environ['RANK']}", "w") as file:  # two processes' long lines mix in one pipe
    json.dump(found, file)
"""

FAILING = """
import os, sys
from recsys.__main__ import main
from recsys.training import SequentialRecommender

def fail(self, batch, index):
    raise RuntimeError("the second process has had enough")

if os.environ.get("LOCAL_RANK") == "1":
    SequentialRecommender.training_step = fail
sys.exit(main())
"""


def python(*args: str) -> str:
    """What a fresh Python prints, our own imports in its path."""
    done = finished(*args)
    assert done.returncode == 0, done.stderr
    return done.stdout


def finished(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *args],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.slow
def test_two_processes_of_lightning_measure_what_one_does(zoo, sasrec: Path) -> None:
    checkpoint = ["--ckpt_path", str(sasrec / "checkpoint")]
    assert zoo("test", "one", *checkpoint) == 0
    python("-m", "recsys", *zoo.args("test", "two", *checkpoint, *TWO))
    require_same(zoo, "one", "two")


@pytest.mark.slow
def test_two_processes_of_torchrun_train_every_model_and_measure_what_one_does(
    zoo, sasrec: Path, tmp_path: Path
) -> None:
    """One process group for all commands: fits, their evaluation, and a fit in two parts beside one in a whole."""

    def command(verb: str, config: str, processes: str, *more: str) -> list[str]:
        name = f"{config.split('/')[-1].removesuffix('_qilin')}_{processes}"
        grown = ["--model.warm_start", str(sasrec / "checkpoint")] if config == "searchsasrec_qilin" else []
        same = ["--data.vocabulary", "train", "--data.stride", "25", "--trainer.logger", "false"]
        return zoo.args(verb, name, *grown, *same, *more, config=config, network=MODELS[config])

    trained = ["--trainer.num_sanity_val_steps", "0"]  # the start of a search branch is no candidate for the best
    save = ["--save_every_n_steps", "2", *trained, *TWO]
    together = [command("fit", config, "two", *trained, *TWO) for config in MODELS]
    together += [command(verb, config, "two", *TWO) for config in MODELS for verb in VERBS]
    together += [
        command("fit", "bert4rec_qilin", "whole", *save, "--trainer.max_epochs", "2"),
        command("fit", "bert4rec_qilin", "parts", *save, "--trainer.max_epochs", "1"),
        command("fit", "bert4rec_qilin", "parts", *save, "--trainer.max_epochs", "2", "--ckpt_path", "last"),
    ]
    (tmp_path / "each.py").write_text(EACH)
    python(*TORCHRUN, str(tmp_path / "each.py"), json.dumps(together), str(tmp_path))
    first, second = (json.loads((tmp_path / f"found.{rank}").read_text("utf-8")) for rank in range(2))
    assert first == second, "all that is measured is known to both"

    fits, evaluations = first[: len(MODELS)], iter(first[len(MODELS) :])
    for fit, config in zip(fits, MODELS, strict=True):
        stem = config.split("/")[-1].removesuffix("_qilin")
        (folder,) = zoo.folders(f"{stem}_two")
        weights = ["--ckpt_path", str(folder / "checkpoint")]
        alone = [run(command(verb, config, f"one_{verb}", *weights)).model.scores for verb in VERBS]
        assert [len(scores) for scores in alone] == [18, 405, 0]  # other protocols and the baselines in tests alone
        for scores in alone:
            assert next(evaluations)["scores"] == pytest.approx(scores, abs=1e-12)
        assert fit["scores"] == pytest.approx(alone[0], abs=1e-12)
        kept = checkpoints.load(folder / "checkpoint").metrics["val/ndcg@10"]
        assert kept == pytest.approx(fit["scores"]["val/ndcg@10"], rel=1e-6)
        require_same(zoo, f"{stem}_one_test", f"{stem}_two")
        one, two = (predictions(zoo, f"{stem}_{which}") for which in ("one_predict", "two"))
        assert two["request_id"].is_unique().all()
        assert two.drop("scores").equals(one.drop("scores"))
        assert (two["scores"].explode() - one["scores"].explode()).abs().max() < 1e-5
    assert fits[0]["counted"][:2] == counted(zoo)

    whole, parts = (last(zoo.folders(f"bert4rec_{name}")[0]) for name in ("whole", "parts"))
    assert len(zoo.folders("bert4rec_parts")) == 1, "the second part goes on in the folder of the first"
    assert parts["global_step"] == whole["global_step"] > 0
    assert all(torch.equal(parts["state_dict"][key], value) for key, value in whole["state_dict"].items())


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [[], TORCHRUN], ids=["lightning", "torchrun"])
def test_a_process_that_fails_ends_the_others_and_says_why(zoo, tmp_path: Path, launcher: list[str]) -> None:
    """While the first waits for its gradients."""
    (tmp_path / "failing.py").write_text(FAILING)
    command = zoo.args("fit", "failing", *TWO, "--trainer.logger", "false", "--trainer.num_sanity_val_steps", "0")
    done = finished(*launcher, str(tmp_path / "failing.py"), *command)
    assert done.returncode > 0
    assert "the second process has had enough" in done.stderr


def counted(zoo) -> list[int]:
    """Rows and targets of an epoch of SASRec's that two processes have shared out."""
    data, found = SequenceData(str(zoo.qilin), batch_size=32, stride=25), [0, 0]
    for rank in range(2):
        loader = data.train_dataloader()
        loader.rank, loader.world = rank, 2
        for batch in loader:
            found = [found[0] + len(batch.item), found[1] + len(batch.target_item)]
    return found


def last(run: Path) -> dict:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def require_same(zoo, one: str, two: str) -> None:
    """The same metrics, and the same values of every request, in two parts."""
    ((alone,), (together,)) = zoo.folders(one), zoo.folders(two)
    parts = sorted(part.name for part in together.glob("test_requests*.parquet"))
    assert parts == ["test_requests.0.parquet", "test_requests.1.parquet"]
    results = [json.loads((folder / "test.json").read_text())["metrics"] for folder in (alone, together)]
    assert results[1] == pytest.approx(results[0], abs=1e-12)
    shown = [json.loads((folder / "test.json").read_text())["catalogue"] for folder in (alone, together)]
    assert shown[0] == shown[1] != {}
    (first,), (second,) = find_runs([alone]), find_runs([together])
    assert second.requests().equals(first.requests())


def predictions(zoo, name: str) -> pl.DataFrame:
    """Of the run of that name, all parts together."""
    (folder,) = zoo.folders(name)
    parts = [pl.read_parquet(part) for part in sorted(folder.glob("predictions*.parquet"))]
    return pl.concat(parts).sort("request_id")
