"""Every shipped configuration is accepted by the real parser and says of itself what is true."""

import re
from pathlib import Path

import pytest
import yaml

from recsys import models
from recsys.__main__ import VERBS, main

FILES = sorted((Path(__file__).parents[1] / "zoo_configs").glob("*.yaml"))


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_there_are_configurations() -> None:
    assert {file.stem for file in FILES} >= {
        f"{model}_qilin" for model in ("sasrec", "bert4rec", "searchsasrec", "esasrec", "hstu")
    }


@pytest.mark.parametrize("verb", ["fit", "test"])
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


def test_it_does_not_set_what_comes_from_the_data(file: Path) -> None:
    network = yaml.safe_load(file.read_text("utf-8"))["model"]["network"]
    assert hasattr(models, network["class_path"])
    assert not {"n_items", "max_len"} & network["init_args"].keys()


def test_a_warm_start_names_a_configuration_of_the_same_shape(file: Path) -> None:
    config = yaml.safe_load(file.read_text("utf-8"))
    if "warm_start" not in config["model"]:
        return
    source = yaml.safe_load((file.parent / f"{config['model']['warm_start']}.yaml").read_text("utf-8"))
    assert config["data"] == source["data"]
    shape = source["model"]["network"]["init_args"]
    assert shape.items() <= config["model"]["network"]["init_args"].items()


def test_the_commands_in_its_header_are_its_own(file: Path) -> None:
    header = re.match(r"(#.*\n)+", file.read_text("utf-8"))
    assert header, "a comment at the top"
    commands = re.findall(r"^#\s+recsys (\w+)(.*)", header[0], re.MULTILINE)
    assert {verb for verb, _ in commands} >= {"fit", "test"}
    assert {verb for verb, _ in commands} <= set(VERBS)
    for verb in ("fit", "test"):
        last = [rest for name, rest in commands if name == verb][-1]
        assert f"--config zoo_configs/{file.name}" in last
    for _, rest in commands:
        for named in re.findall(r"zoo_configs/\S+", rest):
            assert (file.parent / named.removeprefix("zoo_configs/")).is_file()
    path = yaml.safe_load(file.read_text("utf-8"))["data"]["path"]
    assert all(f"--output {path}" in rest for verb, rest in commands if verb == "convert")
