"""Layers compiled by torch.compile: they train as others do, and nothing that is written tells them apart."""

import shutil
import sysconfig
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from recsys import checkpoints
from recsys.data import SequenceData
from recsys.models import RecBole
from recsys.training.compilation import compile_layers

HEADERS = Path(sysconfig.get_path("include")) / "Python.h"
needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None or not HEADERS.exists(), reason="g++ and Python's headers compile the layers"
)
NAMES = ("eager", "compiled")
COMPILED = ("--model.compile_layers", "true")


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What other runs have compiled is not taken; what is compiled here is kept nowhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        yield
    torch.compiler.reset()


@needs_compiler
def test_compiled_and_averaged_it_trains_and_is_exported_as_it_would_be_otherwise(zoo, capsys) -> None:
    few = ("--trainer.limit_train_batches", "3", "--trainer.limit_val_batches", "2", "--model.learning_rate", "0.01")
    average = ("--trainer.callbacks", "EMAWeightAveraging", "--trainer.callbacks.decay", "0.5")
    chance = ("--model.network.init_args.dropout", "0")  # which compiled layers draw in another way
    assert zoo("fit", "eager", *few, *average, *chance, config="esasrec_qilin") == 0
    capsys.readouterr()
    assert zoo("fit", "compiled", *few, *average, *chance, *COMPILED, config="esasrec_qilin") == 0
    assert "Compiling 4 layers" in capsys.readouterr().err
    eager, compiled = (load_file(zoo.folders(name)[-1] / "checkpoint" / "model.safetensors") for name in NAMES)
    assert eager.keys() == compiled.keys()
    for name, weight in eager.items():
        if name.endswith("qkv.bias"):  # that of keys moves no score: its gradient is rounding, which Adam blows up
            weight, compiled[name] = (state.view(3, -1)[[0, 2]] for state in (weight, compiled[name]))
        torch.testing.assert_close(compiled[name], weight, rtol=0, atol=1e-4)
    metrics = [checkpoints.load(zoo.folders(name)[-1] / "checkpoint").metrics for name in NAMES]
    assert metrics[0] == pytest.approx(metrics[1], abs=1e-3)


@needs_compiler
def test_a_model_of_recbole_has_the_same_vectors(zoo) -> None:
    """LightSANs has its softmax over queries, which torch 2.13 may take for one over keys."""
    data = SequenceData(str(zoo.qilin), max_len=20, batch_size=16, min_count=1)
    settings = {"hidden_size": 8, "inner_size": 16, "n_layers": 1, "n_heads": 2}
    settings |= {"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0}
    network = RecBole("LightSANs", data.n_items, max_len=20, settings=settings).train()
    twin = deepcopy(network)
    assert compile_layers(twin, "cpu") == 1
    batch = next(iter(data.train_dataloader()))
    with torch.no_grad():
        torch.testing.assert_close(twin.encode(batch), network.encode(batch))


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("GRU4Rec", "GRU4Rec has no repeated layers to compile"),
        ("Caser", "Caser has no repeated layers to compile"),  # its list is one of lone convolutions
    ],
)
def test_what_cannot_be_compiled_is_not(zoo, refused: Callable[..., str], model: str, sentence: str) -> None:
    args = zoo.args("fit", "lonely", *COMPILED, "--data.vocabulary", "train", config=f"recbole/{model}", network={})
    assert sentence in refused(*args)


def test_without_a_compiler_nothing_begins(zoo, refused: Callable[..., str], monkeypatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no C++ compiler 'no-such-compiler'" in refused(*zoo.args("fit", "uncompiled", *COMPILED))
