"""The same files from one partition or sixteen, in this process, on Ray or on Spark."""

import shutil

import pytest
from qilin_tiny import rec, shown, tiny, write_config

from recsys.errors import InputError
from recsys.qilin import Options, convert, synthesize

ENGINES = ["ray", "spark"]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines") / "raw"
    synthesize(folder, users=100)
    return folder


def files(raw, output, options=Options(), **how):  # noqa: B008
    """Digest of every file but the meta."""
    return convert(raw, output / "qilin", options, **how)["sha256"]


def needed(engine):
    pytest.importorskip({"ray": "ray", "spark": "pyspark"}[engine])
    if engine == "spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")


@pytest.mark.parametrize("partitions", [2, 16])
@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(min_count=2, dedup="all"),
        Options(split="leave_one_out"),
        Options(split="strict_time", seed=3),
    ],
)
def test_any_number_of_partitions_gives_the_same_files(raw, tmp_path, options, partitions):
    one = files(raw, tmp_path / "one", options, partitions=1)
    assert files(raw, tmp_path / "many", options, partitions=partitions) == one


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_gives_the_same_files(raw, tmp_path, engine):
    needed(engine)
    options = Options(min_count=2)
    one = files(raw, tmp_path / "one", options)
    assert files(raw, tmp_path / engine, options, engine=engine, partitions=5) == one


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_names_the_bad_row(tmp_path, engine):
    needed(engine)
    absurd = shown(1, 0) | {"request_timestamp": 5}
    rows = tiny() | {"recommendation_train": [*tiny()["recommendation_train"], rec(8, 0, [absurd])]}
    for config, each in rows.items():
        write_config(tmp_path / "raw", config, each)
    with pytest.raises(InputError, match=r"recommendation_train.*row 2 .*more than a year"):
        convert(tmp_path / "raw", tmp_path / "out", engine=engine, partitions=2)
    assert not (tmp_path / "out").exists()
    meta = convert(tmp_path / "raw", tmp_path / "out", Options(on_error="skip"), engine=engine, partitions=2)
    assert meta["counts"]["bad_rows_left_out"] == {"absurd time": 1}


def test_an_engine_that_is_not_installed_says_so(raw, tmp_path, monkeypatch):
    for engine, module in (("ray", "ray"), ("spark", "pyspark")):
        monkeypatch.setitem(__import__("sys").modules, module, None)
        with pytest.raises(InputError, match=rf"--engine {engine}.*recsys-zoo\[engines\]"):
            files(raw, tmp_path, engine=engine)
