"""`recsys export`."""

from pathlib import Path
from typing import Literal

from recsys.commands.output import step
from recsys.commands.parsing import call
from recsys.errors import InputError


def export(file: str, format: Literal["onnx", "torch"] = "onnx", output: str | None = None, k: int = 10) -> None:
    """Make a graph of a checkpoint, which runs without this library.

    Args:
        file: Checkpoint folder.
        format: "onnx" for ONNX Runtime, or "torch" for torch.export.
        output: Folder to write model.onnx or model.pt2 and items.parquet into (default: FILE-FORMAT).
        k: Number of items that the graph answers with; 0 for the scores of all.
    """
    from recsys import checkpoints
    from recsys.checkpoints.graph import export_graph

    source = Path(file)
    target = Path(output) if output else source.with_name(f"{source.name}-{format}")
    if target.exists() and not any((target / name).is_file() for name in ("model.onnx", "model.pt2")):
        raise InputError(f"--output {target}: exists and is no exported graph; name another.")
    inputs = export_graph(checkpoints.load(source), target, format, k, step)
    print(f"Wrote a graph of {', '.join(inputs)} to {target}")


def main(args: list[str]) -> None:
    """Parse and run."""
    call(export, args, positional=True)
