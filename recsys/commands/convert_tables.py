"""`recsys convert-tables`."""

from pathlib import Path
from typing import Any

from recsys.commands.convert import summary
from recsys.commands.parsing import call
from recsys.progress import step
from recsys.tables import Options, convert


def convert_tables(
    clicks: str, output: str, searches: str | None = None, items: str | None = None, **choices: Any
) -> None:
    """Turn your own clicks, searches and items into atomic files, for `recsys fit` and for RecBole.

    A table is a .csv, .tsv, .jsonl (these may end in .gz) or .parquet file, or a folder of such files.

    Args:
        clicks: Table of who clicked (bought, rated, played) what, and when.
        output: Folder to write; the files are named after it.
        searches: Table of who searched for what, and when; with an item_id, a row for each result that was clicked.
        items: Table of what is known of the items: titles, categories, numbers, vectors.
    """
    files = {"searches": searches, "items": items}
    others = {name: Path(file) for name, file in files.items() if file is not None}
    meta = convert(Path(clicks), Path(output), **others, options=Options(**choices), progress=step)
    print(summary(meta))
    print(f"Wrote {output}")


def main(args: list[str]) -> None:
    """Parse and run."""
    call(convert_tables, args)
