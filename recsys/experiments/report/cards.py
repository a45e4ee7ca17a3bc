"""A card for each run: what it is, what it cost, everything that it measured, and its whole configuration."""

from collections.abc import Callable, Iterable, Iterator

from recsys import page as html
from recsys.experiments.compare import Row
from recsys.experiments.comparison import BASELINES
from recsys.experiments.report.board import seconds
from recsys.experiments.report.ranking import PROTOCOLS, Ranking, of_run, split_metric
from recsys.experiments.runs import Run
from recsys.metrics import METRICS
from recsys.page import Html, Share

RATES = {
    "users_per_second": "Users a second",
    "targets_per_second": "Targets a second",
    "waiting_for_data": "Waiting for data",
    "peak_memory_gb": "Peak memory, GB",
    "peak_gpu_memory_gb": "Peak memory of the GPU, GB",
}
"""Of `throughput/…`."""
OPENED = 4  # cards of so few runs are open from the start
WHOLE = 100  # cards that hold everything, so that a page of hundreds of runs can be mailed


def cards(ranking: Ranking) -> list[Html]:
    """One after another, best first; behind the first ones, but for the baseline, they say what a run is and cost."""
    opened = len(ranking.runs) <= OPENED
    each = [(row, run) for row in ranking.best for run in row.runs]
    found = [
        _card(ranking, row, run, opened, i < WHOLE or row is ranking.baseline) for i, (row, run) in enumerate(each)
    ]
    brief = max(len(each) - WHOLE, 0)
    said = f"The {WHOLE} best with all that they measured, the other {brief:,} in brief; name fewer runs to see more."
    return [*[html.paragraph(said)] * (brief > 0), *found]


def _card(ranking: Ranking, row: Row, run: Run, opened: bool, whole: bool) -> Html:
    name = ranking.name(row) + (f", seed {run.seed}" if len(row.runs) > 1 else "")
    below = "" if run.name == name else run.name
    summary = html.named(name, below, ranking.hue(row), mark="" if run.state == "finished" else run.state)
    versions = {key: value for key, value in run.facts.get("versions", {}).items() if value is not None}
    parts = [
        *map(html.paragraph, run.warnings),
        html.halves(html.facts(_identity(run)), html.facts(_cost(run))),
    ]
    if not whole:
        return html.card(ranking.anchor(run), summary, *parts)
    parts += [
        html.details("Everything measured on the test split", *_tables(run)),
        html.details("Protocols", html.facts(_protocols(run))),
    ]
    if run.config:
        lines = (f"{key}: {value}" for key, value in run.config.items() if value is not None)
        parts.append(html.details("Configuration", html.verbatim("\n".join(lines))))
    if versions:
        parts.append(html.details("Versions", html.facts(versions.items())))
    return html.card(ranking.anchor(run), summary, *parts, opened=opened)


def _identity(run: Run) -> Iterator[tuple[str, object]]:
    yield "Model", run.model
    yield "Data", f"{run.data} ({run.fingerprint[:12]})" if run.fingerprint else run.data
    yield "Seed", run.seed
    yield "State", f"{run.state}: {run.facts['error']}" if "error" in run.facts else run.state
    yield "Folder", str(run.folder)
    yield "Commit", (run.facts.get("commit") or "")[:12] or None
    yield "Command", run.facts.get("command")


def _cost(run: Run) -> Iterator[tuple[str, object]]:
    """As the run said itself, or else as it logged last."""
    said = run.facts
    yield "Parameters", said.get("n_parameters")
    yield "Items", said.get("n_items")
    yield "Device", ", ".join(str(said[key]) for key in ("device", "precision") if key in said) or None
    yield "Processes", said.get("processes")
    yield "Epochs", said.get("epochs")
    yield "Training time", seconds(run) or None
    for key, name in RATES.items():
        value = said.get("throughput", {}).get(key, run.metrics.get(f"throughput/{key}"))
        if value is not None:
            yield name, Share(value) if key == "waiting_for_data" else round(value, 2)


def _protocols(run: Run) -> Iterator[tuple[str, object]]:
    for name, meaning in (run.protocols or {"protocol": run.protocol}).items():
        yield name, "; ".join(f"{key.replace('_', ' ')}: {html.figure(value)}" for key, value in meaning.items())


def _tables(run: Run) -> Iterator[Html]:
    """A table for each protocol: metrics down, cutoffs across."""
    found: dict[str, dict[str, dict[int, str]]] = {}
    for name in run.metrics:
        short = name.removeprefix("test/")
        if name.startswith("test/") and "@" in name and short.partition("/")[0] not in BASELINES:
            prefix, kind, k = split_metric(short)
            found.setdefault(prefix, {}).setdefault(kind, {})[k] = short
    for prefix in sorted(found, key=_order(PROTOCOLS)):
        at = sorted({k for named in found[prefix].values() for k in named})
        rows = []
        for kind in sorted(found[prefix], key=_order(METRICS)):
            named = found[prefix][kind]
            rows.append([kind, *(html.estimate(*of_run(run, named[k])) if k in named else None for k in at)])
        yield html.table(["", *(f"@{k}" for k in at)], rows, PROTOCOLS.get(prefix, prefix))


def _order(known: Iterable[str]) -> Callable[[str], tuple[int, str]]:
    """As they are known, then by name."""
    places = {name: i for i, name in enumerate(known)}
    return lambda name: (places.get(name, len(places)), name)
