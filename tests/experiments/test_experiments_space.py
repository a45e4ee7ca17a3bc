"""What a sweep may try: read, checked against the config, put into it."""

from pathlib import Path

import pytest

from recsys.errors import InputError
from recsys.experiments.space import Choices, Range, corners, overridden, read_space

CONFIG = {
    "name": "sasrec",
    "seed_everything": 0,
    "model": {
        "network": {"class_path": "SASRec", "init_args": {"dim": 64, "dropout": 0.2}},
        "loss": {"class_path": "SampledSoftmax", "init_args": {"negatives": 256}},
        "learning_rate": 0.001,
    },
    "data": {"batch_size": 128, "categories": None},
}


def read(tmp_path: Path, text: str) -> dict:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    return dict(read_space(file, CONFIG))


def test_ranges_and_choices_are_read(tmp_path: Path) -> None:
    space = read(
        tmp_path,
        "model.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}\n"
        "model.network.init_args.dropout: {low: 0.1, high: 0.5, step: 0.1}\n"
        "data.batch_size: {low: 16, high: 64, step: 16}\n"
        "data.categories: {choices: [null, title]}\n",
    )
    assert space == {
        "model.learning_rate": Range(1e-4, 1e-2, log=True),
        "model.network.init_args.dropout": Range(0.1, 0.5, step=0.1),
        "data.batch_size": Range(16, 64, step=16),
        "data.categories": Choices((None, "title")),
    }
    assert [dimension.whole for dimension in space.values() if isinstance(dimension, Range)] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model.learning_rat: {low: 1, high: 2}", "Did you mean 'model.learning_rate'?"),
        ("model.network.init_args.droput: {low: 0.1, high: 0.2}", "Did you mean 'model.network.init_args.dropout'?"),
        ("model.learning_rate: {low: 0.1, hihg: 0.2}", "'hihg' does not belong there. Did you mean 'high'?"),
        ("model.learning_rate: {low: 1e-4, high: 1}", "low '1e-4' is no number (YAML reads 1e-4 as a text"),
        ("model.learning_rate: {low: 0.2, high: 0.1}", "low 0.2 must be below high 0.1"),
        ("model.learning_rate: {low: 0, high: 0.1, log: true}", "low must be above 0 for log, not 0"),
        ("model.learning_rate: {low: 0.1, high: 0.2, log: true, step: 0.1}", "log and step do not go together"),
        ("model.learning_rate: {low: 0.1, high: 0.2, log: ja}", "log must be true or false, not 'ja'"),
        ("model.learning_rate: {low: 0.1, high: 0.2, step: 0.3}", "step 0.3 must be above 0 and at most"),
        ("data.batch_size: {low: 1, high: 4, step: 0.5}", "step 0.5 must be whole"),
        ("model.learning_rate: {low: 0.1}", "has no high"),
        ("model.learning_rate: {low: true, high: 2}", "low True is no number"),
        ("model.learning_rate: 0.1", "must be {low: ..., high: ...} or {choices: [...]}, not 0.1"),
        ("model.learning_rate: {choices: []}", "a list of at least one value, not []"),
        ("model.learning_rate: {choices: [1, 1]}", "name one twice"),
        ("model.learning_rate: {choices: [[1]]}", "a choice is a number, a text, true, false or null, not [1]"),
        ("seed_everything: {low: 0, high: 9}", "seed_everything is chance"),
        ("name: {choices: [a, b]}", "name names a run"),
        ("- 1", "must be settings with what to try"),
        ("", "must be settings with what to try"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, text)
    assert said in str(refused.value)
    assert str(tmp_path / "space.yaml") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        read_space(tmp_path / "none.yaml", CONFIG)


@pytest.mark.parametrize(
    ("dimension", "inside", "outside"),
    [
        (Range(1, 5), (1, 3, 5), (0, 6, 2.5, True, "3", None)),
        (Range(1, 7, step=3), (1, 4, 7), (2,)),
        (Range(0.1, 0.5, step=0.1), (0.1, 0.3, 0.5), (0.25, 0.6)),
        (Range(0.1, 0.5), (0.1, 0.25), (0.6,)),
        (Choices((16, "a", None)), (16, "a", None), (17, "b", True)),
        (Choices((1, 2)), (1,), (True,)),
    ],
)
def test_what_lies_inside(dimension, inside, outside) -> None:
    assert [value in dimension for value in inside] == [True] * len(inside)
    assert [value in dimension for value in outside] == [False] * len(outside)


def test_values_are_put_into_a_copy_of_the_config() -> None:
    changed = overridden(
        CONFIG, {"model.network.init_args.dropout": 0.5, "data.batch_size": 16, "trainer.max_epochs": 3}
    )
    assert changed["model"]["network"] == {"class_path": "SASRec", "init_args": {"dim": 64, "dropout": 0.5}}
    assert (changed["data"]["batch_size"], changed["trainer"]) == (16, {"max_epochs": 3})
    assert CONFIG["model"]["network"]["init_args"]["dropout"] == 0.2


def test_another_class_leaves_the_arguments_of_the_one_before_behind() -> None:
    assert overridden(CONFIG, {"model.loss.class_path": "Softmax"})["model"]["loss"] == {"class_path": "Softmax"}
    same = overridden(CONFIG, {"model.loss.class_path": "SampledSoftmax"})["model"]["loss"]
    assert same["init_args"] == {"negatives": 256}
    new = overridden(CONFIG, {"model.loss.init_args.t": 0.5, "model.loss.class_path": "GBCE"})["model"]["loss"]
    assert new == {"class_path": "GBCE", "init_args": {"t": 0.5}}


def test_corners_hold_every_choice_and_both_ends() -> None:
    found = corners({"a": Range(1, 5), "b": Choices(("x", "y", "z"))})
    assert found == [{"a": 1, "b": "x"}, {"a": 5, "b": "y"}, {"a": 5, "b": "z"}]
