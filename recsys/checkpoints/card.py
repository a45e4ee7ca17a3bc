"""The model card: what a person should know before using a checkpoint."""

import json
from collections.abc import Mapping
from typing import Any

ANYONE = """It recommends the next items for a list of item ids, without the
data that it was trained on:

```
recsys recommend --checkpoint THIS_FOLDER --history ID,ID,ID --k 10
```"""
OWN_USERS = """It has a vector for each user of the data that it was
trained on, and answers for these users alone: `recsys test` and `recsys predict` with `--ckpt_path THIS_FOLDER`."""

USE = """To propose what a user may want next among the items of its vocabulary, to be compared with in research, and to
be trained further. Not to infer anything about a person from what it recommends, and not to decide about anybody."""

NOT_COLD = "Items that were not in the training data cannot be recommended, and are dropped from a given history."
COLD = "Items of its vocabulary without clicks in the training data are judged by their titles and categories alone."
FEEDBACK = """It learnt from clicks, which follow what was shown: popular items and the habits of the users in the data
are repeated. What it was not measured on (other times, other users, other languages) nobody knows."""

UNKNOWN = "not named. Ask whose data it is before you pass this on."

HUB_LICENCES = frozenset(["apache-2.0", "cc-by-4.0", "cc0-1.0", "mit"])
"""Licences with a name of their own on the Hugging Face Hub; any other is "other" there."""

BASELINES = ("ceiling/", "popular/", "position/", "random/", "recent/")
"""What `recsys test` puts before the metrics of rankers that are not the model."""


def model_card(
    config: dict[str, Any],
    n_items: int,
    metrics: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> str:
    """Markdown of the checkpoint described by its `config.json` and `metrics.json`."""
    data, hyperparameters = config["data"], config["hyperparameters"]
    settings = "\n".join(f"| {name} | {value} |" for name, value in hyperparameters.items())
    synthetic = (
        "\n> **Synthetic data.** This model was trained on generated data: its figures say nothing about Qilin.\n"
        if data.get("synthetic")
        else ""
    )
    title = hyperparameters.get("model", config["model"])
    return f"""{_front_matter(data)}
# {title} on {data.get("name", "unknown data")}
{synthetic}
Made by recsys-zoo {config["versions"]["recsys-zoo"]}. {OWN_USERS if hyperparameters.get("n_users") else ANYONE}

## Data and protocol
- Data: {data.get("name", "unknown")}, fingerprint `{str(data.get("fingerprint", ""))[:16]}`
- Vocabulary: {n_items} items{_ids(data)}
{_protocol(data)}

## Metrics
{_table(metrics, intervals or {})}

## Hyperparameters
| name | value |
|---|---|
{settings}

## Intended use
{USE}

## Limits
{COLD if hyperparameters.get("content") else NOT_COLD}

{FEEDBACK}

## Licence
Of the data, and so of what is made from it: {data.get("licence") or UNKNOWN}
"""


def _front_matter(data: dict[str, Any]) -> str:
    """What model hubs read: YAML, of which JSON is a part."""
    licence = str(data.get("licence") or "")
    short = licence.partition(" ")[0].lower()
    named = {"license": short} if short in HUB_LICENCES else {"license": "other", "license_name": licence}
    facts = {"library_name": "recsys-zoo", "tags": ["recommender-system", "sequential-recommendation"]}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in {**facts, **named}.items() if value]
    return "\n".join(["---", *lines, "---"])


def _ids(data: dict[str, Any]) -> str:
    """What the ids of Qilin's items are, where that is known."""
    if data.get("item_ids") == "note_idx":
        return ", whose ids are Qilin's `note_idx`"
    if "note_numbers" not in data:
        return ""
    return """, whose ids are not Qilin's `note_idx`:
  `recsys export THIS_FOLDER --ids note_idx --output OTHER` makes a checkpoint that takes and answers these"""


def _protocol(data: dict[str, Any]) -> str:
    """What the metrics are of, one line for each protocol."""
    tested = data.get("protocols", {})
    if not tested:
        return "- Metrics were measured by full ranking over the vocabulary, on the split that their name begins with."
    lines = [f"- Measured on {data['requests']:,} requests of {data['users']:,} users."]
    for name, protocol in tested.items():
        parts = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in protocol.items())
        lines.append(f"- Protocol `{name}`: {parts}.")
    return "\n".join(lines)


def _table(metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]]) -> str:
    """The model's own metrics, at the cutoff 10 where there is one, beside those of the most popular items."""
    own = [name for name in metrics if not name.partition("/")[2].startswith(BASELINES)]
    shown = [name for name in own if name.endswith("@10")] or own
    if not shown:
        return "None were measured."
    rows = ["| metric | value | 95 % interval | most popular items |", "|---|---|---|---|"]
    for name in shown:
        split, _, metric = name.partition("/")
        ends = "[{:.4f}, {:.4f}]".format(*intervals[name]) if name in intervals else ""
        popular = metrics.get(f"{split}/popular/{metric}")
        rows.append(f"| {name} | {metrics[name]:.4f} | {ends} | {'' if popular is None else f'{popular:.4f}'} |")
    return "\n".join(rows)
