"""What each request of the learnable world showed."""

import numpy as np

from recsys.qilin.synthetic.log import EXPOSURE, SCREEN, Ragged, Requests, runs
from recsys.qilin.synthetic.world import TOPICS, Notes, World, choose_topic

ON_TOPIC = 0.25  # share of the unclicked notes that are on the searched topic, if there is one
LIKED = 0.25  # share of them on a topic by preference
REPEATED = 0.1  # share of requests shown again hours later


def recommended(world: World, rng: np.random.Generator) -> Ragged:
    """Exposures of the recommendation requests, one in ten of which is shown once more, hours later, without clicks."""
    shown = _show(world.rec, world.preference, world.notes, 12, ON_TOPIC, LIKED, rng, searched=False)
    again = (rng.random(len(world.rec.start)) < REPEATED) & (world.rec.start < 50_000)
    delay = rng.integers(3_600_000, 8 * 3_600_000, len(again))
    request = np.repeat(np.arange(len(again)), shown.length)
    copied = again[request] & (shown.values["screen"] < 2)
    copies = shown.values[copied].copy()
    copies["click"], copies["opened"] = 0, False
    copies["time"] += delay[request[copied]]
    owner = np.concatenate([request, request[copied]])
    order = np.argsort(owner, kind="stable")
    return Ragged(np.concatenate([shown.values, copies])[order], np.bincount(owner, minlength=len(again)))


def found(world: World, rng: np.random.Generator) -> Ragged:
    """Exposures of the searches."""
    return _show(world.search, world.preference, world.notes, 14, 0.8, 0.0, rng, searched=True)


def _show(
    requests: Requests,
    preference: np.ndarray,
    notes: Notes,
    unclicked: int,
    on_topic: float,
    liked: float,
    rng: np.random.Generator,
    *,
    searched: bool,
) -> Ragged:
    """Clicked notes and about `unclicked` others: `on_topic` of the searched topic, `liked` of a liked one, or any."""
    other_by = np.repeat(np.arange(len(requests.user)), 4 + rng.poisson(unclicked - 4, len(requests.user)))
    kind, searched_topic = rng.random(len(other_by)), requests.topic[other_by]
    topic = rng.integers(0, TOPICS, len(other_by))
    preferred = choose_topic(preference[requests.user[other_by]], rng.random(len(other_by)))
    topic = np.where(kind < on_topic + liked, preferred, topic)
    topic = np.where((kind < on_topic) & (searched_topic >= 0), searched_topic, topic)
    other = notes.draw(topic, rng.random(len(other_by)), searched=searched)

    request, note = np.concatenate([requests.clicked_by, other_by]), np.concatenate([requests.clicked, other])
    # The first of equal pairs stays: a clicked note is not shown unclicked as well.
    _, kept = np.unique(request * len(notes.topic) + note, return_index=True)
    kept = np.sort(kept)
    request, note, click = request[kept], note[kept], (kept < len(requests.clicked)).astype(np.int64)

    place = rng.random(len(kept))
    clicks = click.sum()
    place[:clicks] = place[:clicks][np.lexsort((place[:clicks], request[:clicks]))]  # clicked from top to bottom
    order = np.lexsort((place, request))
    request, note, click = request[order], note[order], click[order]
    length = np.bincount(request, minlength=len(requests.user))
    rank = runs(np.zeros_like(length), length)
    screen = rank // SCREEN
    pause = rng.integers(5_000, 40_000, len(length))
    time = requests.start[request] * 1000 + screen * pause[request] + rank % SCREEN * rng.integers(1, 90, len(rank))
    exposures = np.empty(len(rank), EXPOSURE)
    for name, column in zip(EXPOSURE.names or (), (note, click, rank + 1, time, screen, click == 1), strict=True):
        exposures[name] = column
    # As in the release, the rows of a screen come with the clicked ones last.
    return Ragged(exposures[np.lexsort((rank, click, screen, request))], length)
