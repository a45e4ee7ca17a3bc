"""A card for each run: what it is, what it cost, everything that it measured, and its whole configuration."""

from collections.abc import Iterator, Mapping
from typing import Any

from recsys import page as html
from recsys.experiments.report.board import parameters, seconds
from recsys.experiments.report.group import Group, of_run, split_metric
from recsys.experiments.runs import Run, flat
from recsys.page import Html

OPENED = 4  # cards of so few runs are open from the start


def cards(group: Group) -> list[Html]:
    """One after another, best first."""
    opened = len(group.runs) <= OPENED
    return [_card(group, run, opened) for run in group.runs]


def _card(group: Group, run: Run, opened: bool) -> Html:
    mark = "" if run.state == "finished" else run.state
    summary = html.named(group.name(run), run.name, group.hues[run.folder], mark=mark)
    said = flat(run.facts)
    versions = {key.removeprefix("versions."): said.pop(key) for key in list(said) if key.startswith("versions.")}
    parts = [
        html.halves(html.facts(_identity(run)), html.facts(_cost(run, said))),
        html.details("Everything measured on the test split", *_tables(run)),
        html.details("Protocols", html.facts(_protocols(run))),
        html.details("Configuration", html.facts((k, v) for k, v in run.config.items() if v is not None)),
    ]
    if versions:
        parts.append(html.details("Versions", html.facts(versions.items())))
    return html.card(group.anchor(run), summary, *parts, opened=opened)


def _identity(run: Run) -> Iterator[tuple[str, object]]:
    yield "Folder", str(run.folder)
    yield "Model", run.model
    yield "Data", f"{run.data} ({run.fingerprint[:12]})"
    yield "Seed", run.seed
    yield "State", run.state


def _cost(run: Run, said: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "Parameters", parameters(run)
    yield "Time", seconds(run)
    for key, value in said.items():
        if key not in ("n_parameters", "seconds", "model", "data", "data_fingerprint", "state"):
            yield key.replace("_", " ").replace(".", ": "), value


def _protocols(run: Run) -> Iterator[tuple[str, object]]:
    for name, meaning in (run.protocols or {"protocol": run.protocol}).items():
        yield name, "; ".join(f"{key.replace('_', ' ')}: {html.figure(value)}" for key, value in meaning.items())


def _tables(run: Run) -> Iterator[Html]:
    """A table for each protocol: metrics down, cutoffs across."""
    by_protocol: dict[str, dict[str, dict[int, str]]] = {}
    rankers = ("popular/", "recent/", "random/", "position/", "ceiling/")
    for name in run.metrics:
        short = name.removeprefix("test/")
        if name.startswith("test/") and "@" in name and not short.startswith(rankers):
            prefix, kind, k = split_metric(short)
            by_protocol.setdefault(prefix.removesuffix("/") or "full", {}).setdefault(kind, {})[k] = short
    for protocol, kinds in by_protocol.items():
        at = sorted({k for named in kinds.values() for k in named})
        rows = [
            [kind, *(html.estimate(*of_run(run, named[k])) if k in named else None for k in at)]
            for kind, named in kinds.items()
        ]
        yield html.table(["metric", *(f"@{k}" for k in at)], rows, protocol)
