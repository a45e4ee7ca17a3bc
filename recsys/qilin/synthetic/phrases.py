"""The language of the published world: titles, texts and queries of Chinese characters, made without a loop over them.

Every topic has words of two characters. Texts are strings of sentences that were written beforehand.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.qilin.synthetic.choices import ADD, CHANGE, DELETE, OTHER, REPEAT

_WORDS = 40  # of each topic
_SENTENCES = 48  # of each topic
_ANY = 0.15  # share of words from any topic
_LONGEST = 24  # characters of a title or a query
_CHUNK = 200_000
_ENDINGS = pa.array(["", "", "", "", "!", "?", "🥹", "‼️", "💗", "\t", " ~", "\n", "ｖｌｏｇ", "｜必看"])
_STOPS = pa.array(["，", "。", "！", "\n", "\n#笔记灵感[话题]# ", "✅ ", "", " "])
# Share of each number of characters in a query, from 3 (qilin paper, figure of query lengths).
_LENGTHS = (0.004, 0.17, 0.155, 0.175, 0.135, 0.115, 0.085, 0.06, 0.045, 0.025, 0.015, 0.008, 0.008)


@dataclass(frozen=True)
class Lexicon:
    """Code points `[topics, words, 2]` of each topic's words, and its sentences, topic by topic."""

    words: np.ndarray
    sentences: pa.Array

    def titles(self, topic: np.ndarray, rng: np.random.Generator) -> pa.Array:
        """A title of each topic: 6 to 22 characters and an ending with the emoji, tabs and line breaks of real ones."""
        made = []
        for first in range(0, len(topic), _CHUNK):
            about = topic[first : first + _CHUNK]
            text = strings(self._characters(about, rng), rng.integers(6, 20, len(about)))
            ending = _ENDINGS.take(pa.array(rng.integers(0, len(_ENDINGS), len(about))))
            made.append(pc.binary_join_element_wise(text, ending, ""))
        return pa.concat_arrays(made)

    def contents(self, topic: np.ndarray, rng: np.random.Generator) -> pa.Array:
        """A text of each topic: log-normal, with a median of about 280 characters."""
        count = np.maximum(np.rint(rng.lognormal(np.log(280 / 20.5), 0.8, len(topic))), 1).astype(np.int64)
        sentence = np.repeat(topic, count) * _SENTENCES + rng.integers(0, _SENTENCES, count.sum())
        offsets = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
        return pc.binary_join(pa.ListArray.from_arrays(offsets, self.sentences.take(pa.array(sentence))), "")

    def queries(self, topic: np.ndarray, reformulates: np.ndarray, rng: np.random.Generator) -> pa.Array:
        """A query for each search; one that reformulates starts from the query before it."""
        text = self._characters(topic, rng)
        length = rng.choice(np.arange(3, 3 + len(_LENGTHS)), len(topic), p=_LENGTHS)
        new = self._characters(topic, rng)
        fresh = np.maximum.accumulate(np.where(reformulates == OTHER, np.arange(len(topic)), 0))
        depth = np.arange(len(topic)) - fresh
        place = np.arange(_LONGEST)
        for step in range(1, int(depth.max(initial=0)) + 1):
            now = np.flatnonzero(depth == step)
            kind, before = reformulates[now], length[now - 1]
            kept = np.where(kind == CHANGE, (before + 1) // 2, before)
            text[now] = np.where(place < kept[:, None], text[now - 1], new[now])
            longer = np.minimum(before + 2, _LONGEST)
            length[now] = np.select(
                [kind == ADD, kind == DELETE, kind == REPEAT],
                [longer, np.maximum(before - 2, 2), before],
                np.maximum(length[now], kept + 1),
            )
        return strings(text, length)

    def _characters(self, topic: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Code points `[n, _LONGEST]`: words of each topic, some of any."""
        topics, words, _ = self.words.shape
        shape = (len(topic), _LONGEST // 2)
        about = np.where(rng.random(shape) < _ANY, rng.integers(0, topics, shape), topic[:, None])
        return self.words[about, rng.integers(0, words, shape)].reshape(len(topic), _LONGEST)


def lexicon(topics: int, rng: np.random.Generator) -> Lexicon:
    """Words and sentences of so many topics; topics share characters, hardly ever words."""
    points = rng.choice(np.arange(0x4E00, 0x6E00), 2_500, replace=False)
    bare = Lexicon(points[rng.integers(0, len(points), (topics, _WORDS, 2))], pa.array([], pa.string()))
    topic = np.repeat(np.arange(topics), _SENTENCES)
    text = strings(bare._characters(topic, rng), rng.integers(10, _LONGEST + 1, len(topic)))
    stop = _STOPS.take(pa.array(rng.integers(0, len(_STOPS), len(topic))))
    return Lexicon(bare.words, pc.binary_join_element_wise(text, stop, ""))


def strings(points: np.ndarray, length: np.ndarray) -> pa.Array:
    """The first `length[i]` of the code points `[n, most]` of each row as text; all from U+0800 to U+FFFF."""
    used = points[np.arange(points.shape[1]) < length[:, None]]
    encoded = np.stack([0xE0 | used >> 12, 0x80 | used >> 6 & 0x3F, 0x80 | used & 0x3F], axis=1).astype(np.uint8)
    offsets = np.concatenate([[0], np.cumsum(3 * length)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(length), pa.py_buffer(offsets.tobytes()), pa.py_buffer(encoded.tobytes()))
