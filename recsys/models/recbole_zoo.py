"""RecBole's sequential models: which of them are here, what sort each is, and its settings."""

import re
from importlib.resources import files
from typing import Any

import yaml

from recsys.errors import InputError, did_you_mean

DOT_PRODUCT = frozenset(["CORE", "Caser", "FDSA", "FOSSIL", "GCSAN", "GRU4Rec", "GRU4RecF", "HGN", "HRM"]) | frozenset(
    ["LightSANs", "NARM", "NPE", "NextItNet", "SASRec", "SASRecF", "SHAN", "SINE", "SRGNN", "STAMP"]
)
"""Models whose score is the product of `forward` and a table of items."""
OTHER_SCORES = frozenset(["FPMC", "GRU4RecCPR", "RepeatNet", "SASRecCPR", "TransRec"])
"""Models that give the scores of all items at once."""
CAUSAL = frozenset(["CORE", "FDSA", "GRU4Rec", "GRU4RecF", "NARM", "SASRec", "SASRecF"])
"""Models that can answer at each item of a history in one pass over it: no state depends on anything behind it."""
FEATURED = frozenset(["FDSA", "GRU4RecF", "SASRecF"])
"""Models that also read features of the items in a history."""
ELSEWHERE = {
    "BERT4Rec": "has a class of its own here, without RecBole's defects: class_path: BERT4Rec",
    "FEARec": "looks for other histories with the same target in RecBole's own data set, which is not read here",
    "S3Rec": "is trained in two stages by a trainer of its own, which is not run here",
    **dict.fromkeys(["DIEN", "DIN"], "rates one item at a time for a click or none, and cannot rank all items"),
    **dict.fromkeys(["GRU4RecKG", "KSR"], "needs a knowledge graph, which this adapter does not give it"),
}
"""RecBole's other sequential models, and why they are not here."""


class _Loader(yaml.SafeLoader):
    """Reads numbers as RecBole does: 1e-12 is one, which is a text in YAML 1.1."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d[\d_]*\.[\d_]*([eE][-+]?\d+)?|\d[\d_]*[eE][-+]?\d+|\.[\d_]+([eE][-+]\d+)?)$"),
    list("-+0123456789."),
)


def defaults(model: str) -> dict[str, Any]:
    """RecBole's settings of a model: its own, not those of data, training and evaluation.

    Raises:
        InputError: a model that RecBole has not, or that is not here.
    """
    if model in ELSEWHERE:
        raise InputError(f"{model} {ELSEWHERE[model]}.")
    if model not in DOT_PRODUCT | OTHER_SCORES:
        hint = did_you_mean(model, DOT_PRODUCT | OTHER_SCORES)
        raise InputError(f"{model} is none of RecBole's sequential models.{hint}")
    text = (files("recbole") / "properties" / "model" / f"{model}.yaml").read_text("utf-8")
    return {name: value for name, value in (yaml.load(text, _Loader) or {}).items() if name != "transform"}


def merged_settings(model: str, settings: dict[str, Any]) -> dict[str, Any]:
    """RecBole's defaults of a model under these settings.

    Raises:
        InputError: as `defaults`; a setting that the model has not.
    """
    known = defaults(model)
    for name in settings:
        if name not in known:
            raise InputError(f"settings: {model} has no {name!r}.{did_you_mean(name, known)}")
    return known | settings
