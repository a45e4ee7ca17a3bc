"""A tiny synthetic Qilin, made once; the command line of an ablation of it; evidence of a clear gain to take apart."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recsys.__main__ import main
from recsys.ablation import Evidence, Invariance
from recsys.ablation.audit import Audit
from recsys.ablation.evidence import Gain, Part
from recsys.metrics import Interval


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Data sets are opened from a cache of these tests."""
    before = dict(os.environ)
    os.environ["RECSYS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic Qilin of 120 users, converted."""
    root = tmp_path_factory.mktemp("tiny")
    assert main(["synthesize", "--output", str(root / "raw"), "--users", "120"]) == 0
    assert main(["convert", "qilin", "--source", str(root / "raw"), "--output", str(root / "tiny")]) == 0
    return root / "tiny"


@pytest.fixture(scope="session")
def ablate() -> Callable[..., int]:
    """`recsys ablate` of a data set into a folder: small, quiet, on one CPU, and the branch as it was trained last."""

    def call(data: Path, output: Path, *more: str) -> int:
        network = {"dim": "8", "inner_dim": "16", "buckets": "512"}
        shape = [part for key, value in network.items() for part in (f"--model.network.init_args.{key}", value)]
        trainer = {
            "max_epochs": "1",
            "accelerator": "cpu",
            "devices": "1",
            "logger": "false",
            "num_sanity_val_steps": "0",
        }
        quiet = {"enable_progress_bar": "false", "enable_model_summary": "false"}
        flags = [part for key, value in (trainer | quiet).items() for part in (f"--trainer.{key}", value)]
        size = ["--data.path", str(data), "--data.min_count", "1", "--data.batch_size", "16", "--data.max_len", "20"]
        rate = ["--model.learning_rate", "0.02", "--model.cutoffs", "[10]"]
        return main(
            ["ablate", "--config", "searchsasrec_qilin", "--output", str(output), *shape, *flags, *size, *rate, *more]
        )

    return call


@pytest.fixture
def proof() -> Evidence:
    """What a clear gain without any leak looks like."""
    up, nothing, loss = Interval(0.04, 0.03, 0.05), Interval(0.0, -0.002, 0.002), Interval(-0.05, -0.06, -0.04)
    value = Interval(0.2, 0.19, 0.21)

    def gain(found: Interval | None, to_real: Interval | None) -> Gain:
        return Gain(value, found, [0.0, 0.0] if found is None else [found.mean] * 2, to_real)

    return Evidence(
        metric="ndcg@10",
        model="SearchSASRec",
        data="tiny",
        synthetic=False,
        seeds=[0, 1],
        requests=1000,
        users=800,
        gains={
            "baseline": gain(None, None),
            "real": gain(up, None),
            "permuted": gain(nothing, loss),
            "constant": gain(nothing, loss),
            "blank at test": gain(nothing, loss),
            "permuted at test": gain(loss, loss),
            "margin 60": gain(up, nothing),
        },
        left_out={"text only": "no click on a search result is marked as such"},
        parts={"right after a search": Part(100, 90, 0.2, up, 0.001), "no search": Part(10, 9, 0.2, nothing, 1.0)},
        untrained={"ndcg@10": {"random": nothing, "baseline": value, "real": value}},
        best_untrained=up,
        audit=Audit(0, 0.01, 0.01, {"order of the list": Interval(0.501, 0.49, 0.512)}),
        gate=Invariance(500, 0, 500, 0, 400, 380),
    )
