"""Checkpoints with and without queries, titles, and a server that most tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from serving_toy import SHAPE, TOKENS, Server, running, saved

from recsys.models import SASRec, SearchSASRec


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model that reads queries."""
    torch.manual_seed(0)
    return saved(SearchSASRec(**SHAPE, buckets=97), tmp_path_factory.mktemp("serving") / "search")


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one that does not."""
    torch.manual_seed(1)
    return saved(SASRec(**SHAPE), tmp_path_factory.mktemp("serving") / "plain")


@pytest.fixture(scope="session")
def titles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Titles of all items but the last, one of them hostile."""
    file = tmp_path_factory.mktemp("serving") / "toy.item"
    rows = [f"{token}\tFilm {token[1:]}" for token in TOKENS[:-1]]
    rows[6] = "n7\t<img src=x onerror=alert(1)> Zhao"
    file.write_text("item_id:token\tmovie_title:token_seq\n" + "\n".join(rows) + "\n", "utf-8")
    return file


@pytest.fixture(scope="session")
def server(checkpoint: Path, titles: Path) -> Iterator[Server]:
    """One for all tests that leave it as it was."""
    with running(str(checkpoint), "--items", str(titles), "--seconds", "2") as one:
        yield one
