import hashlib

import polars as pl
import pyarrow.parquet as pq
import pytest

from recsys.atomic import read
from recsys.errors import InputError
from recsys.qilin import convert, synthesize
from recsys.qilin.schema import SCHEMAS

USERS = 300
REC, SEARCH = "rec_result_details_with_idx", "search_result_details_with_idx"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Raw folder and converted folder of a world with and one without influence."""
    folder = tmp_path_factory.mktemp("synthetic")
    for name, influence in (("with", 0.6), ("without", 0.0)):
        synthesize(folder / "raw" / name, users=USERS, influence=influence)
        convert(folder / "raw" / name, folder / name)
    return folder


def raw(made, config, name="with"):
    return pl.read_parquet(made / "raw" / name / config / "train-00000-of-00001.parquet")


def exposures(made, config):
    column = REC if config.startswith("rec") else SEARCH
    return raw(made, config).with_row_index("row").explode(column).unnest(column)


def followed(made, name) -> float:
    """P(topic of a click = topic of the user's latest search, at most 30 minutes before the request)."""
    topic = read(made / name / f"{name}.item", ["item_id", "taxonomy2"])
    searches = read(made / name / f"{name}.search").with_columns(clicked=pl.col("clicked").list.first())
    searches = searches.join(topic, left_on="clicked", right_on="item_id").rename({"taxonomy2": "searched"})
    requests = read(made / name / f"{name}.request").select("user_id", "timestamp", "clicked")
    recent = requests.sort("timestamp").join_asof(
        searches.sort("timestamp").select("user_id", "timestamp", "searched"),
        on="timestamp",
        by="user_id",
        allow_exact_matches=False,
        tolerance=1800.0,
        check_sortedness=False,
    )
    clicks = recent.drop_nulls("searched").explode("clicked").join(topic, left_on="clicked", right_on="item_id")
    return float((clicks["taxonomy2"] == clicks["searched"]).mean())


def test_schemas_are_exact(made):
    for config, schema in SCHEMAS.items():
        path = made / "raw" / "with" / config / "train-00000-of-00001.parquet"
        assert pq.read_schema(path).equals(schema, check_metadata=False)
        assert pq.read_metadata(path).num_rows > 0


def test_a_search_steers_the_next_clicks_only_where_it_should(made):
    assert followed(made, "with") > 0.6
    assert 0.12 < followed(made, "without") < 0.28  # half of the searches are for a topic that the user likes anyway


def test_influence_changes_no_search_and_no_text(made):
    for kind in ("search", "query", "item"):
        one, other = (read(made / name / f"{name}.{kind}") for name in ("with", "without"))
        assert one.drop("split", strict=False).equals(other.drop("split", strict=False))


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    def digests(name, **arguments):
        synthesize(tmp_path / name, users=40, **arguments)
        files = sorted((tmp_path / name).rglob("*.parquet"))
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]

    first = digests("a", seed=3)
    assert digests("b", seed=3) == first
    assert not set(digests("a", seed=4)) & set(first)  # and an earlier synthetic Qilin may be replaced


def test_splits_and_sizes(made):
    requests = read(made / "with" / "with.request")
    shares = dict(requests["split"].value_counts(normalize=True).iter_rows())
    assert shares["test"] == pytest.approx(0.12, abs=0.02)
    assert shares["valid"] >= 0.08
    assert requests.height / USERS == pytest.approx(8, abs=1)
    assert requests["clicked"].list.len().mean() == pytest.approx(3, abs=0.5)
    assert requests["clicked"].list.len().min() >= 1
    assert requests["exposed"].list.len().mean() == pytest.approx(15, abs=1.5)
    searches = read(made / "with" / "with.search")
    assert searches.height / USERS == pytest.approx(5, abs=1)
    recent = requests.sort("timestamp").join_asof(
        searches.select("user_id", "timestamp", "search_id").sort("timestamp"),
        on="timestamp",
        by="user_id",
        tolerance=1800.0,
        check_sortedness=False,
    )
    assert 0.33 < recent["search_id"].is_not_null().mean() < 0.43


def test_ids_of_the_two_channels_hardly_meet(made):
    events = read(made / "with" / "with.inter")
    rec = events.filter(source="rec")["item_id"]
    found = events.filter(pl.col("source").is_in(["search", "dqa"]))["item_id"]
    assert not set(rec) & set(found)
    assert rec.len() / rec.n_unique() > 3 * found.len() / found.n_unique()
    numbers = rec.unique().cast(pl.Int64)
    notes = read(made / "with" / "with.item").height
    assert numbers.mean() == pytest.approx(notes / 2, rel=0.1)  # no number tells the pools apart


def test_the_release_s_quirks(made):
    rec, found, asked = (exposures(made, config) for config in ("recommendation_train", "search_train", "dqa"))
    assert rec.filter(click=0)["page_time"].unique().to_list() == [0.0]
    assert found.filter(click=0)["page_time"].is_nan().all()
    assert asked.filter(click=0)["page_time"].unique().to_list() == [-1.0]
    assert rec["request_timestamp"].max() // 1000 - 1_732_636_800 < 90_000
    assert found["search_timestamp"].max() - 1_732_636_800 - 28_800 < 90_000

    repeated = rec.group_by("request_idx", "note_idx").agg(pl.len(), pl.col("click").max()).filter(pl.col("len") > 1)
    assert repeated["click"].n_unique() == 2
    assert 0.03 < repeated["request_idx"].n_unique() / rec["request_idx"].n_unique() < 0.12
    assert asked.group_by("row").agg(pl.col("click").max()).filter(click=0).height > 0
    assert (exposures(made, "search_test")["search_timestamp"].min() - 1_732_636_800 - 28_800) >= -7 * 86_400
    assert raw(made, "notes")["note_title"].str.contains("\t").any()
    assert (raw(made, "notes")["taxonomy3_id"] == "nan").any()
    for config in ("recommendation_train", "recommendation_test"):
        index = raw(made, config)["request_idx"]
        assert not index.is_sorted()
        assert index.max() - index.min() + 1 == index.n_unique() == index.len()


def test_windows_are_newest_first(made):
    """A window starts with the clicks of the user's request before, the last of them first (but for lost ones)."""
    requests = read(made / "with" / "with.request").sort("user_id", "timestamp")
    events = read(made / "with" / "with.inter").filter(pl.col("source") != "window")
    met = agree = 0
    for row in requests.head(400).rows(named=True):
        before = events.filter((pl.col("user_id") == row["user_id"]) & (pl.col("timestamp") < row["timestamp"]))
        if before.height:
            met += 1
            agree += row["history"][-1:] == before["item_id"].tail(1).to_list()
    assert agree / met > 0.9


def test_some_clocks_are_wrong_and_some_notes_are_lost(made):
    meta = convert(made / "raw" / "with", made / "with")
    assert sum(meta["counts"]["reanchored"].values()) > 0
    assert meta["counts"]["exposures_merged"] > 0
    assert meta["synthetic"] == {"users": USERS, "seed": 0, "influence": 0.6}


def test_notes_that_are_clicked_as_rarely_as_asked(tmp_path):
    synthesize(tmp_path / "raw", users=200, clicks_per_note=2)
    meta = convert(tmp_path / "raw", tmp_path / "data")
    assert meta["synthetic"]["clicks_per_note"] == 2
    events = read(tmp_path / "data" / "data.inter", ["item_id", "source"])
    # clicks in recommendation of earlier days are seen in windows alone, if at all
    clicked = events.filter(pl.col("source") == "rec")["item_id"]
    assert 1.5 < len(clicked) / clicked.n_unique() < 2.5


@pytest.mark.parametrize(
    "wrong",
    [{"users": 3}, {"influence": 1.5}, {"seed": -1}, {"clicks_per_note": 0}, {"clicks_per_note": 2, "scale": 0.01}],
)
def test_arguments_out_of_range(tmp_path, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        synthesize(tmp_path / "raw", **wrong)
    assert not list(tmp_path.iterdir())


def test_a_real_qilin_is_never_overwritten(tmp_path):
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputError, match="name another folder"):
        synthesize(tmp_path)
    assert (tmp_path / "notes").is_dir()


@pytest.mark.parametrize("seed", range(3))
def test_the_smallest_world_converts(tmp_path, seed):
    synthesize(tmp_path / "raw", users=20, seed=seed)
    assert convert(tmp_path / "raw", tmp_path / "out")["counts"]["requests"].keys() == {"train", "valid", "test"}
