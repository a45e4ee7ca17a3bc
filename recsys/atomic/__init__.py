"""RecBole's atomic files, the interchange format: typed header, tab-separated, sequences joined by spaces."""

from recsys.atomic.files import FIELD_TYPES, header, lines, read, read_header, write
from recsys.atomic.titles import read_titles
from recsys.atomic.vocabulary import Vocabulary

__all__ = ["FIELD_TYPES", "Vocabulary", "header", "lines", "read", "read_header", "read_titles", "write"]
