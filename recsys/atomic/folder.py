"""The folder of a data set: what may be replaced, what tells RecBole how to read it, a value that others rely on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from recsys.errors import InputError
from recsys.files import atomic_folder

TYPED = 1
"""`query_from_type` of a query that its user typed, as in Qilin: what every query that is asked anew is taken for."""

_RECBOLE = """\
# For stock RecBole 1.2.1: run_recbole(dataset="{stem}", config_file_list=[<this file>],
# config_dict={{"data_path": <the folder that holds this file's folder>}})
field_separator: "\\t"
seq_separator: " "
USER_ID_FIELD: user_id
ITEM_ID_FIELD: item_id
TIME_FIELD: timestamp
load_col:  # nothing that is a token_seq: under pandas 3, RecBole 1.2.1 cannot load it
{columns}
filter_inter_by_user_or_item: false  # keep a click whose item or user has no features
MAX_ITEM_LIST_LENGTH: 50
train_neg_sample_args: null  # cross-entropy over all items
eval_args: {{split: {{LS: valid_and_test}}, group_by: user, order: TO, mode: full}}
"""


def recbole_config(stem: str, features: Mapping[str, Mapping[str, str]]) -> str:
    """What RecBole needs to know of the data set `stem`; `features` has the types of the fields of .item and .user."""
    loaded: dict[str, Sequence[str]] = {"inter": ["user_id", "item_id", "timestamp"]}
    for kind, types in features.items():
        loaded[kind] = [name for name, type_ in types.items() if type_ == "token"]
    columns = "\n".join(f"  {kind}: [{', '.join(names)}]" for kind, names in loaded.items())
    return _RECBOLE.format(stem=stem, columns=columns)


def require_own(output: Path, *sources: Path) -> None:
    """Replacing a folder deletes what it held: refuse unless that is an earlier conversion without a source in it.

    Raises:
        InputError: it is something else.
    """
    for source in sources:
        if source.resolve().is_relative_to(output.resolve()):
            raise InputError(f"{output}: the output would replace the source {source}; name another folder.")
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file; the output is a folder.")
    if output.is_dir() and any(output.iterdir()) and not (output / f"{output.absolute().name}.meta.json").is_file():
        raise InputError(f"{output}: holds something other than a conversion; name another folder.")


@contextmanager
def replaced(output: Path) -> Iterator[Path]:
    """A new folder, which takes the place of `output` when all went well.

    Raises:
        InputError: it cannot be written.
    """
    try:
        with atomic_folder(output) as new:
            yield new
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror or error}).") from error
