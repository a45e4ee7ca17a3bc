"""RecBole's atomic files, the interchange format: typed header, tab-separated, sequences joined by spaces."""

from recsys.atomic.files import FIELD_TYPES, header, lines, read, read_header, write
from recsys.atomic.folder import TYPED, recbole_config, replaced, require_own
from recsys.atomic.problems import Problems
from recsys.atomic.split import leave_one_out
from recsys.atomic.titles import read_titles
from recsys.atomic.vocabulary import Vocabulary

__all__ = [
    "FIELD_TYPES",
    "TYPED",
    "Problems",
    "Vocabulary",
    "header",
    "leave_one_out",
    "lines",
    "read",
    "read_header",
    "read_titles",
    "recbole_config",
    "replaced",
    "require_own",
    "write",
]
