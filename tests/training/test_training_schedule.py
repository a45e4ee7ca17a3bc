"""How the learning rate moves, by itself and in a run."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.training.schedule import scale

CONSTANT = [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
LINEAR = [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
COSINE = [0.5, 1.0, 1.0, 0.8536, 0.5, 0.1464, 0.0]


@pytest.mark.parametrize(("schedule", "expected"), [("constant", CONSTANT), ("linear", LINEAR), ("cosine", COSINE)])
def test_two_steps_up_and_four_down(schedule, expected: list[float]) -> None:
    assert [scale(step, 6, 2, schedule) for step in range(7)] == pytest.approx(expected, abs=1e-4)


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 60), st.sampled_from(["constant", "linear", "cosine"]))
def test_every_step_of_a_run_moves_and_none_takes_more_than_the_full_rate(step, total, warmup, schedule) -> None:
    step = min(step, total - 1)
    assert 0.0 < scale(step, total, warmup, schedule) <= 1.0


def test_without_an_end_a_constant_rate_stays() -> None:
    assert scale(10**6, float("inf"), 10, "constant") == 1.0


def test_a_run_ends_at_a_rate_of_zero(zoo) -> None:
    assert zoo("fit", "scheduled", "--model.schedule", "linear", "--model.warmup_steps", "2") == 0
    state = torch.load(zoo.folders("scheduled")[-1] / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["lr_schedulers"][0]["last_epoch"] == state["global_step"] > 2
    assert state["optimizer_states"][0]["param_groups"][0]["lr"] == 0.0


def test_a_decay_without_an_end_is_refused(zoo, refused: Callable[..., str]) -> None:
    endless = ["--model.schedule", "cosine", "--trainer.max_epochs", "-1"]
    assert "--trainer.max_epochs" in refused(*zoo.args("fit", "endless", *endless))


def test_a_negative_warm_up_is_refused(zoo, refused: Callable[..., str]) -> None:
    assert "warmup_steps -1" in refused(*zoo.args("fit", "early", "--model.warmup_steps", "-1"))
