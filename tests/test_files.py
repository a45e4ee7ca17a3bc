"""A reader never sees half a file."""

import hashlib
import os
import stat

import pytest

from recsys.files import atomic_file, atomic_folder, sha256


class Interruption(Exception):
    """What happens in the middle of writing."""


def interrupt(writer, half):
    """Begin to write, then fail."""
    with writer as temporary:
        half(temporary).write_text("half")
        raise Interruption


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "deep" / "er" / "x.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "new"
    assert names(path.parent) == ["x.txt"]


def test_an_old_file_stands_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(Interruption):
        interrupt(atomic_file(path), lambda temporary: temporary)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_a_failure_leaves_no_file_where_there_was_none(tmp_path):
    with pytest.raises(Interruption):
        interrupt(atomic_file(tmp_path / "x.txt"), lambda temporary: temporary)
    assert names(tmp_path) == []


def test_a_folder_takes_the_place_of_the_old_one_whole(tmp_path):
    path = tmp_path / "x"
    path.mkdir()
    (path / "old").write_text("old")
    with atomic_folder(path) as temporary:
        (temporary / "new").write_text("new")
        assert names(path) == ["old"]
    assert names(path) == ["new"]
    assert names(tmp_path) == ["x"]


def test_a_new_folder_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "deep" / "x"
    with atomic_folder(path) as temporary:
        (temporary / "sub").mkdir()
        assert not path.exists()
    assert names(path) == ["sub"]
    assert names(path.parent) == ["x"]


@pytest.mark.parametrize("there", [True, False])
def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path, there):
    path = tmp_path / "x"
    if there:
        path.mkdir()
        (path / "old").write_text("old")
    with pytest.raises(Interruption):
        interrupt(atomic_folder(path), lambda temporary: temporary / "half")
    assert names(tmp_path) == (["x"] if there else [])
    assert not there or names(path) == ["old"]


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "file") as temporary:
            temporary.write_text("x")
        with atomic_folder(tmp_path / "folder"):
            pass
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


def test_the_digest_of_a_file_larger_than_a_block(tmp_path):
    content = bytes(range(256)) * 5000  # 1.28 MB
    (tmp_path / "x").write_bytes(content)
    assert sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()
