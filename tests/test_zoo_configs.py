"""Every shipped configuration is accepted by the real parser and says of itself what is true."""

import re
from pathlib import Path

import pytest
import yaml

from recsys import models
from recsys.__main__ import VERBS, main
from recsys.models.recbole_zoo import DOT_PRODUCT, OTHER_SCORES, defaults
from recsys.training.configs import SPACES, find_config

FOLDER = Path(__file__).parents[1] / "zoo_configs"
FILES = sorted(file for file in FOLDER.rglob("*.yaml") if file.parent.name != SPACES)


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_there_are_configurations() -> None:
    names = [file.stem for file in FILES]
    assert {f"{model}_qilin" for model in ("sasrec", "bert4rec", "searchsasrec", "esasrec", "hstu")} <= set(names)
    assert {"esasrec_ml-100k", "hstu_ml-100k", "GRU4Rec"} <= set(names)
    assert len(names) == len(set(names)), "a name is enough"


def test_there_is_one_for_every_model_of_recbole_that_is_taken() -> None:
    recbole = sorted((FOLDER / "recbole").glob("*.yaml"))
    assert {file.stem for file in recbole} == DOT_PRODUCT | OTHER_SCORES | {"BERT4Rec"}
    for file in recbole:
        init = yaml.safe_load(file.read_text("utf-8"))["model"]["network"]["init_args"]
        assert init.get("model", "BERT4Rec") == file.stem
        shown = init.get("settings", {}).items()
        assert file.stem == "BERT4Rec" or shown <= defaults(file.stem).items(), "RecBole's defaults, as it says"


@pytest.mark.parametrize("name", ["GRU4Rec", "recbole/GRU4Rec", "recbole/GRU4Rec.yaml", "zoo_configs/recbole/GRU4Rec"])
def test_a_config_in_a_folder_is_found(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Path(find_config(name)) == FOLDER / "recbole" / "GRU4Rec.yaml"


@pytest.mark.parametrize(
    ("file", "verb"),
    [
        pytest.param(file, verb, id=f"{file.stem}-{verb}")
        for file in FILES
        for verb in ("fit", "test")
        if verb == "fit" or file.parent == FOLDER  # parsing takes a while, and those in folders are alike
    ],
)
def test_the_parser_accepts_it_by_name(
    file: Path, verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as printed:
        main([verb, "--config", file.stem, "--print_config"])
    assert printed.value.code == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["name"] == file.stem
    assert config["trainer"]["logger"]["init_args"]["offline"] is True
    assert config["early_stopping"]["monitor"] == "val/ndcg@10"


def test_it_logs_offline_and_names_itself(file: Path) -> None:
    config = yaml.safe_load(file.read_text("utf-8"))
    assert config["name"] == file.stem
    logger = config["trainer"]["logger"]
    assert logger["class_path"] == "WandbLogger"
    assert logger["init_args"]["offline"] is True


@pytest.mark.parametrize(
    "file", [*FOLDER.glob("*_ml-100k.yaml"), *FOLDER.glob("recbole/*")], ids=lambda file: file.stem
)
def test_it_says_where_its_values_come_from(file: Path) -> None:
    header = re.match(r"(#.*\n)+", file.read_text("utf-8"))
    assert header
    assert re.search(r"^# Values: .*\.$", header[0], re.MULTILINE)


def test_it_does_not_set_what_comes_from_the_data(file: Path) -> None:
    network = yaml.safe_load(file.read_text("utf-8"))["model"]["network"]
    assert hasattr(models, network["class_path"])
    assert not {"n_items", "n_users", "max_len"} & network["init_args"].keys()


def test_a_warm_start_names_a_configuration_of_the_same_shape(file: Path) -> None:
    config = yaml.safe_load(file.read_text("utf-8"))
    if "warm_start" not in config["model"]:
        return
    source = yaml.safe_load((file.parent / f"{config['model']['warm_start']}.yaml").read_text("utf-8"))
    assert config["data"] == source["data"]
    ours, shape = (each["model"]["network"]["init_args"] for each in (config, source))
    for name in ("dim", "layers", "heads", "inner_dim"):
        assert ours[name] == shape[name]


def test_the_commands_in_its_header_are_its_own(file: Path) -> None:
    header = re.match(r"(#.*\n)+", file.read_text("utf-8"))
    assert header, "a comment at the top"
    commands = re.findall(r"^#\s+recsys (\w+)(.*)", header[0], re.MULTILINE)
    assert {verb for verb, _ in commands} >= {"fit", "test"}
    assert {verb for verb, _ in commands} <= set(VERBS)
    for verb in ("fit", "test"):
        last = [rest for name, rest in commands if name == verb][-1]
        assert f"--config {file.relative_to(FOLDER.parent).as_posix()}" in last
    for _, rest in commands:
        for named in re.findall(r"zoo_configs/\S+", rest):
            assert (FOLDER.parent / named).is_file()
    path = yaml.safe_load(file.read_text("utf-8"))["data"]["path"]
    assert all(f"--output {path}" in rest for verb, rest in commands if verb == "convert")
