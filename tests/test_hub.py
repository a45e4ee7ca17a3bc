"""Addresses on the Hugging Face Hub; what goes wrong there is told by the tests of those who fetch from it."""

import pytest

from recsys.errors import InputError
from recsys.hub import Address, parse


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("hf://THUIR/Qilin", Address("THUIR/Qilin", "main")),
        ("hf://datasets/THUIR/Qilin@v1.0", Address("THUIR/Qilin", "v1.0")),
        ("hf://a-b/c_d.e@refs/pr/3", Address("a-b/c_d.e", "refs/pr/3")),
    ],
)
def test_an_address(source: str, address: Address) -> None:
    assert parse(source) == address


@pytest.mark.parametrize(
    "source",
    [
        "hf://",
        "hf://a",
        "hf://a/b/c",
        "hf://a/b@",
        "hf://a/b@x y",
        "hf://a/b?c",
        "hf://a/b#c",
        "https://a/b",
        "hf://a/b@x/",
        "hf://a/é",
    ],
)
def test_none(source: str) -> None:
    with pytest.raises(InputError, match="it should be hf://owner/name or hf://owner/name@revision"):
        parse(source)
