"""Note numbers that carry the label, as the release's do."""

from collections.abc import Sequence

import numpy as np

from recsys.qilin.synthetic.log import Day, Ragged

# The release numbers its notes by what happened to them. Its blocks in order, each with the part of its role that it
# holds, read off the numbers of 62,000 clicked notes in the official qrels: an end of the clicked ones comes late.
_ASKED, _UNCLICKED, _CLICKED, _ANSWERS = range(4)
_BLOCKS = ((_ASKED, 1.0), (_UNCLICKED, 0.8), (_CLICKED, 0.96), (_UNCLICKED, 1.0), (_CLICKED, 0.99), (_ANSWERS, 1.0),
           (_CLICKED, 1.0))  # fmt: skip
# In the release 98.5 % of the clicks are on notes in the blocks of clicked ones, and so are 65 % of what recommendation
# showed unclicked and 37 % of what search did: much of it had been clicked at other times. These shares of the notes
# that were clicked, only shown in recommendation, and only shown in search bring that about.
_IN_BLOCKS = (0.985, 0.45, 0.13)


def in_blocks(day: Day, windows: Sequence[Ragged], number: np.ndarray) -> np.ndarray:
    """The numbers of the notes in blocks of their roles; within a block they keep the order of `number`.

    Roles: clicked, or in a window, with some exceptions; clicked among the answers to questions and nowhere else; shown
    there and nowhere else; all others.
    """
    role = _roles(day, windows, number)
    order = np.argsort(number)
    of_role = [order[role[order] == which] for which in range(4)]
    taken, blocks = [0] * 4, []
    for which, until in _BLOCKS:
        end = round(len(of_role[which]) * until)
        blocks.append(of_role[which][taken[which] : end])
        taken[which] = end
    numbered = np.empty_like(number)
    numbered[np.concatenate(blocks)] = np.arange(len(number))
    return numbered


def _roles(day: Day, windows: Sequence[Ragged], number: np.ndarray) -> np.ndarray:
    notes = len(day.topic)

    def marked(*parts: np.ndarray) -> np.ndarray:
        found = np.zeros(notes, bool)
        found[np.concatenate(parts)] = True
        return found

    questions, others = day.search.shown.pick(np.flatnonzero(day.dqa)), day.search.shown.pick(np.flatnonzero(~day.dqa))
    recommended, found = marked(day.rec.shown.values["note"]), marked(others.values["note"])
    clicked = marked(_clicked(day.rec.shown), _clicked(others), *(window.values for window in windows))
    answers = marked(_clicked(questions)) & ~clicked
    asked = marked(questions.values["note"]) & ~recommended & ~found & ~clicked & ~answers
    share = np.select([clicked, recommended, found], _IN_BLOCKS, 0.0)
    clicked = number % 1000 < 1000 * share  # the numbers were dealt at random
    return np.select([clicked, answers, asked], [_CLICKED, _ANSWERS, _ASKED], _UNCLICKED)


def _clicked(shown: Ragged) -> np.ndarray:
    note: np.ndarray = shown.values["note"][shown.values["click"] == 1]
    return note
