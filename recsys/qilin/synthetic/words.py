"""The language of the learnable world: terms of two or three Chinese characters, each at home in one topic."""

from collections.abc import Iterable

import numpy as np

from recsys.qilin.synthetic.world import TOPICS

TERMS = 10  # of each topic
NOISE = 0.3  # share of texts that end in a term of any topic
_ENDINGS = np.array(["", "", "", "!", "?", "🥹", "‼️", "💗", "\t", " ~", "\n"])


def lexicon(rng: np.random.Generator) -> np.ndarray:
    """Terms `[topics, TERMS]`; topics share characters, not terms."""
    characters = [chr(point) for point in rng.choice(np.arange(0x4E00, 0x6200), 900, replace=False)]
    terms: dict[str, None] = {}
    while len(terms) < TOPICS * TERMS:
        terms["".join(rng.choice(characters, rng.integers(2, 4)))] = None
    return np.array(list(terms)).reshape(TOPICS, TERMS)


def titles(topic: np.ndarray, terms: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A note's title of each topic `[n]`: three of its terms, and the emoji, tabs and line breaks of real ones."""
    return _joined([*_phrases(topic, 3, terms, rng), rng.choice(_ENDINGS, len(topic))])


def contents(topic: np.ndarray, terms: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A note's text of each topic `[n]`."""
    return _joined([*_phrases(topic, 8, terms, rng), np.full(len(topic), "\n#")])


def queries(topic: np.ndarray, terms: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A query of each topic `[n]`: two of its terms."""
    return _joined(_phrases(topic, 2, terms, rng))


def _phrases(topic: np.ndarray, count: int, terms: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    columns = [terms[topic, rng.integers(0, TERMS, len(topic))] for _ in range(count)]
    noise = rng.choice(terms.ravel(), len(topic))
    return [*columns, np.where(rng.random(len(topic)) < NOISE, noise, "")]


def _joined(columns: Iterable[np.ndarray]) -> np.ndarray:
    return np.array(["".join(parts) for parts in zip(*columns, strict=True)], dtype=object)
