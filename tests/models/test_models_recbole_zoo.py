"""RecBole's models through the one adapter: they learn, and their scores are those of RecBole's `full_sort_predict`."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer, seed_everything

from recsys import checkpoints
from recsys.atomic import Vocabulary
from recsys.errors import InputError
from recsys.losses import FullSoftmax, SampledSoftmax
from recsys.models import RecBole, recbole
from recsys.models.base import recbole_class
from recsys.models.recbole_zoo import CAUSAL, DOT_PRODUCT, ELSEWHERE, FEATURED, OTHER_SCORES, defaults
from recsys.recommender import Recommender
from recsys.training.rowwise import make_sparse

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
FEATURES = {
    "class": np.array([[0, 0], *([1 + i % 4, (i % 3) * (i % 4)] for i in range(1, ITEMS))], np.int32),
    "year": np.array([0, *(i % 6 for i in range(1, ITEMS))], np.int32),  # some items have none
}
HISTORIES = [[1, 2, 3, 4, 5, 6, 7], [8], [9, 10, 9], [11, 12, 13, 14, 15, 16]]


def build(model, seed=0, **more):
    seed_everything(seed, verbose=False)  # SINE draws from numpy's generator
    settings = {name: value for name, value in SMALL.items() if name in defaults(model)}
    if model in FEATURED:
        settings["selected_features"] = list(FEATURES)
    return RecBole(model, ITEMS, MAX_LEN, USERS, settings | more, FEATURES)


def batch(batch_of, rows=HISTORIES, **more):
    made = batch_of(rows, **more)
    return replace(made, user=1 + torch.arange(len(made)) % (USERS - 1))


def training_batch(batch_of):
    """Every prefix of the first and the last history, and a point that has no history."""
    points = [(0, i) for i in range(6)] + [(3, i) for i in range(5)] + [(4, 0)]
    following = [HISTORIES[row][position + 1] for row, position in points[:-1]]
    return replace(batch(batch_of, [*HISTORIES, []], points=points), target_item=torch.tensor([*following, 3]))


@pytest.fixture(scope="module", params=sorted(DOT_PRODUCT | OTHER_SCORES))
def model(request):
    return request.param


def train(network, given, steps):
    """Losses of a few steps."""
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = network.own_loss(given)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.fixture(scope="module")
def learnt(model, batch_of):
    """A model after a few steps, and the loss of each."""
    network = build(model)
    losses = train(network, training_batch(batch_of), 8)
    return network.eval(), losses


@torch.no_grad()
def scores(network, given):
    table = network.item_vectors()
    vectors = network.encode(given)
    return vectors if table is None else vectors @ table.T


def interaction(rows, users, model=""):
    """What RecBole's loader would give: right-padded to the longest history allowed.

    SHAN is trained on left-padded ones, and only its `full_sort_predict` reads the right-padded field.
    """
    padding = [[0] * (MAX_LEN - len(row)) for row in rows]
    padded = [pad + row if model == "SHAN" else row + pad for row, pad in zip(rows, padding, strict=True)]
    length = torch.tensor([len(row) for row in rows])
    return {
        "item_id_list": torch.tensor(padded),
        "Inverse_item_id_list": torch.tensor([pad + row for row, pad in zip(rows, padding, strict=True)]),
        "item_length": length,
        "user_id": users,
        "item_id": torch.ones_like(length),
    }


def test_all_that_need_items_alone_are_here():
    assert len((DOT_PRODUCT | OTHER_SCORES | {"BERT4Rec"}) - FEATURED) == 22
    assert len(DOT_PRODUCT | OTHER_SCORES | {"BERT4Rec"} | set(ELSEWHERE)) == 31
    assert not (DOT_PRODUCT | OTHER_SCORES) & set(ELSEWHERE)
    assert all(recbole_class(name) for name in [*DOT_PRODUCT, *OTHER_SCORES, *ELSEWHERE])


def test_a_few_steps_bring_the_loss_down(learnt):
    _, losses = learnt
    assert np.isfinite(losses).all()
    assert sum(losses[-3:]) < sum(losses[:3])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, {"loss_type": loss}) for name in sorted(CAUSAL - {"CORE"}) for loss in ("CE", "BPR")),
        *(("CORE", {"dnn_type": kind}) for kind in ("trm", "ave")),
    ],
)
def test_a_window_trained_in_one_pass_has_the_loss_and_gradient_of_its_prefixes(name, settings, batch_of, monkeypatch):
    network, given = build(name, **settings), training_batch(batch_of)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # what is dropped in a window is dropped for all of its targets
    found = []
    for causal in (CAUSAL, frozenset()):
        monkeypatch.setattr(recbole, "CAUSAL", causal)
        network.zero_grad()
        torch.manual_seed(3)  # the same negatives
        loss = network.own_loss(given)
        loss.backward()
        found.append((loss.detach(), {key: x.grad for key, x in network.named_parameters() if x.grad is not None}))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", sorted(DOT_PRODUCT))
def test_a_loss_of_ours_is_put_upon_the_scores_of_all_targets_with_a_history(name, batch_of):
    network, given = build(name, loss_type="model.loss").eval(), training_batch(batch_of)
    expected = F.cross_entropy(scores(network, given)[:-1, 1:], given.target_item[:-1] - 1)
    torch.testing.assert_close(network.training_loss(given, FullSoftmax()), expected, rtol=0, atol=1e-5)
    nothing = network.training_loss(batch(batch_of, [[], []]), FullSoftmax())
    assert nothing.item() == 0


@pytest.mark.parametrize("name", sorted(DOT_PRODUCT - {"CORE", "NPE"}))  # they score with vectors made of all rows
def test_a_loss_that_samples_gives_the_tables_sparse_gradients(name, batch_of):
    network, loss = build(name, loss_type="model.loss"), SampledSoftmax(2)
    loss.prepare(torch.arange(ITEMS))
    tables = make_sparse(network, loss, Trainer(accelerator="cpu", logger=False))
    network.training_loss(training_batch(batch_of), loss).backward()
    assert {id(table) for table in tables} == {id(network.item_embedding.weight), id(network.item_vectors())}
    for table in tables:
        assert table.grad.is_sparse
        assert table.grad.to_dense().any()


def test_a_window_is_read_once_however_many_targets_it_has(batch_of, monkeypatch):
    network, given = build("GRU4Rec"), training_batch(batch_of)
    read = []
    network.inner.item_embedding.register_forward_hook(lambda module, args, output: read.append(len(args[0])))
    network.own_loss(given)
    assert read == [len(HISTORIES) + 1]


def test_the_scores_are_those_of_recboles_full_sort_predict(model, learnt, batch_of):
    network, _ = learnt
    asked = batch(batch_of)
    with torch.no_grad():
        expected = network.inner.full_sort_predict(interaction(HISTORIES, asked.user, model)).view(-1, ITEMS)
    found = scores(network, asked)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert found.std() > 1e-4
    assert (network.item_vectors() is None) == (model in OTHER_SCORES)


def test_the_scores_of_chosen_rows_and_items_are_those_of_the_whole(learnt, batch_of, monkeypatch):
    network, _ = learnt
    whole, table = scores(network, batch(batch_of)), network.item_vectors()
    monkeypatch.setattr(recbole, "_TILE", 1)  # full rows are made one at a time
    torch.testing.assert_close(scores(network, batch(batch_of)), whole, rtol=0, atol=1e-6)
    if table is not None:
        chosen = torch.tensor([4, 1, 4])
        torch.testing.assert_close(network.item_vectors(chosen), table[chosen])


def test_a_point_in_a_row_is_answered_as_if_its_row_ended_there(learnt, batch_of):
    network, _ = learnt
    middle = batch(batch_of, [[1, 2, 3, 4], [5, 6, 7]], points=[(0, 1), (1, 0)])
    torch.testing.assert_close(
        scores(network, middle), scores(network, batch(batch_of, [[1, 2], [5]])), rtol=0, atol=1e-6
    )


def test_padding_and_other_rows_change_nothing(learnt, batch_of):
    network, _ = learnt
    generator = torch.Generator().manual_seed(2)
    rows = [torch.randint(1, ITEMS, (1 + i % 5,), generator=generator).tolist() for i in range(10)]
    beside = batch(batch_of, rows, length=MAX_LEN)
    together = scores(network, beside)
    for i, row in enumerate(rows):
        alone = scores(network, replace(batch_of([row]), user=beside.user[[i]]))
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-5)


def test_the_same_seed_gives_the_same_weights(model, batch_of):
    states = []
    for seed in (0, 0, 1):
        network = build(model, seed)
        train(network, training_batch(batch_of), 2)
        states.append(torch.cat([weight.flatten() for weight in network.parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_a_history_that_is_empty_is_finite(learnt, batch_of):
    network, _ = learnt
    assert scores(network, batch(batch_of, [[], [4]])).isfinite().all()
    assert scores(network, batch(batch_of, [[]])).shape == (1, ITEMS)


def test_a_batch_without_a_target_is_a_step_that_changes_nothing(learnt, batch_of):
    network, _ = learnt
    loss = network.own_loss(batch(batch_of, [[], []]))
    assert loss.item() == 0
    assert loss.requires_grad


def test_a_checkpoint_holds_the_same_model_and_serves_those_who_can_be_served(model, learnt, batch_of, tmp_path):
    network, _ = learnt
    items = Vocabulary([f"n{i}" for i in range(1, ITEMS)])
    saved = checkpoints.Checkpoint(network, items, np.arange(ITEMS), {}, {})
    checkpoints.save(saved, tmp_path / "x")
    again = checkpoints.load(tmp_path / "x").network
    expected = scores(network, batch(batch_of))
    assert torch.equal(scores(again, batch(batch_of)), expected)
    assert again.hyperparameters == network.hyperparameters
    assert again.title == model
    card = (tmp_path / "x" / "README.md").read_text("utf-8")
    assert f"# {model} on" in card
    assert ("answers for these users alone" in card) == (model in EMBED_USERS) != ("recsys recommend" in card)
    if model in EMBED_USERS:
        with pytest.raises(InputError, match=f"{model} has a vector for each user .* none for anyone else"):
            Recommender.from_pretrained(tmp_path / "x")
    else:
        found = Recommender.from_pretrained(tmp_path / "x").recommend(["n9", "n10", "n9"], k=5, exclude_seen=False)
        assert found.scores == pytest.approx(expected[2, 1:].topk(5).values.tolist(), abs=1e-6)


def test_users_matter_to_models_that_embed_them_and_only_to_these(model, learnt, batch_of):
    network, _ = learnt
    assert network.embeds_users == (model in EMBED_USERS)
    given = batch(batch_of)
    changed = (scores(network, replace(given, user=given.user.flip(0))) - scores(network, given)).abs().max()
    assert (changed > 1e-6) == (model in EMBED_USERS)
    if model in EMBED_USERS:
        with pytest.raises(InputError, match=f"{model} embeds users, and this batch does not tell"):
            network.encode(replace(given, user=None))


def test_the_loss_is_recboles_of_one_row_per_target(batch_of):
    network, given = build("GRU4Rec", dropout_prob=0.0), training_batch(batch_of)
    rows = [HISTORIES[0][:i] for i in range(1, 7)] + [HISTORIES[3][:i] for i in range(1, 6)]
    asked = interaction(rows, torch.zeros(11, dtype=torch.int64)) | {"item_id": given.target_item[:-1]}
    torch.testing.assert_close(network.own_loss(given), network.inner.calculate_loss(asked))


def test_negatives_are_any_item_but_the_target():
    network = build("FPMC")
    item, count = torch.ones(4000, 1, dtype=torch.int64), torch.ones(4000, dtype=torch.int64)
    target = 1 + torch.arange(4000) % (ITEMS - 1)
    negative = network.rows(item, count, count, target)["neg_item_id"]
    assert (negative != target).all()
    assert negative.unique().tolist() == list(range(1, ITEMS))
    drawn = torch.bincount(negative, minlength=ITEMS)[1:]
    assert drawn.min() > 0.6 * drawn.float().mean()


@pytest.mark.parametrize("model", ["GRU4Rec", "SASRec", "NARM", "NPE", "NextItNet"])
def test_pairwise_losses_can_be_chosen(model, batch_of):
    network = build(model, loss_type="BPR")
    loss = network.own_loss(training_batch(batch_of))
    loss.backward()
    assert loss.isfinite()


def test_defaults_are_recboles_with_numbers_as_numbers():
    assert defaults("SASRec")["layer_norm_eps"] == 1e-12
    assert defaults("NextItNet")["reg_weight"] == 1e-5
    assert defaults("GRU4Rec")["hidden_size"] == 128
    assert defaults("TransRec") == {"embedding_size": 64}
    assert "transform" not in defaults("SHAN")


@pytest.mark.parametrize(
    ("model", "settings", "sentence"),
    [
        ("GRU4Rek", {}, "GRU4Rek is none of RecBole's sequential models. Did you mean 'GRU4Rec'?"),
        ("BERT4Rec", {}, "BERT4Rec has a class of its own here"),
        ("SASRecF", {}, "selected_features: no column 'class' of the items is given"),
        ("GRU4RecF", {"selected_features": []}, "selected_features names no column"),
        ("S3Rec", {}, "S3Rec is trained in two stages"),
        ("DIN", {}, "DIN rates one item at a time"),
        ("KSR", {}, "KSR needs a knowledge graph"),
        ("FEARec", {}, "FEARec looks for other histories"),
        ("NARM", {"hiden_size": 3}, "NARM has no 'hiden_size'. Did you mean 'hidden_size'?"),
        ("SASRec", {"n_heads": 3}, "RecBole cannot build it with these settings"),
        ("SASRec", {"hidden_size": "wide"}, "RecBole cannot build it with these settings"),
        ("CORE", {"loss_type": "BPR"}, "RecBole cannot build it with these settings"),
        ("SASRecCPR", {"loss_type": "BPR", "reranker_CAN_NUM": 5}, "RecBole cannot build it with these settings"),
        ("SASRecCPR", {}, "reranker_CAN_NUM 100: at most 24, the number of items"),
        ("GRU4RecCPR", {"reranker_CAN_NUM": "50,5"}, "reranker_CAN_NUM 50,5: at most 24"),
    ],
)
def test_what_recbole_has_not_is_one_sentence(model, settings, sentence):
    with pytest.raises(InputError) as refused:
        RecBole(model, ITEMS, MAX_LEN, USERS, settings)
    assert sentence in str(refused.value)


def test_too_few_items_or_users_are_refused():
    with pytest.raises(InputError, match="at least 2 items"):
        RecBole("GRU4Rec", 2)
    with pytest.raises(InputError, match="Caser embeds users: n_users is 0"):
        RecBole("Caser", ITEMS)


def test_anomaly_mode_stays_off():
    assert not torch.is_anomaly_enabled()
