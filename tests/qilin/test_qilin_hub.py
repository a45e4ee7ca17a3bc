"""Downloads of Qilin from a hub on this machine."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loopback_hub import COMMIT, NOBODY, Hub, environment, serving

from recsys.atomic.problems import Problems
from recsys.errors import InputError
from recsys.qilin.hub import fetch
from recsys.qilin.source import locate, notes

NOTES = "notes/train-00000-of-00001.parquet"

CALLS = """
import json, sys
from recsys.errors import InputError
from recsys.qilin.hub import fetch
assert "huggingface_hub" not in sys.modules  # only who downloads waits for it
for source in sys.argv[1:]:
    try:
        folder, commit = fetch(source, lambda message: print(message, file=sys.stderr))
        print(json.dumps([str(folder), commit]))
    except InputError as error:
        print(json.dumps(str(error)))
"""


@pytest.fixture
def hub(raw) -> Iterator[Hub]:
    root = raw()
    (root / "dataset_dict.json").write_text("{}")
    (root / "image").mkdir()
    (root / "image" / "part_0.parquet").write_bytes(b"not one of the seven")
    server = Hub(root, "THUIR/Qilin", "datasets")
    with serving(server):
        yield server
        server.resume.set()


@pytest.fixture
def start(hub: Hub, tmp_path: Path):
    """Start a process that fetches."""

    def begin(*sources: str, **more: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", CALLS, *sources],
            env=environment(hub, tmp_path / "hf", **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


@pytest.fixture
def fetched(start):
    """What fetching gives, one result a source: folder and commit, or the sentence of the error."""

    def run(*sources: str, **environment: str) -> list:
        output, errors = start(*sources, **environment).communicate(timeout=60)
        results = [json.loads(line) for line in output.splitlines()]
        assert len(results) == len(sources), errors
        return results

    return run


def parquet(hub: Hub) -> set[str]:
    return {name for name in hub.files if name.endswith(".parquet") and not name.startswith("image")}


def test_download_then_cache_then_offline(hub, fetched):
    first, *again = fetched("hf://THUIR/Qilin", f"hf://THUIR/Qilin@{COMMIT}", "hf://datasets/THUIR/Qilin@main")
    assert sorted(hub.served) == sorted((name, None) for name in parquet(hub))
    assert first[1] == COMMIT
    files = locate(Path(first[0]))
    assert {str(path.relative_to(first[0])) for shards in files.values() for path in shards} == parquet(hub)
    assert files["notes"][0].is_symlink()
    assert sum(piece.height for piece in notes(files["notes"][0], Problems())) == 24
    assert again == [first, first]
    for nowhere in ({"HF_HUB_OFFLINE": "1"}, {}):
        assert fetched("hf://THUIR/Qilin", HF_ENDPOINT=NOBODY, **nowhere) == [first]


def test_what_is_not_there_is_said_in_one_sentence(hub, fetched):
    sources = ["Qilni", "Qilin@v9", f"Qilin@{'f' * 40}", "Qi--lin", "Qilin@empty"]
    sentences = fetched(*(f"hf://THUIR/{source}" for source in sources)) + fetched(
        "hf://THUIR/Qilin", HF_ENDPOINT=NOBODY
    )
    expected = [
        "hf://THUIR/Qilni: no such data set",
        "no revision 'v9'",
        f"no revision '{'f' * 40}'",
        "hf://THUIR/Qi--lin: ",
        "none of Qilin's parquet files",
        f"{NOBODY} does not answer as it should ([Errno 111] Connection refused)",
    ]
    for sentence, fragment in zip(sentences, expected, strict=True):
        assert fragment in sentence
        assert "\n" not in sentence
    assert "local folder" in sentences[0]
    assert "local folder" in sentences[-1]
    assert hub.served == []


def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(hub, fetched, tmp_path):
    big = pa.table({"note_idx": [0], "note_content": ["x" * 25_000_000]})
    pq.write_table(big, tmp_path / "big.parquet", compression="none", use_dictionary=False)
    hub.files[NOTES] = (tmp_path / "big.parquet").read_bytes()
    hub.cut[NOTES] = 22_000_000
    ((folder, _),) = fetched("hf://THUIR/Qilin")
    (_, first), (_, second) = [call for call in hub.served if call[0] == NOTES]
    assert first is None
    assert second is not None  # huggingface_hub keeps what it has in whole chunks of 10 MB
    assert int(second.removeprefix("bytes=").removesuffix("-")) >= 10_000_000
    assert (Path(folder) / NOTES).read_bytes() == hub.files[NOTES]


def test_a_run_that_is_killed_goes_on_with_what_it_had_not_finished(hub, start, fetched, tmp_path):
    hub.stall = NOTES
    process = start("hf://THUIR/Qilin")
    snapshot = tmp_path / "hf" / "hub" / "datasets--THUIR--Qilin" / "snapshots" / COMMIT
    deadline = time.monotonic() + 60
    while len([*snapshot.glob("*/*.parquet")]) < len(parquet(hub)) - 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    hub.stall = None
    hub.served.clear()
    (error,) = fetched("hf://THUIR/Qilin", HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set, and the cache holds no complete copy" in error
    ((folder, _),) = fetched("hf://THUIR/Qilin")
    assert hub.served == [(NOTES, None)]
    assert (Path(folder) / NOTES).read_bytes() == hub.files[NOTES]


def test_a_failed_download_keeps_what_is_finished(hub, fetched):
    hub.broken = NOTES
    error, (_, commit) = fetched("hf://THUIR/Qilin", "hf://THUIR/Qilin")
    assert "the download failed (" in error
    assert "403" in error
    assert commit == COMMIT
    assert sorted(hub.served) == sorted([(name, None) for name in parquet(hub)] + [(NOTES, None)])


@pytest.mark.parametrize("source", ["hf://", "hf://Qilin", "hf://a/b/c", "hf://THUIR/Qilin@", "https://x/y"])
def test_not_an_address_on_the_hub(source):
    with pytest.raises(InputError, match="hf://owner/name"):
        fetch(source, print)
