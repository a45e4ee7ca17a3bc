"""From a checkpoint folder to a place where others fetch it, and what the zoo's list has to say of it."""

import os
import tempfile
from pathlib import Path
from typing import Any

from recsys import hub
from recsys.checkpoints import folder as folders
from recsys.checkpoints import registry
from recsys.checkpoints.manifest import FILES, MANIFEST
from recsys.checkpoints.remotes import Wandb
from recsys.checkpoints.web import Progress
from recsys.errors import InputError, did_you_mean

OTHERWISE = "Nothing was published."


def publish(folder: Path, target: str, progress: Progress) -> dict[str, Any]:
    """Upload a checkpoint, and give its entry for `checkpoints/registry.json`, pinned to what was uploaded.

    Raises:
        InputError: it does not verify, cannot be loaded, or names no licence of its data; no such address; no login.
    """
    scheme = target.partition("://")[0]
    if "://" not in target or scheme not in ("hf", "wandb"):
        hint = did_you_mean(scheme, ["hf", "wandb"]) if "://" in target else ""
        raise InputError(f"{target}: publish to hf://owner/name or wandb://entity/project/name.{hint}")
    checkpoint = folders.load(folder)
    if not checkpoint.data.get("licence"):
        raise InputError(
            f"{folder}: its card names no licence of the data. Find out whether what was learnt from it may be passed "
            "on, and say so: recsys export FOLDER --licence TEXT --output NEW_FOLDER"
        )
    entry = registry.describe(folder, target)
    progress(f"uploading {entry['size'] / 1e6:,.1f} MB to {target}")
    return entry | {"source": _to_hub(folder, target) if scheme == "hf" else _to_wandb(folder, target, entry)}


def _to_hub(folder: Path, target: str) -> str:
    from huggingface_hub import CommitOperationAdd, HfApi

    address = hub.parse(target)
    files = [CommitOperationAdd(name, folder / name) for name in (*FILES, MANIFEST)]
    with hub.explained(target, address, "no such model", OTHERWISE):
        api = HfApi()
        api.create_repo(address.repository, exist_ok=True)
        done = api.create_commit(
            address.repository, files, commit_message="Add a checkpoint of recsys-zoo", revision=address.revision
        )
    return f"hf://{address.repository}@{done.oid}"


def _to_wandb(folder: Path, target: str, entry: dict[str, Any]) -> str:
    place = Wandb(target if ":" in target.partition("://")[2] else f"{target}:latest")
    entity, project, name = place.path.partition(":")[0].split("/")
    if os.environ.get("WANDB_MODE", "online") not in ("online", "shared"):
        raise InputError(f"{target}: WANDB_MODE is {os.environ['WANDB_MODE']}, in which wandb publishes nothing.")

    import wandb

    try:
        wandb.Api()  # without a login or a network it says so at once, where a run would wait for minutes
        artifact = wandb.Artifact(
            name, type="model", metadata={key: entry[key] for key in ("model", "data", "metrics")}
        )
        for file in (*FILES, MANIFEST):
            artifact.add_file(str(folder / file), name=file)
        with (
            tempfile.TemporaryDirectory() as logs,
            wandb.init(entity=entity, project=project, job_type="publish", dir=logs) as run,
        ):
            logged = run.log_artifact(artifact, aliases=["latest"]).wait()
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise InputError(f"{target}: wandb does not take it ({hub.first_line(error)}). {OTHERWISE}") from error
    return f"wandb://{entity}/{project}/{name}:{logged.version}"
