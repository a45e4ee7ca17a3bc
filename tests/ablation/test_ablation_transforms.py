"""What each control does to a log that fits on a screen."""

from pathlib import Path

import polars as pl
import pytest

from recsys import atomic
from recsys.ablation.transforms import Log, blank, constant, feed_only, has_search_clicks, late, permuted, transformed
from recsys.data import load

INTER = pl.DataFrame(
    [
        ("u", "a", 10.0, "rec", "train"),
        ("u", "b", 20.0, "search", "train"),
        ("u", "c", 30.0, "rec", "test"),
        ("v", "a", 25.0, "rec", "train"),
    ],
    schema=["user_id", "item_id", "timestamp", "source", "split"],
    orient="row",
)
SEARCH = pl.DataFrame(
    [
        ("s0", "u", 10.0, "red", "1", "train"),
        ("s1", "u", 19.0, "hat", "2", "train"),
        ("s2", "v", 25.0, "sea", "3", "train"),
        ("s3", "v", 26.0, "cat", "4", "test"),
    ],
    schema=["search_id", "user_id", "timestamp", "query_id", "query_from_type", "split"],
    orient="row",
)
LOG = Log(INTER, SEARCH)


def test_blank_leaves_no_search_and_all_clicks() -> None:
    after = blank(LOG, 0)
    assert after.search.is_empty()
    assert after.search.schema == SEARCH.schema
    assert after.inter is INTER


def test_constant_leaves_who_when_and_how() -> None:
    after = constant(LOG, 0).search
    assert after["query_id"].n_unique() == 1
    assert after["query_id"][0] in SEARCH["query_id"]
    assert after.drop("query_id").equals(SEARCH.drop("query_id"))


def test_late_moves_a_search_to_the_next_click_in_the_feed_and_drops_it_where_none_follows() -> None:
    """Not to the click of its own second (s0), nor to one on a result (s1); behind s2 and s3 nobody clicks."""
    after = late(LOG, 0).search
    assert after.select("search_id", "timestamp").rows() == [("s0", 30.0), ("s1", 30.0)]
    assert after.columns == SEARCH.columns


def test_feed_only_drops_clicks_on_results() -> None:
    after = feed_only(LOG, 0)
    assert after.inter["item_id"].to_list() == ["a", "c", "a"]
    assert after.search is SEARCH
    unmarked = Log(INTER.drop("source"), SEARCH)
    assert feed_only(unmarked, 0).inter.equals(unmarked.inter)


@pytest.mark.parametrize("seed", range(5))
def test_permuted_moves_query_and_kind_together_within_a_split(seed: int) -> None:
    after = permuted(LOG, seed).search
    pairs, before = (frame.select("query_id", "query_from_type") for frame in (after, SEARCH))
    assert sorted(pairs.rows()) == sorted(before.rows())
    assert pairs.rows()[3] == ("cat", "4")  # alone in its split
    rest = ["search_id", "user_id", "timestamp", "split"]
    assert after.select(rest).equals(SEARCH.select(rest))
    assert after.equals(permuted(LOG, seed).search)


def test_permuted_draws_by_the_seed() -> None:
    assert len({tuple(permuted(LOG, seed).search["query_id"]) for seed in range(20)}) > 3


def test_a_changed_data_set_is_a_data_set_and_the_rest_of_it_is_the_same(tiny: Path, tmp_path: Path) -> None:
    before = load(tiny)
    made = transformed(tiny, tmp_path / "late", late, 0)
    after = load(made)
    assert made.name == tiny.name
    assert after.items.sha256 == before.items.sha256
    assert (after.requests.timestamp == before.requests.timestamp).all()
    assert after.searches is not None
    assert before.searches is not None
    assert 0 < len(after.searches.user) <= len(before.searches.user)
    assert (made / "tiny.inter").read_bytes() == (tiny / "tiny.inter").read_bytes()
    assert not (made / "tiny.report.html").exists()
    file = made / "tiny.search"
    written = file.stat().st_mtime_ns
    assert transformed(tiny, tmp_path / "late", late, 0) == made
    assert file.stat().st_mtime_ns == written


def test_a_data_set_without_any_search_can_be_read(tiny: Path, tmp_path: Path) -> None:
    found = load(transformed(tiny, tmp_path / "blank", blank, 0)).searches
    assert found is not None
    assert len(found.user) == 0


def test_clicks_on_results_are_told_by_their_source(tiny: Path, tmp_path: Path) -> None:
    assert has_search_clicks(tiny)
    assert not has_search_clicks(transformed(tiny, tmp_path / "feed", feed_only, 0))
    plain = tmp_path / "plain" / "plain.inter"
    atomic.write(INTER.drop("source"), plain, {"user_id": "token", "item_id": "token", "timestamp": "float"})
    assert not has_search_clicks(plain.parent)
