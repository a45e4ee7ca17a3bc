"""RecBole's models through the one adapter: they learn, and their scores are those of RecBole's own `full_sort_predict`."""

import pytest
import torch

from recsys.errors import InputError
from recsys.models import BERT4Rec, RecBole
from recsys.models.base import recbole_class
from recsys.models.recbole import DOT_PRODUCT, ELSEWHERE, OTHER_SCORES, defaults

ITEMS, USERS, MAX_LEN = 24, 6, 7
EMBED_USERS = {"Caser", "FOSSIL", "FPMC", "HGN", "HRM", "NPE", "SHAN", "TransRec"}
SMALL = {
    "embedding_size": 8,
    "hidden_size": 8,
    "inner_size": 16,
    "n_layers": 1,
    "n_heads": 2,
    "prototype_size": 6,
    "reranker_CAN_NUM": 5,
    "block_num": 1,
}
HISTORIES = [[1, 2, 3, 4, 5, 6, 7], [8], [9, 10, 9], [11, 12, 13, 14, 15, 16]]


def build(model, **more):
    torch.manual_seed(0)
    settings = {name: value for name, value in SMALL.items() if name in defaults(model)}
    return RecBole(model, ITEMS, MAX_LEN, USERS, settings | more)


def batch(batch_of, rows=HISTORIES, **more):
    made = batch_of(rows, **more)
    object.__setattr__(made, "user", 1 + torch.arange(len(made)) % (USERS - 1))
    return made


def training_batch(batch_of):
    """Every prefix of the first and the last history, and a point that has no history."""
    points = [(0, i) for i in range(6)] + [(3, i) for i in range(5)] + [(4, 0)]
    made = batch(batch_of, [*HISTORIES, []], points=points)
    following = [HISTORIES[row][position + 1] for row, position in points[:-1]]
    object.__setattr__(made, "target_item", torch.tensor([*following, 3]))
    return made


@pytest.fixture(scope="module", params=sorted(DOT_PRODUCT | OTHER_SCORES))
def model(request):
    return request.param


def interaction(rows, users):
    """What RecBole's loader would give: right-padded to the longest history allowed."""
    padded = torch.tensor([row + [0] * (MAX_LEN - len(row)) for row in rows])
    length = torch.tensor([len(row) for row in rows])
    return {"item_id_list": padded, "item_length": length, "user_id": users, "item_id": torch.ones_like(length)}


def scores(network, given):
    table = network.item_vectors()
    vectors = network.encode(given)
    return vectors if table is None else vectors @ table.T


def test_a_few_steps_and_the_scores_are_recboles(model, batch_of):
    network, given = build(model), training_batch(batch_of)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = network.own_loss(given)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert all(torch.isfinite(torch.tensor(losses)))
    assert sum(losses[-3:]) < sum(losses[:3])
    network.eval()
    with torch.no_grad():
        asked = batch(batch_of)
        found = scores(network, asked)
        expected = interaction(HISTORIES, asked.user)
        if model == "SHAN":  # RecBole trains it on left-padded histories, and predicts from right-padded ones
            expected["item_id_list"] = torch.tensor([[0] * (MAX_LEN - len(row)) + row for row in HISTORIES])
        torch.testing.assert_close(
            found, network.inner.full_sort_predict(expected).view(-1, ITEMS), rtol=0, atol=1e-5
        )
        assert found.std() > 1e-4
        again = RecBole(**network.hyperparameters).eval()
        again.load_state_dict(network.state_dict())
        assert torch.equal(scores(again, asked), found)
        nothing = scores(network, batch(batch_of, [[], [4]]))
        assert nothing.isfinite().all()
