"""`recsys recommend`."""

import sys
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.progress import step

if TYPE_CHECKING:
    from recsys.recommender import Recommendations, Recommender


def recommend(
    checkpoint: str,
    history: str = "",
    query: list[str] | None = None,
    k: int = 10,
    exclude_seen: bool = True,
    items: str | None = None,
    timestamps: str = "",
    now: float | None = None,
    explain: bool = False,
    json: bool = False,
    input: str | None = None,
    output: str | None = None,
    approximate: bool = False,
) -> None:
    """Recommend for a list of item ids, oldest first: for anyone, from the checkpoint alone; or for a file of users.

    Args:
        checkpoint: Checkpoint folder, name (`recsys models` lists them) or address (`recsys download --help`).
        history: Item ids, separated by commas. Ids that the model does not know are dropped, and named.
        query: What the user has typed since the last click; several queries are several words.
        k: Number of items.
        exclude_seen: Leave out the items of the history.
        items: Atomic file of items (.item) to show titles from.
        timestamps: When each item of the history was clicked, in seconds by any clock, separated by commas.
        now: The time of the request by the same clock (default: that of the last item).
        explain: Take each score apart: into what history and searches add; into what the item's own vector and its
            content add; and show what each query adds to the others.
        json: Print JSON instead of a table.
        input: Parquet or JSONL file of users, each with a list "history" and maybe "user_id", "queries", "timestamps"
            and "now": all of them are answered, and a run that was killed goes on where it was.
        output: Parquet file for the answers to --input.
        approximate: Search the catalogue through an index that may miss some of the best items; takes seconds to make.
    """
    from recsys.recommender import Recommender

    if k < 1:
        raise InputError(f"--k {k}: ask for at least 1 item.")
    if input is not None or output is not None:
        if input is None or output is None or history or query or items or timestamps or now is not None or explain:
            raise InputError(
                "--input and --output belong together, with --k, --exclude_seen and --approximate at most."
            )
        _file(
            Recommender.from_pretrained(checkpoint, approximate=approximate), Path(input), Path(output), k, exclude_seen
        )
        return
    model = Recommender.from_pretrained(checkpoint, approximate=approximate)
    ids = [part.strip() for part in history.split(",") if part.strip()]
    times = _seconds(timestamps) if timestamps else None
    answer = model.recommend(ids, query or [], k, exclude_seen, "drop", times, now, explain)
    if ids and len(answer.unknown) == len(ids):  # a slip of the hand that typed them
        raise InputError(
            f"--history {history}: {len(ids)} of {len(ids)} items of the history are unknown to the model."
        )
    if answer.unknown:
        print(f"Dropped, unknown to the model: {', '.join(answer.unknown)}", file=sys.stderr)
    if answer.ignored_queries:
        print(f"{type(model.network).__name__} does not read queries: --query has no effect.", file=sys.stderr)
    if answer.reason == "popularity":
        print("Nothing to go by: these are the most popular items.", file=sys.stderr)
    if explain and not model.network.uses_searches:
        print(f"{type(model.network).__name__} reads no searches: scores owe nothing to them.", file=sys.stderr)
    rows = _rows(answer, _titles(Path(items), answer.item_ids) if items else None)
    if json:
        print(dumps(rows, ensure_ascii=False, indent=2))
    else:
        _print(rows)


def _file(model: "Recommender", source: Path, target: Path, k: int, exclude_seen: bool) -> None:
    from recsys.recommender import recommend_file

    counted = recommend_file(model, source, target, k, exclude_seen, progress=step)
    print(f"Wrote recommendations for {counted['users']:,} users to {target}")
    if counted["unknown"]:
        print(f"Dropped {counted['unknown']:,} ids that are unknown to the model.", file=sys.stderr)
    if counted["popularity"]:
        print(
            f"{counted['popularity']:,} users had nothing to go by: they have the most popular items.", file=sys.stderr
        )


def _rows(answer: "Recommendations", titles: dict[str, str] | None) -> list[dict[str, Any]]:
    """What is said of each item, in rank order."""
    rows: list[dict[str, Any]] = []
    for i, (item, score) in enumerate(answer):
        rows.append({"rank": i + 1, "item_id": item, "score": score})
        if answer.explanations:
            rows[-1] |= {name: part for name, part in vars(answer.explanations[i]).items() if part is not None}
        if titles is not None:
            rows[-1]["title"] = titles[item]
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table()
    flat = [
        {name: part for name, part in row.items() if name != "queries"}
        | {f"'{query}'": part for query, part in row.get("queries", [])}
        for row in rows
    ]
    for name in flat[0] if flat else ("rank", "item_id", "score"):
        table.add_column(name)
    for row in flat:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)


def _seconds(timestamps: str) -> list[float]:
    try:
        return [float(part) for part in timestamps.split(",")]
    except ValueError as error:
        raise InputError(f"--timestamps {timestamps}: numbers of seconds, separated by commas ({error}).") from error


def _titles(path: Path, item_ids: list[str]) -> dict[str, str]:
    from recsys import atomic

    frame = atomic.read_titles(path)
    found = dict(frame.filter(frame["item_id"].is_in(item_ids)).iter_rows())
    return {item: found.get(item, "") for item in item_ids}


def main(args: list[str]) -> None:
    """Parse and run."""
    call(
        recommend,
        args,
        lists={"--query": "What the user has typed since the last click; several queries are several words."},
    )
