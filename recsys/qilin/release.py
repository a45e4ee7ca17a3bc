"""What the release of Qilin on Hugging Face is known to hold (arXiv 2503.00501, its dataset card and its qrels)."""

from collections.abc import Mapping

ROWS: Mapping[str, int] = {
    "recommendation_train": 83_437,
    "recommendation_test": 11_115,
    "search_train": 44_024,
    "search_test": 6_192,
    "dqa": 6_972,
    "notes": 1_983_938,
    "user_feat": 15_482,
}

# First and last request_idx or search_idx; within them the rows are shuffled.
NUMBERS: Mapping[str, tuple[int, int]] = {
    "recommendation_train": (0, 83_436),
    "recommendation_test": (83_437, 94_551),
    "search_train": (6_972, 50_995),
    "search_test": (50_996, 57_187),
    "dqa": (0, 6_971),
}

# Rows without a click: only questions have any.
CLICKLESS: Mapping[str, int] = {**dict.fromkeys(NUMBERS, 0), "dqa": 955}

TEST_CLICKS = 44_685  # in recommendation_test
REPEATED_TEST_CLICKS = 2  # of these, clicks on a note that the same request has as clicked already
