"""The house: who may import whom, proved from the source, where no import can be forgotten or done too late."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "recsys"

FLOORS = [
    {"__init__", "arguments", "errors", "files", "machine", "page", "progress", "wandb_server"},
    {"hub", "metrics"},
    {"atomic", "models", "losses", "ranking"},
    {"qilin", "tables", "data", "checkpoints"},
    {"training", "recommender", "experiments"},
    {"serving", "ablation"},
    {"__main__", "commands"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
PURE = {"models", "losses", "metrics", "ranking"}  # arrays and tensors in, arrays and tensors out


class Import(NamedTuple):
    """One import: where it stands, what it names in full, and whether importing the file leaves it for later."""

    file: Path
    line: int
    name: str
    lazy: bool

    @property
    def room(self) -> str:
        """The room of the house that the import stands in."""
        return room_of(self.file)

    @property
    def package(self) -> str:
        """The first part of what is imported."""
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.name}"


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(file: Path) -> Iterator[Import]:
    """Every import of a file: at the top, in functions, for type checkers, and `import_module("...")`."""
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    lazy = {id(child) for node in ast.walk(tree) if _waits(node) for child in ast.walk(node)}
    for node in ast.walk(tree):
        for name in _names(node, file):
            yield Import(file, node.lineno, name, id(node) in lazy)


def _waits(node: ast.AST) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _names(node: ast.AST, file: Path) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0):
            return [f"{node.module}.{alias.name}" for alias in node.names]
        case ast.ImportFrom():
            parents = file.relative_to(ROOT).parts[: -node.level]
            return [".".join(filter(None, (*parents, node.module, alias.name))) for alias in node.names]
        case ast.Call(func=ast.Name(id="import_module" | "__import__"), args=[ast.Constant(value=str(name)), *_]):
            return [name]
        case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
            return [name]
    return []


FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted({room_of(file) for file in FILES})
IMPORTS = [found for file in FILES for found in imports_of(file)]


def target(found: Import) -> str | None:
    """The room that an import leads into; None where it leads out of the house."""
    package, *rest = found.name.split(".")
    if package != "recsys":
        return None
    return rest[0] if rest and rest[0] in ROOMS else "__init__"


def breaches(*, rooms: set[str], packages: set[str], lazy: bool = True) -> list[str]:
    """Imports of `packages` from `rooms`; with `lazy=False` those in functions or for type checkers are forgiven."""
    return [str(i) for i in IMPORTS if i.room in rooms and i.package in packages and (lazy or not i.lazy)]


def test_the_walk_finds_every_kind_of_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "recsys" / "data" / "module.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import a.b, c\nfrom d.e import f\nfrom . import g\nfrom ..h import i\n"
        "if TYPE_CHECKING:\n    import m\n"
        "def lazily():\n    import j\n    importlib.import_module('k.l')\n"
    )
    found = {(i.name, i.lazy) for i in imports_of(file)}
    top = {"a.b", "c", "d.e.f", "recsys.data.g", "recsys.h.i"}
    assert found == {(name, False) for name in top} | {("j", True), ("k.l", True), ("m", True)}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_itself_and_lower_floors(room: str) -> None:
    assert room in FLOOR, f"recsys/{room} has no floor: give it one in FLOORS"
    own = [(found, to) for found in IMPORTS if found.room == room and (to := target(found)) not in (None, room)]
    if room == "__init__":  # the door: it names the Recommender, and opens on first use
        own = [(found, to) for found, to in own if to != "recommender"]
    upwards = [f"{found} (floor {FLOOR[to]})" for found, to in own if FLOOR[to] >= FLOOR[room]]
    assert upwards == []


def test_pure_rooms_know_nothing_of_files_and_experiments() -> None:
    assert breaches(rooms=PURE, packages={"lightning", "wandb", "pathlib", "polars", "pyarrow", "pandas"}) == []
    assert [str(found) for found in IMPORTS if found.room in PURE and target(found) == "files"] == []


def test_the_data_set_knows_nothing_of_torch() -> None:
    assert breaches(rooms={"qilin", "atomic"}, packages={"torch", "lightning"}) == []


def test_pandas_is_for_who_brings_it() -> None:
    assert breaches(rooms={"recommender", "serving", "atomic", "data"} & set(ROOMS), packages={"pandas"}) == []


def test_recbole_is_imported_in_models_alone() -> None:
    assert breaches(rooms=set(ROOMS) - {"models"}, packages={"recbole"}) == []


def test_wandb_is_imported_late_and_in_few_places() -> None:
    users = {"training", "experiments", "commands", "checkpoints", "wandb_server"}
    assert breaches(rooms=set(ROOMS) - users, packages={"wandb"}) == []
    assert breaches(rooms=users, packages={"wandb"}, lazy=False) == []


def test_one_lightning() -> None:
    everywhere = [*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    found = [i.file for file in everywhere for i in imports_of(file) if i.package == "pytorch_lightning"]
    assert {file.name for file in found} == {"run_rectools.py"}  # in RecTools' environment, where it is the one


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_says_what_it_is_and_has_a_name_of_its_own(file: Path) -> None:
    assert (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").strip()
    assert file.stem not in {"utils", "util", "helpers", "common", "misc"}


def test_every_folder_of_modules_is_a_package() -> None:
    assert [str(file) for file in FILES if not (file.parent / "__init__.py").exists()] == []


def test_tests_mirror_the_package() -> None:
    folders = {file.parent for file in (ROOT / "tests").rglob("test_*.py")}
    strangers = [folder for folder in folders if not (PACKAGE / folder.relative_to(ROOT / "tests")).is_dir()]
    assert strangers == []


@pytest.mark.parametrize("room", [room for room in ROOMS if FLOOR.get(room) and room != "__main__"])
def test_every_room_has_tests(room: str) -> None:
    tests = ROOT / "tests"
    assert [*(tests / room).glob("test_*.py"), *tests.glob(f"test_{room}.py")]
