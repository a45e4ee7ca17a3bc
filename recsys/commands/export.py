"""`recsys export`."""

import re
from pathlib import Path
from typing import Literal

from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.progress import step


def export(
    file: str,
    format: Literal["checkpoint", "onnx", "torch"] = "checkpoint",
    output: str | None = None,
    results: str | None = None,
    licence: str | None = None,
    k: int = 10,
    ids: Literal["item_id", "note_idx"] = "item_id",
) -> None:
    """Make a checkpoint of a .ckpt file, or a graph that runs without this library.

    A .ckpt file holds a pickle, and nothing in it is run.

    Args:
        file: Lightning's .ckpt of `recsys fit`; or a checkpoint, to say more on its card or to make a graph of: a
            folder, or whatever `recsys download` takes.
        format: "checkpoint" for a checkpoint folder, "onnx" for ONNX Runtime, or "torch" for torch.export.
        output: Folder to write (default: FILE without .ckpt); a graph is model.onnx or model.pt2 beside items.parquet
            (default: FILE-FORMAT, and in this folder where FILE is a name or an address).
        results: What `recsys test` measured of these very weights (default: test.json of the run, if it is of them).
        licence: Licence of the data, for the card; `recsys publish` asks for it.
        k: Number of items that a graph answers with; 0 for the scores of all.
        ids: What items are called in what is written: as in the data that was trained on, or by Qilin's own note_idx,
            instead of which its conversion gives every note another number.
    """
    from recsys import checkpoints

    elsewhere = checkpoints.published(file)
    source = Path(re.split("[@:]", file.rpartition("/")[2])[0] if elsewhere else file)
    stem = source.with_suffix("") if source.suffix == ".ckpt" else source
    target = Path(output) if output else stem if format == "checkpoint" else stem.with_name(f"{stem.name}-{format}")
    if target == source and format == "checkpoint":
        raise InputError("--output: name the checkpoint folder to write.")
    made = ["manifest.json"] if format == "checkpoint" else ["model.onnx", "model.pt2"]
    if target.exists() and not any((target / name).is_file() for name in made):
        kind = "checkpoint folder" if format == "checkpoint" else "exported graph"
        raise InputError(f"--output {target}: exists and is no {kind}; name another.")
    from recsys.checkpoints.export import export as complete

    checkpoint = complete(
        checkpoints.fetch(file, step) if elsewhere else source, Path(results) if results else None, licence
    )
    if ids == "note_idx":
        from recsys.recommender.notes import by_note

        checkpoint = by_note(checkpoint)
    if format == "checkpoint":
        checkpoints.save(checkpoint, target)
        measured = f"{len(checkpoint.metrics)} metrics" if checkpoint.metrics else "no metrics"
        print(f"Wrote {checkpoint.network.title} of {len(checkpoint.items) - 1:,} items, with {measured}, to {target}")
        return
    from recsys.checkpoints.graph import export_graph

    inputs = export_graph(checkpoint, target, format, k, step)
    print(f"Wrote a graph of {', '.join(inputs)} to {target}")


def main(args: list[str]) -> None:
    """Parse and run."""
    call(export, args, positional=True)
