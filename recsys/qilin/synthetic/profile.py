"""The quantities in which the two worlds differ where they are written in the same way."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Quantities of a world.

    Attributes:
        rec_labels, search_labels: probability of like, collect, comment, share, given a click.
        references: notes that an answer to a question cites.
        siblings: topics that share a first-level taxonomy.
        images: a note has from one to so many images.
        trimmed: characters by which the logged length of a note's text exceeds the text, at most.
        ages: share of each age group, youngest first, unknown last; None for equal shares.
        shards: files of the notes.
        rows: notes in a row group.
    """

    rec_labels: tuple[float, float, float, float]
    search_labels: tuple[float, float, float, float]
    references: int
    siblings: int
    images: int
    trimmed: int
    ages: tuple[float, ...] | None
    shards: int
    rows: int


LEARNABLE = Profile(
    rec_labels=(0.05, 0.017, 0.005, 0.006),
    search_labels=(0.05, 0.017, 0.005, 0.006),
    references=0,
    siblings=5,
    images=1,
    trimmed=0,
    ages=None,
    shards=1,
    rows=1 << 20,
)

# Rates of labels: Qilin's paper (arXiv 2503.00501), table 3; its ages: 3.88 % below 16, 74.5 % from 16 to 40.
PUBLISHED = Profile(
    rec_labels=(0.0707, 0.0147, 0.0099, 0.0063),
    search_labels=(0.0411, 0.0187, 0.0032, 0.0057),
    references=3,
    siblings=7,
    images=4,
    trimmed=42,
    ages=(0.013, 0.0258, 0.09, 0.2, 0.15, 0.165, 0.09, 0.05, 0.0727, 0.1435),
    shards=5,
    rows=100_000,
)
