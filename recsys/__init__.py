"""Sequential recommenders with search histories: convert, train, compare, recommend."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Recommender", "__version__"]

if TYPE_CHECKING:
    from recsys.recommender import Recommender


def __getattr__(name: str) -> Any:
    """Import the heavy names on first use, so that `import recsys` costs milliseconds."""
    if name == "Recommender":
        return import_module("recsys.recommender").Recommender
    raise AttributeError(f"module 'recsys' has no attribute {name!r}")
