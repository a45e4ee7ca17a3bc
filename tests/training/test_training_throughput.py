"""What a fit says of its own speed."""

import re

import pytest

from recsys.data import SequenceData
from recsys.training.cli import run
from recsys.training.throughput import Throughput

LINE = re.compile(
    r"Trained (\d+) epochs? in ([\d.]+) s: ([\d,]+) users/s, ([\d,]+) targets/s, "
    r"([\d.]+)% of the time waiting for data; peak memory ([\d.]+) GB"
)


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_a_fit_says_what_it_took(zoo, capsys) -> None:
    """Rows and targets per second, times seconds, are the rows and targets of the two epochs."""
    fit = run(zoo.args("fit", "measured", "--trainer.max_epochs", "2", "--trainer.val_check_interval", "0.4"))
    (line,) = LINE.findall(capsys.readouterr().err)
    epochs, seconds, users, targets, waiting, memory = map(number, line)
    assert epochs == 2
    assert 0 < waiting < 100
    assert 0.05 < memory < 50

    loader = SequenceData(str(zoo.qilin), batch_size=32).train_dataloader()
    batches = []
    for epoch in range(2):  # a row of padding comes to the batches in which somebody has no history yet
        loader.set_epoch(epoch)
        batches += list(loader)
    (callback,) = (each for each in fit.trainer.callbacks if isinstance(each, Throughput))
    total = callback._fit.tolist()
    assert total[0] == sum(len(batch.item) for batch in batches)
    assert total[1] == sum(len(batch.target_item) for batch in batches)
    assert seconds == pytest.approx(total[2], abs=0.05)
    assert users == pytest.approx(total[0] / total[2], abs=0.5)
    assert targets == pytest.approx(total[1] / total[2], abs=0.5)

    logged = {name: float(value) for name, value in fit.trainer.callback_metrics.items() if "throughput" in name}
    assert logged.keys() == {
        f"throughput/{name}"
        for name in ("users_per_second", "targets_per_second", "waiting_for_data", "peak_memory_gb")
    }
    assert 0 < logged["throughput/waiting_for_data"] < 1
    assert logged["throughput/targets_per_second"] > 0
