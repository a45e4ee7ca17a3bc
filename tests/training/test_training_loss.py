"""The loss in one line of the configuration, or the one that suits the catalogue."""

from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file


def fitted(zoo, name: str, capfd, *more: str) -> tuple[Path, str]:
    assert zoo("fit", name, *more) == 0
    return zoo.folders(name)[-1], " ".join(capfd.readouterr().err.split())


def test_the_default_says_what_it_is_and_why(zoo, capfd) -> None:
    _, said = fitted(zoo, "default", capfd)
    assert said.count("Loss: ") == 1
    assert "Loss: FullSoftmax, exact as it is up to 200,000 items on cpu; here are " in said


@pytest.mark.parametrize(
    "loss",
    [
        "{class_path: SampledSoftmax, init_args: {negatives: 8}}",
        "{class_path: FullSoftmax, init_args: {tile: [8, 16]}}",
        "InBatchSoftmax",
        "{class_path: GBCE, init_args: {negatives: 4, calibration: 0.9}}",
        "BCE",
        "{class_path: Softmax, init_args: {exact_up_to: 10}}",
    ],
)
def test_a_configured_loss_trains(zoo, sasrec: Path, capfd, tmp_path: Path, loss: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"model: {{loss: {loss}}}\n")
    run, said = fitted(zoo, "configured", capfd, "--config", str(tmp_path / "mine.yaml"))
    name = loss.removeprefix("{class_path: ").split(",")[0]
    assert f"Loss: {name.replace('Softmax', 'SampledSoftmax') if name == 'Softmax' else name}" in said
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["loss"]["class_path"] == f"recsys.losses.{name}"
    assert (run / "checkpoint" / "model.safetensors").is_file()


def test_the_seed_draws_the_same_negatives(zoo) -> None:
    states = []
    for _ in range(2):
        assert zoo("fit", "drawn", "--model.loss", "SampledSoftmax", "--model.loss.negatives", "8") == 0
        states.append(load_file(zoo.folders("drawn")[-1] / "checkpoint" / "model.safetensors"))
    assert all((states[0][name] == states[1][name]).all() for name in states[0])


def test_a_misspelt_loss_or_option(zoo, refused) -> None:
    assert "Did you mean 'SampledSoftmax'?" in refused(*zoo.args("fit", "key", "--model.loss", "SampleSoftmax"))
    args = ("--model.loss", "SampledSoftmax", "--model.loss.negative", "8")
    assert "Did you mean 'negatives'?" in refused(*zoo.args("fit", "key", *args))


def test_a_number_out_of_range(zoo, refused) -> None:
    args = ("--model.loss", "SampledSoftmax", "--model.loss.negatives", "0")
    assert "negatives 0" in refused(*zoo.args("fit", "key", *args))
