"""Small random cases, and what a loss makes of them."""

import pytest
import torch


@pytest.fixture(scope="session")
def case():
    """`case(targets, items, ...)`: vectors, table (with padding) and targets, the same for every type."""

    def make(targets, items, dim=3, dtype=torch.float64, seed=0, scale=1.0):
        generator = torch.Generator().manual_seed(seed)
        vectors = (torch.randn(targets, dim, generator=generator, dtype=torch.float64) * scale).to(dtype)
        table = (torch.randn(items + 1, dim, generator=generator, dtype=torch.float64) * scale).to(dtype)
        target = torch.randint(1, items + 1, (targets,), generator=generator)
        return vectors.requires_grad_(), table.requires_grad_(), target

    return make


@pytest.fixture(scope="session")
def outcome():
    """`outcome(loss, vectors, table, target)`: the value and both gradients, of three times the loss."""

    def of(loss, vectors, table, target):
        vectors.grad = table.grad = None
        value = loss(vectors, table, target)
        (3 * value).backward()  # a factor, so that the incoming gradient matters
        return value.detach(), vectors.grad, table.grad

    return of
