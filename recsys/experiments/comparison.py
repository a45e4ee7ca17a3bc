"""The whole answer of a comparison: groups that may be ranked, why others may not, and what is left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from recsys.errors import InputError, did_you_mean
from recsys.experiments.compare import Row, comparable, compare
from recsys.experiments.fetching import fetched
from recsys.experiments.runs import Run
from recsys.experiments.settings import differing

USUAL = ("ndcg@10", "exposed/ndcg@10", "val/ndcg@10")
"""What is compared where no metric is named: the first that any run has, and the second beside it."""
BASELINES = {
    "ceiling": "best possible",
    "popular": "popularity",
    "recent": "recent popularity",
    "random": "chance",
    "position": "order of exposure",
}


@dataclass(frozen=True)
class Group:
    """Settings that may be ranked together, best first."""

    rows: dict[str, list[Row]]
    """By metric, each sorted by its own; the first metric sorts the group."""
    differs: list[dict[str, Any]]
    """For each row of the first metric, in its order, the values of the configuration keys that are not alike."""
    why: tuple[str, ...]
    """What sets it apart from the first group; nothing for that."""
    inside: str | None = None
    """The slice that the numbers are of."""

    @property
    def ranked(self) -> list[Row]:
        """The rows in the order of the first metric."""
        return next(iter(self.rows.values()))

    @property
    def data(self) -> str:
        """Name of the data, as far as the runs say."""
        return self.ranked[0].run.data or "unnamed data"

    def of(self, row: Row) -> dict[str, Row]:
        """Of every metric the row of one setting."""
        folder = row.run.folder
        return {name: next(other for other in rows if other.run.folder == folder) for name, rows in self.rows.items()}

    def baselines(self) -> dict[str, dict[str, float]]:
        """What the rankers beside the models reach, by their name and metric, as far as it was measured."""
        run, found = self.ranked[0].run, dict[str, dict[str, float]]()
        measured = run.metrics if self.inside is None else run.slices.get(self.inside, {}).get("metrics", {})
        for ranker, called in BASELINES.items():
            values = {name: measured.get(f"test/{ranker}/{name}") for name in self.rows}
            if any(value is not None for value in values.values()):
                found[called] = {name: value for name, value in values.items() if value is not None}
        return found


@dataclass(frozen=True)
class Comparison:
    """Groups, first that of the baseline and then the largest, and the runs that have no answer to it."""

    metrics: tuple[str, ...]
    groups: list[Group]
    left_out: list[tuple[Run, str]]
    warnings: tuple[str, ...]
    inside: str | None = None
    """The slice of requests that it is about; None for all."""


def comparison(
    runs: Sequence[Run],
    metrics: Sequence[str] | None = None,
    baseline: str | None = None,
    inside: str | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Comparison:
    """Compare the runs that have the metrics; of runs on a server, what their tests uploaded is fetched.

    Args:
        runs: as `find_runs` or `read_runs` finds them.
        metrics: the first sorts; by default what `recsys test` measures.
        baseline: folder, name or model of the run to compare with; by default the first of each group.
        inside: name of a slice.
        progress: told in a sentence what takes time.

    Raises:
        InputError: no run has the metrics, or is called like the baseline, or the slice is unknown.
    """
    chosen = _chosen(runs, metrics)
    runs, notes = fetched(runs, [name.removeprefix("test/") for name in chosen], progress)
    having = [run for run in runs if all(run.metric(name) is not None or run.has_column(name) for name in chosen)]
    if inside is not None:
        knowing = [run for run in having if run.has_slice(inside)]
        if notes and not knowing:
            raise InputError(f"--slice {inside}: {notes[0]}")
        having = knowing or having  # the first of which will say what it lacks
    left = [(run, _why_left(run, chosen, inside)) for run in runs if not any(run is other for other in having)]
    base = None if baseline is None else _called(having, baseline)
    groups: list[Group] = []
    apart = comparable(having, chosen)
    apart.sort(key=lambda members: (not any(run is base for run in members), -len(members)))
    for members in apart:
        rows = {name: compare(members, name, base, inside)[0] for name in chosen}
        ranked = rows[chosen[0]]
        first = groups[0].ranked[0].run if groups else None
        why = () if first is None else tuple(reasons(ranked[0].run, first, chosen))
        groups.append(Group(rows, differing([row.runs for row in ranked]), why, inside))
    warnings = tuple(dict.fromkeys([*notes, *(sentence for run in runs for sentence in run.warnings)]))
    return Comparison(tuple(chosen), groups, left, warnings, inside)


def reasons(run: Run, other: Run, metrics: Sequence[str]) -> list[str]:
    """Why the numbers of two runs cannot be ranked together."""
    found = []
    if run.fingerprint != other.fingerprint:
        found.append(f"other data: {_data(run)} instead of {_data(other)}")
    for metric in metrics:
        mine, theirs = (_rules(each.protocol_of(metric), bool(found)) for each in (run, other))
        unlike = [key for key in sorted({*mine, *theirs}) if mine.get(key) != theirs.get(key)]
        said = [f"{key.replace('_', ' ')} {_said(mine.get(key))} instead of {_said(theirs.get(key))}" for key in unlike]
        if said:
            found.append(f"other protocol of {metric}: {', '.join(said)}")
    return list(dict.fromkeys(found))


def _chosen(runs: Sequence[Run], metrics: Sequence[str] | None) -> list[str]:
    every = {name.removeprefix("test/") for run in runs for name in {**run.metrics, **run.catalogue}}
    known = [name for name in every if name.partition("/")[0] not in BASELINES]
    if metrics is None:
        found = [name for name in USUAL if any(run.metric(name) is not None for run in runs)]
        if not found:
            raise InputError(f"--metric: name one, as no run has {USUAL[0]}.{did_you_mean('', known)}")
        with_first = [run for run in runs if run.metric(found[0]) is not None]
        both = found[1:2] and all(run.metric(found[1]) is not None for run in with_first)
        return found[: 2 if both and found[1] == USUAL[1] else 1]
    for name in metrics:
        if not any(run.metric(name) is not None or run.has_column(name) for run in runs):
            where = runs[0].name if len(runs) == 1 else f"any of the {len(runs):,} runs"
            raise InputError(f"--metric {name}: not measured in {where}.{did_you_mean(name, known)}")
    return list(metrics)


def _why_left(run: Run, metrics: Sequence[str], inside: str | None) -> str:
    missing = ", ".join(name for name in metrics if run.metric(name) is None) or f"values per request of {inside}"
    return f"{run.state}, {'tested, but ' * run.tested}without {missing}"


def _called(runs: Sequence[Run], baseline: str) -> Run:
    for run in runs:
        if baseline in (str(run.folder), run.name, run.folder.parent.name, run.model):
            return run
    raise InputError(f"--baseline {baseline}: none of {', '.join(sorted({run.name for run in runs}))}.")


def _rules(protocol: dict[str, Any], other_data: bool) -> dict[str, Any]:
    """Other data have another number of items, which need not be said too."""
    return {key: value for key, value in protocol.items() if not (other_data and key == "items")}


def _data(run: Run) -> str:
    return f"{run.data or 'unnamed'} ({run.fingerprint[:8] or 'no fingerprint'})"


def _said(value: Any) -> str:
    return "nothing" if value is None else str(value)
