"""Published statistics, measured on a folder of Qilin's parquet files: `python -m recsys.qilin.synthetic.marginals`.

They are measured on the raw files, without the converter, so that the two check each other.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from recsys.qilin.release import ROWS
from recsys.qilin.schema import REC_DETAILS, SEARCH_DETAILS, WINDOW
from recsys.qilin.timeline import DAY, GRACE, ORIGIN, SEARCH_OFFSET

REC, SEARCH = ("recommendation_train", "recommendation_test"), ("search_train", "search_test", "dqa")

# Qilin's paper (arXiv 2503.00501), its release's row counts and qrels, and public measurements of its files.
# Shares, but for means and medians.
PUBLISHED: dict[str, float] = {
    **{config: ROWS[config] for config in (*REC, *SEARCH)},
    **{"users": ROWS["user_feat"], "notes": ROWS["notes"]},
    **{"clicks per request R": 3.67, "clicks per request R, test": 4.020, "clicks per request S": 3.88},
    **{"clicks per request S, test": 4.457, "clicks per request dqa": 2.77, "dqa without click": 0.137},
    **{"one click R, test": 0.305, "two clicks R, test": 0.201, "three clicks R, test": 0.141},
    **{"ten or more clicks R, test": 0.092, "one click S, test": 0.273},
    **{"clicks after R to R": 2.97, "clicks after S to R": 4.45, "clicks after S to S": 4.00},
    **{"CTR after R to R": 0.2320, "CTR after S to R": 0.2501},
    **{"transitions per request": 0.553, "R to S of all from R": 0.0473, "S to R of all from S": 0.0753},
    **{"exposures per request R": 15.2, "exposures per request S": 18.5, "candidates per request R, test": 16.14},
    **{"more than 20 candidates R, test": 0.2497, "CTR R": 0.2413, "CTR S": 0.2101},
    **{"depth R": 18.80, "depth S": 22.75, "first clicked position R": 4.97, "first clicked position S": 3.01},
    **{"like R": 0.0707, "collect R": 0.0147, "share R": 0.0063, "comment R": 0.0099},
    **{"like S": 0.0411, "collect S": 0.0187, "share S": 0.0057, "comment S": 0.0032},
    **{
        "distinct of clicks R, test": 0.8115,
        "notes clicked once R, test": 0.897,
        "notes clicked 5 times R, test": 0.0148,
    },
    **{"distinct of clicks S, test": 0.9754, "cold clicks R, test": 0.4444},
    **{"notes exposed in rec_train": 0.2940, "notes clicked in rec_train": 0.0950, "notes in R or windows": 0.4767},
    **{"video R": 0.41, "video S": 0.21, "female": 0.7653, "iOS": 0.5356, "Android": 0.3879},
    **{"queries of 4 characters": 0.1364, "queries of 5 characters": 0.1394, "queries of 6 characters": 0.1727},
    **{"queries of 7 characters": 0.1407, "queries of 8 characters": 0.1242, "queries of 9 characters": 0.0954},
    **{"queries of 10 characters": 0.0689, "longer queries": 0.1191},
    **{"typed queries": 0.3370, "completed queries": 0.5097, "queries from the history": 0.0578},
    **{"reformulation adds": 0.1357, "reformulation deletes": 0.0253, "reformulation changes": 0.4716},
    **{"reformulation repeats": 0.0757, "reformulation other": 0.2917},
}


def measure(folder: Path) -> dict[str, float]:
    """Every quantity of `PUBLISHED` in the Qilin in `folder`, which holds `<configuration>/*.parquet`."""
    frames = {config: pl.read_parquet(folder / config / "*.parquet") for config in (*REC, *SEARCH, "user_feat")}
    notes = pl.read_parquet(folder / "notes" / "*.parquet", columns=["note_idx", "note_type"])
    requests = pl.concat(_requests(frames[config], config) for config in (*REC, *SEARCH)).with_row_index("request")
    shown = requests.select("request", "config", "channel", "details").explode("details").unnest("details")
    return {
        **{config: frames[config].height for config in (*REC, *SEARCH)},
        "users": frames["user_feat"].height,
        "notes": notes.height,
        **_clicks(requests, shown),
        **_transitions(requests),
        **_exposed(shown),
        **_labels(shown),
        **_popularity(shown),
        **_coverage(requests, shown, notes),
        **_people(frames["user_feat"]),
        **_queries(requests),
    }


def _requests(frame: pl.DataFrame, config: str) -> pl.DataFrame:
    """config, channel, user, time (seconds of the day, NaN where a clock is wrong), clicks, window, query, details."""
    column, clock = (REC_DETAILS, "request_timestamp") if config in REC else (SEARCH_DETAILS, "search_timestamp")
    element = pl.element().struct
    fields = ("click", "like", "collect", "share", "comment", "position", "note_idx")
    seconds = pl.col(column).list.eval(element[clock]).list.min()
    time = seconds / 1000 - ORIGIN if config in REC else seconds.cast(pl.Float64) - ORIGIN - SEARCH_OFFSET
    return frame.select(
        pl.lit(config).alias("config"),
        channel=pl.lit("R" if config in REC else "S"),
        user="user_idx",
        time=pl.when(time.is_between(0, DAY + GRACE)).then(time),
        clicks=pl.col(column).list.eval(element["click"]).list.sum().cast(pl.Float64),
        window=pl.col(WINDOW),
        query="query",
        query_from_type="query_from_type" if config in SEARCH else pl.lit(None, pl.Float64),
        details=pl.col(column).list.eval(pl.struct(element[name].cast(pl.Int64) for name in fields)),
    )


def _clicks(requests: pl.DataFrame, shown: pl.DataFrame) -> dict[str, float]:
    def of(*configs: str) -> pl.Series:
        return requests.filter(pl.col("config").is_in(configs))["clicks"]

    test = of("recommendation_test")
    return {
        "clicks per request R": _mean(of(*REC)),
        "clicks per request R, test": _mean(test),
        "clicks per request S": _mean(of(*SEARCH)),
        "clicks per request S, test": _mean(of("search_test")),
        "clicks per request dqa": _mean(of("dqa")),
        "dqa without click": _mean(of("dqa") == 0),
        "one click R, test": _mean(test == 1),
        "two clicks R, test": _mean(test == 2),
        "three clicks R, test": _mean(test == 3),
        "ten or more clicks R, test": _mean(test >= 10),
        "one click S, test": _mean(of("search_test") == 1),
    }


def _transitions(requests: pl.DataFrame) -> dict[str, float]:
    """Of requests at most 30 minutes after the user's last."""
    ordered = requests.drop_nulls("time").sort("user", "time", "request")
    pairs = ordered.with_columns(
        before=pl.col("channel").shift().over("user"),
        text=pl.col("query").shift().over("user"),
        gap=pl.col("time").diff().over("user"),
    ).filter(pl.col("gap") <= 1800)
    kind = pl.col("before") + pl.col("channel")
    count = dict(pairs.group_by(kind=kind).len().iter_rows())
    clicks = dict(pairs.group_by(kind=kind).agg(pl.col("clicks").mean()).iter_rows())
    rate = pl.col("clicks").sum() / pl.col("details").list.len().sum()
    rates = dict(pairs.group_by(kind=kind).agg(rate=rate).iter_rows())
    searched = pairs.filter(kind == "SS").select(old="text", new="query")
    return {
        "transitions per request": pairs.height / ordered.height,
        "R to S of all from R": count["RS"] / (count["RS"] + count["RR"]),
        "S to R of all from S": count["SR"] / (count["SR"] + count["SS"]),
        "clicks after R to R": clicks["RR"],
        "clicks after S to R": clicks["SR"],
        "clicks after S to S": clicks["SS"],
        "CTR after R to R": rates["RR"],
        "CTR after S to R": rates["SR"],
        **_reformulations(searched),
    }


def _reformulations(pairs: pl.DataFrame) -> dict[str, float]:
    """How a search follows another: by what its text keeps of the other's."""
    old, new = pl.col("old"), pl.col("new")
    shared = old.str.split("").list.set_intersection(new.str.split("")).list.len()
    kind = (
        pl.when(old == new)
        .then(pl.lit("repeats"))
        .when(new.str.contains(old, literal=True))
        .then(pl.lit("adds"))
        .when(old.str.contains(new, literal=True))
        .then(pl.lit("deletes"))
        .when(shared >= 2)
        .then(pl.lit("changes"))
        .otherwise(pl.lit("other"))
    )
    share = dict(pairs.select(kind=kind)["kind"].value_counts(normalize=True).iter_rows())
    kinds = ("adds", "deletes", "changes", "repeats", "other")
    return {f"reformulation {kind}": share.get(kind, 0.0) for kind in kinds}


def _exposed(shown: pl.DataFrame) -> dict[str, float]:
    result: dict[str, float] = {}
    for channel in ("R", "S"):
        mine = shown.filter(channel=channel)
        requests = mine.group_by("request").agg(
            pl.len(), depth=pl.col("position").max(), first=pl.col("position").filter(pl.col("click") == 1).min()
        )
        result |= {
            f"exposures per request {channel}": _mean(requests["len"]),
            f"CTR {channel}": _mean(mine["click"]),
            f"depth {channel}": _mean(requests["depth"]),
            f"first clicked position {channel}": _mean(requests["first"]),
        }
    test = shown.filter(config="recommendation_test").group_by("request").agg(pl.col("note_idx").n_unique())
    result["candidates per request R, test"] = _mean(test["note_idx"])
    result["more than 20 candidates R, test"] = _mean(test["note_idx"] > 20)
    return result


def _labels(shown: pl.DataFrame) -> dict[str, float]:
    labels = ("like", "collect", "share", "comment")
    means = shown.filter(click=1).group_by("channel").agg(pl.col(labels).mean())
    return {f"{label} {row['channel']}": row[label] for row in means.rows(named=True) for label in labels}


def _popularity(shown: pl.DataFrame) -> dict[str, float]:
    result = {}
    for channel, config in (("R", "recommendation_test"), ("S", "search_test")):
        clicked = shown.filter(config=config, click=1)
        times = clicked["note_idx"].value_counts()["count"]
        result[f"distinct of clicks {channel}, test"] = len(times) / clicked.height
        if channel == "R":
            result["notes clicked once R, test"] = _mean(times == 1)
            result["notes clicked 5 times R, test"] = _mean(times >= 5)
    return result


def _coverage(requests: pl.DataFrame, shown: pl.DataFrame, notes: pl.DataFrame) -> dict[str, float]:
    train = shown.filter(config="recommendation_train")
    test = shown.filter(config="recommendation_test", click=1)
    recommended = shown.filter(channel="R")
    windows = requests.select(note_idx=pl.col("window").explode()).drop_nulls()
    seen = pl.concat([recommended.select("note_idx"), windows]).n_unique()
    typed = shown.join(notes, on="note_idx").group_by("channel").agg((pl.col("note_type") == 2).mean())
    return {
        "cold clicks R, test": _mean(~test["note_idx"].is_in(train["note_idx"].unique().implode())),
        "notes exposed in rec_train": train["note_idx"].n_unique() / notes.height,
        "notes clicked in rec_train": train.filter(click=1)["note_idx"].n_unique() / notes.height,
        "notes in R or windows": seen / notes.height,
        **{f"video {channel}": share for channel, share in typed.iter_rows()},
    }


def _people(users: pl.DataFrame) -> dict[str, float]:
    return {
        "female": _mean(users["gender"] == "female"),
        "iOS": _mean(users["platform"] == "iOS"),
        "Android": _mean(users["platform"] == "Android"),
    }


def _queries(requests: pl.DataFrame) -> dict[str, float]:
    searched = requests.filter(channel="S")
    length, origin = searched["query"].str.len_chars(), searched["query_from_type"]
    return {
        **{f"queries of {count} characters": _mean(length == count) for count in range(4, 11)},
        "longer queries": _mean(length > 10),
        "typed queries": _mean(origin == 1),
        "completed queries": _mean(origin == 2),
        "queries from the history": _mean(origin == 3),
    }


def _mean(values: pl.Series) -> float:
    return float(values.cast(pl.Float64).mean())  # type: ignore[arg-type]


def table(measured: dict[str, float]) -> Iterator[str]:
    """Lines of a Markdown table of published and measured values."""
    yield "| quantity | published | measured |"
    yield "|---|---|---|"
    for name, published in PUBLISHED.items():
        yield f"| {name} | {_short(published)} | {_short(measured[name])} |"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


if __name__ == "__main__":
    print("\n".join(table(measure(Path(sys.argv[1])))))
