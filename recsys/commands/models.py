"""`recsys models`."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from recsys.commands.parsing import call
from recsys.errors import InputError


def models(runs: str = "runs") -> None:
    """List the checkpoints of finished runs: what `recsys recommend --checkpoint` takes.

    Args:
        runs: Folder of runs, or one that holds checkpoint folders.
    """
    root = Path(runs)
    if not root.is_dir():
        raise InputError(f"--runs {runs}: no such folder. `recsys fit` writes runs there.")
    table = Table("checkpoint", "model", "data", "items", "metrics")
    table.columns[0].no_wrap = True
    for manifest in sorted(root.rglob("manifest.json")):
        folder = manifest.parent
        config, metrics = _read(folder / "config.json"), _read(folder / "metrics.json")
        best = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        hyperparameters = config["hyperparameters"]
        name, size = hyperparameters.get("model", config["model"]), hyperparameters["n_items"] - 1
        table.add_row(str(folder), name, config["data"]["name"], f"{size:,}", best)
    Console(width=max(120, Console().width)).print(table if table.row_count else f"No checkpoints under {root}.")


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def main(args: list[str]) -> None:
    """Parse and run."""
    call(models, args)
