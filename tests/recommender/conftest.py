"""A small model of every kind, loaded from a checkpoint folder."""

import numpy as np
import pytest
from recommender_models import TOKENS, network_of

from recsys import checkpoints
from recsys.atomic import Vocabulary
from recsys.checkpoints import Checkpoint
from recsys.models import SASRec
from recsys.recommender import Recommender

POPULARITY = np.array([0, 4, 9, 0, 7, 7, 1, 2])


@pytest.fixture(scope="session")
def checkpoint_of(tmp_path_factory):
    """The checkpoint folder of a model."""
    made = {}

    def make(kind=SASRec, **more):
        key = (kind, *more.items())
        if key not in made:
            made[key] = tmp_path_factory.mktemp("checkpoint") / "x"
            network, items = network_of(kind, **more), Vocabulary(TOKENS)
            checkpoints.save(Checkpoint(network, items, POPULARITY, {}, {"test/mrr": 0.5}), made[key])
        return made[key]

    return make


@pytest.fixture(scope="session")
def recommender(checkpoint_of):
    """A recommender of a model, loaded from its folder."""
    made = {}

    def make(kind=SASRec, **more):
        key = (kind, *more.items())
        if key not in made:
            made[key] = Recommender.from_pretrained(checkpoint_of(kind, **more))
        return made[key]

    return make
