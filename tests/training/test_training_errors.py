"""Bad input ends in one sentence and exit code 2, and leaves nothing half-written behind."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

Refused = Callable[..., str]


def test_a_missing_data_folder(zoo, refused: Refused) -> None:
    said = refused(*zoo.args("fit", "nowhere", data=zoo.root / "nowhere"))
    assert "no such data set folder" in said
    assert "recsys convert" in said


def test_a_parquet_file_without_a_column(zoo, refused: Refused, tmp_path: Path) -> None:
    assert "user_idx" in _refused_conversion(zoo, refused, tmp_path, lambda frame: frame.drop("user_idx"))


def test_a_column_of_the_wrong_type(zoo, refused: Refused, tmp_path: Path) -> None:
    said = _refused_conversion(
        zoo, refused, tmp_path, lambda frame: frame.with_columns(pl.col("user_idx").cast(pl.String) + "x")
    )
    assert "user_idx" in said
    assert "whole number" in said


def test_qilin_without_a_configuration(zoo, refused: Refused, tmp_path: Path) -> None:
    shutil.copytree(zoo.raw, tmp_path / "raw")
    (tmp_path / "raw" / "notes").rename(tmp_path / "raw" / "note")
    said = refused("convert", "qilin", "--source", str(tmp_path / "raw"), "--output", str(tmp_path / "out"))
    assert "Did you mean 'note'?" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("split", ["valid", "test"])
def test_an_empty_split(zoo, refused: Refused, tmp_path: Path, split: str) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(zoo.qilin, folder)
    file = folder / "tiny.request"
    lines = file.read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if f"\t{split}\t" not in line), "utf-8")
    assert f"the split '{split}' is empty" in refused(*zoo.args("fit", "empty", data=folder))


def test_an_unknown_key_in_a_config_file(zoo, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("trainer:\n  max_epoch: 3\n")
    said = refused(*zoo.args("fit", "key", "--config", str(tmp_path / "mine.yaml")))
    assert "max_epoch" in said
    assert "Did you mean 'trainer.max_epochs'?" in said


def test_an_unknown_key_on_the_command_line(zoo, refused: Refused) -> None:
    assert "Did you mean 'data.max_len'?" in refused(*zoo.args("fit", "key", "--data.maxlen", "3"))


def test_an_unknown_option_of_the_network(zoo, refused: Refused, tmp_path: Path) -> None:
    assert "Did you mean 'dim'?" in refused(*zoo.args("fit", "key", "--model.network.init_args.dims", "3"))
    (tmp_path / "mine.yaml").write_text("model: {network: {class_path: SASRec, init_args: {head: 2}}}\n")
    assert "Did you mean 'heads'?" in refused(*zoo.args("fit", "key", "--config", str(tmp_path / "mine.yaml")))


def test_an_unknown_model(zoo, refused: Refused) -> None:
    said = refused(*zoo.args("fit", "key", "--model.network", "SASReq"))
    assert "SASReq" in said
    assert "Did you mean 'SASRec'?" in said
    assert "path" not in said


def test_a_config_that_is_not_there(zoo, refused: Refused) -> None:
    assert "Did you mean 'sasrec_qilin'?" in refused(*zoo.args("fit", "key", config="sasrec_quilin"))


def test_a_config_file_that_is_no_yaml(zoo, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("trainer: {max_epochs: [3\n")
    assert "line 1" in refused(*zoo.args("fit", "key", "--config", str(tmp_path / "mine.yaml")))


def test_a_value_of_the_wrong_type(zoo, refused: Refused) -> None:
    assert "'many' is no int" in refused(*zoo.args("fit", "key", "--data.batch_size", "many"))
    assert "dim: 'wide' is no int" in refused(*zoo.args("fit", "key", "--model.network.init_args.dim", "wide"))
    assert "must be one of 'train'" in refused(*zoo.args("fit", "key", "--data.vocabulary", "all"))


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--data.batch_size", "0"),
        ("--data.max_len", "-1"),
        ("--data.min_count", "0"),
        ("--data.stride", "51"),
        ("--model.k", "0"),
        ("--model.cutoffs", "[0]"),
        ("--model.cutoffs", "[]"),
    ],
)
def test_a_number_out_of_range(zoo, refused: Refused, flag: str, value: str) -> None:
    assert refused(*zoo.args("fit", "key", flag, value)).startswith(flag)


def test_abbreviations_are_no_flags(zoo, refused: Refused) -> None:
    assert "--trainer.max_epo" in refused(*zoo.args("fit", "key", "--trainer.max_epo", "1"))
    assert "--warm" in refused(*zoo.args("fit", "key", "--warm", "1"))


def test_resuming_from_a_file_that_is_not_there(zoo, refused: Refused, tmp_path: Path) -> None:
    missing = tmp_path / "missing.ckpt"
    assert f"{missing}: no such file" in refused(*zoo.args("fit", "resumed", "--ckpt_path", str(missing)))
    assert zoo.folders("resumed") == []


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
@pytest.mark.parametrize("chosen", [None, "last"])
def test_nothing_was_trained_yet(zoo, refused: Refused, verb: str, chosen: str | None) -> None:
    said = refused(*zoo.args(verb, "untrained", *(["--ckpt_path", chosen] if chosen else [])))
    assert "untrained" in said
    assert zoo.folders("untrained") == []


def test_a_checkpoint_folder_that_is_not_there(zoo, refused: Refused, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert "no such checkpoint folder" in refused(*zoo.args("test", "absent", "--ckpt_path", missing))


def test_a_damaged_checkpoint_is_not_evaluated(zoo, sasrec: Path, refused: Refused, tmp_path: Path) -> None:
    shutil.copytree(sasrec / "checkpoint", tmp_path / "damaged")
    weights = tmp_path / "damaged" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    said = refused(*zoo.args("test", "damaged", "--ckpt_path", str(tmp_path / "damaged")))
    assert "model.safetensors: damaged" in said
    assert zoo.folders("damaged") == []


def test_weights_of_another_vocabulary_are_not_evaluated(zoo, sasrec: Path, refused: Refused) -> None:
    said = refused(*zoo.args("test", "sasrec", "--data.min_count", "2"))
    assert "another item vocabulary" in said
    assert (sasrec / "checkpoint").exists(), "a run that was there before stays"


def test_weights_of_another_shape_are_not_evaluated(zoo, sasrec: Path, refused: Refused) -> None:
    assert "does not fit" in refused(*zoo.args("test", "sasrec", "--model.network.init_args.dim", "16"))


def test_a_warm_start_from_a_run_that_is_not_there(zoo, refused: Refused) -> None:
    said = refused(*zoo.args("fit", "grown", "--model.warm_start", "absent", config="searchsasrec_qilin"))
    assert "--model.warm_start absent: neither a finished run" in said
    assert zoo.folders("grown") == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--data.min_count", "2"], "another item vocabulary"),
        (["--model.network.init_args.dim", "16"], "another shape"),
        (
            ["--model.network", "BERT4Rec"],
            "a BERT4Rec cannot grow from a SASRec, only from another BERT4Rec;",
        ),
    ],
)
def test_a_warm_start_that_does_not_fit(zoo, sasrec, refused: Refused, change: list[str], sentence: str) -> None:
    config = "sasrec_qilin" if "BERT4Rec" in change else "searchsasrec_qilin"
    said = refused(*zoo.args("fit", "unfit", "--model.warm_start", "sasrec", *change, config=config))
    assert sentence in said
    assert not (zoo.runs / "unfit").exists(), "nor what wandb wrote"


def _refused_conversion(zoo, refused: Refused, tmp_path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> str:
    """Convert a Qilin one of whose files was changed; it leaves no output."""
    shutil.copytree(zoo.raw, tmp_path / "raw")
    file = next((tmp_path / "raw" / "recommendation_test").glob("*.parquet"))
    change(pl.read_parquet(file)).write_parquet(file)
    said = refused("convert", "qilin", "--source", str(tmp_path / "raw"), "--output", str(tmp_path / "data" / "out"))
    assert str(file) in said
    assert not list((tmp_path / "data").glob("*"))
    return said


def test_early_stopping_on_what_validation_does_not_measure(zoo, refused) -> None:
    said = refused(*zoo.args("fit", "wrong", "--model.cutoffs", "[5,20]"))
    assert said.startswith("--early_stopping.monitor val/ndcg@10: validation does not measure it")
    assert "val/ndcg@" in said.partition("Did you mean")[2]
    assert not (zoo.runs / "wrong").exists()
