"""One synthetic Qilin, one data set without requests and one trained SASRec, made once and shared by all tests here."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys import atomic
from recsys.__main__ import main

NETWORK = {"dim": "8", "inner_dim": "16", "dropout": "0.1"}


@dataclass(frozen=True)
class Zoo:
    """Where the shared data and runs lie, and how a verb is called on them."""

    root: Path

    @property
    def raw(self) -> Path:
        return self.root / "raw"

    @property
    def qilin(self) -> Path:
        return self.root / "data" / "tiny"

    @property
    def generic(self) -> Path:
        return self.root / "data" / "plain"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def args(
        self,
        verb: str,
        name: str,
        *more: str,
        config: str = "sasrec_qilin",
        data: Path | None = None,
        network: Mapping[str, str] = NETWORK,
    ) -> list[str]:
        """The command line: tiny, quiet, on one CPU; `more` comes last and wins."""
        shape = [part for key, value in network.items() for part in (f"--model.network.init_args.{key}", value)]
        quiet = ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
        size = ["--data.batch_size", "32", "--data.min_count", "1", "--trainer.max_epochs", "1"]
        folders = ["--data.path", str(data or self.qilin), "--runs", str(self.runs), "--name", name]
        cpu = ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.log_every_n_steps", "1"]
        return [verb, "--config", config, *folders, *shape, *size, *cpu, *quiet, *more]

    def __call__(self, verb: str, name: str, *more: str, config: str = "sasrec_qilin", data: Path | None = None) -> int:
        return main(self.args(verb, name, *more, config=config, data=data))

    def folders(self, name: str) -> list[Path]:
        """The runs of that name, oldest first."""
        return sorted((self.runs / name).glob("*"))


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Data sets are opened from a cache, as a user has it. The variables that are set do not outlive these tests."""
    before = dict(os.environ)
    os.environ["RECSYS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Synthetic Qilin of 150 users, converted, and 60 users of a data set that brings no requests."""
    made = Zoo(tmp_path_factory.mktemp("zoo"))
    assert main(["synthesize", "--output", str(made.raw), "--users", "150"]) == 0
    assert main(["convert", "qilin", "--source", str(made.raw), "--output", str(made.qilin)]) == 0
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(60), 8)
    rows = pl.DataFrame(
        {
            "user_id": [f"u{i}" for i in user],
            "item_id": [f"i{i}" for i in rng.integers(0, 30, len(user))],
            "timestamp": np.arange(len(user)),
        }
    )
    types = {"user_id": "token", "item_id": "token", "timestamp": "float"}
    atomic.write(rows, made.generic / "plain.inter", types)
    return made


@pytest.fixture(scope="session")
def sasrec(zoo: Zoo) -> Path:
    """The run of a SASRec trained until it is better than chance."""
    assert zoo("fit", "sasrec", "--trainer.max_epochs", "6", "--model.learning_rate", "0.01") == 0
    (run,) = zoo.folders("sasrec")
    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Call `main` (or what is given) and return its one sentence of complaint."""

    def call(*args: str) -> str:
        capsys.readouterr()
        assert main(list(args)) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("recsys: error:")]
        assert len(lines) == 1, "one sentence, once"
        return lines[0].removeprefix("recsys: error: ")

    return call
