"""The seven configurations of Qilin as they lie on disk, and what the converter needs of each."""

from collections.abc import Iterable, Mapping
from typing import Literal

import pyarrow as pa

Kind = Literal["number", "text", "category", "numbers", "exposures"]

REC_DETAILS = "rec_result_details_with_idx"
SEARCH_DETAILS = "search_result_details_with_idx"
WINDOW = "recent_clicked_note_idxs"


def _list(element: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", element))


def _fields(kind: pa.DataType, names: Iterable[str]) -> list[pa.Field]:
    return [pa.field(name, kind) for name in names]


def _details(label: pa.DataType, clock: pa.DataType, clock_name: str) -> pa.DataType:
    """List of exposures; the field names are in alphabetical order, as the release has them."""
    types = {
        **dict.fromkeys(("click", "collect", "comment", "like"), label),
        "note_idx": pa.int64(),
        "page_time": pa.float64(),
        "position": label,
        clock_name: clock,
        "share": label,
    }
    return _list(pa.struct([pa.field(name, types[name]) for name in sorted(types)]))


_INT, _DOUBLE, _TEXT = pa.int64(), pa.float64(), pa.string()
_IDS, _RETRIEVED = _list(_INT), _list(_list(_DOUBLE))
_REC = pa.field(REC_DETAILS, _details(_INT, _INT, "request_timestamp"))
_SEARCH = pa.field(SEARCH_DETAILS, _details(_DOUBLE, _DOUBLE, "search_timestamp"))
_DQA = pa.field(SEARCH_DETAILS, _details(_INT, _INT, "search_timestamp"))
_SEARCH_HEAD = [
    pa.field("query", _TEXT),
    pa.field("query_from_type", _DOUBLE),
    pa.field(WINDOW, _IDS),
    *_fields(_INT, ("search_idx", "session_idx", "user_idx")),
]
_NOTE_FORM = (
    *("note_type", "video_duration", "video_height", "video_width"),
    *("image_num", "content_length", "commercial_flag"),
)
_NOTE_STATS = (
    *("imp_num", "imp_rec_num", "imp_search_num", "click_num", "click_rec_num", "click_search_num"),
    *("like_num", "collect_num", "comment_num", "share_num", "screenshot_num", "hide_num"),
    *(f"rec_{action}_num" for action in ("like", "collect", "comment", "share", "follow")),
    *(f"search_{action}_num" for action in ("like", "collect", "comment", "share", "follow")),
    *("accum_like_num", "accum_collect_num", "accum_comment_num"),
    *("view_time", "rec_view_time", "search_view_time", "valid_view_times", "full_view_times"),
)

SCHEMAS: Mapping[str, pa.Schema] = {
    "recommendation_train": pa.schema(
        [
            pa.field(WINDOW, _IDS),
            *_fields(_INT, ("request_idx", "session_idx", "user_idx")),
            pa.field("query", _TEXT),
            _REC,
        ]
    ),
    "recommendation_test": pa.schema(
        [
            pa.field(WINDOW, _IDS),
            *_fields(_INT, ("request_idx", "session_idx", "user_idx")),
            pa.field("rec_results", _IDS),
            pa.field("query", _TEXT),
            _REC,
        ]
    ),
    "search_train": pa.schema([*_SEARCH_HEAD, pa.field("dpr_results", _RETRIEVED), _SEARCH]),
    "search_test": pa.schema(
        [
            *_SEARCH_HEAD,
            pa.field("bm25_results", _RETRIEVED),
            pa.field("dpr_results", _RETRIEVED),
            pa.field("search_results", _IDS),
            _SEARCH,
        ]
    ),
    "dqa": pa.schema(
        [
            pa.field("query", _TEXT),
            pa.field("query_from_type", _DOUBLE),
            pa.field("dqa_output", _TEXT),
            *_fields(_DOUBLE, ("is_like_clk", "is_onebox_trace_clk", "is_content_clk", "is_experience_clk")),
            pa.field(WINDOW, _IDS),
            pa.field("ref_note_idx_list", _IDS),
            *_fields(_INT, ("session_idx", "search_idx", "user_idx")),
            pa.field("bm25_results", _RETRIEVED),
            pa.field("dpr_results", _RETRIEVED),
            _DQA,
        ]
    ),
    "notes": pa.schema(
        [
            *_fields(_TEXT, ("note_title", "note_content")),
            *_fields(_DOUBLE, _NOTE_FORM),
            *_fields(_TEXT, ("taxonomy1_id", "taxonomy2_id", "taxonomy3_id")),
            *_fields(_DOUBLE, _NOTE_STATS),
            pa.field("note_idx", _INT),
            pa.field("image_path", _list(_TEXT)),
        ]
    ),
    "user_feat": pa.schema(
        [
            *_fields(_TEXT, ("gender", "platform", "age")),
            *_fields(_DOUBLE, ("fans_num", "follows_num", *(f"dense_feat{i}" for i in range(1, 41)))),
            pa.field("location", _TEXT),
            pa.field("user_idx", _INT),
        ]
    ),
}

OPTIONAL = frozenset({"dqa", "user_feat"})

_REC_NEEDS: dict[str, Kind] = {
    "request_idx": "number",
    "user_idx": "number",
    WINDOW: "numbers",
    REC_DETAILS: "exposures",
}
_SEARCH_NEEDS: dict[str, Kind] = {
    "search_idx": "number",
    "user_idx": "number",
    "query": "text",
    "query_from_type": "number",
    WINDOW: "numbers",
    SEARCH_DETAILS: "exposures",
}

# Integer or double is one kind: the release has both for the same field, depending on the configuration. Text is what
# a person wrote, who may have meant 'nan'; of a category, that is one of the ways to say that there is none.
NEEDS: Mapping[str, Mapping[str, Kind]] = {
    "recommendation_train": _REC_NEEDS,
    "recommendation_test": _REC_NEEDS,
    "search_train": _SEARCH_NEEDS,
    "search_test": _SEARCH_NEEDS,
    "dqa": _SEARCH_NEEDS,
    "notes": {
        "note_idx": "number",
        "note_title": "text",
        "note_type": "number",
        "taxonomy1_id": "category",
        "taxonomy2_id": "category",
        "taxonomy3_id": "category",
    },
    "user_feat": {
        "user_idx": "number",
        "gender": "category",
        "platform": "category",
        "age": "category",
        "location": "category",
    },
}

# Of an exposure, the label-leaking rest (page_time, like, collect, comment, share) is never read.
EXPOSURE_NEEDS: Mapping[str, tuple[str, ...]] = {
    REC_DETAILS: ("note_idx", "click", "position", "request_timestamp"),
    SEARCH_DETAILS: ("note_idx", "click", "position", "search_timestamp"),
}

# A row, or an exposure, without one of these belongs to nobody.
KEYS = frozenset({"request_idx", "search_idx", "user_idx", "note_idx"})

CLOCKS = frozenset({"request_timestamp", "search_timestamp"})

# Where -1 says that nothing is known. Elsewhere it is an id that cannot be, or a place in a feed.
MINUS_ONE_IS_MISSING = frozenset({"query_from_type", "note_type", "click"})

SYNTHETIC = "synthetic.json"  # lies beside the configurations of a synthesized Qilin and says how it was made
