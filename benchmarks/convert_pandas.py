"""Qilin to atomic files with pandas, written straight down: what `recsys convert qilin` is measured against.

python benchmarks/convert_pandas.py SOURCE OUTPUT
"""

import csv
import re
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd

ORIGIN, DAY, GRACE, BEIJING = 1_732_636_800, 86_400, 3_600, 28_800
SEARCH_TEST_START = 79_200
REC = ("rec", "r", "request_idx", "rec_result_details_with_idx", "request_timestamp")
SEARCH = ("search", "s", "search_idx", "search_result_details_with_idx", "search_timestamp")
CONFIGS = {
    "recommendation_train": REC,
    "recommendation_test": REC,
    "search_train": SEARCH,
    "search_test": SEARCH,
    "dqa": ("dqa", *SEARCH[1:]),
}
BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def normalise(text: str | None) -> str:
    return BLANK.sub("", unicodedata.normalize("NFKC", text).replace('"', "'")) if isinstance(text, str) else ""


def token(text: str | None) -> str:
    return BLANK.sub("_", text.strip().replace('"', "'")) if isinstance(text, str) and text.strip() != "nan" else ""


def joined(ids: pd.Series) -> list[str]:
    return [" ".join(map(str, each)) if isinstance(each, list | np.ndarray) else "" for each in ids]


def save(table: dict[str, pd.Series | list], path: Path) -> None:
    print(f"  {path.name}", file=sys.stderr, flush=True)
    pd.DataFrame(table).to_csv(path, sep="\t", index=False, quoting=csv.QUOTE_NONE)


def parquet(folder: Path, columns: list[str]) -> pd.DataFrame:
    files = sorted(folder.glob("*.parquet"))
    return pd.concat([pd.read_parquet(file, columns=columns) for file in files], ignore_index=True)


def read(source: Path, config: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The requests within the day, and one row for each note that they showed."""
    print(f"  {config}", file=sys.stderr, flush=True)
    channel, prefix, index, details, clock = CONFIGS[config]
    text = ["query", "query_from_type"] if channel != "rec" else []
    rows = parquet(source / config, [index, "user_idx", "recent_clicked_note_idxs", details, *text])
    rows["request_id"] = prefix + rows[index].astype(str)
    exploded = rows[["request_id", details]].explode(details, ignore_index=True)
    shown = pd.DataFrame(exploded[details].tolist())[["note_idx", "click", "position", clock]].astype("int64")
    shown["request_id"] = exploded["request_id"]
    shown["timestamp"] = (shown[clock] // 1000 if channel == "rec" else shown[clock] - BEIJING) - ORIGIN

    times = shown.groupby("request_id")["timestamp"].agg(["min", "max"])
    times = times[(times["min"] >= 0) & (times["max"] < DAY + GRACE)]["min"].rename("timestamp")
    requests = rows.drop(columns=details).merge(times, left_on="request_id", right_index=True)
    requests["window"] = [window[::-1] for window in requests["recent_clicked_note_idxs"]]
    requests["config"], requests["source"] = config, channel

    shown = shown[shown["request_id"].isin(times.index)]
    shown = shown.assign(clicked_at=shown["timestamp"].where(shown["click"] > 0))
    exposures = shown.groupby(["request_id", "note_idx"], as_index=False).agg(
        {"click": "max", "position": "min", "timestamp": "min", "clicked_at": "min"}
    )
    exposures["timestamp"] = exposures["clicked_at"].fillna(exposures["timestamp"]).astype("int64")
    return requests, exposures


def split(requests: pd.DataFrame) -> np.ndarray:
    """Qilin's test; of its training requests the latest tenth is the validation."""
    training = np.sort(requests.loc[requests["config"] == "recommendation_train", "timestamp"])
    cut = training[-round(0.1 * len(training))]
    late = (requests["config"] == "dqa") & (requests["timestamp"] >= SEARCH_TEST_START)
    test = requests["config"].isin(["recommendation_test", "search_test"]) | late
    return np.where(test, "test", np.where(requests["timestamp"] >= cut, "valid", "train"))


def interactions(requests: pd.DataFrame, exposures: pd.DataFrame) -> dict[str, pd.Series]:
    """All clicks; before a user's first request the window that came with it, a second between two clicks."""
    started = requests.rename(columns={"timestamp": "started"})
    columns = ["request_id", "user_idx", "source", "split", "started"]
    clicks = exposures[exposures["click"] > 0].merge(started[columns], on="request_id")
    started["number"] = started["request_id"].str[1:].astype("int64")
    first = started.sort_values(["started", "source", "number"]).drop_duplicates("user_idx")
    prefix = (
        first[["user_idx", "split", "started", "window"]].explode("window", ignore_index=True).dropna(subset="window")
    )
    prefix["note_idx"] = prefix.pop("window").astype("int64")
    later = prefix[::-1].groupby("user_idx").cumcount()
    prefix["timestamp"] = prefix["started"] - 1 - later
    prefix = prefix.assign(request_id="w", source="window", position=0)

    events = pd.concat([clicks, prefix], ignore_index=True)
    events["user_idx"] = events["user_idx"].astype(str)
    events = events.sort_values(["user_idx", "timestamp", "started", "request_id", "position", "note_idx"])
    return {
        "user_id:token": events["user_idx"],
        "item_id:token": events["note_idx"],
        "timestamp:float": events["timestamp"],
        "request_id:token": events["request_id"],
        "source:token": events["source"],
        "split:token": events["split"],
    }


def convert(source: Path, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    stem = output / output.name
    parts = [read(source, config) for config in CONFIGS if (source / config).is_dir()]
    requests = pd.concat([part[0] for part in parts], ignore_index=True)
    requests["split"] = split(requests)
    exposures = pd.concat([part[1] for part in parts], ignore_index=True)
    save(interactions(requests, exposures), stem.with_suffix(".inter"))

    lists = exposures.groupby("request_id")[["note_idx", "position"]].agg(list)
    lists["clicked"] = exposures[exposures["click"] > 0].groupby("request_id")["note_idx"].agg(list)
    requests = requests.merge(lists, left_on="request_id", right_index=True)
    recommended = requests[requests["source"] == "rec"].sort_values(["timestamp", "request_id"])
    save(
        {
            "request_id:token": recommended["request_id"],
            "user_id:token": recommended["user_idx"],
            "timestamp:float": recommended["timestamp"],
            "split:token": recommended["split"],
            "history:token_seq": joined(recommended["window"]),
            "exposed:token_seq": joined(recommended["note_idx"]),
            "position:float_seq": joined(recommended["position"]),
            "clicked:token_seq": joined(recommended["clicked"]),
        },
        stem.with_suffix(".request"),
    )

    searches = requests[requests["source"] != "rec"].copy()
    searches["user_idx"] = searches["user_idx"].astype(str)
    searches = searches.sort_values(["user_idx", "timestamp", "request_id"])
    text = searches["query"].map(normalise)
    queries = {query: f"q{number}" for number, query in enumerate(sorted(set(text) - {""}))}
    kind = searches["query_from_type"].where(searches["query_from_type"].between(1, 8), 0).astype("int64")
    save(
        {
            "search_id:token": searches["request_id"],
            "user_id:token": searches["user_idx"],
            "timestamp:float": searches["timestamp"],
            "query_id:token": text.map(queries),
            "query_from_type:token": kind,
            "clicked:token_seq": joined(searches["clicked"]),
            "split:token": searches["split"],
        },
        stem.with_suffix(".search"),
    )
    spelt = {"query_id:token": list(queries.values()), "query:token_seq": [" ".join(query) for query in queries]}
    save(spelt, stem.with_suffix(".query"))

    taxonomies = ["taxonomy1", "taxonomy2", "taxonomy3"]
    notes = parquet(source / "notes", ["note_idx", "note_title", "note_type", *(f"{name}_id" for name in taxonomies)])
    notes = notes.sort_values("note_idx")
    items = {
        "item_id:token": notes["note_idx"],
        "title:token_seq": [" ".join(normalise(t)) for t in notes["note_title"]],
    }
    items |= {f"{name}:token": notes[f"{name}_id"].map(token) for name in taxonomies}
    save({**items, "type:token": notes["note_type"].astype("Int64")}, stem.with_suffix(".item"))
    features = ["gender", "platform", "age", "location"]
    users = parquet(source / "user_feat", ["user_idx", *features]).sort_values("user_idx")
    tokens = {f"{name}:token": [token(value) for value in users[name]] for name in features}
    save({"user_id:token": users["user_idx"], **tokens}, stem.with_suffix(".user"))


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
