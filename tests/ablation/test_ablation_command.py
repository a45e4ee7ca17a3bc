"""`recsys ablate` from the command line: a whole ablation once, and four variants that leak, each caught."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

import numpy as np
import polars as pl
import pytest

from recsys import atomic
from recsys.ablation import CONTROLS, plan
from recsys.ablation.transforms import feed_only, transformed
from recsys.data import histories

Ablate = Callable[..., int]


@pytest.fixture(scope="module")
def whole(tiny: Path, ablate: Ablate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All controls, one seed."""
    output = tmp_path_factory.mktemp("whole") / "ablation"
    assert ablate(tiny, output, "--seeds", "3") == 0
    return output


def result(output: Path) -> dict:
    return json.loads((output / "ablation.json").read_text("utf-8"))


def test_every_control_is_a_run_and_a_row(whole: Path) -> None:
    found = result(whole)
    assert list(found["gains"]) == list(CONTROLS)
    assert found["gains"]["baseline"]["gain"] is None
    runs = {file.parent.parent.name for file in whole.glob("seed-3/*/*/test.json")}
    assert runs == {name.replace(" ", "_") for name in CONTROLS} - {"clicks_only"}
    assert all((whole / "seed-3" / name).glob("*/config.yaml") for name in ("baseline", "real", "permuted", "late"))
    with (whole / "ablation.csv").open(encoding="utf-8") as file:
        rows = {row["control"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(CONTROLS)
    assert float(rows["real"]["mean"]) == pytest.approx(found["gains"]["real"]["gain"]["mean"], abs=1e-6)


def test_a_gain_is_the_paired_difference_of_the_two_runs(whole: Path) -> None:
    def values(control: str) -> np.ndarray:
        (file,) = whole.glob(f"seed-3/{control}/*/test_requests.parquet")
        return pl.read_parquet(file).sort("user_id", "request_id")["ndcg@10"].to_numpy()

    gains = result(whole)["gains"]
    for control, against in {"real": "baseline", "late": "baseline", "text only": "feed only"}.items():
        expected = (values(control.replace(" ", "_")) - values(against.replace(" ", "_"))).mean()
        assert gains[control]["gain"]["mean"] == pytest.approx(expected)
    assert gains["clicks only"]["gain"]["mean"] == pytest.approx((values("baseline") - values("feed_only")).mean())


def test_without_searches_the_frozen_model_is_its_baseline_to_the_bit(whole: Path) -> None:
    gain = result(whole)["gains"]["blank at test"]["gain"]
    assert gain == {"mean": 0, "low": 0, "high": 0}


def test_the_page_says_the_verdict_and_needs_nothing_else(whole: Path) -> None:
    page, found = (whole / "ablation.html").read_text("utf-8"), result(whole)
    assert found["verdict"] == "not proven"
    assert found["leaks"] == []
    assert "Not proven" in page
    assert "Synthetic data" in page
    assert "at least 2 are needed" in page
    for name in ("right after a search", "text match", "order of the list"):
        assert name in page
    assert "http" not in page.replace("http-equiv", "")
    assert set(found["untrained"]["ndcg@10"]) == {"random", "popular", "recent", "text match", "baseline", "real"}
    assert "position" in found["untrained"]["exposed/ndcg@10"]


def test_what_is_finished_is_not_run_again(
    whole: Path, tiny: Path, ablate: Ablate, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file: file.stat().st_mtime_ns for file in whole.glob("seed-3/**/*") if file.is_file()}
    (stopped,) = whole.glob("seed-3/margin_60/*/test.json")
    stopped.unlink()
    (killed,) = whole.glob("seed-3/late/*")  # behind its last epoch, before anything was exported
    (killed / "test.json").unlink()
    rmtree(killed / "checkpoint")
    capsys.readouterr()
    assert ablate(tiny, whole, "--seeds", "3") == 0
    said = capsys.readouterr().err
    assert said.count("finished before") == 9
    assert f"Resuming {killed}" in said
    assert (killed / "test.json").is_file()
    assert "8 of 11, seed 3, margin 60: searches of the last 60 s hidden at test" in said
    after = {file: file.stat().st_mtime_ns for file in whole.glob("seed-3/**/*") if file.is_file()}
    kept = {file for file in before if killed not in file.parents} - {stopped}
    assert {file: after.get(file) for file in kept} == {file: before[file] for file in kept}


def test_other_settings_and_other_folders_are_refused(
    whole: Path, tiny: Path, tmp_path: Path, ablate: Ablate, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*args: object) -> str:
        capsys.readouterr()
        assert ablate(*args) == 2
        return capsys.readouterr().err.rpartition("recsys: error: ")[2]

    assert "model.yaml there is of other settings" in refused(tiny, whole, "--data.max_len", "10")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").touch()
    assert "holds something else than an ablation" in refused(tiny, tmp_path / "else")
    assert "did you mean 'late'" in refused(tiny, tmp_path / "new", "--controls", "lat").lower()
    assert "--metric ndcg@7: not measured" in refused(tiny, whole, "--seeds", "3", "--metric", "ndcg@7")
    assert "SASRec reads no searches" in refused(tiny, tmp_path / "new", "--config", "sasrec_qilin")
    assert "no plain.search file" in refused(_plain(tmp_path), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def _plain(folder: Path) -> Path:
    rows = pl.DataFrame({"user_id": ["u"] * 3, "item_id": ["a", "b", "c"], "timestamp": [1, 2, 3]})
    types = {"user_id": "token", "item_id": "token", "timestamp": "float"}
    atomic.write(rows, folder / "plain" / "plain.inter", types)
    return folder / "plain"


def leaks(ablate: Ablate, data: Path, output: Path) -> list[str]:
    """What the two necessary runs are enough to find."""
    assert ablate(data, output, "--seeds", "0", "--controls", "real") == 0
    found = result(output)
    assert (found["verdict"] == "a leak suspected") == bool(found["leaks"])
    return found["leaks"]


def test_future_queries_are_caught(tiny: Path, tmp_path: Path, ablate: Ablate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every search counts as history, as where milliseconds and seconds are sorted together."""
    rule = histories.searches_before
    monkeypatch.setattr(histories, "searches_before", lambda key, user, time, margin=0: rule(key, user, time + 10**6))
    found = leaks(ablate, tiny, tmp_path / "ablation")
    assert any(said.startswith("The future shows:") for said in found)
    assert any(said.startswith("The future shows in training") for said in found)


def test_own_clicks_in_the_history_are_caught(
    tiny: Path, tmp_path: Path, ablate: Ablate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clicks of a request's first minutes count as its past, as where ties are sorted by position."""
    rule = histories.count_before
    monkeypatch.setattr(
        histories, "count_before", lambda users, times, user, time: rule(users, times, user, time + 300)
    )
    found = leaks(ablate, tiny, tmp_path / "ablation")
    assert any(said.startswith("The future shows:") for said in found)
    assert any("ask for the last item of their own history" in said for said in found)


def rewritten(source: Path, output: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Path:
    """The data set with other requests."""
    made = transformed(source, output, lambda log, seed: log, 0)
    file = made / f"{made.name}.request"
    frame, types = atomic.read(file), atomic.read_header(file)
    file.unlink()  # which is a link
    atomic.write(change(frame), file, types)
    return made


def test_a_raw_order_of_lists_is_caught(tiny: Path, tmp_path: Path, ablate: Ablate) -> None:
    """Clicked notes come last among those shown together, as in the release."""

    def raw(requests: pl.DataFrame) -> pl.DataFrame:
        clicked, exposed = pl.col("clicked"), pl.col("exposed")
        return requests.with_columns(
            exposed=pl.concat_list(exposed.list.set_difference(clicked), exposed.list.set_intersection(clicked))
        )

    (found,) = leaks(ablate, rewritten(tiny, tmp_path, raw), tmp_path / "ablation")
    assert found.startswith("The label shows in the order of the list")


def test_raw_ids_are_caught(tiny: Path, tmp_path: Path, ablate: Ablate) -> None:
    """Notes are numbered by what became of them: the more of its exposures were clicked, the higher."""
    request = atomic.read(tiny / f"{tiny.name}.request")
    shown, clicked = (
        request.select("request_id", item=pl.col(name)).explode("item") for name in ("exposed", "clicked")
    )
    share = (
        shown.join(clicked.unique().with_columns(hit=1.0), on=["request_id", "item"], how="left")
        .group_by("item")
        .agg(pl.col("hit").fill_null(0).mean())
        .sort("hit", "item")
    )
    number = {item: str(10**6 + i) for i, item in enumerate(share["item"])}
    renamed = pl.col("exposed", "clicked", "history").list.eval(pl.element().replace(number))
    made = rewritten(tiny, tmp_path, lambda frame: frame.with_columns(renamed))
    file = made / f"{made.name}.inter"
    frame, types = atomic.read(file), atomic.read_header(file)
    file.unlink()
    atomic.write(frame.with_columns(pl.col("item_id").replace(number)), file, types)
    found = leaks(ablate, made, tmp_path / "ablation")
    assert any(said.startswith("The label shows in the number of the item") for said in found)


def test_controls_that_the_data_does_not_allow_are_left_out(tiny: Path, tmp_path: Path) -> None:
    data = transformed(tiny, tmp_path, feed_only, 0)
    args = ["--config", "searchsasrec_qilin", "--data.path", str(data)]
    made = plan(tmp_path / "ablation", args, None, [0], ["text only", "blank at test"], "ndcg@10")
    assert set(made.left_out) == {"feed only", "text only"}
    assert made.controls == ["baseline", "real", "blank at test"]
    assert made.baseline["model"]["network"]["class_path"].endswith(".SASRec")


@pytest.mark.parametrize(("config", "layers"), [("searchsasrec_qilin", 3), ("sesrec_qilin", 2)])
def test_the_baseline_has_the_shape_of_what_grows_from_it(tiny: Path, tmp_path: Path, config: str, layers: int) -> None:
    args = ["--config", config, "--data.path", str(tiny), "--model.network.init_args.layers", "3"]
    made = plan(tmp_path / "ablation", [*args, "--data.max_len", "20"], None, [0], ["real"], "ndcg@10")
    assert made.baseline["model"]["network"]["init_args"]["layers"] == layers
    assert made.baseline["data"] == made.model["data"]
