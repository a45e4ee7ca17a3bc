"""A checkpoint whose items have Qilin's own numbers, for whoever has `note_idx` and no conversion of the data."""

from dataclasses import replace

from recsys.atomic import Vocabulary
from recsys.checkpoints import Checkpoint
from recsys.errors import InputError
from recsys.qilin.items import notes_of

_MOST_NOTES = 1 << 27
"""Qilin has 2 million; a checkpoint from elsewhere may name any number."""


def by_note(checkpoint: Checkpoint) -> Checkpoint:
    """The same model, which takes and gives `note_idx`; what its data says of their numbering tells which is which.

    Raises:
        InputError: it does not say that, or its ids are `note_idx` already.
    """
    data = dict(checkpoint.data)
    if data.get("item_ids") == "note_idx":
        raise InputError("--ids note_idx: the items of this checkpoint have these ids already.")
    told = data.pop("note_numbers", None)
    notes, seed = (told.get("notes"), told.get("seed")) if isinstance(told, dict) else (None, None)
    if not (isinstance(notes, int) and 0 < notes <= _MOST_NOTES and isinstance(seed, int) and 0 <= seed < 1 << 63):
        raise InputError(
            "--ids note_idx: this checkpoint does not say how Qilin's notes were numbered; it was trained on other "
            "data, or before checkpoints said so. The data's .item file tells the note_idx of every item."
        )
    items = Vocabulary(notes_of(checkpoint.items.tokens, notes, seed))
    return replace(checkpoint, items=items, data=data | {"item_ids": "note_idx"})
