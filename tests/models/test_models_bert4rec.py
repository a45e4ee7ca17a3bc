"""The cloze of BERT4Rec (section 3.6 of the paper), without the seven defects of RecBole 1.2.1's training of it.

1. It never reads a row's target, so that nobody's last training item is learnt, nor anything of a user with two items.
2. The first position has no loss, nor has any beyond `int(mask_ratio * max_len)` of a row, though it is masked.
3. Whether the last item alone is masked is drawn once for a batch.
4. The oldest item goes to make room for the mask, also where there is room: all histories of one item score alike.
5. The loss scores all items for `int(mask_ratio * max_len)` slots of every row, the empty ones too.
6. A ratio that makes this number 0 gives no loss (NaN).
7. Every prefix of a history is a row, so that early items are learnt most.
"""

import polars as pl
import pytest
import torch

from recsys import atomic
from recsys.data import SequenceData
from recsys.models import BERT4Rec

ITEMS = 40
INTER = {"user_id": "token", "item_id": "token", "timestamp": "float"}


def network(max_len=8, **settings):
    torch.manual_seed(0)
    return BERT4Rec(ITEMS, max_len, dim=8, layers=1, heads=1, inner_dim=8, dropout=0.0, **settings)


def drawn(model, batch, times=200):
    """What the cloze asks for: (row items, masks) of many draws, as one stack."""
    count = (batch.item > 0).sum(1)
    item, count = model._append(batch.item, count, batch.next_item)
    return item, torch.stack([model._draw_mask(item, count) for _ in range(times)])


@pytest.fixture
def windows(tmp_path):
    """Training batches of a data set with these histories, each followed by a validation and a test item."""

    def make(histories, max_len):
        rows = [
            (f"u{user}", f"i{item}", float(time))
            for user, history in enumerate(histories)
            for time, item in enumerate([*history, "valid", "test"])
        ]
        atomic.write(pl.DataFrame(rows, schema=list(INTER), orient="row"), tmp_path / "d" / "d.inter", INTER)
        data = SequenceData(str(tmp_path / "d"), max_len=max_len)
        return data.dataset.items, list(data.train_dataloader())

    return make


def test_defect_1_the_last_training_item_is_learnt_and_users_of_two_items_are_trained_on(windows):
    items, batches = windows([[1, 2, 3], [4, 5]], 8)
    model = BERT4Rec(len(items), 8, dim=8, layers=1, heads=1, inner_dim=8, dropout=0.0, last_ratio=1.0)
    (batch,) = batches
    vectors, _, target = model.training_points(batch)
    assert sorted(items.decode(target.numpy())) == ["i3", "i5"]
    vectors.square().sum().backward()
    assert model.item_embedding.weight.grad[items.encode(["i4"]).item()].abs().sum() > 0


def test_defect_2_every_masked_position_has_a_loss_the_first_one_too(batch_of, monkeypatch):
    model, given = network(max_len=30, mask_ratio=0.9, last_ratio=0.0), []
    hidden = model.hidden
    monkeypatch.setattr(model, "hidden", lambda x, shown: given.append(shown) or hidden(x, shown))
    history = [1 + i % (ITEMS - 1) for i in range(29)]
    for _ in range(20):
        vectors, _, target = model.training_points(batch_of([history, [7]], next_item=[3, 8]))
        whole = torch.tensor([[*history, 3], [7, 8] + [0] * 28])
        assert target.tolist() == whole[given[-1] == model.mask_token].tolist()
        assert len(vectors) == len(target) > int(0.9 * 8)
    assert (torch.stack(given)[:, :, 0] == model.mask_token).any(0).all()


def test_a_loss_for_every_masked_position(batch_of):
    model = network(mask_ratio=0.5)
    batch = batch_of([[1, 2, 3], [4]], next_item=[9, 8])
    item, masks = drawn(model, batch)
    assert item.tolist() == [[1, 2, 3, 9], [4, 8, 0, 0]]
    assert masks.any(0).tolist() == [[True] * 4, [True, True, False, False]]
    torch.manual_seed(5)
    vectors, _, target = model.training_points(batch)
    torch.manual_seed(5)
    mask = model._draw_mask(item, torch.tensor([4, 2]))
    assert target.tolist() == item[mask].tolist()
    assert vectors.shape == (int(mask.sum()), 9)


def test_the_state_of_a_masked_position_is_that_of_the_masked_row(batch_of):
    model = network(last_ratio=1.0)  # masks the last item alone
    vectors, _, target = model.training_points(batch_of([[1, 2, 3], [4]], next_item=[9, 8]))
    hidden = model.forward(torch.tensor([[1, 2, 3, model.mask_token], [4, model.mask_token, 0, 0]]))
    assert target.tolist() == [9, 8]
    torch.testing.assert_close(vectors[:, :-1], torch.stack([hidden[0, 3], hidden[1, 1]]))
    assert vectors[:, -1].tolist() == [1.0, 1.0]  # meets the item bias


def test_defect_6_every_row_with_an_item_has_a_loss_however_small_the_ratio(batch_of):
    _, masks = drawn(network(mask_ratio=0.0, last_ratio=0.0), batch_of([[1, 2, 3], [4], [5, 6]]))
    assert (masks.sum(2) == 1).all()
    assert masks[:, 0].any(0)[:3].all()  # and it is not always the same one


def test_padding_is_never_masked_and_an_empty_row_has_no_target(batch_of):
    model = network(mask_ratio=0.9)
    item, masks = drawn(model, batch_of([[1, 2], [], [3]], length=5))
    assert not (masks & (item == 0)).any()
    assert not masks[:, 1].any()
    assert drawn(network(last_ratio=1.0), batch_of([[], [3]]))[1].sum(2).unique(dim=0).tolist() == [[0, 1]]


def test_a_batch_of_empty_rows_alone_is_finite(batch_of):
    model = network()
    vectors, _, target = model.training_points(batch_of([[], []]))
    assert (len(vectors), len(target)) == (0, 0)
    assert model.encode(batch_of([[], []])).isfinite().all()


def test_defect_3_each_history_is_masked_on_its_own(batch_of):
    _, masks = drawn(network(mask_ratio=0.5, last_ratio=0.5), batch_of([[1, 2, 3, 4]] * 2))
    assert (masks[:, 0] != masks[:, 1]).any(1).float().mean() > 0.5
    last_alone = masks[:, :, :4].logical_xor(torch.tensor([False, False, False, True])).any(2).logical_not()
    assert (last_alone[:, 0] != last_alone[:, 1]).any()  # the choice of "last alone" too is each row's own


def test_the_share_of_masked_items_is_the_ratio_at_the_ends_too(batch_of):
    torch.manual_seed(0)
    _, masks = drawn(network(max_len=60, mask_ratio=0.3, last_ratio=0.0), batch_of([[7] * 50] * 4), times=100)
    share = masks[:, :, :50].float().mean((0, 1))
    assert share.mean() == pytest.approx(0.3, abs=0.02)
    assert share[[0, -1]].tolist() == pytest.approx([0.3, 0.3], abs=0.1)


def test_the_mask_token_is_never_a_target_nor_in_the_item_table(batch_of):
    model = network(mask_ratio=0.6)
    for _ in range(50):
        _, _, target = model.training_points(batch_of([[1, 2, ITEMS - 1]], next_item=[3]))
        assert set(target.tolist()) <= {1, 2, 3, ITEMS - 1}
    assert len(model.item_vectors()) == ITEMS == model.mask_token


@pytest.mark.parametrize(
    ("history", "seen"),
    [
        ([1, 2, 3], [1, 2, 3, ITEMS]),  # one place left: the mask takes it
        ([1, 2, 3, 4], [2, 3, 4, ITEMS]),  # none left: the oldest goes
        ([1], [1, ITEMS]),
        ([], [ITEMS]),
    ],
)
@torch.no_grad()
def test_defect_4_no_item_goes_while_there_is_room_for_the_mask(history, seen, batch_of, trained):
    model = trained(network(max_len=4))
    vector = model.encode(batch_of([history], length=4))[0, :-1]
    torch.testing.assert_close(vector, model.forward(torch.tensor([seen]))[0, -1], rtol=0, atol=1e-6)


def test_defect_4_no_item_goes_in_training_either(batch_of):
    item, _ = drawn(network(max_len=4), batch_of([[1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], next_item=[30, 31, 0]))
    assert item.tolist() == [[1, 2, 3, 30], [5, 6, 7, 31], [8, 9, 10, 11]]


def test_defect_5_only_masked_positions_are_given_to_the_loss(batch_of):
    model = network(max_len=30, mask_ratio=0.1, last_ratio=0.0)
    batch = batch_of([[1 + i % 9 for i in range(20)]] * 50)
    vectors, _, target = model.training_points(batch)
    assert vectors.shape == (len(target), 9)
    assert len(target) < 50 * int(0.2 * 20)  # RecBole's slots


def test_defect_7_a_history_is_one_row_with_several_masks_and_not_a_row_for_each_prefix(windows):
    items, batches = windows([[1, 2, 3, 4, 5, 6, 7, 8], [2, 3]], 8)
    assert [int(batch.item.any(1).sum()) for batch in batches] == [2]
    model = BERT4Rec(len(items), 8, dim=8, layers=1, heads=1, inner_dim=8, mask_ratio=0.5, last_ratio=0.0)
    item, masks = drawn(model, batches[0], times=400)
    asked = torch.bincount(item.expand_as(masks)[masks], minlength=len(items)).numpy()
    once = asked[items.encode([f"i{i}" for i in (1, 4, 5, 6, 7, 8)])]
    assert masks.sum(2).float().mean(0).max() > 2
    assert once.min() > 0.8 * once.max(), "early items are asked for as often as late ones"


@torch.no_grad()
def test_a_point_in_the_middle_of_a_row_does_not_see_what_follows(batch_of, trained):
    model = trained(network())
    middle = model.encode(batch_of([[1, 2, 3, 4]], points=[(0, 1)]))
    torch.testing.assert_close(middle, model.encode(batch_of([[1, 2]], length=4)), rtol=0, atol=1e-6)


@torch.no_grad()
def test_wider_initial_weights_let_a_fresh_mask_hear_its_history(batch_of):
    """How far the state of the mask moves when every item before it is another one."""

    def heard(**settings):
        torch.manual_seed(0)
        model = BERT4Rec(ITEMS, 10, dim=64, **settings).eval()
        one, other = model.encode(batch_of([[1, 2, 3, 4], [5, 6, 7, 8]]))
        return float((one - other).norm() / one.norm())

    assert heard() == heard(initializer_range=0.02) < 0.05
    assert heard(initializer_range=64**-0.5) > 0.2
