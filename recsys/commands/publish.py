"""`recsys publish`."""

import json
from pathlib import Path

from recsys.commands.parsing import call
from recsys.progress import step


def publish(folder: str, target: str) -> None:
    """Upload a checkpoint that verifies, and print its entry for checkpoints/registry.json.

    Args:
        folder: Checkpoint folder; its card must name the licence of its data.
        target: hf://owner/name or wandb://entity/project/name, after `hf auth login` or `wandb login`.
    """
    from recsys.checkpoints.publish import publish as upload

    entry = upload(Path(folder), target, step)
    name = target.partition("://")[2].partition("@")[0].partition(":")[0].rpartition("/")[2]
    print(json.dumps({name: entry}, indent=2, ensure_ascii=False))


def main(args: list[str]) -> None:
    """Parse and run."""
    call(publish, args, positional=True)
