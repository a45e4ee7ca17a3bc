"""A comparison as Markdown, CSV, JSON and a page."""

import csv
import io
import json
import math
from collections.abc import Callable
from typing import Any

from recsys import page
from recsys.experiments.compare import Row
from recsys.experiments.comparison import Comparison, Group
from recsys.metrics import Interval

NOTE = "Runs on different data or under different protocols stand in tables of their own."


def text_of(interval: Interval, sign: str = "") -> str:
    """A mean with its ends, where it has any."""
    mean, low, high = interval
    return f"{mean:{sign}.4f}" + ("" if math.isnan(low) else f" [{low:{sign}.4f}, {high:{sign}.4f}]")


def p_text(p: float | None) -> str:
    """A p-value as it is read."""
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def seeds_text(row: Row) -> str:
    """How many seeds a row is the mean of, and how far their 95 % interval reaches from it."""
    return "1" if row.seeds is None else f"{len(row.runs)}, ± {row.seeds.high - row.seeds.mean:.4f}"


def config_text(own: dict[str, Any]) -> str:
    """Settings on one line."""
    return ", ".join(f"{key} {value}" for key, value in own.items())


def header(group: Group) -> list[str]:
    """Headings of a group's table."""
    columns = [heading for name in group.rows for heading in (name, "difference", "p")]
    return ["run", "model", *columns, "seeds", "flags", "what differs"]


def lines(group: Group) -> list[list[str]]:
    """One line for each setting, then one for each ranker beside the models, under the headings."""
    found = []
    for row, own in zip(group.ranked, group.differs, strict=True):
        cells = [cell for each in group.of(row).values() for cell in _cells(each)]
        found.append([row.run.name, row.run.model, *cells, seeds_text(row), ", ".join(row.flags), config_text(own)])
    for called, values in group.baselines().items():
        cells = [cell for name in group.rows for cell in (f"{values[name]:.4f}" if name in values else "", "", "")]
        found.append(["—", called, *cells, "", "", ""])
    return found


def _cells(row: Row) -> tuple[str, str, str]:
    if row.difference is None:
        return text_of(row.value), "baseline", ""
    return text_of(row.value), text_of(row.difference, "+"), p_text(row.p)


def title(found: Comparison, group: Group) -> str:
    """What a group's table is about."""
    return f"{group.data}{'' if found.inside is None else f', slice {found.inside}'}"


def markdown(found: Comparison) -> str:
    """Tables as GitHub shows them."""
    parts = []
    for group in found.groups:
        parts.append(f"### {title(found, group)}\n")
        parts += [f"Not ranked with the first table: {why}.\n" for why in group.why]
        rows = [header(group), ["---"] * len(header(group)), *lines(group)]
        parts.append(
            "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows) + "\n"
        )
    if found.left_out:
        parts.append("Left out:\n\n" + "\n".join(f"- {run.name}: {why}" for run, why in found.left_out) + "\n")
    return "\n".join(parts)


def records(found: Comparison) -> list[dict[str, Any]]:
    """One flat record for each setting and metric; numbers unrounded, nothing where there is none."""
    return [
        {
            "group": number,
            "data": row.run.data,
            "fingerprint": row.run.fingerprint,
            "why_apart": "; ".join(group.why),
            "slice": found.inside,
            "metric": name,
            "run": row.run.name,
            "model": row.run.model,
            **_ends("value", row.value),
            **_ends("difference", row.difference),
            "paired": row.paired,
            "p": row.p,
            "wilcoxon_p": row.wilcoxon_p,
            "seeds": len(row.runs),
            **_ends("over_seeds", row.seeds),
            "flags": ", ".join(row.flags),
            "config": config_text(own),
        }
        for number, group in enumerate(found.groups)
        for first, own in zip(group.ranked, group.differs, strict=True)
        for name, row in group.of(first).items()
    ]


def comma_separated(found: Comparison) -> str:
    """The records as CSV."""
    rows, text = records(found), io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["group"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(found: Comparison) -> str:
    """Everything: groups with their protocols, rows with their runs and configuration, and what is left out."""
    content = {
        "metrics": list(found.metrics),
        "slice": found.inside,
        "groups": [
            {
                "data": group.data,
                "why_apart": list(group.why),
                "protocols": {name: group.ranked[0].run.protocol_of(name) for name in group.rows},
                "baselines": group.baselines(),
                "settings": [
                    {
                        "runs": [str(run.folder) for run in row.runs],
                        "seeds": [run.seed for run in row.runs],
                        "differs": own,
                        "metrics": {name: _record(each) for name, each in group.of(row).items()},
                    }
                    for row, own in zip(group.ranked, group.differs, strict=True)
                ],
            }
            for group in found.groups
        ],
        "records": records(found),
        "left_out": [{"run": run.name, "why": why} for run, why in found.left_out],
        "warnings": list(found.warnings),
    }
    return json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"


def as_page(found: Comparison) -> str:
    """One self-contained page."""
    parts = []
    for group in found.groups:
        notes = [page.banner("Not ranked with the first table", f"{'; '.join(group.why)}.")] if group.why else []
        protocols = [
            page.facts((key.replace("_", " "), value) for key, value in group.ranked[0].run.protocol_of(name).items())
            for name in group.rows
        ]
        table = page.table(header(group), lines(group), "Means with 95 % intervals")
        parts.append(page.section(title(found, group), *notes, table, page.details("What was measured", *protocols)))
    if found.left_out:
        rows = [[run.name, why] for run, why in found.left_out]
        parts.append(page.section("Left out", page.table(["run", "why"], rows)))
    return page.document("Comparison of runs", *parts)


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "md": markdown,
    "csv": comma_separated,
    "json": as_json,
    "html": as_page,
}
"""By the name that is also the ending of a file."""


def _record(row: Row) -> dict[str, Any]:
    numbers = {
        **_ends("value", row.value),
        **_ends("difference", row.difference),
        **_ends("over_seeds", row.seeds),
    }
    return numbers | {"paired": row.paired, "p": row.p, "wilcoxon_p": row.wilcoxon_p, "flags": list(row.flags)}


def _ends(name: str, interval: Interval | None) -> dict[str, float | None]:
    values = (None,) * 3 if interval is None else [None if math.isnan(value) else value for value in interval]
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
