"""A step that costs only the rows touched, by one line of the configuration."""

import pytest
import torch
from torch import nn

from recsys.losses import BCE, InBatchSoftmax, SampledSoftmax
from recsys.training.rowwise import RowwiseAdagrad

ROWS = ("--model.optimizer", "rowwise_adagrad")
SAMPLED = ("--model.loss", "SampledSoftmax", "--model.loss.negatives", "8")


def test_a_step_by_hand():
    """Row 1 has g = (3, 4), whose mean square is 12.5; a second step makes it 25. Row 0 stays."""
    table, bias = nn.Parameter(torch.ones(2, 2, dtype=torch.float64)), nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = RowwiseAdagrad([bias], [table], 0.1, 0.5, (0.9, 0.98), 0.3)
    expected = torch.ones(2, 2, dtype=torch.float64)
    for total in (12.5, 25.0):
        table.grad = torch.sparse_coo_tensor([[1, 1]], [[1.0, 1.0], [2.0, 3.0]], (2, 2), dtype=torch.float64)
        bias.grad = torch.ones(1, dtype=torch.float64)
        optimizer.step()
        expected[1] -= 0.5 * torch.tensor([3.0, 4.0], dtype=torch.float64) / total**0.5
    torch.testing.assert_close(table.detach(), expected)
    assert bias.item() == pytest.approx(-0.1 * (1 - 0.03) - 0.1)  # AdamW's; the table has no decay
    assert optimizer.state[table].keys() == {"sum"}


@pytest.mark.parametrize("loss", [SampledSoftmax(4), InBatchSoftmax(), BCE(2)], ids=lambda loss: type(loss).__name__)
def test_sparse_gradients_are_the_dense_ones(loss):
    loss.prepare(torch.arange(8))
    target, found = torch.tensor([3, 1, 3]), []
    for sparse in (False, True):
        loss.sparse = sparse
        torch.manual_seed(0)
        vectors = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
        table = torch.randn(8, 4, dtype=torch.float64, requires_grad=True)
        loss(vectors, table, target).backward()
        assert table.grad.is_sparse == sparse
        found.append((vectors.grad, table.grad.to_dense()))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("config", ["sasrec_qilin", "esasrec_qilin"])
def test_it_trains_and_a_model_of_it_recommends(zoo, config):
    name = f"rows_{config}"
    assert zoo("fit", name, *SAMPLED, *ROWS, "--trainer.accumulate_grad_batches", "2", config=config) == 0
    assert zoo("test", name, *SAMPLED, *ROWS, config=config) == 0


def test_recboles_own_loss_is_refused(zoo, refused):
    said = refused(*zoo.args("fit", "own", *ROWS, "--data.vocabulary", "train", config="recbole/GRU4Rec", network={}))
    assert "GRU4Rec is trained by RecBole's own loss" in said
    assert "loss_type model.loss" in said


def test_what_reads_the_whole_table_is_refused(zoo, refused):
    assert "the loss reads all" in refused(*zoo.args("fit", "all", *ROWS))
    said = refused(*zoo.args("fit", "bert", *ROWS, *SAMPLED, config="bert4rec_qilin"))
    assert "BERT4Rec reads its whole item table" in said
    assert "gradient_clip_val" in refused(*zoo.args("fit", "clip", *ROWS, *SAMPLED, "--trainer.gradient_clip_val", "1"))
