"""The controls: which data a model is trained and tested on, and what its gain is taken against."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from recsys.ablation.transforms import Transform, blank, constant, feed_only, late, permuted


@dataclass(frozen=True)
class Control:
    """One row of the ablation: a run for each seed."""

    says: str
    """What it is, in a few words."""
    asks: str
    """What its gain tells."""
    searches: bool = True
    """Whether it is the model in question; otherwise the one without searches."""
    retrained: bool = True
    """Whether it is trained on its own data; otherwise the weights of `real` are tested on it."""
    transform: Transform | None = None
    drawn: bool = False
    """Whether the transform draws by the seed."""
    settings: Mapping[str, str] = field(default_factory=dict)
    against: str | None = "baseline"
    """The control that its gain is the difference to."""
    merged: bool = False
    """Whether it needs clicks on search results among the others."""


CONTROLS: dict[str, Control] = {
    "baseline": Control("without searches", "what there is to gain over", searches=False, against=None),
    "real": Control("with the real queries", "what searches are worth"),
    "permuted": Control(
        "retrained, queries permuted between users",
        "must vanish: nobody's queries are his own",
        transform=permuted,
        drawn=True,
    ),
    "constant": Control(
        "retrained, every query the same text",
        "what is owed to when people search, not to what for",
        transform=constant,
    ),
    "late": Control(
        "retrained, a search arrives with the next click",
        "what is left when the latest search is not seen in time",
        transform=late,
    ),
    "blank at test": Control("no searches at test", "must vanish: nothing to read", retrained=False, transform=blank),
    "permuted at test": Control(
        "queries permuted at test",
        "below the real ones, if the model reads what they say",
        retrained=False,
        transform=permuted,
        drawn=True,
    ),
    "margin 60": Control(
        "searches of the last 60 s hidden at test",
        "a large loss on real data points to the clock",
        retrained=False,
        settings={"data.search_margin": "60"},
    ),
    "margin 300": Control(
        "searches of the last 300 s hidden at test",
        "the same, for five minutes",
        retrained=False,
        settings={"data.search_margin": "300"},
    ),
    "feed only": Control(
        "without searches, and without clicks on their results",
        "what both are counted from",
        searches=False,
        transform=feed_only,
        against=None,
        merged=True,
    ),
    "clicks only": Control(
        "clicks on search results as plain items",
        "what the clicks of searches are worth, without a query",
        searches=False,
        against="feed only",
        merged=True,
    ),
    "text only": Control(
        "queries, without clicks on their results",
        "what queries are worth alone",
        transform=feed_only,
        against="feed only",
        merged=True,
    ),
}
"""By name, in the order in which they run. "clicks only" is the run of `baseline`, seen from "feed only"."""

SAME_RUN = {"clicks only": "baseline"}
REQUIRED = ("baseline", "real")


def needed(names: list[str]) -> list[str]:
    """The controls of these names and those that they rest on, in order."""
    wanted = {*REQUIRED, *names}
    wanted |= {against for name in wanted if (against := CONTROLS[name].against) is not None}
    return [name for name in CONTROLS if name in wanted]
