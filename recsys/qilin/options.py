"""What may be chosen about a conversion, checked once."""

from dataclasses import dataclass
from typing import Literal

from recsys.atomic.problems import OnError
from recsys.errors import InputError, require_choice, require_fraction

History = Literal["timeline", "window"]
Dedup = Literal["none", "adjacent", "all"]
Split = Literal["official", "strict_time", "temporal", "leave_one_out"]
Clocks = Literal["reanchor", "drop"]


@dataclass(frozen=True)
class Options:
    """Choices that change what a conversion writes.

    Attributes:
        history: Where a request's history comes from: "timeline", all clicks logged before it behind the window of the
            user's first request, or "window", the window that was delivered with it.
        dedup: Repeated clicks of a user on a note: "none" are left out, "adjacent" ones, or "all" after the first.
        min_count: Clicks before the validation that an item needs to be in `.inter`.
        split: "official", the release's test and the latest of its training requests for validation; "strict_time", of
            these without the requests after a user's first test request; "temporal", cut at two moments for all users;
            "leave_one_out", each user's last request for test and second last for validation.
        valid_fraction: Share of the training requests that becomes the validation set, by time.
        test_fraction: Share of all requests that becomes the test set of the temporal split.
        clocks: Requests from devices that show another day are moved to the same time of Qilin's day, or dropped.
        search_offset: Seconds by which search clocks are ahead, instead of the documented 28,800.
        seed: Seed of the numbers that notes get as items.
        on_error: Whether the first bad row is refused, or bad rows are left out and counted.
    """

    history: History = "timeline"
    dedup: Dedup = "none"
    min_count: int = 1
    split: Split = "official"
    valid_fraction: float = 0.1
    test_fraction: float = 0.1
    clocks: Clocks = "reanchor"
    search_offset: int | None = None
    seed: int = 0
    on_error: OnError = "refuse"

    def __post_init__(self) -> None:
        """Refuse a choice that does not exist.

        Raises:
            InputError: naming it, and what would be right.
        """
        choices = {"history": History, "dedup": Dedup, "split": Split, "clocks": Clocks, "on_error": OnError}
        for name, kind in choices.items():
            require_choice(name, getattr(self, name), kind)
        for name in ("valid_fraction", "test_fraction"):
            require_fraction(name, getattr(self, name))
        if self.min_count < 1:
            raise InputError(f"min_count is {self.min_count}; it should be 1, which keeps every item, or more.")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; it should be 0 or more.")
