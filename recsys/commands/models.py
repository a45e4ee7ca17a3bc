"""`recsys models`."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsys.commands.parsing import call
from recsys.errors import InputError


def models(runs: str | None = None) -> None:
    """List the checkpoints that can be used by name, and those of finished runs.

    Either is what `recsys recommend --checkpoint` takes.

    Args:
        runs: Folder of runs, or one that holds checkpoint folders (default: runs, where there is one).
    """
    root = Path(runs or "runs")
    if runs is not None and not root.is_dir():
        raise InputError(f"--runs {runs}: no such folder. `recsys fit` writes runs there.")
    from recsys.checkpoints import registry

    console = Console(width=max(120, Console().width))
    listed = registry.read()
    if listed:
        table = _table("name", "lies")
        for name, entry in listed.items():
            place = entry.source if "://" in entry.source else "here"
            facts = (f"{entry.items:,}", f"{entry.size / 1e6:,.1f} MB", _metrics(entry.metrics, entry.intervals))
            table.add_row(*map(_cell, (name, entry.model, entry.data, *facts, place)))
        console.print(table)
    if root.is_dir():
        table = _table("checkpoint")
        for manifest in sorted(root.rglob("manifest.json")):
            table.add_row(*map(_cell, _row(manifest.parent)))
        console.print(table if table.row_count else f"No checkpoints under {root}.")


def _table(first: str, *last: str) -> Table:
    table = Table(first, "model", "data", "items", "size", "metrics", *last)
    table.columns[0].no_wrap = True
    return table


def _row(folder: Path) -> tuple[str, ...]:
    """What a checkpoint folder says of itself; nothing is verified before it is used."""
    from recsys.checkpoints.manifest import brief, read, read_json
    from recsys.checkpoints.registry import headline

    try:
        size = sum(entry.size for entry in read(folder).values())
        config, measured = read_json(folder / "config.json"), read_json(folder / "metrics.json")
        hyperparameters = config["hyperparameters"]
        name, items = hyperparameters.get("model", config["model"]), hyperparameters["n_items"] - 1
        shown = headline(measured["metrics"])
        facts = (name, config["data"].get("name", "unknown"), f"{items:,}", f"{size / 1e6:,.1f} MB")
        return (
            str(folder),
            *map(str, facts),
            _metrics(shown, {name: measured["intervals"][name] for name in shown if name in measured["intervals"]}),
        )
    except (InputError, KeyError, TypeError, AttributeError, ValueError) as error:
        return str(folder), "damaged, or of another version", "", "", "", brief(error)


def _cell(text: str) -> Text:
    """As it is, no markup; what a foreign file says may not speak to the terminal."""
    return Text("".join(filter(str.isprintable, text)))


def _metrics(metrics: dict[str, float], intervals: dict[str, list[float]]) -> str:
    ends = {name: " [{:.4f}, {:.4f}]".format(*pair) for name, pair in intervals.items()}
    return ", ".join(f"{name} {value:.4f}{ends.get(name, '')}" for name, value in metrics.items())


def main(args: list[str]) -> None:
    """Parse and run."""
    call(models, args)
