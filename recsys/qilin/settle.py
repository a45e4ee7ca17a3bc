"""What is settled before anything is written: which notes exist, which rows repeat an id, when validation begins."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys.atomic.problems import Problems
from recsys.errors import InputError
from recsys.qilin import protocol, source
from recsys.qilin.options import Options
from recsys.qilin.partition import Facts, Survey
from recsys.qilin.timeline import CHANNELS

LARGEST = 200_000_000  # note numbers beyond this are no numbers of notes
EXCERPT = 0.5  # a share of unknown notes above this means that `notes` is an excerpt, not that clicks are wrong


def known_notes(paths: list[Path], problems: Problems) -> np.ndarray:
    """Mask of the note_idx of `notes`; that none occurs twice is checked."""
    notes = pl.concat(source.numbers(path, "note_idx") for path in paths)
    notes = notes.filter(pl.col("note_idx") >= 0)  # a note without a number is met again, and named, where it is read
    last = source.largest(notes["note_idx"])
    if last >= LARGEST:
        raise InputError(f"note_idx {last} is no number of a note; Qilin has about two million.")
    known: np.ndarray = np.zeros(last + 1, bool)
    known[notes["note_idx"].to_numpy()] = True
    if known.sum() < notes.height:
        problems.rows(notes, ~pl.col("note_idx").is_first_distinct(), "note twice", "its note_idx occurs before.")
    return known


def settle(
    survey: Survey, files: dict[str, list[Path]], options: Options, known: np.ndarray, problems: Problems
) -> Facts:
    """What all partitions must agree on.

    Raises:
        InputError: an id that occurs twice, notes that do not exist, or nothing to train on.
    """
    twice = frozenset(_repeated_requests(survey.ids, files, problems))
    if survey.unknown > EXCERPT * survey.shown:
        if survey.highest >= LARGEST:
            raise InputError(f"note_idx {survey.highest} is no number of a note; Qilin has about two million of them.")
        known = np.ones(max(len(known), survey.highest + 1), bool)
    elif survey.example is not None:
        file, row, note = survey.example
        sentence = f"{file}: row {row} (from 0): note_idx {note} is none of the {known.sum():,} notes."
        problems.found(sentence, "unknown note", survey.unknown)
    cuts = protocol.cuts(survey.starts, options.split, options.valid_fraction, options.test_fraction)
    return Facts(known, cuts, twice=twice)


def _repeated_requests(
    ids: pl.DataFrame, files: dict[str, list[Path]], problems: Problems
) -> Iterator[tuple[str, int]]:
    """Rows whose request_idx or search_idx occurs in an earlier row."""
    for (recommended, index), _ in ids.filter(pl.struct("channel", "index").is_duplicated()).group_by(
        "channel", "index"
    ):
        name = "request_idx" if recommended else "search_idx"
        configs = [config for config, channel in CHANNELS.items() if channel.index == name]
        paths = [path for config in configs for path in files.get(config, [])]
        found = [(str(path), row) for path in paths for row in _rows_with(path, name, index)]
        for file, row in found[1:]:
            sentence = (
                f"{file}: row {row} (from 0): {name} {index} occurs before, in row {found[0][1]} of {found[0][0]}."
            )
            problems.found(sentence, "request twice")
            yield file, row


def _rows_with(path: Path, name: str, value: Any) -> list[int]:
    numbers = source.numbers(path, name)
    return numbers.filter(pl.col(name) == value)["row"].to_list()
