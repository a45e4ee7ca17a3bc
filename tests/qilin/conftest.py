from collections.abc import Callable
from pathlib import Path

import pytest
from qilin_tiny import Rows, tiny, write_config

SAMPLE = Path(__file__).parents[2].parent / "shared" / "qilin_sample"


@pytest.fixture
def raw(tmp_path: Path) -> Callable[..., Path]:
    """Write the six requests, with the given configurations replaced; None leaves one out."""

    def write(**replaced: Rows | None) -> Path:
        root = tmp_path / "raw"
        for config, rows in (tiny() | replaced).items():
            if rows is not None:
                write_config(root, config, rows)
        return root

    return write


@pytest.fixture
def sample() -> Path:
    if not SAMPLE.is_dir():
        pytest.skip("the sample of real rows is not on this machine")
    return SAMPLE
