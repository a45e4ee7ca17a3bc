"""Models that read features of items: RecBole's own class, given its own table of items, scores as ours does."""

import json

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.utils import FeatureType

from recsys import checkpoints
from recsys.atomic import Vocabulary
from recsys.errors import InputError
from recsys.models import RecBole
from recsys.models.base import recbole_class, recbole_fields
from recsys.models.recbole_zoo import FEATURED, defaults
from recsys.recommender import Recommender

ITEMS, MAX_LEN = 9, 6
FEATURES = {
    "kind": np.array([[0, 0], [1, 2], [2, 0], [3, 1], [0, 0], [1, 0], [4, 3], [2, 1], [3, 0]], np.int32),
    "year": np.array([0, 1, 1, 2, 3, 0, 2, 4, 4], np.int32),
}
SMALL = {"embedding_size": 8, "hidden_size": 8, "inner_size": 12, "n_layers": 1, "n_heads": 2}
ROWS = [[1, 2, 3, 4, 5, 6], [7], [4, 8, 4]]


class RecBolesOwn:
    """What these models ask of RecBole's Dataset, with an Interaction for the items as it has."""

    item_num = ITEMS
    user_num = 0
    field2type = {"kind": FeatureType.TOKEN_SEQ, "year": FeatureType.TOKEN}

    def num(self, field):
        return {"item_id": ITEMS, "user_id": 0, "kind": 5, "year": 5}[field]

    def get_item_feature(self):
        return Interaction({name: torch.from_numpy(values.astype(np.int64)) for name, values in FEATURES.items()})


@pytest.fixture(params=sorted(FEATURED))
def model(request):
    return request.param


def settings(model, **more):
    return {name: value for name, value in SMALL.items() if name in defaults(model)} | {
        "selected_features": ["kind", "year"],
        **more,
    }


@torch.no_grad()
def scores(network, batch):
    return network.encode(batch) @ network.item_vectors().T


@pytest.mark.parametrize("pooling", ["sum", "mean", "max"])
@torch.no_grad()
def test_scores_are_those_of_recboles_own_class(model, pooling, batch_of, trained):
    chosen = settings(model, pooling_mode=pooling)
    network = trained(RecBole(model, ITEMS, MAX_LEN, settings=chosen, features=FEATURES))
    theirs = recbole_class(model)(recbole_fields(MAX_LEN, **defaults(model) | chosen), RecBolesOwn()).eval()
    theirs.load_state_dict(network.inner.state_dict())  # under RecBole's names, and nothing else
    padded = torch.tensor([row + [0] * (MAX_LEN - len(row)) for row in ROWS])
    expected = theirs.full_sort_predict({"item_id_list": padded, "item_length": torch.tensor([6, 1, 3])})
    torch.testing.assert_close(scores(network, batch_of(ROWS)), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_an_item_with_other_features_is_another_input(model, batch_of, trained):
    network = trained(RecBole(model, ITEMS, MAX_LEN, settings=settings(model), features=FEATURES))
    before = scores(network, batch_of(ROWS))
    network.feature_0[7] = torch.tensor([4, 0])  # the kind of the second row's only item
    after = scores(network, batch_of(ROWS))
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert (after[1] - before[1]).abs().max() > 1e-3


@torch.no_grad()
def test_a_checkpoint_brings_the_features_along(model, batch_of, trained, tmp_path):
    network = trained(RecBole(model, ITEMS, MAX_LEN, settings=settings(model), features=FEATURES))
    items = Vocabulary([f"n{i}" for i in range(1, ITEMS)])
    checkpoints.save(checkpoints.Checkpoint(network, items, np.arange(ITEMS), {}, {}), tmp_path / "x")
    written = json.loads((tmp_path / "x" / "config.json").read_text("utf-8"))["hyperparameters"]["features"]
    assert written == {"kind": [5, 2], "year": [5]}, "the numbers themselves are among the weights"
    expected = scores(network, batch_of(ROWS))
    assert torch.equal(scores(checkpoints.load(tmp_path / "x").network, batch_of(ROWS)), expected)
    found = Recommender.from_pretrained(tmp_path / "x").recommend(["n4", "n8", "n4"], k=3, exclude_seen=False)
    assert found.scores == pytest.approx(expected[2, 1:].topk(3).values.tolist(), abs=1e-6)


def test_a_column_alone_or_twice_is_one_column(model):
    made = [
        RecBole(model, ITEMS, MAX_LEN, settings=settings(model, selected_features=names), features=FEATURES)
        for names in ("kind", ["kind"], ["kind", "kind"])
    ]
    shapes = [{name: tuple(weight.shape) for name, weight in network.state_dict().items()} for network in made]
    assert shapes[0] == shapes[1] == shapes[2]


def test_columns_that_are_not_given_are_refused(model):
    with pytest.raises(InputError, match="no column 'year' of the items is given"):
        RecBole(model, ITEMS, MAX_LEN, settings=settings(model), features={"kind": FEATURES["kind"]})
    with pytest.raises(InputError, match="RecBole cannot build it with these settings"):
        RecBole(model, ITEMS, MAX_LEN, settings=settings(model, pooling_mode="median"), features=FEATURES)
