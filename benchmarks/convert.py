"""Converting Qilin three ways, side by side: `recsys convert qilin` and straightforward Polars and pandas scripts.

    python benchmarks/convert.py [--scales 0.5 1] [--repeats 2] [--cache FOLDER]

Each conversion runs in a process of its own, by turns in both orders, on the same synthetic Qilin; at scale 1 that has
the size of the real one. No ratio is printed unless all three have written the same rows.
"""

import argparse
import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

import polars as pl
from rich.console import Console
from rich.table import Table

from recsys.files import atomic_file
from recsys.machine import processor

HERE = Path(__file__).parent
METHODS = ("recsys", "polars", "pandas")
QUERY = "query_id:token"  # a number in the scripts, a digest of the text in ours
KINDS = ("inter", "request", "search", "query", "item", "user")
REQUESTS = ("recommendation_train", "recommendation_test", "search_train", "search_test", "dqa")
NOTE = "note_idx:token"  # the column of our .item that says which of Qilin's notes an item id stands for


@dataclass(frozen=True)
class Figure:
    """One conversion."""

    scale: float
    requests: int
    notes: int
    method: str
    repeat: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    cores: int
    machine: str


def command(method: str, source: Path, output: Path) -> list[str]:
    if method == "recsys":
        asked = ["--source", str(source), "--output", str(output), "--clocks", "drop"]  # as the two scripts do
        return [sys.executable, "-m", "recsys", "convert", "qilin", *asked]
    return [sys.executable, str(HERE / f"convert_{method}.py"), str(source), str(output)]


def timed(arguments: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak memory in MiB of a process.

    The kernel counts the memory of this process as that of its child's first moment: load nothing large before.
    """
    started = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed with exit code {process.returncode}: {' '.join(arguments)}")
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)


def measure(scale: float, cache: Path, repeats: int) -> list[Figure]:
    source = cache / f"qilin-{scale:g}"
    if not source.is_dir():
        timed([sys.executable, "-m", "recsys", "synthesize", "--output", str(source), "--scale", f"{scale:g}"])
    requests, notes = rows(source, *REQUESTS), rows(source, "notes")
    warm(source)
    figures = []
    for repeat in range(repeats):
        for method in METHODS if repeat % 2 == 0 else METHODS[::-1]:
            say(f"scale {scale:g}, {repeat + 1} of {repeats}: {method}")
            output = converted(cache, scale, method)
            shutil.rmtree(output, ignore_errors=True)
            seconds, cpu, peak = timed(command(method, source, output))
            say(f"{seconds:.1f} s, {cpu:.1f} s of CPU, {peak:,.0f} MiB")
            cores, model = machine()
            figures.append(Figure(scale, requests, notes, method, repeat, seconds, cpu, peak, cores, model))
    return figures


def rows(source: Path, *configs: str) -> int:
    return sum(pl.scan_parquet(source / name / "*.parquet").select(pl.len()).collect().item() for name in configs)


def warm(source: Path) -> None:
    """Read every file once, so that the first conversion finds its input in memory as the others do."""
    for path in source.rglob("*.parquet"):
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass


def converted(cache: Path, scale: float, method: str) -> Path:
    return cache / f"converted-{scale:g}" / method


def require_same(scale: float, cache: Path) -> None:
    """Refuse conversions that differ in more than order, numbering of items and additional columns."""
    for kind in KINDS:
        columns = table(converted(cache, scale, "polars"), kind).collect_schema().names()
        found = {method: content(converted(cache, scale, method), kind, columns) for method in METHODS}
        height, digest = found["recsys"]
        say(f"scale {scale:g}, .{kind}: {height:,} rows, content {digest}")
        if len(set(found.values())) > 1:
            sys.exit(f"scale {scale:g}: the conversions differ in .{kind}: {found}")


def content(output: Path, kind: str, columns: list[str]) -> tuple[int, str]:
    """Number of rows, and a digest of them in any order.

    Lists of items count by their lengths, items by the notes that they stand for, and queries by their texts.
    """
    lists = [name for name in columns if re.match("history|exposed|position|clicked", name)]
    frame = table(output, kind).select(columns).with_columns(pl.col(lists).str.count_matches(r"\S+"))
    if QUERY in columns:
        texts = table(output, "query").select(QUERY, text="query:token_seq")
        frame = frame.join(texts, on=QUERY, how="left").drop(QUERY).with_columns(pl.col("text").fill_null(""))
    items = table(output, "item")
    if "item_id:token" in columns and NOTE in items.collect_schema():
        frame = frame.join(items.select("item_id:token", NOTE), on="item_id:token", how="left")
        frame = frame.with_columns(pl.col(NOTE).alias("item_id:token")).drop(NOTE)
    hashes = frame.with_columns(pl.col(r"^.*:float$").cast(pl.Float64)).collect().hash_rows().sort()
    return len(hashes), hashlib.sha256(hashes.to_numpy().tobytes()).hexdigest()[:12]


def table(output: Path, kind: str) -> pl.LazyFrame:
    path = output / f"{output.name}.{kind}"
    return pl.scan_csv(path, separator="\t", quote_char=None, infer_schema=False).fill_null("")


def machine() -> tuple[int, str]:
    """Number of cores, and the processor."""
    return os.cpu_count() or 1, processor()


def show(figures: list[Figure]) -> None:
    """Medians over the repeats, with ratios to ours, and how time grows with size."""
    console = Console(width=max(Console().width, 110))
    cores, model = machine()
    grid = Table(title=f"recsys convert qilin and two scripts that do the same work ({cores} cores, {model})")
    for name in ("scale", "requests", "notes", "method", "seconds", "ratio", "CPU s", "ratio", "MiB", "ratio"):
        grid.add_column(name, justify="left" if name == "method" else "right")
    middle = {key: middles([f for f in figures if (f.scale, f.method) == key]) for key in _keys(figures)}
    for (scale, method), values in middle.items():
        first = next(f for f in figures if f.scale == scale)
        cells = [f"{scale:g}", f"{first.requests:,}", f"{first.notes:,}", method]
        for value, ours, form in zip(values, middle[scale, "recsys"], ("{:.1f}", "{:.1f}", "{:,.0f}"), strict=True):
            cells += [form.format(value), f"{value / ours:.1f}"]
        grid.add_row(*cells, end_section=method == METHODS[-1])
    console.print(grid)
    small, large = min(figures, key=lambda f: f.scale), max(figures, key=lambda f: f.scale)
    if small.scale < large.scale:
        grown = [f"{m} {middle[large.scale, m][0] / middle[small.scale, m][0]:.2f}" for m in METHODS]
        console.print(f"{large.notes / small.notes:.2f} times the notes take times as long: {', '.join(grown)}")


def _keys(figures: list[Figure]) -> dict[tuple[float, str], None]:
    return dict.fromkeys((f.scale, method) for f in figures for method in METHODS)


def middles(figures: list[Figure]) -> tuple[float, float, float]:
    values = zip(*((f.seconds, f.cpu_seconds, f.peak_mib) for f in figures), strict=True)
    seconds, cpu, peak = (median(each) for each in values)
    return seconds, cpu, peak


def save(figures: list[Figure], path: Path) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Figure)], lineterminator="\n")
        writer.writeheader()
        for figure in figures:
            rounded = {name: round(v, 2) if isinstance(v, float) else v for name, v in asdict(figure).items()}
            writer.writerow(rounded)


def say(message: str) -> None:
    print(f"  {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scales", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=Path("data/benchmarks"))
    parser.add_argument("--results", type=Path, default=HERE / "results" / "convert.csv")
    args = parser.parse_args()
    measured = [figure for scale in args.scales for figure in measure(scale, args.cache, args.repeats)]
    for each in args.scales:
        require_same(each, args.cache)
    save(measured, args.results)
    show(measured)
