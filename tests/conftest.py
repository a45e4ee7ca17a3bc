"""One thread, no accounts and no network, for every test: settings that are read at import, then a guard."""

import ipaddress
import os
import socket
import sys

from hypothesis import settings

os.environ |= {
    "OMP_NUM_THREADS": "1",  # torch's threads too, as long as torch is imported after this
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "HF_HUB_OFFLINE": "1",
    "RECSYS_CACHE": "",  # none, where a test does not say so
}


def _is_local(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(str(name))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _no_network(event: str, args: tuple) -> None:
    """Stop whatever is about to leave this machine: an audit hook sees every socket, however it was made."""
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    if not _is_local(host):
        raise RuntimeError(f"a test tried to reach {host!r}: tests talk to loopback only")


sys.addaudithook(_no_network)

settings.register_profile("unhurried", deadline=None)  # a busy machine is no bug
settings.load_profile("unhurried")
