"""The model card: what a person should know before using a checkpoint."""

from typing import Any

ANYONE = """It recommends the next items for a list of item ids, without the
data that it was trained on:

```
recsys recommend --checkpoint THIS_FOLDER --history ID,ID,ID --k 10
```"""
OWN_USERS = """It has a vector for each user of the data that it was
trained on, and answers for these users alone: `recsys test` and `recsys predict` with `--ckpt_path THIS_FOLDER`."""

NOT_COLD = "Items that were not in the training data cannot be recommended, and are dropped from a given history."
COLD = "Items of its vocabulary without clicks in the training data are judged by their titles and categories alone."


def model_card(config: dict[str, Any], n_items: int, metrics: dict[str, float]) -> str:
    """Markdown of the checkpoint described by its `config.json` and `metrics.json`."""
    data = config["data"]
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in metrics.items())
    settings = "\n".join(f"| {name} | {value} |" for name, value in config["hyperparameters"].items())
    synthetic = (
        "\n> **Synthetic data.** This model was trained on generated data: its figures say nothing about Qilin.\n"
        if data.get("synthetic")
        else ""
    )
    cold = COLD if config["hyperparameters"].get("content") else NOT_COLD
    title = config["hyperparameters"].get("model", config["model"])
    serves = OWN_USERS if config["hyperparameters"].get("n_users") else ANYONE
    return f"""# {title} on {data.get("name", "unknown data")}
{synthetic}
Made by recsys-zoo {config["versions"]["recsys-zoo"]}. {serves}

## Data and protocol
- Data: {data.get("name", "unknown")}, fingerprint `{str(data.get("fingerprint", ""))[:16]}`
- Vocabulary: {n_items} items
- Metrics were measured by full ranking over the vocabulary, on the split that their name begins with.

## Metrics
| metric | value |
|---|---|
{rows}

## Hyperparameters
| name | value |
|---|---|
{settings}

## Use and limits
{cold} The licence of the data applies to what is made from it.
"""
