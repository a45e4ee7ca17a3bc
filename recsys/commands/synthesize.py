"""`recsys synthesize`."""

from pathlib import Path

from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.progress import step
from recsys.qilin import synthesize as write
from recsys.qilin.synthetic.oracle import table


def synthesize(
    output: str,
    users: int | None = None,
    scale: float | None = None,
    seed: int = 0,
    influence: float = 0.6,
    clicks_per_note: float | None = None,
    leaky_ids: bool = False,
) -> None:
    """Write a synthetic Qilin in the real parquet schema; what is measured on it says nothing about Qilin.

    Two worlds: `--users` makes a small one that a model can learn, `--scale` one with Qilin's published statistics.

    Args:
        output: Folder to write, one subfolder per configuration.
        users: Number of users of the learnable world; 1000 if neither this nor the scale is given.
        scale: Size of the world with the published statistics, from 0.001 to 1, which is all of Qilin.
        seed: Seed; the same seed gives the same data on every machine.
        influence: Probability that a click soon after a search is on the searched topic; 0 for none.
        clicks_per_note: Clicks that a note of the learnable world gets in recommendation on average, 1 to 100: few, as
            in Qilin, and its title tells more than its id. About 80 if not given.
        leaky_ids: Number the notes in blocks by what happened to them, as the release does, instead of at random.
    """
    if users is not None and scale is not None:
        raise InputError("--users and --scale: two different worlds; give one of them.")
    if users is not None and users < 100:
        raise InputError(f"--users {users}: needs at least 100 users, so that no split is empty.")
    if scale is not None and not 0.001 <= scale <= 1:
        raise InputError(f"--scale {scale}: lies between 0.001 and 1, the full size of Qilin.")
    if clicks_per_note is not None and scale is not None:
        raise InputError("--clicks_per_note: of the learnable world alone; leave --scale out.")
    if clicks_per_note is not None and not 1 <= clicks_per_note <= 100:
        raise InputError(f"--clicks_per_note {clicks_per_note}: lies between 1 and 100.")
    if not 0 <= influence <= 1:
        raise InputError(f"--influence {influence}: a probability lies between 0 and 1.")
    if seed < 0:
        raise InputError(f"--seed {seed}: a seed is 0 or more.")
    users = 1000 if users is None else users
    reached = write(
        Path(output),
        users=users,
        scale=scale,
        seed=seed,
        influence=influence,
        clicks_per_note=clicks_per_note,
        leaky_ids=leaky_ids,
        progress=step,
    )
    size = f"of {users} users" if scale is None else f"at {scale:g} of the size of Qilin"
    print("\n".join(table(reached)))
    print(f"Wrote synthetic Qilin {size} to {output}")


def main(args: list[str]) -> None:
    """Parse and run."""
    call(synthesize, args)
