"""Whether wandb's server can be used: known within seconds, and without asking anyone for a key."""

import netrc
import os
import threading
import urllib.error
import urllib.request
from urllib.parse import urlsplit

PATIENCE = 10.0
"""Seconds in which a server must have answered anything at all."""


def address() -> str:
    """Of the server that is in use."""
    import wandb

    return os.environ.get("WANDB_BASE_URL", wandb.setup().settings.base_url)


def obstacle() -> str | None:
    """What keeps this machine from wandb's server; None where nothing does."""
    import wandb

    settings, url = wandb.setup().settings, address()
    if not (settings.api_key or os.environ.get("WANDB_API_KEY") or _in_netrc(url)):
        return "wandb has no API key (`wandb login`, or WANDB_API_KEY)"
    found = [f"{url} has not answered for {PATIENCE:.0f} s"]
    asking = threading.Thread(target=_ask, args=(url, found), daemon=True)  # names are looked up without a time limit
    asking.start()
    asking.join(PATIENCE)
    return found[0] if found else None


def _ask(url: str, found: list[str]) -> None:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE):
            pass
    except urllib.error.HTTPError:  # it answers, and wandb will know what to ask
        pass
    except (OSError, ValueError) as error:
        found[0] = f"{url} does not answer ({getattr(error, 'reason', None) or error})"
        return
    found.clear()


def _in_netrc(url: str) -> bool:
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(urlsplit(url).hostname or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False
