"""What is wrong with rows of the input: the first is refused, or all are counted and left out."""

from typing import Literal

import polars as pl

from recsys.errors import InputError

OnError = Literal["refuse", "skip"]


class Problems:
    """Collects what is wrong with rows.

    Attributes:
        skip: leave bad rows out and count them, instead of refusing the first.
        counts: reason → rows left out.
        examples: reason → the sentence about the first of them.
    """

    def __init__(self, skip: bool = False) -> None:
        self.skip = skip
        self.counts: dict[str, int] = {}
        self.examples: dict[str, str] = {}

    def rows(self, frame: pl.DataFrame, bad: pl.Expr, reason: str, sentence: str) -> pl.DataFrame:
        """`frame` without the rows that are `bad`; it has columns `file` and `row` (from 0 within the file).

        Raises:
            InputError: a row is bad and rows are not to be skipped; `sentence` says what is wrong with it.
        """
        wrong = frame.select("file", "row", bad=bad.fill_null(False)).filter("bad")
        if wrong.is_empty():
            return frame
        file, row, _ = wrong.sort("file", "row").row(0)
        self.found(f"{file}: row {row} (from 0): {sentence}", reason, wrong.height)
        return frame.filter(~bad.fill_null(False))

    def found(self, sentence: str, reason: str, count: int = 1) -> None:
        """Refuse with `sentence`, or count.

        Raises:
            InputError: unless problems are to be skipped.
        """
        if not self.skip:
            hint = f" `--on-error skip` leaves such rows out and counts them ({count} here)."
            raise InputError(sentence + hint)
        self.counts[reason] = self.counts.get(reason, 0) + count
        self.examples.setdefault(reason, sentence)
