"""Files made by somebody who means harm: each is refused with one sentence, runs nothing and writes nowhere else."""

import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny_checkpoint import SIX, WEIGHTS, agree, write

from recsys import checkpoints
from recsys.atomic import Vocabulary
from recsys.checkpoints import registry
from recsys.checkpoints.archive import refuse_packed
from recsys.checkpoints.build import SPARE, build
from recsys.checkpoints.manifest import FILES, LIMITS
from recsys.errors import InputError
from recsys.models import RecBole, SASRec
from recsys.models.content import CATEGORIES


@pytest.fixture
def made(tmp_path):
    return write(tmp_path / "zoo" / "tiny")


class Evil:
    """Leaves a file behind wherever it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as raised:
        checkpoints.load(folder)
    sentence = str(raised.value)
    assert "\n" not in sentence
    assert len(sentence) < 600
    return sentence


def config(folder: Path, **changed: object) -> None:
    content = json.loads((folder / "config.json").read_text("utf-8")) | changed
    (folder / "config.json").write_text(json.dumps(content), "utf-8")
    agree(folder, "config.json")


# the list


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/x",
        "a/b",
        "a\\b",
        "..",
        ".",
        ".hidden",
        "",
        " ",
        "a b",
        "a\nb",
        "a..b",
        "-x",
        "x" * 101,
        "名",
        "a\x00b",
        "C:x",
    ],
)
def test_a_name_is_never_a_path(made, name):
    for change in ({"name": name}, {"source": name}):
        entry = registry.describe(made, change.get("source", "tiny"))
        file = made.parent / "registry.json"
        file.write_text(json.dumps({"format": 1, "checkpoints": {change.get("name", "x"): entry}}))
        with pytest.raises(InputError, match=r"is no name|no folder beside the list") as raised:
            registry.read(file)
        assert "\n" not in str(raised.value)
    with pytest.raises(InputError):
        checkpoints.fetch(name)


@pytest.mark.parametrize(
    "change",
    [
        {"manifest_sha256": "0" * 63},
        {"manifest_sha256": "../" + "0" * 61},
        {"size": "1"},
        {"size": True},
        {"metrics": []},
        {"source": None},
        {"run": "rm -rf"},
    ],
)
def test_an_entry_is_complete_and_nothing_else(made, change):
    file = made.parent / "registry.json"
    file.write_text(json.dumps({"format": 1, "checkpoints": {"x": registry.describe(made, "tiny") | change}}))
    with pytest.raises(InputError, match=r"registry\.json: x "):
        registry.read(file)


def test_a_listed_folder_is_no_link_out(made, tmp_path):
    write(tmp_path / "elsewhere")
    (made.parent / "link").symlink_to(tmp_path / "elsewhere")
    file = made.parent / "registry.json"
    file.write_text(json.dumps({"format": 1, "checkpoints": {"x": registry.describe(made, "link")}}))
    with pytest.raises(InputError, match="link: no such checkpoint folder"):
        registry.local(registry.read(file)["x"], file)


# the manifest


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "run.py", "model.pkl", "a\nb"])
def test_a_manifest_that_names_more(made, name):
    manifest = json.loads((made / "manifest.json").read_text())
    (made / "manifest.json").write_text(json.dumps(manifest | {name: manifest["README.md"]}))
    assert "is no part of a checkpoint" in refused(made)


@pytest.mark.parametrize("size", [-1, 0, 1, 10**18, 1.5, "100", None, True, [1]])
def test_a_manifest_that_lies_about_a_size(made, size):
    manifest = json.loads((made / "manifest.json").read_text())
    manifest[WEIGHTS]["size"] = size
    (made / "manifest.json").write_text(json.dumps(manifest))
    assert any(said in refused(made) for said in ("damaged", "no size in bytes"))


@pytest.mark.parametrize("name", ["manifest.json", "config.json", "metrics.json", "README.md"])
def test_a_small_file_that_is_not_small(made, name):
    with (made / name).open("r+b") as file:
        file.truncate(10 << 30)  # sparse: it takes no room
    if name != "manifest.json":
        manifest = json.loads((made / "manifest.json").read_text())
        manifest[name]["size"] = 10 << 30
        (made / "manifest.json").write_text(json.dumps(manifest))
    assert f"{LIMITS[name]:,}" in refused(made) or "far more than such a file has" in refused(made)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, '{"format": ' + "9" * 10_000 + "}", '{"a": "\ud800"}']
)
@pytest.mark.parametrize("name", ["manifest.json", "config.json", "metrics.json"])
def test_json_that_exhausts_its_reader(made, name, text):
    (made / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    if name != "manifest.json":
        agree(made, name)
    refused(made)


# the weights


def test_a_pickle_by_another_name(made, tmp_path):
    for content in (pickle.dumps(Evil(tmp_path / "ran")), b""):
        (made / WEIGHTS).write_bytes(content)
        agree(made, WEIGHTS)
        assert "nor any in the format of safetensors" in refused(made)
    torch.save({"x": Evil(tmp_path / "ran")}, made / WEIGHTS)
    agree(made, WEIGHTS)
    assert "nor any in the format of safetensors" in refused(made)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("length", [10 << 30, 2**63, 2**64 - 1, 100_000_000])
def test_a_header_of_ten_gigabytes(made, length):
    (made / WEIGHTS).write_bytes(struct.pack("<Q", length) + b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}')
    agree(made, WEIGHTS)
    assert "nor any in the format of safetensors" in refused(made)


def tensors(header: dict, content: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


@pytest.mark.parametrize(
    "header",
    [
        {"x": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}},
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 10**12]}},
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
        {"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"x": {"dtype": "OBJ", "shape": [1], "data_offsets": [0, 4]}},
        {f"x{i}": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for i in range(3)},
        {"../x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}},
        {"x": {"dtype": "F32", "shape": [2**62, 4, 0], "data_offsets": [0, 0]}},
    ],
)
def test_a_header_that_lies(made, header):
    (made / WEIGHTS).write_bytes(tensors(header, b"\0\0\0\0"))
    agree(made, WEIGHTS)
    assert "not the weights of the model" in refused(made)


def test_weights_of_another_kind_of_number(made):
    weights = safetensors.torch.load_file(made / WEIGHTS)
    name = next(iter(weights))
    safetensors.torch.save_file(weights | {name: weights[name].to(torch.int64)}, made / WEIGHTS)
    agree(made, WEIGHTS)
    assert "is torch.int64 instead of torch.float32" in refused(made)


@pytest.mark.parametrize("number", [-1, 31, 2**31 - 1])
@pytest.mark.parametrize("name", ["item_embedding.title", "item_embedding.category", "feature_0"])
def test_weights_that_point_out_of_a_table(tmp_path, name, number):
    if name == "feature_0":
        settings = {"selected_features": ["class"], "hidden_size": 8, "inner_size": 8}
        network = RecBole("SASRecF", 20, 5, settings=settings, features={"class": np.zeros(20, np.int32)})
    else:
        network = SASRec(20, 5, 8, 1, 2, 8, content=True, buckets=31)
    items = Vocabulary([f"n{i}" for i in range(1, 20)])
    made = checkpoints.Checkpoint(network, items, np.zeros(20, np.int64), {"name": "tiny"}, {})
    checkpoints.save(made, tmp_path / "x")
    checkpoints.load(tmp_path / "x")
    weights = safetensors.torch.load_file(tmp_path / "x" / WEIGHTS)
    weights[name][-1] = number if "category" not in name or number != 31 else CATEGORIES
    safetensors.torch.save_file(weights, tmp_path / "x" / WEIGHTS)
    agree(tmp_path / "x", WEIGHTS)
    assert "not the weights of the model in config.json" in refused(tmp_path / "x")


# the configuration


@pytest.mark.parametrize(
    "model",
    [
        "os.system",
        "torch.nn.Linear",
        "Batch",
        "Model",
        "__import__",
        "recsys.models.SASRec",
        "nn",
        "",
        None,
        ["SASRec"],
        "x" * 10**5,
    ],
)
def test_a_class_outside_the_registry(made, model):
    config(made, model=model)
    assert "unknown model" in refused(made)


SHAPE = {"n_items": 300, "max_len": 5, "dim": 8, "layers": 1, "heads": 2, "inner_dim": 8, "dropout": 0.2}
FEATURE = {"selected_features": ["a"]}
MANY = 60_000  # small enough to be some honest number, and far too large as two of them
BOMBS = [
    ("SASRec", SHAPE | {"n_items": 10**11}),
    ("SASRec", SHAPE | {"n_items": MANY, "dim": MANY}),
    ("SASRec", SHAPE | {"layers": MANY}),
    ("SASRec", SHAPE | {"inner_dim": MANY, "dim": MANY}),
    ("BERT4Rec", SHAPE | {"max_len": MANY, "dim": MANY}),
    ("SearchSASRec", SHAPE | {"buckets": MANY, "dim": 1024}),
    ("HSTU", {"n_items": 300, "max_len": MANY, "dim": 8192, "layers": MANY, "heads": 1}),
    ("eSASRec", SHAPE | {"layers": MANY}),
    ("RecBole", {"model": "NextItNet", "n_items": 300, "settings": {"block_num": 10**10}}),
    ("RecBole", {"model": "NextItNet", "n_items": 300, "settings": {"block_num": MANY}}),
    ("RecBole", {"model": "GRU4Rec", "n_items": 300, "settings": {"hidden_size": MANY}}),
    ("RecBole", {"model": "SASRecF", "n_items": 300, "features": {"a": [MANY, MANY]}, "settings": FEATURE}),
    ("RecBole", {"model": "S3Rec", "n_items": 300, "settings": {"pre_model_path": "/tmp/evil.pth"}}),
    ("RecBole", {"model": "../../evil", "n_items": 300}),
]

FIRM = """
import json, resource, sys, time
from pathlib import Path
import torch
from recsys.checkpoints.build import build
from recsys.errors import InputError
from recsys.models import RecBole, SASRec
import recsys.models
import recbole.utils
from torch.utils import _python_dispatch
SASRec(9, 5, 8)
before = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (before + (600 << 20), before + (600 << 20)))
for model, given in json.loads(sys.argv[1]):
    started = time.process_time()
    try:
        build(Path("config.json"), {"model": model, "hyperparameters": given}, 5000)
        print(json.dumps("built"))
    except InputError as error:
        print(json.dumps([str(error), time.process_time() - started]))
"""


def test_no_configuration_makes_more_than_its_weights():
    """In a process that may take 600 MB more than it has: what asks for more fails for that reason alone."""
    done = subprocess.run(
        [sys.executable, "-c", FIRM, json.dumps(BOMBS)], capture_output=True, text=True, timeout=300, check=False
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(BOMBS), done.stderr
    for (model, _), (sentence, seconds) in zip(BOMBS, results, strict=True):
        assert sentence.startswith(f"config.json: these are no hyperparameters of {model} (")
        assert not any(said in sentence for said in ("memory", "allocate", "MemoryError"))
        assert seconds < 20


# archives


def bomb(file: Path, size: int = 1 << 25) -> Path:
    """What `torch.save` would write, packed: a thousand times smaller than what is in it."""
    torch.save({"state_dict": {"x": torch.zeros(size // 4)}}, file)
    with zipfile.ZipFile(file) as plain, zipfile.ZipFile(file.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    file.with_suffix(".zip").replace(file)
    return file


def test_a_zip_bomb(tmp_path):
    from recsys.checkpoints import lightning, recbole

    file = bomb(tmp_path / "bomb.ckpt")
    assert file.stat().st_size < 1 << 17
    for read in (refuse_packed, lightning.read, recbole.read):
        with pytest.raises(InputError, match="it would unfold into more than it is"):
            read(file)


def test_a_zip_whose_parts_lie_over_each_other(tmp_path):
    file = tmp_path / "overlap.ckpt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", b"x" * 1000)
        first = archive.infolist()[0]
        for i in range(50):
            again = zipfile.ZipInfo(f"a/data/{i}")
            again.header_offset, again.CRC = first.header_offset, first.CRC
            again.compress_size = again.file_size = first.file_size
            archive.filelist.append(again)
    with pytest.raises(InputError, match="it would unfold into more than it is"):
        refuse_packed(file)


# whatever else


CHANGES = st.lists(st.tuples(st.integers(0, 1 << 30), st.binary(min_size=0, max_size=6)), min_size=1, max_size=4)


def loaded_or_refused(load):
    """What `load` gives; None where it refuses in one sentence. Any other exception is a failure."""
    said = ""
    try:
        return load()
    except InputError as error:
        said = str(error)
    assert said
    assert "\n" not in said
    return None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write(tmp_path_factory.mktemp("whole") / "tiny", n_items=20)


@pytest.mark.parametrize("name", sorted(SIX))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(changes=CHANGES, cut=st.one_of(st.none(), st.integers(0, 200)))
@example(changes=[(0, b"")], cut=0)
def test_whatever_is_changed_it_loads_or_is_refused(whole, tmp_path, name, changes, cut):
    """Bytes are exchanged anywhere and the manifest made to agree: what comes is a checkpoint or one sentence."""
    folder = tmp_path / "fuzzed"
    folder.mkdir(exist_ok=True)
    for each in SIX:
        (folder / each).write_bytes((whole / each).read_bytes())
    content = bytearray((whole / name).read_bytes())
    for place, put in changes:
        start = place % len(content)
        content[start : start + len(put)] = put
    (folder / name).write_bytes(bytes(content[: len(content) - (cut or 0)]))
    if name != "manifest.json":
        agree(folder, name)
    before = sorted(tmp_path.rglob("*"))
    loaded = loaded_or_refused(lambda: checkpoints.load(folder))
    if loaded is not None:
        assert loaded.network.n_items == len(loaded.items) == len(loaded.popularity)
    assert sorted(tmp_path.rglob("*")) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["format", "model", "hyperparameters", "items_sha256", "data", "versions", "metrics", "intervals"]


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "manifest.json"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(changed=st.dictionaries(st.sampled_from([*KEYS, *FILES]), JSON, min_size=1, max_size=2))
def test_whatever_json_says_it_loads_or_is_refused(whole, tmp_path, name, changed):
    folder = tmp_path / "fuzzed"
    folder.mkdir(exist_ok=True)
    for each in SIX:
        (folder / each).write_bytes((whole / each).read_bytes())
    content = json.loads((whole / name).read_text("utf-8")) | changed
    (folder / name).write_text(json.dumps(content), "utf-8")
    if name != "manifest.json":
        agree(folder, name)
    loaded = loaded_or_refused(lambda: checkpoints.load(folder))
    if loaded is not None:
        assert set(map(type, loaded.metrics.values())) <= {int, float}
        assert isinstance(loaded.data, dict)


HYPER = st.one_of(st.integers(-3, 50), st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=4), JSON)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    model=st.sampled_from(
        ["SASRec", "BERT4Rec", "SearchSASRec", "SearchBERT4Rec", "HSTU", "eSASRec", "CausalTransformer"]
    ),
    changed=st.dictionaries(
        st.sampled_from([*SHAPE, "buckets", "content", "fusion", "mask_ratio", "x"]), HYPER, max_size=3
    ),
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_whatever_hyperparameters_say_they_build_or_are_refused(model, changed):
    given = {key: value for key, value in SHAPE.items() if model != "HSTU" or key != "inner_dim"} | changed
    described = {"model": model, "hyperparameters": given}
    network = loaded_or_refused(lambda: build(Path("config.json"), described, 20_000))
    if network is not None:
        assert sum(parameter.numel() for parameter in network.parameters()) <= 2 * 20_000 + SPARE
