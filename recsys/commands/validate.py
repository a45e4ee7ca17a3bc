"""`recsys validate`."""

from recsys.training.cli import run


def main(args: list[str]) -> None:
    """Hand the arguments to LightningCLI."""
    run(["validate", *args])
