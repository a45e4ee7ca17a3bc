"""What items are called, by the `.item` file of a data set."""

from pathlib import Path

import pytest

from recsys.atomic import read_titles
from recsys.errors import InputError


@pytest.mark.parametrize(
    ("field", "written", "title"),
    [
        ("title:token_seq", "傰 孧 仴 !", "傰孧仴!"),  # our converter separates characters
        ("movie_title:token_seq", "Toy Story", "Toy Story"),  # RecBole's data sets words
        ("title:token", "Toy Story", "Toy Story"),
        ("title:token_seq", "", ""),
    ],
)
def test_a_title_reads_as_people_write_it(tmp_path: Path, field: str, written: str, title: str) -> None:
    file = tmp_path / "toy.item"
    file.write_text(f"item_id:token\tyear:float\t{field}\n7\t1995\t{written}\n", "utf-8")
    assert read_titles(file).rows() == [("7", title)]


def test_a_file_without_titles_says_so(tmp_path: Path) -> None:
    file = tmp_path / "toy.item"
    file.write_text("item_id:token\tyear:float\n7\t1995\n", "utf-8")
    with pytest.raises(InputError, match=r"toy.item: no field whose name ends in 'title'\."):
        read_titles(file)
