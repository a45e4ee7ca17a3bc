"""What the tests of comparisons share."""

from collections.abc import Callable

import pytest

from recsys.__main__ import main


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Call `main` and return its one sentence of complaint."""

    def call(*args: str) -> str:
        capsys.readouterr()
        assert main(list(args)) == 2
        return capsys.readouterr().err.strip().removeprefix("recsys: error: ")

    return call
