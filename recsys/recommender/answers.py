"""What a user is answered."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Explanation:
    """What one score is made of, in two ways: `history + searches`, and `id + content`, each exactly the score."""

    history: float
    """The score without the queries."""
    searches: float
    """What the queries add to that, all together."""
    queries: list[tuple[str, float]]
    """Each query and what it adds to the others: the score less that without it. They interact: no total is theirs."""
    id: float | None
    """The part of the score by the item's own vector; None where scores are no dot products."""
    content: float | None
    """The part by its title and categories; None where the model does not read them."""


@dataclass(frozen=True)
class Recommendations:
    """Items in rank order, and what was done with the input to get there."""

    item_ids: list[str]
    scores: list[float]
    unknown: list[str]
    """Ids of the history, then of the candidates, that the model does not know; they had no influence."""
    reason: Literal["model", "popularity"]
    """"popularity" when there was neither a known item nor a query to go by."""
    ignored_queries: bool
    """True when queries were given to a model that does not read them."""
    explanations: list[Explanation] = field(default_factory=list)
    """One for each item where they were asked for and a model gave the scores."""

    def __iter__(self):  # type: ignore[no-untyped-def]
        """Pairs (item_id, score)."""
        return iter(zip(self.item_ids, self.scores, strict=True))
