"""`recsys convert`."""

import json
from pathlib import Path
from typing import Any, Literal

from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.progress import step
from recsys.qilin import Options


def convert(
    dataset: Literal["qilin", "ml-100k"],
    source: str | None = None,
    output: str | None = None,
    engine: Literal["local", "ray", "spark"] = "local",
    partitions: int | None = None,
    **choices: Any,
) -> None:
    """Turn a data set into atomic files: the interchange format that `recsys fit` and RecBole read.

    For tables of your own there is `recsys convert-tables`.

    Args:
        dataset: "qilin" from its parquet files; "ml-100k" from the copy inside RecBole, which needs no source.
        source: Folder with Qilin's configurations (recommendation_train, search_train, notes, …), or
            hf://THUIR/Qilin[@revision] to download them.
        output: Folder to write (default: data/<dataset>); the files are named after it.
        engine: What does the work on Qilin's users: this process, or Ray or Spark on as many machines as they have.
        partitions: Parts in which Qilin's users are gone through (default: by their number); more need less memory.
    """
    options = Options(**choices)
    target = Path(output or f"data/{dataset}")
    if dataset == "ml-100k":
        from recsys.data.bundled import ml_100k

        if source is not None:
            raise InputError("--source: ml-100k comes out of the installed RecBole; leave --source away.")
        if options != Options():
            raise InputError("--dataset ml-100k: comes as it is; the other options are about Qilin.")
        ml_100k(target)
        print(f"Wrote ml-100k to {target}")
        return
    from recsys.qilin import convert as convert_qilin

    if source is None:
        raise InputError("--source: name the folder that holds Qilin's parquet files, or hf://THUIR/Qilin.")
    if partitions is not None and partitions < 1:
        raise InputError(f"--partitions {partitions}: at least 1.")
    meta = convert_qilin(source, target, options, engine=engine, partitions=partitions, progress=step)
    report = f"a page about it is {target / target.absolute().name}.report.html"
    print(summary(meta))
    print(f"{target} is up to date: nothing to do." if meta.get("unchanged") else f"Wrote {target}; {report}")


def summary(meta: dict[str, Any]) -> str:
    """What the conversion counted, one line each."""
    kind = "Synthetic data: nothing measured on it says anything about Qilin.\n" if meta.get("synthetic") else ""
    return kind + "\n".join(
        f"  {name}: {json.dumps(value) if isinstance(value, dict) else value}" for name, value in meta["counts"].items()
    )


def main(args: list[str]) -> None:
    """Parse and run."""
    call(convert, args, positional=True)
