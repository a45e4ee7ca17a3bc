"""What may be chosen about a conversion of tables, checked once."""

from dataclasses import dataclass
from typing import Literal

from recsys.atomic.problems import OnError
from recsys.errors import require_choice, require_fraction
from recsys.tables.times import Unit

Split = Literal["leave_one_out", "temporal"]


@dataclass(frozen=True)
class Options:
    """Names of columns, and choices that change what a conversion writes.

    Attributes:
        user_id: Column that says who, in the clicks and in the searches.
        item_id: Column that says what, in the clicks and the items; in the searches, which result was clicked, if any.
        timestamp: Column that says when, in the clicks and in the searches.
        query: Column of the searches with the words that were looked for.
        title: Column of the items with their titles, if they have any.
        time_unit: What times that are numbers count, since 1970: seconds, milliseconds or microseconds.
        split: "leave_one_out", each user's last click for test and second last for validation; "temporal", cut at two
            moments for all users.
        valid_fraction: Share of the clicks before the test that becomes the validation set of the temporal split.
        test_fraction: Share of all clicks that becomes the test set of the temporal split.
        on_error: Whether the first bad row is refused, or bad rows are left out and counted.
    """

    user_id: str = "user_id"
    item_id: str = "item_id"
    timestamp: str = "timestamp"
    query: str = "query"
    title: str = "title"
    time_unit: Unit = "s"
    split: Split = "leave_one_out"
    valid_fraction: float = 0.1
    test_fraction: float = 0.1
    on_error: OnError = "refuse"

    def __post_init__(self) -> None:
        """Refuse a choice that does not exist.

        Raises:
            InputError: naming it, and what would be right.
        """
        for name, kind in {"time_unit": Unit, "split": Split, "on_error": OnError}.items():
            require_choice(name, getattr(self, name), kind)
        for name in ("valid_fraction", "test_fraction"):
            require_fraction(name, getattr(self, name))

    def called(self, *names: str) -> dict[str, str]:
        """What these columns are called in the tables."""
        return {name: getattr(self, name) for name in names}
