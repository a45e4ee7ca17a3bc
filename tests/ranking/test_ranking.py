from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.metrics import evaluate
from recsys.ranking import catalogue, heaps, keys, pad_ranked, rank_candidates, top_k, warm_up


def stable_sort(vectors, table, k, exclude=None):
    """Every score, sorted stably: of equal scores the smaller id comes first."""
    scores = vectors.double() @ table.double().T
    scores[:, 0] = -torch.inf
    if exclude is not None:
        for i, (start, stop) in enumerate(pairwise(exclude[0])):
            scores[i, exclude[1][start:stop]] = -torch.inf
    scores = torch.nn.functional.pad(scores, (0, k), value=-torch.inf)
    scores, ids = scores.sort(dim=1, descending=True, stable=True)
    return ids[:, :k].masked_fill(scores[:, :k] == -torch.inf, 0), scores[:, :k].float()


def tied(seed, requests, items, levels):
    """Small whole numbers: products are exact and mostly equal."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda rows: torch.randint(-levels, levels + 1, (rows, 3), generator=generator).float()  # noqa: E731
    lengths = torch.randint(0, 6, (requests,), generator=generator)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    seen = torch.randint(0, items, (int(offsets[-1]),), generator=generator)
    return draw(requests), draw(items), (offsets, seen)


@pytest.fixture(params=["cpu", "accelerator"], autouse=True)
def way(request, monkeypatch):
    """Both ways of ranking, on the CPU."""
    if request.param == "accelerator":
        monkeypatch.setattr(catalogue, "heaps", keys)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 300), st.integers(0, 2), st.integers(1, 40),
    st.sampled_from([None, 1, 32, 33, 64, 65, 100, 1000]),
)  # fmt: skip
def test_heavy_ties_equal_a_stable_sort_for_every_chunk(seed, requests, items, levels, k, chunk):
    vectors, table, exclude = tied(seed, requests, items, levels)
    ids, scores = top_k(vectors, table, k, exclude, chunk)
    expected, values = stable_sort(vectors, table, k, exclude)
    assert ids.dtype == torch.int64
    assert torch.equal(ids, expected)
    assert torch.equal(scores, values)


def test_any_number_of_threads_gives_the_same_bits_and_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr(heaps, "_WIDE", 0)  # small as it is, to be shared among threads
    generator = torch.Generator().manual_seed(0)
    vectors, table = torch.randn(700, 16, generator=generator), torch.randn(5000, 16, generator=generator)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(top_k(vectors, table, 20))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for one, three in zip(*found, strict=True):
        assert torch.equal(one, three)


def test_products_are_float32_where_less_is_allowed_elsewhere(monkeypatch):
    seen = []
    monkeypatch.setattr(catalogue, "heaps", SimpleNamespace(best=lambda *_: seen.append(precision())))
    precision = torch.get_float32_matmul_precision
    before = precision()
    try:
        torch.set_float32_matmul_precision("high")
        top_k(torch.ones(1, 1), torch.ones(2, 1), 1)
        assert (seen, precision()) == (["highest"], "high")
    finally:
        torch.set_float32_matmul_precision(before)


def test_real_scores_equal_a_sort_over_many_blocks_and_chunks():
    generator = torch.Generator().manual_seed(0)
    vectors, table = torch.randn(300, 16, generator=generator), torch.randn(3000, 16, generator=generator)
    for chunk in (512, 3000):
        ids, scores = top_k(vectors, table, 50, chunk=chunk)
        values = stable_sort(vectors, table, 50)[1]
        torch.testing.assert_close(scores, values, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close((vectors[:, None] * table[ids]).sum(2), values, rtol=1e-5, atol=1e-5)
        assert all(len(set(row)) == 50 for row in ids.tolist())


def test_all_scores_equal_gives_the_smallest_ids():
    ids, _ = top_k(torch.ones(2, 4), torch.ones(1000, 4), 5, chunk=64)
    assert ids.tolist() == [[1, 2, 3, 4, 5]] * 2


def test_minus_zero_ties_with_zero():
    ids, scores = top_k(torch.ones(1, 1), torch.tensor([[9.0], [-0.0], [0.0], [-0.0], [-1.0]]), 4)
    assert ids.tolist() == [[1, 2, 3, 4]]
    assert scores.tolist() == [[0.0, 0.0, 0.0, -1.0]]


def test_too_few_items_are_padded():
    exclude = torch.tensor([0, 1, 3]), torch.tensor([2, 1, 2])
    ids, scores = top_k(torch.ones(2, 1), torch.arange(3.0)[:, None], 3, exclude)
    assert ids.tolist() == [[1, 0, 0], [0, 0, 0]]
    assert scores[0].tolist() == [1.0, -torch.inf, -torch.inf]


def test_excluded_ids_outside_the_table_are_ignored():
    exclude = torch.tensor([0, 4], dtype=torch.int32), torch.tensor([-5, 3, 40, 10**12])
    assert top_k(torch.ones(1, 1), torch.ones(3, 1), 2, exclude)[0].tolist() == [[1, 2]]


def test_no_requests_and_no_items():
    assert top_k(torch.ones(0, 2), torch.ones(9, 2), 3)[0].shape == (0, 3)
    assert top_k(torch.ones(2, 2), torch.ones(1, 2), 3)[0].tolist() == [[0, 0, 0]] * 2


def test_lower_precision_is_scored_in_float32_also_under_autocast():
    generator = torch.Generator().manual_seed(0)
    vectors, table = torch.randn(4, 32, generator=generator), torch.randn(500, 32, generator=generator)
    expected = top_k(vectors, table, 20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ids, scores = top_k(vectors, table, 20)
    assert torch.equal(ids, expected[0])
    assert torch.equal(scores, expected[1])
    halves = vectors.bfloat16(), table.bfloat16()
    assert torch.equal(top_k(*halves, 20)[0], top_k(halves[0].float(), halves[1].float(), 20)[0])


@pytest.mark.parametrize("row", [1, 70, 99])
def test_scores_that_are_not_a_number_are_refused(row):
    vectors, table = torch.ones(2, 2), torch.ones(100, 2)
    table[row, 0] = torch.nan
    with pytest.raises(InputError, match="not a number"):
        top_k(vectors, table, 3)


def test_candidates_whose_scores_are_not_a_number_are_refused():
    vectors, table = torch.ones(2, 2), torch.ones(100, 2)
    table[70, 0] = torch.nan
    with pytest.raises(InputError, match="not a number"):
        rank_candidates(vectors, table, torch.tensor([0, 1, 2]), torch.tensor([70, 0]))


@pytest.mark.parametrize(
    "change",
    [
        {"k": 0},
        {"chunk": 0},
        {"vectors": torch.ones(2)},
        {"table": torch.ones(9, 3)},
        {"exclude": (torch.tensor([0, 1]), torch.tensor([1]))},
        {"exclude": (torch.tensor([0, 1, 2]), torch.tensor([1]))},
        {"exclude": (torch.tensor([0, 1, 1]), torch.tensor([1.0]))},
    ],
)
def test_bad_arguments_of_top_k(change):
    with pytest.raises(InputError):
        top_k(**({"vectors": torch.ones(2, 2), "table": torch.ones(9, 2), "k": 3} | change))


TABLE = torch.tensor([[0.0], [1.0], [2.0], [3.0], [-4.0]])


def test_candidates_are_ordered_within_their_request_and_unknown_ones_come_last():
    order = rank_candidates(torch.tensor([[1.0], [-1.0]]), TABLE, np.array([0, 3, 6]), np.array([1, 0, 3, 4, 2, 0]))
    assert order.dtype == np.int64
    assert order.tolist() == [2, 0, 1, 3, 4, 5]


def test_unknown_candidates_come_after_negative_scores():
    assert rank_candidates(torch.ones(1, 1), TABLE, np.array([0, 2]), np.array([0, 4])).tolist() == [1, 0]


@given(st.integers(0, 2**31))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_permutation_of_each_request_the_same_in_any_split(seed):
    rng = np.random.default_rng(seed)
    vectors, table, _ = tied(seed, 8, 20, 1)
    offsets = np.cumsum([0, *rng.integers(0, 7, 8)])
    candidates = rng.integers(0, 20, offsets[-1])
    order = rank_candidates(vectors, table, offsets, candidates, seed)
    for start, stop in pairwise(offsets):
        assert sorted(order[start:stop]) == list(range(start, stop))
    cut = int(rng.integers(0, 9))
    at = offsets[cut]
    head = rank_candidates(vectors[:cut], table, offsets[: cut + 1], candidates[:at], seed)
    tail = rank_candidates(
        vectors[cut:], table, offsets[cut:] - at, candidates[at:], seed, positions=np.arange(at, offsets[-1])
    )
    np.testing.assert_array_equal(np.r_[head, tail + at], order)


def test_ties_are_in_random_order_not_in_list_order():
    requests, width = 20_000, 5
    offsets, nobody = np.arange(requests + 1) * width, np.zeros(requests * width, int)
    vectors = torch.ones(requests, 1)
    order = rank_candidates(vectors, TABLE, offsets, nobody)
    # The clicked candidate is listed first, as in a log; knowing nothing must look like chance.
    values = evaluate(pad_ranked(offsets, order, width), (np.arange(requests + 1), offsets[:-1] + 1), [1, 5], ["mrr"])
    assert values["mrr@1"].mean() == pytest.approx(1 / 5, abs=0.012)
    assert values["mrr@5"].mean() == pytest.approx(np.mean(1 / np.arange(1, 6)), abs=0.012)
    equal = rank_candidates(vectors, TABLE, offsets, nobody + 3)
    np.testing.assert_array_equal(equal, order)
    assert (rank_candidates(vectors, TABLE, offsets, nobody, seed=1) != order).mean() > 0.7


def test_pad_ranked_cuts_and_pads():
    offsets, order = np.array([0, 3, 3, 4]), np.array([2, 0, 1, 3])
    assert pad_ranked(offsets, order, 2).tolist() == [[3, 1], [0, 0], [4, 0]]
    assert pad_ranked(torch.tensor([0, 3, 3, 4]), order, 4).tolist() == [[3, 1, 2, 0], [0] * 4, [4, 0, 0, 0]]


@pytest.mark.parametrize(
    "call",
    [
        lambda: rank_candidates(torch.ones(1, 1), TABLE, np.array([0, 1]), np.array([5])),
        lambda: rank_candidates(torch.ones(1, 1), TABLE, np.array([0, 1]), np.array([-1])),
        lambda: rank_candidates(torch.ones(1, 1), TABLE, np.array([0, 2]), np.array([1])),
        lambda: rank_candidates(torch.ones(1, 2), TABLE, np.array([0, 1]), np.array([1])),
        lambda: pad_ranked(np.array([0, 1]), np.array([0]), 0),
        lambda: pad_ranked(np.array([0, 2]), np.array([0]), 1),
    ],
)
def test_bad_arguments_of_candidates(call):
    with pytest.raises(InputError):
        call()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 100), st.integers(1, 20), st.sampled_from([32, 1000]))
def test_scores_without_a_table_are_ranked_as_the_products_they_are(seed, requests, items, k, chunk):
    vectors, table, exclude = tied(seed, requests, items, 2)
    scores = vectors @ table.T
    kept = scores.clone()
    ids, values = top_k(scores, None, k, exclude, chunk)
    expected_ids, expected = top_k(vectors, table, k, exclude, chunk)
    assert torch.equal(ids, expected_ids)
    assert torch.equal(values, expected)
    assert torch.equal(scores, kept), "and stay as they were"
    order = rank_candidates(scores, None, *exclude)
    assert order.tolist() == rank_candidates(vectors, table, *exclude).tolist()


def test_scores_without_a_table_are_rows_over_the_items():
    with pytest.raises(InputError, match=r"scores must be \[requests, items\], not \[3\]"):
        top_k(torch.zeros(3), None, 1)
    with pytest.raises(InputError, match="ids from 0 to 3"):
        rank_candidates(torch.zeros(1, 4), None, torch.tensor([0, 1]), torch.tensor([4]))


def test_requests_without_candidates_have_no_places():
    order = rank_candidates(torch.ones(3, 1), TABLE, np.array([0, 0, 2, 2]), np.array([1, 2]))
    assert order.tolist() == [1, 0]
    assert pad_ranked(np.array([0, 0, 2, 2]), order, 2).tolist() == [[0, 0], [2, 1], [0, 0]]
    assert rank_candidates(torch.ones(0, 1), TABLE, np.array([0]), np.zeros(0, int)).shape == (0,)


def test_nothing_is_compiled_after_warming_up(monkeypatch: pytest.MonkeyPatch) -> None:
    warm_up()

    def fail(*args, **kwargs):
        raise AssertionError("compiled late")

    monkeypatch.setattr("numba.core.dispatcher.Dispatcher.compile", fail)
    ids, _ = top_k(torch.eye(3)[1:], torch.eye(3), 2, (np.array([0, 1, 1]), np.array([1])))
    assert ids.tolist() == [[2, 0], [2, 1]]
