"""From an address to a verified folder: by the Hub's own client, over HTTP, by name, with everything going wrong."""

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from loopback_hub import COMMIT, NOBODY, Hub, environment, flip, serving
from tiny_checkpoint import SIX, WEIGHTS, write

from recsys import checkpoints
from recsys.__main__ import main
from recsys.checkpoints import fetch, registry, sources, web
from recsys.errors import InputError
from recsys.files import sha256

ADDRESS = "hf://zoo/tiny"

CALLS = """
import json, resource, signal, sys
from recsys import checkpoints
from recsys.errors import InputError
assert not {"huggingface_hub", "torch"} & set(sys.modules)  # only who downloads, or loads, waits for them
most = int(sys.argv[1])
if most:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
for source in sys.argv[2:]:
    try:
        print(json.dumps(str(checkpoints.fetch(source, lambda message: print(message, file=sys.stderr)))))
    except InputError as error:
        print(json.dumps("refused: " + str(error)))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write(tmp_path_factory.mktemp("made") / "tiny")


@pytest.fixture
def hub(made):
    server = Hub(made, "zoo/tiny", "models")
    with serving(server):
        yield server
        server.resume.set()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(web.time, "sleep", lambda seconds: None)
    return tmp_path / "cache" / "checkpoints"


@pytest.fixture
def start(hub, tmp_path):
    """Start a process that fetches through huggingface_hub, with a cache of its own for every test."""

    def begin(*addresses: str, most: int = 0, **more: str) -> subprocess.Popen:
        own = {"RECSYS_CACHE": str(tmp_path / "cache"), "HF_HUB_DISABLE_PROGRESS_BARS": "1", **more}
        return subprocess.Popen(
            [sys.executable, "-c", CALLS, str(most), *addresses],
            env=environment(hub, tmp_path / "hf", **own),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


@pytest.fixture
def fetched(start):
    """What fetching gives, one result an address: the folder, or the sentence of the error."""

    def run(*addresses: str, most: int = 0, **more: str) -> list[str]:
        output, errors = start(*addresses, most=most, **more).communicate(timeout=120)
        results = [json.loads(line) for line in output.splitlines()]
        assert len(results) == len(addresses), errors
        return results

    return run


def visible(cache: Path) -> set[str]:
    """What lies in the cache and could be taken for a checkpoint."""
    return {path.name for path in cache.glob("*") if not path.name.startswith(".") and path.name != "addresses"}


# the Hub


def test_hub_download_then_cache_then_offline(hub, fetched, made):
    first, *again = fetched(ADDRESS, f"{ADDRESS}@{COMMIT}", f"{ADDRESS}@main")
    folder = Path(first)
    assert {path.name for path in folder.iterdir()} == SIX
    assert all((folder / name).read_bytes() == (made / name).read_bytes() for name in SIX)
    assert again == [first, first]
    assert sorted(name for name, _ in hub.served if name != "manifest.json") == sorted(checkpoints.FILES)
    hub.served.clear()
    for nowhere in ({"HF_HUB_OFFLINE": "1"}, {}):
        assert fetched(ADDRESS, f"{ADDRESS}@{COMMIT}", HF_ENDPOINT=NOBODY, **nowhere) == [first, first]
    assert fetched(f"{ADDRESS}@{COMMIT}") == [first]
    assert hub.served == [], "what an address names for ever is not asked for again"


def test_hub_what_is_not_there_is_said_in_one_sentence(hub, fetched):
    wrong = ["hf://zoo/tinny", f"{ADDRESS}@v9", f"{ADDRESS}@{'f' * 40}", "hf://zoo/ti--ny", f"{ADDRESS}@empty"]
    sentences = [*fetched(*wrong), *fetched(ADDRESS, HF_ENDPOINT=NOBODY), *fetched(ADDRESS, HF_HUB_OFFLINE="1")]
    expected = [
        "hf://zoo/tinny: no such model",
        "no revision 'v9'",
        f"no revision '{'f' * 40}'",
        "hf://zoo/ti--ny: ",
        "holds no checkpoint of this library, manifest.json is missing",
        "Connection refused",
        "HF_HUB_OFFLINE is set",
    ]
    for sentence, fragment in zip(sentences, expected, strict=True):
        assert sentence.startswith("refused: ")
        assert fragment in sentence
        assert "\n" not in sentence
    assert hub.served == []


def test_hub_a_connection_that_breaks_off_is_taken_up(hub, fetched, tmp_path):
    big = write(tmp_path / "big", 100_000, 64)
    hub.files = {name: (big / name).read_bytes() for name in SIX}
    hub.cut[WEIGHTS] = 22_000_000
    (folder,) = fetched(ADDRESS)
    (_, first), (_, second) = [call for call in hub.served if call[0] == WEIGHTS]
    assert first is None
    assert int(second.removeprefix("bytes=").removesuffix("-")) >= 10_000_000
    assert (Path(folder) / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


def test_hub_same_size_corruption_is_refused_and_not_kept(hub, fetched, tmp_path):
    whole = hub.files[WEIGHTS]
    hub.files[WEIGHTS] = flip(whole)
    (sentence,) = fetched(ADDRESS)
    assert f"{ADDRESS}: {WEIGHTS} arrived damaged, its sha256 is not the one in manifest.json" in sentence
    assert visible(tmp_path / "cache" / "checkpoints") == set()
    hub.files[WEIGHTS] = whole
    (folder,) = fetched(ADDRESS)
    checkpoints.verify(Path(folder))


def test_hub_a_size_that_is_not_the_manifests_is_refused_before_it_comes(hub, fetched):
    hub.announced[WEIGHTS] = 10**10
    (sentence,) = fetched(ADDRESS)
    assert f"{WEIGHTS} has 10000000000 bytes there" in sentence
    hub.announced["manifest.json"] = 10**10
    (sentence,) = fetched(ADDRESS)
    assert "manifest.json has 10,000,000,000 bytes, far more than one has" in sentence
    assert WEIGHTS not in [name for name, _ in hub.served]


def test_hub_three_processes_at_once_fetch_once(hub, start):
    processes = [start(ADDRESS) for _ in range(3)]
    results = [process.communicate(timeout=120)[0] for process in processes]
    assert len(set(results)) == 1
    checkpoints.verify(Path(json.loads(results[0])))
    assert sorted(name for name, _ in hub.served if name != "manifest.json") == sorted(checkpoints.FILES)


def test_hub_a_full_disk(hub, fetched, tmp_path):
    big = write(tmp_path / "big", 3_000, 64)
    hub.files = {name: (big / name).read_bytes() for name in SIX}
    (sentence,) = fetched(ADDRESS, most=200_000)
    assert "the disk is full" in sentence
    assert "nothing of the download is kept" in sentence
    assert visible(tmp_path / "cache" / "checkpoints") == set()
    assert [*(tmp_path / "cache" / "checkpoints").glob(".*.part")] == []


# the web


def test_web_a_download_is_asked_after_and_not_repeated(hub, cache, made):
    folder = fetch(f"{hub.url}/blobs")
    assert all((folder / name).read_bytes() == (made / name).read_bytes() for name in SIX)
    assert visible(cache) == {folder.name} == {sha256(made / "manifest.json")}
    hub.served.clear()
    assert fetch(f"{hub.url}/blobs/") == folder
    assert [name for name, _ in hub.served] == ["manifest.json"]


def test_web_the_cache_answers_where_nobody_does(hub, cache):
    folder, url = fetch(f"{hub.url}/blobs"), f"{hub.url}/blobs"
    hub.shutdown()
    hub.server_close()
    said: list[str] = []
    assert fetch(url, said.append) == folder
    assert f"{url} does not answer; this is what it gave before" in said
    with pytest.raises(InputError, match="does not answer as it should"):
        fetch(f"{url}/other")


def test_web_a_connection_that_breaks_off_goes_on_where_it_broke(hub, cache):
    hub.cut[WEIGHTS] = 700
    said: list[str] = []
    folder = fetch(f"{hub.url}/blobs", said.append)
    assert [asked for name, asked in hub.served if name == WEIGHTS] == [None, "bytes=700-"]
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]
    assert "the connection broke; going on at byte 700" in said


def test_web_the_next_run_goes_on_where_the_last_one_ended(hub, cache, monkeypatch):
    monkeypatch.setattr(web, "ATTEMPTS", 1)
    hub.cut[WEIGHTS] = 700
    with pytest.raises(InputError, match="the next run goes on from here"):
        fetch(f"{hub.url}/blobs")
    assert visible(cache) == set()
    folder = fetch(f"{hub.url}/blobs")
    assert [asked for name, asked in hub.served if name == WEIGHTS] == [None, "bytes=700-"]
    checkpoints.verify(folder)
    assert [*cache.glob(".*.part")] == []


def test_web_a_beginning_of_something_else_is_not_kept(hub, cache, made):
    part = cache / f".{sha256(made / 'manifest.json')}.part"
    part.mkdir(parents=True)
    (part / WEIGHTS).write_bytes(b"x" * 700)
    with pytest.raises(InputError, match=f"{WEIGHTS} arrived damaged"):
        fetch(f"{hub.url}/blobs")
    checkpoints.verify(fetch(f"{hub.url}/blobs"))


@pytest.mark.parametrize("name", checkpoints.FILES)
def test_web_same_size_corruption_is_refused(hub, cache, name):
    hub.files[name] = flip(hub.files[name])
    with pytest.raises(InputError, match=f"{name} arrived damaged"):
        fetch(f"{hub.url}/blobs")
    assert visible(cache) == set()


@pytest.mark.parametrize("change", [lambda content: content + b"x", lambda content: content[:-1], lambda content: b""])
def test_web_another_size_is_refused(hub, cache, change):
    hub.files[WEIGHTS] = change(hub.files[WEIGHTS])
    with pytest.raises(InputError, match=f"{WEIGHTS}: the server has [0-9,]+ bytes; it should be [0-9,]+\\."):
        fetch(f"{hub.url}/blobs")
    assert visible(cache) == set()


def test_web_a_manifest_of_ten_gigabytes_is_not_read(hub, cache):
    hub.files["manifest.json"] = b"[" * (2 << 20)
    with pytest.raises(InputError, match="it should be 1,048,576 at most"):
        fetch(f"{hub.url}/blobs")


def test_web_an_error_of_the_server_is_its_own(hub, cache):
    hub.broken = WEIGHTS
    with pytest.raises(InputError, match="the server says 403 Forbidden"):
        fetch(f"{hub.url}/blobs")


def test_web_room_on_the_disk_is_asked_for_first(hub, cache, monkeypatch):
    monkeypatch.setattr(sources.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1_000_000))
    with pytest.raises(InputError, match="MB are to come, and 1 MB are free"):
        fetch(f"{hub.url}/blobs")
    assert WEIGHTS not in [name for name, _ in hub.served]


def test_web_what_was_damaged_in_the_cache_is_fetched_anew(hub, cache):
    folder = fetch(f"{hub.url}/blobs")
    (folder / WEIGHTS).write_bytes(flip((folder / WEIGHTS).read_bytes()))
    assert fetch(f"{hub.url}/blobs") == folder
    checkpoints.verify(folder)


def test_web_a_link_in_the_cache_is_not_written_through(hub, cache, made, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("years of work")
    part = cache / f".{sha256(made / 'manifest.json')}.part"
    part.mkdir(parents=True)
    (part / WEIGHTS).symlink_to(mine)
    checkpoints.verify(fetch(f"{hub.url}/blobs"))
    assert mine.read_text() == "years of work"


class Elsewhere(BaseHTTPRequestHandler):
    """Sends everybody to `target`, or more than it said."""

    target = ""

    def do_GET(self) -> None:
        if self.target:
            self.send_response(302)
            self.send_header("Location", self.target)
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        while not self.wfile.closed:
            try:
                self.wfile.write(b"{" * 65536)
            except OSError:
                return

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.mark.parametrize("target", ["http://192.0.2.1/x", "file:///etc/passwd", "ftp://192.0.2.1/x"])
def test_web_a_redirect_that_leaves_https_is_not_followed(cache, monkeypatch, target):
    monkeypatch.setattr(Elsewhere, "target", target)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    with serving(server), pytest.raises(InputError, match=r"is not allowed|which is not https"):
        fetch(f"http://127.0.0.1:{server.server_port}/x")


def test_web_an_endless_answer_ends(cache):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    server.daemon_threads = True
    with serving(server), pytest.raises(InputError, match="sends more than the 1,048,576 bytes that it may have"):
        fetch(f"http://127.0.0.1:{server.server_port}/x")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://example.org/x", "plain http is for this machine alone"),
        ("https://me:secret@example.org/x", "without a password"),
        ("https://example.org/x?token=secret", "without a password, a query or a fragment"),
        ("https://example.org/x#y", "a query or a fragment"),
        ("https://", "should be https://host/folder"),
        ("ftp://example.org/x", "'ftp': no checkpoints come from there"),
        ("file:///etc", "'file': no checkpoints come from there"),
        ("htps://example.org/x", "Did you mean 'https'"),
        ("hf://one", "it should be hf://owner/name"),
        ("wandb://entity/project/name", "it should be wandb://entity/project/name:alias"),
    ],
)
def test_no_such_address(cache, address, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        fetch(address)
    assert "secret" not in str(refused.value)


def test_without_a_cache_nothing_is_fetched(hub):
    with pytest.raises(InputError, match="RECSYS_CACHE is empty"):
        fetch(f"{hub.url}/blobs")


def test_a_cache_that_cannot_be_written(hub, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="downloads cannot be kept there"):
        fetch(f"{hub.url}/blobs")


def test_many_at_once(hub, cache):
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch(f"{hub.url}/blobs"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert sorted(name for name, _ in hub.served if name != "manifest.json") == sorted(checkpoints.FILES)


# folders and names


def test_a_folder_is_what_it_is(made, monkeypatch):
    assert fetch(made) == made
    assert fetch(str(made)) == made
    monkeypatch.chdir(made.parent)
    assert fetch("tiny") == Path("tiny")
    with pytest.raises(InputError, match="neither a folder nor the name of a checkpoint"):
        fetch("tinny")
    with pytest.raises(InputError, match="no such checkpoint folder"):
        fetch("some/where")


@pytest.fixture
def zoo(tmp_path, made, hub):
    """A list of three: beside it, on a server, and on a server that has another one."""
    shutil.copytree(made, tmp_path / "zoo" / "near")
    near = registry.describe(made, "near")
    far = near | {"source": f"{hub.url}/blobs"}
    wrong = far | {"manifest_sha256": "0" * 64}
    file = tmp_path / "zoo" / "registry.json"
    file.write_text(json.dumps({"format": 1, "checkpoints": {"near": near, "far": far, "wrong": wrong}}))
    return file


def silent(message: str) -> None:
    """No matter."""


def test_by_name_what_is_listed_comes_or_nothing(hub, cache, zoo):
    entries = registry.read(zoo)
    assert sources.listed(entries["near"], silent, zoo) == zoo.parent / "near"
    folder = sources.listed(entries["far"], silent, zoo)
    checkpoints.verify(folder)
    hub.served.clear()
    assert sources.listed(entries["far"], silent, zoo) == folder
    assert hub.served == [], "the list says what it is: nothing need be asked"
    with pytest.raises(InputError, match="another checkpoint than the one that is listed; it is not taken"):
        sources.listed(entries["wrong"], silent, zoo)


def test_the_list_says_what_a_checkpoint_is_worth(zoo):
    entry = registry.read(zoo)["near"]
    assert (entry.model, entry.data, entry.items, entry.licence) == ("SASRec", "tiny", 299, "CC0-1.0")
    assert entry.metrics == {"test/ndcg@10": 0.25}
    assert entry.intervals == {"test/ndcg@10": [0.2, 0.3]}
    assert entry.size == sum(file.stat().st_size for file in (zoo.parent / "near").iterdir())


def test_a_listed_folder_that_was_exchanged(zoo, tmp_path):
    entry = registry.read(zoo)["near"]
    write(zoo.parent / "near", n_items=200)
    with pytest.raises(InputError, match="another checkpoint than the one that is listed"):
        sources.listed(entry, silent, zoo)
    shutil.rmtree(zoo.parent / "near")
    with pytest.raises(InputError, match="near: no such checkpoint folder"):
        sources.listed(entry, silent, zoo)


# the command


def test_the_command_prints_the_folder(hub, cache, capsys, tmp_path):
    assert main(["download", f"{hub.url}/blobs"]) == 0
    shown = capsys.readouterr()
    checkpoints.verify(Path(shown.out.strip()))
    assert f"fetching {WEIGHTS}" in shown.err
    assert main(["download", f"{hub.url}/blobs", "--output", str(tmp_path / "out")]) == 0
    checkpoints.verify(tmp_path / "out")
    assert main(["download", f"{hub.url}/blobs", "--output", str(tmp_path / "out")]) == 0, "over its own output"
    (tmp_path / "mine").mkdir()
    assert main(["download", f"{hub.url}/blobs", "--output", str(tmp_path / "mine")]) == 2
    assert "exists and is no checkpoint folder" in capsys.readouterr().err


def test_recommending_from_an_address(hub, cache, capsys):
    assert main(["recommend", "--checkpoint", f"{hub.url}/blobs", "--history", "n1,n2", "--k", "3", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_what_is_public_is_readable_by_others(hub, cache):
    folder = fetch(f"{hub.url}/blobs")
    mask = os.umask(0)
    os.umask(mask)
    assert folder.stat().st_mode & 0o777 == 0o777 & ~mask
