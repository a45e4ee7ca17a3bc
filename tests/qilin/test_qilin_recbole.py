"""Stock RecBole 1.2.1 takes the converted folder with the generated YAML, and texts break no reader's table."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from qilin_tiny import search, shown, tiny, write_config

from recsys import atomic
from recsys.qilin import convert, text

# In an interpreter of its own: RecBole's Config changes numpy, and wants names of numpy 1. What only its training loop
# imports is kept away, as it is not installed with us.
LOAD = """
import json, sys
import numpy

class Barrier:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"ray", "thop", "hyperopt", "plotly", "tabulate"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Barrier())
numpy.float_, numpy.complex_, numpy.unicode_ = numpy.float64, numpy.complex128, numpy.str_
root, stem = sys.argv[1:]
sys.argv = sys.argv[:1]  # RecBole's Config reads the command line

from recbole.config import Config
from recbole.data import create_dataset, data_preparation

config = Config(
    model="SASRec", dataset=stem, config_file_list=[f"{root}/{stem}/{stem}.yaml"], config_dict={"data_path": root}
)
dataset = create_dataset(config)
fields = {"inter": dataset.inter_feat, "item": dataset.item_feat, "user": dataset.user_feat}

def table(features):
    features = features.fillna(0)  # as RecBole means to, in a way that pandas 3 ignores
    tokens = {name: ids.to_numpy(int) for name, ids in features.items() if name in dataset.field2id_token}
    return features.assign(**{name: dataset.id2token(name, ids) for name, ids in tokens.items()}).to_dict("list")

print(json.dumps({
    "users": dataset.user_num, "items": dataset.item_num, "inters": dataset.inter_num,
    **{kind: table(features) for kind, features in fields.items()},
    "parts": [len(loader.dataset) for loader in data_preparation(config, dataset)],
}))
"""

ODD = {
    "\tＱ&A\n第1篇\r\n": "Q&A第1篇",
    '"quoted" “too”': "'quoted'“too”",
    '"': "'",
    "＂ｆｕｌｌ　ｗｉｄｔｈ＂": "'fullwidth'",
    "🥹‼️👩‍👩‍👧 🇲🇾": "🥹!!️👩‍👩‍👧🇲🇾",
    "a\x00b\x85c\u2028d\u00a0e": "abcde",
    " \u3000\v": "",
    "nan": "nan",
    "#1, it's; 100%": "#1,it's;100%",
}


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """The six requests, with odd titles, taxonomies, queries and locations."""
    root = tmp_path_factory.mktemp("recbole")
    rows = tiny()
    for note, title in zip(rows["notes"], ODD, strict=False):
        note |= {"note_title": title, "taxonomy1_id": title}
    rows["search_train"] = [search(i, 0, query, [shown(20, 1500 + i)]) for i, query in enumerate(ODD)]
    rows["search_test"] = [search(90, 1, "last", [shown(22, 79_500, click=1)], (6, 5, 4))]
    rows["dqa"] = [search(91, 0, "why", [shown(23, 900)], (9, 8, 9))]
    rows["user_feat"] = [{"user_idx": i, "gender": "female", "location": place} for i, place in enumerate(ODD)]
    for config, each in rows.items():
        write_config(root / "raw", config, each)
    return root / "qilin", convert(root / "raw", root / "qilin")


@pytest.fixture(scope="module")
def loaded(converted):
    pytest.importorskip("recbole")
    folder, _ = converted
    asked = [sys.executable, "-c", LOAD, str(folder.parent), folder.name]
    run = subprocess.run(asked, cwd=folder.parent, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_recbole_counts_what_the_meta_counts(converted, loaded):
    folder, meta = converted
    counts = meta["counts"]
    assert loaded["inters"] == sum(counts["events"].values()) > 0
    assert loaded["items"] == counts["notes"] + counts["items_without_note"] + 1  # and its padding
    assert loaded["users"] == atomic.read(folder / "qilin.user").height + 1
    assert loaded["parts"][1] == loaded["parts"][2] == 2  # leave-one-out: both users have a validation and a test


def test_recbole_loads_every_click(converted, loaded):
    folder, _ = converted
    ours = atomic.read(folder / "qilin.inter", ["user_id", "item_id", "timestamp"])
    theirs = pl.DataFrame(loaded["inter"], schema=ours.schema)
    assert theirs.sort(theirs.columns).equals(ours.sort(ours.columns))


@pytest.mark.parametrize("kind", ["item", "user"])
def test_recbole_loads_the_features_in_the_yaml_and_no_other_file(converted, loaded, kind):
    folder, _ = converted
    assert {"qilin.request", "qilin.search", "qilin.query", "qilin.meta.json"} <= {p.name for p in folder.iterdir()}
    theirs = pl.DataFrame(loaded[kind]).filter(pl.col(f"{kind}_id") != "[PAD]")
    ours = atomic.read(folder / f"qilin.{kind}", theirs.columns)
    ours = ours.with_columns(pl.exclude(f"{kind}_id").replace("", "[PAD]"))  # RecBole's name of what is missing
    assert theirs.width > 4
    assert theirs.sort(theirs.columns).equals(ours.sort(ours.columns))


def test_texts_are_normalised_and_otherwise_kept(converted):
    folder, _ = converted
    written = set(ODD.values())
    titles = atomic.read(folder / "qilin.item", ["title"])["title"].list.join("")
    assert set(titles) == written | {f"title{i}" for i in range(len(ODD), 24)}
    queries = atomic.read(folder / "qilin.query")["query"].list.join("")
    assert sorted(queries) == sorted(written - {""} | {"last", "why"})


def test_tokens_keep_their_characters_without_white_space(converted):
    folder, _ = converted
    kept = [
        "Ｑ&A_第1篇",
        "'quoted'_“too”",
        "'",
        "＂ｆｕｌｌ_ｗｉｄｔｈ＂",
        "🥹‼️👩‍👩‍👧_🇲🇾",
        "a_b_c_d_e",
        "",
        "",
        "#1,_it's;_100%",
    ]
    assert atomic.read(folder / "qilin.user")["location"].to_list() == kept
    assert set(atomic.read(folder / "qilin.item")["taxonomy1"]) == set(kept)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(), min_size=1, max_size=5))
@example(list(ODD))
@example(["\ufeff", "\x1c", "\u200b", "\u00a8\u0301", "\\", "'", "\r", "NA", "\U000e0001"])
def test_any_text_is_one_row_for_both_readers(tmp_path, texts):
    column = pl.Series("text", texts)
    frame = pl.DataFrame({"id": range(len(texts)), "text": column}).select(
        pl.col("id").cast(pl.String), title=text.characters(pl.col("text")), place=text.token(pl.col("text"))
    )
    path = tmp_path / "x.item"
    atomic.write(frame, path, {"id": "token", "title": "token_seq", "place": "token"})
    ours = atomic.read(path)
    theirs = as_recbole_reads(path)
    assert ours["id"].to_list() == theirs["id:token"].to_list() == [str(i) for i in range(len(texts))]
    assert ours["title"].list.join(" ").to_list() == theirs["title:token_seq"].fillna("").to_list()
    for mine, its in zip(ours["place"], theirs["place:token"], strict=True):
        assert its == mine or pd.isna(its)  # pandas takes "NA" and its kind for missing
    joined = frame.select(text.normalise(column)).to_series()
    assert ours["title"].list.join("").to_list() == joined.to_list()
    assert all(len(character) == 1 for title in ours["title"] for character in title)


def as_recbole_reads(path: Path) -> pd.DataFrame:
    """The call in `recbole.data.dataset.Dataset._load_feat`."""
    header = path.read_text(encoding="utf-8").partition("\n")[0].split("\t")
    types = dict.fromkeys(header, str)
    return pd.read_csv(path, delimiter="\t", usecols=header, dtype=types, encoding="utf-8", engine="python")
