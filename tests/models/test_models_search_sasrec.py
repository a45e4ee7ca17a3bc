"""SearchSASRec is SASRec until a search is visible, and reads it from there on."""

import pytest
import torch

from recsys.errors import InputError
from recsys.models import SASRec, SearchSASRec

SHAPE = {"n_items": 20, "max_len": 8, "dim": 16, "layers": 2, "heads": 2, "inner_dim": 24}
ROWS = [[3, 5, 7], [2], [9, 9, 1, 4]]
SEARCHES = [(0, 1, 1, "red shoes"), (2, 3, 2, "blue hat")]
NEUTRAL = ["pending", "cross"]
FUSIONS = [*NEUTRAL, "interleave"]


def searching(fusion="pending", **settings):
    return SearchSASRec(**SHAPE, buckets=257, fusion=fusion, **settings)


@pytest.fixture
def grown(trained):
    """A trained SASRec, and a SearchSASRec grown from it whose own search branch is trained too."""

    def make(fusion):
        plain, network = trained(SASRec(**SHAPE)), trained(searching(fusion), seed=1)
        network.load_backbone(plain.state_dict())
        return plain, network

    return make


@pytest.mark.parametrize("fusion", NEUTRAL)
def test_step_zero_is_sasrec_to_the_bit(batch_of, trained, fusion):
    plain, fresh = trained(SASRec(**SHAPE)), searching(fusion).eval()
    fresh.load_backbone(plain.state_dict())
    assert fresh.neutral
    assert torch.equal(fresh.encode(batch_of(ROWS, SEARCHES)), plain.encode(batch_of(ROWS, SEARCHES)))
    assert torch.equal(fresh.item_vectors(), plain.item_vectors())


@pytest.mark.parametrize("fusion", FUSIONS)
def test_without_a_search_it_is_sasrec(grown, batch_of, fusion):
    """To the bit where there is no token, not even a padded one, among the items."""
    plain, network = grown(fusion)
    ours, theirs = network.encode(batch_of(ROWS)), plain.encode(batch_of(ROWS))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0 if network.neutral else 1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_row_without_a_search_beside_rows_with_one_is_sasrec(grown, batch_of, fusion):
    """To the bit where no token is added to the row."""
    plain, network = grown(fusion)
    ours, theirs = (model.encode(batch_of(ROWS, SEARCHES)) for model in (network, plain))
    torch.testing.assert_close(ours[1], theirs[1], rtol=0, atol=0 if network.neutral else 1e-5)
    assert (ours[[0, 2]] - theirs[[0, 2]]).abs().amax(1).min() > 1e-2


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_search_is_seen_from_its_position_on_and_not_before(grown, batch_of, fusion):
    plain, network = grown(fusion)
    points = [(0, 0), (0, 1), (0, 2)]
    ours, theirs = (model.encode(batch_of(ROWS, [(0, 1, 1, "red")], points)) for model in (network, plain))
    torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=0 if network.neutral else 1e-5)
    assert (ours[1:] - theirs[1:]).abs().amax(1).min() > 1e-3


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_user_who_searched_and_never_clicked(grown, batch_of, fusion):
    _, network = grown(fusion)
    red, blue = (network.encode(batch_of([[0]], [(0, 0, 1, text)])) for text in ("red", "blue"))
    assert red.isfinite().all()
    assert (red - blue).abs().max() > 1e-3


@pytest.mark.parametrize("fusion", FUSIONS)
def test_padding_and_the_searches_of_other_rows_change_nothing(grown, batch_of, fusion):
    _, network = grown(fusion)
    alone = network.encode(batch_of(ROWS[:1], SEARCHES[:1]))
    more = [*SEARCHES[:1], *[(2, place, 1, text) for place, text in ((0, "socks"), (3, "blue hat"), (3, "cap"))]]
    together = network.encode(batch_of(ROWS, more, length=8))
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_parameter_of_the_branch_learns(batch_of, trained, fusion):
    network = trained(searching(fusion)).train()
    batch = batch_of(ROWS, [*SEARCHES, (2, 3, 3, "socks")], times=[[0, 9, 20, 60], [0, 5], [1, 2, 3, 4, 99]])
    network.encode(batch).pow(2).sum().backward()
    silent = [name for name, p in network.named_parameters() if name.startswith("query_") and not p.grad.any()]
    assert silent == []


def test_only_the_scale_learns_at_first(batch_of):
    torch.manual_seed(0)
    model = searching()
    model.encode(batch_of(ROWS, SEARCHES)).pow(2).sum().backward()
    assert model.query_fusion.scale.grad.abs().sum() > 0
    assert model.query_type.weight.grad.abs().sum() == 0


@torch.no_grad()
def test_a_search_is_its_text_and_its_type(grown, batch_of):
    _, network = grown("pending")
    token = network.searches(batch_of(ROWS, [(0, 2, 5, "red"), (1, 0, 5, "　 ")])).token
    text = network.query_text(batch_of(ROWS, [(0, 2, 5, "red")]).search_gram)[0]
    kind = network.query_type.weight[5]
    torch.testing.assert_close(token[0, 0], network.query_norm(text + kind))
    torch.testing.assert_close(token[1, 0], network.query_norm(kind))  # white space is no text: its type alone


def test_grams_are_dropped_in_training_alone(batch_of):
    network, batch = searching(gram_dropout=0.9), batch_of(ROWS, [(0, 2, 1, "a rather long query")])
    tokens = [network.searches(batch).token for _ in range(2)]
    assert not torch.equal(*tokens)
    network.eval()
    assert torch.equal(*[network.searches(batch).token for _ in range(2)])
    with pytest.raises(InputError, match=r"gram_dropout 1\.0: must be at least 0 and below 1"):
        searching(gram_dropout=1.0)


@torch.no_grad()
def test_interleaved_a_search_is_a_token_behind_its_item(grown, batch_of):
    """The state behind item 5 and a search is that of a third token, which sees both and is not seen by them."""
    _, network = grown("interleave")
    batch = batch_of([[3, 5, 7]], [(0, 1, 4, "red")], points=[(0, 0), (0, 1), (0, 2)])
    fusion, places = network.query_fusion, network.position_embedding.weight
    token = network.searches(batch).token[0, 0] + places[1] + fusion.kind + fusion.age.weight[0]
    items = network.item_embedding(batch.item)[0] + places[:3]
    by_hand = network.attend(torch.stack([items[0], items[1], token, items[2]])[None])[0]
    torch.testing.assert_close(network.encode(batch), by_hand[[0, 2, 3]], rtol=0, atol=1e-5)


def test_the_backbone_is_everything_of_sasrec_and_nothing_else():
    ours, theirs = searching().backbone(), SASRec(**SHAPE).parameters()
    assert sum(p.numel() for p in ours) == sum(p.numel() for p in theirs)


@pytest.mark.parametrize("other", [{"dim": 8}, {"layers": 1}, {"layers": 3}, {"n_items": 21}, {"max_len": 9}])
def test_a_backbone_of_another_shape_is_refused(other):
    with pytest.raises((ValueError, RuntimeError), match=r"size mismatch|not the weights of this backbone"):
        searching().load_backbone(SASRec(**{**SHAPE, **other}).state_dict())


def test_it_goes_on_from_one_like_itself(trained):
    """Later unfreezing: the branch comes along with the backbone."""
    earlier, later = trained(searching()), searching()
    later.load_backbone(earlier.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(earlier.parameters(), later.parameters(), strict=True))
