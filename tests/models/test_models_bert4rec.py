"""The cloze of BERT4Rec (section 3.6 of the paper), and where RecBole departs from it."""

import pytest
import torch

from recsys.models import BERT4Rec

ITEMS = 40


def network(max_len=8, **settings):
    torch.manual_seed(0)
    return BERT4Rec(ITEMS, max_len, dim=8, layers=1, heads=1, inner_dim=8, dropout=0.0, **settings)


def drawn(model, batch, times=200):
    """What the cloze asks for: (row items, masks) of many draws, as one stack."""
    count = (batch.item > 0).sum(1)
    item, count = model._append(batch.item, count, batch.next_item)
    return item, torch.stack([model._draw_mask(item, count) for _ in range(times)])


def test_a_loss_for_every_masked_position_the_first_and_the_last_training_item_included(batch_of):
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


def test_every_row_with_an_item_has_a_mask_however_small_the_ratio(batch_of):
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


def test_rows_are_masked_independently(batch_of):
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
def test_no_item_goes_while_there_is_room_for_the_mask(history, seen, batch_of, trained):
    model = trained(network(max_len=4))
    vector = model.encode(batch_of([history], length=4))[0, :-1]
    torch.testing.assert_close(vector, model.forward(torch.tensor([seen]))[0, -1], rtol=0, atol=1e-6)


def test_no_training_item_goes_while_there_is_room(batch_of):
    item, _ = drawn(network(max_len=4), batch_of([[1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], next_item=[30, 31, 0]))
    assert item.tolist() == [[1, 2, 3, 30], [5, 6, 7, 31], [8, 9, 10, 11]]


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
