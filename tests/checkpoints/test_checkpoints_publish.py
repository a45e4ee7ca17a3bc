"""What is published arrives as it was, and what does not verify stays at home."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import UPLOADED, Hub, environment, serving
from tiny_checkpoint import SIX, WEIGHTS, write

from recsys import checkpoints
from recsys.__main__ import main
from recsys.checkpoints import registry

CALLS = """
import contextlib, io, json, sys
from recsys.__main__ import main
done = []
for args in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(args)
    done.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(done))
"""


@pytest.fixture
def made(tmp_path):
    return write(tmp_path / "made" / "tiny")


@pytest.fixture
def hub(tmp_path):
    (tmp_path / "empty").mkdir()
    server = Hub(tmp_path / "empty", "zoo/tiny", "models")
    with serving(server):
        yield server


@pytest.fixture
def published(hub, tmp_path):
    """Exit code, output and errors of several commands in one process, in which the Hub's client talks to `hub`."""

    def run(*commands: list[str]) -> list[tuple[int, str, str]]:
        own = {"RECSYS_CACHE": str(tmp_path / "cache"), "HF_TOKEN": "hf_" + "x" * 34}
        done = subprocess.run(
            [sys.executable, "-c", CALLS, json.dumps(commands)],
            env=environment(hub, tmp_path / "hf", **own),
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        return json.loads(done.stdout)

    return run


def test_what_is_published_on_the_hub_comes_back_by_the_printed_entry(hub, published, made, tmp_path):
    source = f"hf://zoo/tiny@{UPLOADED}"
    done, back, refused = published(
        ["publish", str(made), "hf://zoo/tiny"], ["download", source], ["publish", str(made), "hf://other/tiny"]
    )
    assert done[0] == 0, done
    printed = json.loads(done[1])
    assert printed["tiny"]["source"] == source
    assert set(hub.files) == SIX
    assert all(hub.files[name] == (made / name).read_bytes() for name in SIX)
    (tmp_path / "registry.json").write_text(json.dumps({"format": 1, "checkpoints": printed}))
    assert registry.read(tmp_path / "registry.json")["tiny"].metrics == {"test/ndcg@10": 0.25}
    assert back[0] == 0, back
    checkpoints.verify(Path(back[1].strip()))
    assert refused[0] == 2
    assert "403" in refused[2]
    assert "Nothing was published." in refused[2]


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("zoo/tiny", "publish to hf://owner/name or wandb://entity/project/name"),
        ("https://example.org/x", "publish to hf://owner/name or wandb://entity/project/name"),
        ("hff://a/b", "Did you mean 'hf'"),
        ("hf://a", "it should be hf://owner/name"),
        ("wandb://a/b", "it should be wandb://entity/project/name"),
        ("wandb://a/b/c", "WANDB_MODE is offline, in which wandb publishes nothing"),
    ],
)
def test_no_place_to_publish_to(made, capsys, monkeypatch, target, sentence):
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert main(["publish", str(made), target]) == 2
    assert sentence in capsys.readouterr().err


def test_what_does_not_verify_is_not_published(made, hub, capsys):
    content = bytearray((made / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (made / WEIGHTS).write_bytes(content)
    assert main(["publish", str(made), "hf://zoo/tiny"]) == 2
    assert f"{WEIGHTS}: damaged" in capsys.readouterr().err
    assert main(["publish", str(made / "nowhere"), "hf://zoo/tiny"]) == 2
    assert "no such checkpoint folder" in capsys.readouterr().err
    assert hub.files == {}


def test_what_names_no_licence_is_not_published(tmp_path, capsys):
    assert main(["publish", str(write(tmp_path / "x", licence="")), "hf://zoo/tiny"]) == 2
    assert "its card names no licence of the data" in capsys.readouterr().err
