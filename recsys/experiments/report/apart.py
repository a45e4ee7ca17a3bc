"""Why runs do not stand in one ranking, or in none."""

from collections.abc import Sequence

from recsys.experiments.runs import Run
from recsys.page import figure


def reasons(run: Run, other: Run, metrics: Sequence[str]) -> list[str]:
    """What makes the values of `run` another thing than those of `other`, in words."""
    found = []
    if run.data != other.data:
        found.append(f"data: {run.data}, not {other.data}")
    elif run.fingerprint != other.fingerprint:
        found.append(f"other files by the name of {run.data} ({run.fingerprint[:8]}, not {other.fingerprint[:8]})")
    for metric in metrics:
        ours, theirs = run.protocol_of(metric), other.protocol_of(metric)
        for key in dict.fromkeys([*ours, *theirs]):
            if ours.get(key) != theirs.get(key):
                said = f"{key.replace('_', ' ')}: {figure(ours.get(key))}, not {figure(theirs.get(key))}"
                found.append(said)
    return list(dict.fromkeys(found))


def unranked(run: Run, metrics: Sequence[str]) -> str:
    """Why a run has no place in any ranking; nothing if it has."""
    if not run.tested:
        return {"finished": "not tested", "failed": "failed", "unfinished": "unfinished, or still running"}[run.state]
    missing = [metric for metric in metrics if f"test/{metric}" not in run.metrics]
    if missing:
        return f"{', '.join(missing)} not measured"
    return "" if run.has_requests else "no values per request here"
