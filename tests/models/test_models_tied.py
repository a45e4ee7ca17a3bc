"""One gradient for a table that is looked up and scored by: the sum that autograd would make of two."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from recsys.losses import BCE, FullSoftmax, InBatchSoftmax, SampledSoftmax
from recsys.models import HSTU, BERT4Rec, CausalTransformer, SASRec, SearchSASRec
from recsys.models import bert4rec as bert4rec_file
from recsys.models import causal as causal_file
from recsys.models import sasrec as sasrec_file
from recsys.models.tied import look_up

ITEMS = 12
SHAPE = {"n_items": ITEMS, "max_len": 8, "dim": 8, "layers": 1, "heads": 2, "dropout": 0.0}
MODELS = {
    "SASRec": lambda: SASRec(**SHAPE),
    "SearchSASRec": lambda: SearchSASRec(**SHAPE, buckets=17),
    "BERT4Rec": lambda: BERT4Rec(**SHAPE),
    "CausalTransformer": lambda: CausalTransformer(**SHAPE),
    "untied": lambda: CausalTransformer(**SHAPE, tied=False),
    "HSTU, cosines": lambda: HSTU(**SHAPE),
}
LOSSES = [FullSoftmax(), FullSoftmax((4, 8)), SampledSoftmax(5), InBatchSoftmax(), BCE()]


def plain(table, item):
    return F.embedding(item, table, padding_idx=0), table


@pytest.fixture
def batch(batch_of):
    """Items that repeat within and between rows, padding, an empty row, and a point in it."""
    made = batch_of([[3, 1, 3], [4], [], [3, 5]], [(0, 1, 1, "red")], next_item=[2, 3, 0, 1])
    return replace(made, target_item=torch.tensor([2, 3, 3, 1]))


def gradients(network, loss, batch, steps=1):
    network.zero_grad()
    loss.prepare(torch.arange(ITEMS))
    for _ in range(steps):
        torch.manual_seed(1)
        value = loss(*network.training_points(batch))
        (3 * value).backward()
    return {"value": value.detach(), **{name: p.grad for name, p in network.named_parameters() if p.grad is not None}}


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("name", MODELS)
def test_values_and_gradients_of_two_separate_uses(name, loss, batch, trained, monkeypatch):
    network = trained(MODELS[name]()).double()
    ours = gradients(network, loss, batch, steps=2)  # gradients accumulate over steps
    for file in (sasrec_file, bert4rec_file, causal_file):
        monkeypatch.setattr(file, "look_up", plain)
    theirs = gradients(network, loss, batch, steps=2)
    assert ours.keys() == theirs.keys()
    for part, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[part], rtol=1e-12, atol=1e-14, msg=part)
    assert ours["item_embedding.weight"][0].abs().sum() == 0
    assert (ours["item_embedding.weight"].abs().sum(1) > 0).sum() > 3


def case():
    torch.manual_seed(0)
    table = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    return table, torch.tensor([[2, 5, 2], [1, 0, 0]])


def test_rows_are_the_tables_and_the_table_is_itself():
    table, item = case()
    rows, same = look_up(table, item)
    assert torch.equal(rows, table[item])
    assert same.data_ptr() == table.data_ptr()


@pytest.mark.parametrize(
    "use",
    [
        lambda rows, table: (rows**2).sum() + (table**3).sum(),
        lambda rows, table: (rows**2).sum(),
        lambda rows, table: (table**3).sum(),
        lambda rows, table: (rows**2).sum() + table.sum(),  # whose gradient is one number, seen as a table
        lambda rows, table: (rows**2).sum() + table[2:].sin().sum() + table.T.cos().sum(),
    ],
    ids=["both", "rows alone", "table alone", "sum", "views"],
)
def test_whatever_comes_of_the_two(use):
    found = []
    for way in (look_up, plain):
        table, item = case()
        use(*way(table, item)).backward()
        found.append(table.grad)
    torch.testing.assert_close(*found, rtol=1e-14, atol=1e-14)


def test_what_is_added_to_the_table_first_is_learned_too():
    """Item vectors that are a sum: both parts get the one gradient."""
    found = []
    for way in (look_up, plain):
        table, item = case()
        text = torch.ones(6, 1, dtype=torch.float64, requires_grad=True)
        rows, both = way(table + text, item)
        ((rows**2).sum() + (both**3).sum()).backward()
        found.append((table.grad, text.grad))
    torch.testing.assert_close(*found, rtol=1e-14, atol=1e-14)


def test_a_frozen_table_gets_none():
    table, item = case()
    rows, same = look_up(table.detach(), item)
    assert not rows.requires_grad
    assert not same.requires_grad


def test_the_gradient_is_the_very_memory_that_the_loss_has_written(batch):
    """Else a step would hold the gradient of a table of millions twice."""
    network, written = SASRec(**SHAPE), []
    vectors, table, target = network.training_points(batch)
    table.register_hook(lambda gradient: written.append(gradient.data_ptr()))
    FullSoftmax()(vectors, table, target).backward()
    assert written == [network.item_embedding.weight.grad.data_ptr()]


@pytest.mark.parametrize("name", MODELS)
def test_mixed_precision_sums_in_the_tables_type(name, batch, trained):
    network = trained(MODELS[name]())
    exact = gradients(network, FullSoftmax(), batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = gradients(network, FullSoftmax(), batch)
    for part in ("value", "item_embedding.weight"):
        assert mixed[part].dtype == torch.float32
        torch.testing.assert_close(mixed[part], exact[part], rtol=0.1, atol=0.1 * exact[part].abs().max().item())


@pytest.mark.parametrize("name", ["SASRec", "BERT4Rec"])
def test_a_compiled_step_is_the_same(name, batch, trained):
    """The whole graph is traced, backward too; no compiler is needed for that."""
    network = trained(MODELS[name]())
    expected = gradients(network, FullSoftmax(), batch)
    network.training_points = torch.compile(network.training_points, backend="aot_eager")
    found = gradients(network, FullSoftmax(), batch)
    for part, gradient in expected.items():
        torch.testing.assert_close(found[part], gradient, rtol=1e-5, atol=1e-6)
