"""Approximate search: what it finds has its exact score, and with all cells probed it finds everything."""

import builtins

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.ranking import top_k
from recsys.ranking.approximate import Index


def tables(items: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(items, 16, generator=generator), torch.randn(20, 16, generator=generator)


@given(k=st.integers(1, 40), seen=st.lists(st.integers(0, 40), max_size=30))
def test_with_all_cells_it_is_exact(k: int, seen: list[int]) -> None:
    table, vectors = tables(31)
    exclude = np.array([0] * 11 + [len(seen)] * 10), np.array(seen, np.int64)
    found, scores = Index(table, cells=4, probes=4).top_k(vectors, k, exclude)
    expected, exact = top_k(vectors, table, k, exclude)
    assert torch.equal(found, expected)
    torch.testing.assert_close(scores, exact)


def test_with_few_cells_it_finds_most_and_scores_them_exactly() -> None:
    table, vectors = tables(3000)
    found, scores = Index(table, probes=32).top_k(vectors, 10)
    expected, _ = top_k(vectors, table, 10)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), expected.tolist(), strict=True)])
    assert 0.5 < recall <= 1
    torch.testing.assert_close(scores, (vectors[:, None] * table[found]).sum(-1))
    assert (scores.diff(dim=1) <= 0).all()


def test_of_equal_scores_the_smaller_id_comes_first() -> None:
    found, _ = Index(torch.ones(9, 4), cells=1).top_k(torch.ones(1, 4), 3)
    assert found.tolist() == [[1, 2, 3]]


def test_the_same_table_is_searched_the_same_way() -> None:
    table, vectors = tables(3000)
    first, second = (Index(table, probes=4).top_k(vectors, 10) for _ in range(2))
    assert torch.equal(first[0], second[0])


def test_without_faiss_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: object, **kwargs: object) -> object:
        if name == "faiss":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match=r"pip install 'recsys-zoo\[ann\]'"):
        Index(tables(10)[0])
