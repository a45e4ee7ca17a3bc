"""The settings that tell runs apart."""

from collections.abc import Sequence
from typing import Any

from recsys import page as html
from recsys.experiments.report.group import Group
from recsys.experiments.runs import Run
from recsys.page import Html
from recsys.page.numbers import NOTHING

LONG = 40  # characters of a value
ACROSS = 6  # runs that stand beside each other
PLACES = ("name", "runs", "ckpt_path", "trainer.default_root_dir", "model_checkpoint.dirpath", "trainer.logger.")
"""Where results go: another place for every run, and no setting of it."""


def differing(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """By key the value in each of `runs`, in their order, of those settings that are not the same in all of them.

    None stands where a run does not have the setting, or it is null there.
    """
    keys = dict.fromkeys(key for run in runs for key in run.config if not key.startswith(PLACES))
    values = {key: [run.config.get(key) for run in runs] for key in keys}
    return {key: found for key, found in values.items() if any(value != found[0] for value in found)}


def settings(group: Group) -> list[Html]:
    """A table of what differs: runs across where they are few, else down."""
    found = differing(group.runs)
    if not found:
        return []
    keys = sorted(found, key=lambda key: (not key.startswith("model."), not key.startswith("data."), key))
    if len(group.runs) <= ACROSS:
        rows: list[list[object]] = [[_setting(key), *map(_value, found[key])] for key in keys]
        return [html.table(["Setting", *map(group.name, group.runs)], rows)]
    named = [html.named(group.name(run), hue=group.hues[run.folder]) for run in group.runs]
    rows = [[name, *(_value(found[key][i]) for key in keys)] for i, name in enumerate(named)]
    table = html.table(["Run", *(key.rpartition(".")[2] for key in keys)], rows)
    return [html.details(f"Of {len(rows):,} runs", table)]


def _setting(key: str) -> Html:
    above, _, name = key.rpartition(".")
    return html.titled(name.replace("_", " "), above)


def _value(value: Any) -> object:
    """As it is in the configuration; a class by its own name, of what is long the end, as of a path."""
    text = str(value)
    if value is None:
        return NOTHING
    if text.startswith("recsys."):
        return text.rpartition(".")[2]
    return text if len(text) <= LONG else "…" + text[1 - LONG :]
