"""The day of the small world that a thousand users suffice to learn."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from recsys.qilin.synthetic import shown, words, world
from recsys.qilin.synthetic.log import Channel, Day, Language, Streams, clicks_of, skewed_clocks, together
from recsys.qilin.synthetic.profile import LEARNABLE

TEST_SHARE = 0.12  # of the recommendation requests, the latest
SKEWED = 0.005  # share of users whose device clock is days behind


def day(
    users: int, influence: float, streams: Streams, clicks_per_note: float | None = None
) -> tuple[Day, world.World]:
    """The log of a world of so many users, and the world itself."""
    made = world.create(users, influence, streams.world, clicks_per_note)
    topic = made.notes.topic
    terms = words.lexicon(streams.texts)
    titles, queries = (
        pa.array(write(about, terms, streams.texts), pa.string())
        for write, about in ((words.titles, topic), (words.queries, made.search.topic))
    )
    number = np.arange(len(made.rec.user))
    about = made.rec if influence else made.rec.unsteered()
    rec = Channel(made.rec, shown.recommended(replace(made, rec=about), streams.rec), len(number) + number)
    search = Channel(made.search, shown.found(made, streams.search), np.arange(len(made.search.user)))
    latest = np.zeros(len(number), bool)
    latest[np.argsort(made.rec.start, kind="stable")[round(len(number) * (1 - TEST_SHARE)) :]] = True
    past = (made.past[0], made.past[1] * 1000, made.past[2])
    log = Day(
        profile=LEARNABLE,
        topic=topic,
        video=np.full(len(topic), 0.3),
        skew=skewed_clocks(users, SKEWED, streams.people),
        rec=rec,
        latest=latest,
        search=search,
        dqa=made.dqa,
        retrieved=search.shown.of("note"),
        clicks=together(past, clicks_of(rec), clicks_of(search)),
        language=Language(titles, queries, lambda about, rng: pa.array(words.contents(about, terms, rng), pa.string())),
    )
    return log, made
