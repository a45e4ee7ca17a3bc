"""Where kernels are kept, and what they survive: each case in a process of its own, which compiles a thing once."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from recsys.errors import InputError
from recsys.metrics import evaluate, warm_up
from recsys.metrics.compiled import in_blocks

PACKAGE = Path(__file__).parents[2] / "recsys"
# One kernel of them all: they are all compiled alike, and this one is soon done.
COMPILE = """
    import numpy as np
    from recsys.metrics.lists import _are_sets
    assert _are_sets(np.array([0, 2]), np.array([3, 5]))
    print(sum(_are_sets.stats.cache_hits.values()), _are_sets.stats.cache_path)
"""


def start(code, cwd, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_", "PYTHON"))}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=cwd, env=kept | {k: str(v) for k, v in environment.items()}, **pipes)


def ended(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip()


@pytest.fixture
def read_only(tmp_path):
    """A copy of the package that cannot be written to, not even by root: files stand where folders would be made."""
    site = tmp_path / "site"
    shutil.copytree(PACKAGE / "metrics", site / "recsys" / "metrics", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "errors.py"):
        shutil.copy(PACKAGE / name, site / "recsys" / name)
    (site / "recsys" / "metrics" / "__pycache__").touch()
    return site


def test_a_read_only_installation_keeps_kernels_in_the_users_cache(read_only, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    first, second = (ended(start(COMPILE, read_only, HOME=home)) for _ in range(2))
    assert (first[0], second[0]) == ("0", "1")
    assert first[2:].startswith(str(home))


def test_without_a_home_they_are_kept_in_a_private_temporary_folder(read_only, tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    first, second = (ended(start(COMPILE, read_only, HOME="/dev/null", TMPDIR=temporary)) for _ in range(2))
    assert (first[0], second[0]) == ("0", "1")
    (folder,) = temporary.iterdir()
    assert first[2:].startswith(str(folder))
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_others_can_write_to_is_not_trusted(read_only, tmp_path):
    temporary = tmp_path / "tmp"
    planted = temporary / f"recsys-zoo-numba-{os.getuid()}"
    planted.mkdir(parents=True)
    planted.chmod(0o777)
    ended(start(COMPILE.replace("_are_sets.stats.cache_path", "0"), read_only, HOME="/dev/null", TMPDIR=temporary))
    assert list(planted.iterdir()) == []


def test_four_processes_may_compile_at_once(tmp_path):
    processes = [start(COMPILE, PACKAGE.parent, NUMBA_CACHE_DIR=tmp_path) for _ in range(4)]
    assert {ended(process)[2:].startswith(str(tmp_path)) for process in processes} == {True}
    assert ended(start(COMPILE, PACKAGE.parent, NUMBA_CACHE_DIR=tmp_path))[0] == "1"


def test_a_fork_after_use_may_go_on():
    code = """
        import os
        from recsys.metrics import evaluate
        def once():
            return evaluate([[1, 2]] * 20_000, (list(range(20_001)), [2] * 20_000), [2], ["mrr"], threads=2)["mrr@2"]
        expected = once()
        child = os.fork()
        if child == 0:
            os._exit(0 if (once() == expected).all() else 3)
        assert os.waitpid(child, 0)[1] == 0
    """
    ended(start(code, PACKAGE.parent))


def test_python_threads_may_evaluate_at_once():
    code = """
        from concurrent.futures import ThreadPoolExecutor
        import numpy as np
        from recsys.metrics import evaluate
        rng = np.random.default_rng(0)
        ranked, relevant = rng.integers(1, 50, (13_000, 10)), (np.arange(13_001), rng.integers(1, 50, 13_000))
        def once(threads):
            return b"".join(column.tobytes() for column in evaluate(ranked, relevant, [1, 5], threads=threads).values())
        with ThreadPoolExecutor(4) as pool:  # the first calls compile at the same time
            assert len(set(pool.map(once, [1, 2, 3, 4] * 3))) == 1
    """
    ended(start(code, PACKAGE.parent))


def test_nothing_is_compiled_after_warming_up():
    code = """
        from recsys.metrics import evaluate, mean_interval, warm_up
        from recsys.metrics import accuracy, intervals
        warm_up()
        import numba.core.dispatcher
        def fail(*args, **kwargs):
            raise AssertionError("compiled late")
        numba.core.dispatcher.Dispatcher.compile = fail
        values = evaluate([[1, 2], [2, 3]], ([0, 1, 1], [2]), (1, 2))
        mean_interval(evaluate([[1], [2]], [[1], [9]], (1,))["ndcg@1"], [0, 1])
    """
    ended(start(code, PACKAGE.parent))


def test_blocks_cover_every_request_once():
    for requests in (0, 1, 5999, 6000, 6001, 20_000):
        seen = np.zeros(requests, int)

        def mark(start, stop, seen=seen):
            seen[start:stop] += 1

        for threads in (1, 2, 5):
            in_blocks(mark, requests, threads)
        assert (seen == 3).all()


def test_what_is_wrong_in_a_block_is_told():
    ranked = np.ones((13_000, 1), int)
    ranked[12_999] = -1
    for threads in (1, 3):
        with pytest.raises(InputError, match="negative"):
            evaluate(ranked, (np.arange(13_001), np.ones(13_000, int)), [1], threads=threads)


def test_warming_up_twice_is_harmless():
    warm_up()
    warm_up()
