"""RecBole's own classes are the reference: the same weights give the same vectors and scores."""

import os
import subprocess
import sys

import pytest
import torch

from recsys.models import BERT4Rec, SASRec
from recsys.models.base import ItemSpace, recbole_class, recbole_config
from recsys.models.text import grams

ITEMS, MAX_LEN = 30, 9
SHAPE = {"dim": 16, "layers": 2, "heads": 4, "inner_dim": 24}


def reference(name):
    torch.manual_seed(3)
    config = recbole_config(MAX_LEN, **SHAPE, dropout=0.5, mask_ratio=0.2)
    return recbole_class(name)(config, ItemSpace(ITEMS))


def pair(ours, trained):
    """RecBole's model and ours with equal weights, carried over in both directions."""
    theirs = trained(reference(ours.__name__))
    network = ours(ITEMS, MAX_LEN, **SHAPE)
    assert network.state_dict().keys() == theirs.state_dict().keys()
    theirs.load_state_dict(network.state_dict())  # ours → theirs
    network.load_state_dict(trained(theirs).state_dict())  # theirs → ours
    return network.eval(), theirs.eval()


def histories(shortest, longest):
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(1, ITEMS, (n,), generator=generator).tolist() for n in range(shortest, longest + 1)]


def recbole_batch(rows):
    padded = torch.tensor([row + [0] * (MAX_LEN - len(row)) for row in rows])
    return {"item_id_list": padded, "item_length": torch.tensor([len(row) for row in rows])}


def close(left, right):
    torch.testing.assert_close(left, right, rtol=0, atol=1e-5)


@torch.no_grad()
def test_sasrec_is_recboles_sasrec(batch_of, trained):
    network, theirs = pair(SASRec, trained)
    rows = histories(1, MAX_LEN)
    vectors, asked = network.encode(batch_of(rows)), recbole_batch(rows)
    close(vectors, theirs.forward(asked["item_id_list"], asked["item_length"]))
    close(vectors @ network.item_vectors().T, theirs.full_sort_predict(asked))
    assert vectors.std() > 0.1  # not equal because nothing happens


@torch.no_grad()
def test_sasrec_at_every_position_of_one_pass_is_recboles_sasrec_of_every_prefix(batch_of, trained):
    network, theirs = pair(SASRec, trained)
    (row,) = histories(MAX_LEN, MAX_LEN)
    asked = recbole_batch([row[: i + 1] for i in range(MAX_LEN)])
    vectors = network.encode(batch_of([row], points=[(0, i) for i in range(MAX_LEN)]))
    close(vectors, theirs.forward(asked["item_id_list"], asked["item_length"]))


@torch.no_grad()
def test_bert4rec_is_recboles_bert4rec_that_is_given_one_older_item_to_drop(batch_of, trained):
    network, theirs = pair(BERT4Rec, trained)
    rows = histories(2, MAX_LEN - 1)
    scores = network.encode(batch_of(rows)) @ network.item_vectors().T
    asked = recbole_batch([[1 + i, *row] for i, row in enumerate(rows)])
    close(scores, theirs.full_sort_predict(asked))
    assert scores.std() > 0.1


@torch.no_grad()
def test_bert4rec_tells_histories_of_one_item_apart_where_recbole_does_not(batch_of, trained):
    network, theirs = pair(BERT4Rec, trained)
    theirs_scores = theirs.full_sort_predict(recbole_batch([[5], [7]]))
    vectors = network.encode(batch_of([[5], [7]]))
    assert torch.equal(theirs_scores[0], theirs_scores[1])
    assert (vectors[0] - vectors[1]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("ours", [SASRec, BERT4Rec])
def test_vectors_of_chosen_items_are_rows_of_the_whole_table(ours, trained):
    network = trained(ours(ITEMS, MAX_LEN, **SHAPE))
    chosen = torch.tensor([4, 1, 4])
    assert network.item_vectors().shape == (ITEMS, SHAPE["dim"] + (ours is BERT4Rec))
    assert torch.equal(network.item_vectors(chosen), network.item_vectors()[chosen])


@pytest.mark.parametrize("enabled", [False, True])
def test_anomaly_mode_stays_as_it_was(enabled):
    before = torch.is_anomaly_enabled()
    try:
        torch.autograd.set_detect_anomaly(enabled)
        recbole_class("GRU4Rec")
        assert torch.is_anomaly_enabled() == enabled
    finally:
        torch.autograd.set_detect_anomaly(before)


def test_a_fresh_process_imports_the_models_without_anomaly_mode_and_hashes_text_alike():
    """What depends on import order and on the seed of `hash()`: one process for both, it takes seconds to start."""
    code = (
        "import torch, recsys.models; from recsys.models.text import grams;"
        "print(torch.is_anomaly_enabled(), grams('ab 猫'))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.splitlines()[-1] == f"False {grams('ab 猫')}"
