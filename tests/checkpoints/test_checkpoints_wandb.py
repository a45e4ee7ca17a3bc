"""Checkpoints from wandb, by its own client, from a server on this machine."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import flip, serving
from loopback_wandb import Wandb
from tiny_checkpoint import SIX, WEIGHTS, write

from recsys import checkpoints

CALLS = """
import json, sys
from recsys import checkpoints
from recsys.errors import InputError
assert "wandb" not in sys.modules
for source in sys.argv[1:]:
    try:
        print(json.dumps(str(checkpoints.fetch(source, lambda message: None))))
    except InputError as error:
        print(json.dumps("refused: " + str(error)))
"""


@pytest.fixture
def server(tmp_path):
    made = Wandb(write(tmp_path / "made"))
    with serving(made):
        yield made
    assert made.unknown == [], "operations that wandb has come to use since: teach them to the server"


@pytest.fixture
def fetched(server, tmp_path):
    def run(*addresses: str, **more: str) -> list[str]:
        (tmp_path / "wandb").mkdir(exist_ok=True)
        own = {"RECSYS_CACHE": str(tmp_path / "cache"), **more}
        done = subprocess.run(
            [sys.executable, "-c", CALLS, *addresses],
            env=server.environment(tmp_path / "wandb") | own,
            capture_output=True,
            text=True,
            timeout=120,
        )
        results = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(results) == len(addresses), done.stderr
        return results

    return run


def test_wandb_download_then_cache_then_offline(server, fetched):
    first, again = fetched("wandb://me/zoo/tiny:v0", "wandb://me/zoo/tiny:latest")
    assert {path.name for path in Path(first).iterdir()} == SIX
    assert again == first
    assert all((Path(first) / name).read_bytes() == server.artifacts["tiny"][name] for name in SIX)
    assert sorted(name for name, _ in server.served if name != "manifest.json") == sorted(checkpoints.FILES)
    server.served.clear()
    nobody = {"WANDB_BASE_URL": "http://127.0.0.1:9"}
    assert fetched("wandb://me/zoo/tiny:v0", **nobody) == [first]
    assert server.served == []


def test_wandb_a_connection_that_breaks_off_goes_on_where_it_broke(server, fetched):
    server.cut[WEIGHTS] = 700
    (folder,) = fetched("wandb://me/zoo/tiny:v0")
    assert [asked for name, asked in server.served if name == WEIGHTS] == [None, "bytes=700-"]
    assert (Path(folder) / WEIGHTS).read_bytes() == server.artifacts["tiny"][WEIGHTS]


def test_wandb_the_next_run_goes_on_where_the_last_one_ended(server, fetched, tmp_path):
    whole = server.artifacts["tiny"]
    part = tmp_path / "cache" / "checkpoints" / f".{hashlib.sha256(whole['manifest.json']).hexdigest()}.part"
    part.mkdir(parents=True)
    (part / WEIGHTS).write_bytes(whole[WEIGHTS][:900])
    (folder,) = fetched("wandb://me/zoo/tiny:v0")
    assert [asked for name, asked in server.served if name == WEIGHTS] == ["bytes=900-"]
    checkpoints.verify(Path(folder))


def test_wandb_an_address_that_has_expired_is_asked_for_anew_and_its_signature_told_to_nobody(server, fetched):
    server.broken = WEIGHTS
    (sentence, folder) = fetched("wandb://me/zoo/tiny:v0", "wandb://me/zoo/tiny:v0")
    assert f"/files/tiny/{WEIGHTS}: the server says 403 Forbidden" in sentence
    assert "secret" not in sentence
    checkpoints.verify(Path(folder))


def test_wandb_what_is_wrong_is_refused_in_one_sentence(server, fetched):
    whole = server.artifacts["tiny"]
    without = {name: content for name, content in whole.items() if name != "config.json"}
    damaged = whole | {WEIGHTS: flip(whole[WEIGHTS])}
    server.artifacts |= {"damaged": damaged, "large": whole, "referred": whole, "partial": without}
    server.listed = {"large": {WEIGHTS: {"size": 10**10}}, "referred": {WEIGHTS: {"ref": "file:///etc/passwd"}}}
    expected = {
        "zoo/tinny": "wandb does not give it (",
        "zo/tiny": "wandb does not give it (",
        "zoo/damaged": f"{WEIGHTS} arrived damaged",
        "zoo/large": f"{WEIGHTS} has 10000000000 bytes there",
        "zoo/referred": f"{WEIGHTS} is a reference to another place",
        "zoo/partial": "holds no checkpoint of this library, config.json is missing",
    }
    addresses = [f"wandb://me/{path}:v0" for path in expected]
    for address, sentence, fragment in zip(addresses, fetched(*addresses), expected.values(), strict=True):
        assert sentence.startswith(f"refused: {address}: ")
        assert fragment in sentence
        assert "\n" not in sentence


PUBLISH = """
import sys
from recsys.__main__ import main
sys.exit(main(["publish", sys.argv[1], "wandb://me/zoo/published"]) or main(["download", "wandb://me/zoo/published:v0"]))
"""


def test_what_is_published_on_wandb_comes_back(server, tmp_path):
    (tmp_path / "wandb").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PUBLISH, str(tmp_path / "made")],
        env=server.environment(tmp_path / "wandb") | {"RECSYS_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert '"source": "wandb://me/zoo/published:v0"' in done.stdout
    assert server.artifacts["published"] == server.artifacts["tiny"]
    checkpoints.verify(Path(done.stdout.splitlines()[-1]))
    assert {path.name for path in tmp_path.iterdir()} == {"made", "wandb", "cache"}, "no logs are left about"
