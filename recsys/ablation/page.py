"""What an ablation says: one page to read, a JSON file with everything in it and a CSV file with one row a control."""

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recsys.ablation.controls import CONTROLS
from recsys.ablation.evidence import Evidence, Gain, Part
from recsys.ablation.verdict import Verdict
from recsys.files import atomic_file
from recsys.metrics import Interval
from recsys.page import (
    Axes,
    Html,
    banner,
    details,
    document,
    estimate,
    facts,
    grid,
    intervals,
    paragraph,
    section,
    table,
    tiles,
)

STEM = "ablation"


def write(folder: Path, evidence: Evidence, verdict: Verdict) -> Path:
    """Write `ablation.html`, `.json` and `.csv` into the folder; return the page's path."""
    result = {
        "verdict": verdict.word,
        "sentence": verdict.sentence,
        "leaks": verdict.leaks,
        "doubts": verdict.doubts,
        "grounds": verdict.grounds,
        **_plain(asdict(evidence)),
    }
    with atomic_file(folder / f"{STEM}.json") as file:
        file.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    with atomic_file(folder / f"{STEM}.csv") as file, file.open("w", newline="", encoding="utf-8") as opened:
        rows = list(_rows(evidence))
        writer = csv.DictWriter(opened, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with atomic_file(folder / f"{STEM}.html") as file:
        file.write_text(page(evidence, verdict), encoding="utf-8")
    return folder / f"{STEM}.html"


def page(evidence: Evidence, verdict: Verdict) -> str:
    """The page."""
    real, baseline = evidence.gains["real"], evidence.gains["baseline"]
    assert real.gain is not None
    parts = [banner(verdict.word.capitalize(), verdict.sentence)]
    if evidence.synthetic:
        parts.append(banner("Synthetic data", "Its figures say nothing about Qilin or any other real data."))
    parts += [
        tiles(
            {
                f"gain in {evidence.metric}": f"{real.gain.mean:+.4f}",
                "without searches": baseline.value.mean,
                "with searches": real.value.mean,
                "requests": evidence.requests,
                "users": evidence.users,
                "seeds": len(evidence.seeds),
            }
        ),
        section("Why", *_reasons(verdict)),
        section("Controls", *_controls(evidence)),
        section("At a glance", _chart(evidence)),
        section("Slices", *_slices(evidence)),
        section("Without training", *_untrained(evidence)),
        section("Leaks", *_gate(evidence)),
    ]
    return document(f"Do searches help? {evidence.model} on {evidence.data}", *parts)


def _reasons(verdict: Verdict) -> list[Html]:
    rows = [["leak", said] for said in verdict.leaks]
    rows += [["not shown", said] for said in verdict.doubts] + [["holds", said] for said in verdict.grounds]
    return [table(["", "what was found"], rows, "The rules of the verdict, and what came of them")]


def _controls(evidence: Evidence) -> list[Html]:
    rows = []
    for name, found in evidence.gains.items():
        against = CONTROLS[name].against
        rows.append([name, estimate(*found.value), _difference(found.gain), against or "", _by_seed(found)])
    left = [paragraph(f"Left out: {name}, because {why}.") for name, why in evidence.left_out.items()]
    return [
        paragraph(
            "Differences are paired, request by request, averaged over the seeds; intervals are 95 %, by a bootstrap "
            "that draws users."
        ),
        table(["control", evidence.metric, "gain", "over", "by seed"], rows),
        *left,
        details(
            "What the controls are",
            facts((name, f"{CONTROLS[name].says}: {CONTROLS[name].asks}") for name in evidence.gains),
        ),
    ]


def _chart(evidence: Evidence) -> Html:
    axes = Axes("Gain by control", f"gain in {evidence.metric}", "")
    gains = {name: {name: found.gain} for name, found in evidence.gains.items() if found.gain is not None}
    return grid(intervals(axes, gains, dict.fromkeys(gains, 0), apart=True))


def _by_seed(found: Gain) -> str:
    return "" if found.gain is None else " ".join(f"{each:+.4f}" for each in found.by_seed)


def _difference(found: Interval | None) -> str:
    return "" if found is None else estimate(*found, signed=True)


def _slices(evidence: Evidence) -> list[Html]:
    rows = [[name, *([0, 0, None, "", None] if part is None else _part(part))] for name, part in evidence.parts.items()]
    return [
        paragraph("Declared beforehand; p is that of a randomisation test over users, corrected by Holm's method."),
        table(["slice", "requests", "users", "without searches", "gain", "p"], rows),
    ]


def _part(part: Part) -> list[object]:
    return [part.requests, part.users, part.baseline, _difference(part.gain), part.p]


def _untrained(evidence: Evidence) -> list[Html]:
    return [
        table(["ranker", metric], [[name, estimate(*each)] for name, each in of.items()], f"{metric}, 95 % intervals")
        for metric, of in evidence.untrained.items()
    ]


def _gate(evidence: Evidence) -> list[Html]:
    gate, audit = evidence.gate, evidence.audit
    told: list[tuple[str, object]] = [
        ("test requests that the future changes", f"{gate.changed:,} of {gate.requests:,}"),
        ("training points that the future changes", f"{gate.training_changed:,} of {gate.training_points:,}"),
        ("vectors that depend on what was searched", f"{gate.read:,} of {gate.searched:,} with a search"),
        ("own clicks logged before their request", "not known" if audit.own_clicks is None else audit.own_clicks),
        ("last item of the history is wanted", f"{audit.last_is_target:.1%}"),
        ("each of the nine before it is wanted", f"{audit.earlier_is_target:.1%}"),
    ]
    told += [(f"AUC of the {name}", f"{a.mean:.3f} [{a.low:.3f}, {a.high:.3f}]") for name, a in audit.orders.items()]
    return [facts(told)]


def _rows(evidence: Evidence) -> list[dict[str, Any]]:
    rows = []
    for name, found in evidence.gains.items():
        gain = found.gain
        rows.append(
            {
                "control": name,
                "metric": evidence.metric,
                "value": round(found.value.mean, 6),
                "against": CONTROLS[name].against or "",
                **{end: "" if gain is None else round(getattr(gain, end), 6) for end in ("mean", "low", "high")},
                "seeds": len(found.by_seed),
                "by_seed": " ".join(f"{each:.6f}" for each in found.by_seed),
            }
        )
    return rows


def _plain(value: Any) -> Any:
    """Intervals by the names of their parts, numbers that are none as null."""
    match value:
        case Interval():
            return {key: _plain(each) for key, each in value._asdict().items()}
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case float() if value != value:
            return None
    return value
