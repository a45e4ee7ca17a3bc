"""`recsys check`."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.progress import step
from recsys.qilin.check import check as look
from recsys.qilin.check import verdict
from recsys.qilin.findings import Finding

_STYLES = {"as published": "green", "differs": "yellow", "wrong": "bold red"}


def check(folder: str) -> None:
    """Tell whether a folder holds the Qilin that we know, before anything is converted; exit code 2 if it is unfit.

    Args:
        folder: Folder with Qilin's configurations (recommendation_train, search_train, notes, …).
    """
    found = look(Path(folder), progress=step)
    print_findings(found)
    if wrong := list(dict.fromkeys(finding.name for finding in found if finding.status == "wrong")):
        raise InputError(f"{folder}: {verdict(found)} Wrong: {', '.join(wrong)}.")
    print(verdict(found))


def print_findings(found: list[Finding]) -> None:
    """One row each; the hints of those that are not as published."""
    console = Console(width=max(Console().width, 120))
    table = Table("check", "found", "expected", "status")
    for column in table.columns:
        column.overflow = "fold"
    for finding in found:
        cell = Text(finding.found)  # no markup: paths may hold brackets
        if finding.hint and finding.status != "as published":
            cell.append(f"\n{finding.hint}", "dim")
        table.add_row(finding.name, cell, finding.expected, Text(finding.status, _STYLES[finding.status]))
    console.print(table)


def main(args: list[str]) -> None:
    """Parse and run."""
    call(check, args, positional=True)
