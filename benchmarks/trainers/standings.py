"""What the jobs' files say side by side: costs, epochs, seconds to a target, test scores and paired differences."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from trainers.referee import PROTOCOLS, ndcg, recall

from recsys.metrics.intervals import Interval, paired_interval


@dataclass
class Standing:
    """One row of the table: a model of a library, over all its seeds.

    `cost` is CPU and wall seconds of one whole epoch, in `turns` rounds with the other rows (0: while its quality was
    measured); seconds to an epoch are that many times the cost, so that quality may be measured on a busy machine.
    """

    name: str
    jobs: list[dict[str, Any]]
    cost: tuple[float, float] | None = None
    turns: int = 0
    targets: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    machines: list[str] = field(default_factory=list)

    def best(self, protocol: str, what: str = "epoch") -> float:
        """Mean over seeds of the best epoch, or of its validation (`what="valid"`)."""
        return float(np.mean([job["best"][protocol][what] for job in self.jobs]))

    def per_user(self, protocol: str, measure: Any = ndcg) -> np.ndarray:
        """`[users]` a test metric, averaged over seeds."""
        return np.mean([measure(np.array(job["best"][protocol]["ranks"])) for job in self.jobs], axis=0)

    def epochs_to(self, target: float) -> list[int | None]:
        """For each seed, the first epoch whose unfiltered validation is at least `target`."""
        return [first(job["epochs"], target) for job in self.jobs]

    def figures(self, target: float | None) -> dict[str, Any]:
        """The row as it stands in training.csv."""
        cpu, wall = self.cost or (None, None)
        reached = [] if target is None else [n for n in self.epochs_to(target) if n is not None]
        to_target = float(np.mean(reached)) if reached else None
        return {
            "row": self.name,
            "seeds": len(self.jobs),
            "cut_short": sum(not job["finished"] for job in self.jobs),
            "targets_per_epoch": self.targets,
            "turns": self.turns,
            "cpu_s_per_epoch": rounded(cpu, 2),
            "wall_s_per_epoch": rounded(wall, 2),
            "best_valid_ndcg@10": rounded(self.best("unfiltered", "valid"), 4),
            "epochs_to_best": rounded(self.best("unfiltered"), 1),
            "cpu_s_to_best": rounded(cpu and self.best("unfiltered") * cpu, 1),
            "seeds_at_target": len(reached),
            "epochs_to_target": rounded(to_target, 1),
            "cpu_s_to_target": rounded(cpu and to_target and to_target * cpu, 1),
            **{
                f"{protocol}_{name}@10": rounded(float(self.per_user(protocol, measure).mean()), 4)
                for protocol in PROTOCOLS
                for name, measure in (("ndcg", ndcg), ("recall", recall))
            },
            "versions": " ".join(f"{name}={number}" for name, number in self.versions.items()),
            "machine": "; ".join(self.machines),
        }


def rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def first(epochs: Sequence[dict[str, Any]], target: float) -> int | None:
    """Number of the first epoch that validates, unfiltered, at least at `target`; None if none does."""
    return next((i for i, epoch in enumerate(epochs, 1) if epoch["valid"]["unfiltered"] >= target), None)


def difference(a: Standing, b: Standing, protocol: str) -> Interval:
    """NDCG@10 of `a` minus that of `b`, user by user, each averaged over its seeds, with its interval over users."""
    ours, theirs = a.per_user(protocol), b.per_user(protocol)
    return paired_interval(ours, theirs, np.arange(len(ours)))


def cheapest(jobs: Sequence[dict[str, Any]]) -> tuple[float, float] | None:
    """CPU and wall seconds of a whole epoch: the least of all those whose time was taken."""
    parts = [(epoch, job.get("part_of_epoch", 1.0)) for job in jobs for epoch in job["epochs"]]
    if not parts:
        return None
    return min(epoch["cpu"] / part for epoch, part in parts), min(epoch["wall"] / part for epoch, part in parts)


def standing(name: str, stem: str, folder: Path, as_shipped: bool = True) -> Standing | None:
    """The row whose jobs' files lie in `folder` as STEM-SEED.json and STEM-cost-ROUND.json; None if there are none.

    A row whose cost was not measured in turns with the others has that of its cheapest epoch, unless its quality was
    not measured `as_shipped`.
    """
    jobs = [read(path) for path in sorted(folder.glob(f"{stem}-[0-9]*.json"))]
    jobs = [job for job in jobs if job["epochs"]]
    turns = [job for path in sorted(folder.glob(f"{stem}-cost-*.json")) if (job := read(path))["finished"]]
    if not jobs:
        return None
    cost = cheapest(turns or jobs if as_shipped else turns)
    machines = [*dict.fromkeys(job["machine"] for job in [*jobs, *turns])]
    return Standing(name, jobs, cost, len(turns), jobs[0]["epochs"][0]["targets"], jobs[0]["versions"], machines)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
