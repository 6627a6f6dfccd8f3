"""What systemd is told of the process: ready, alive, stopping (sd_notify(3), Type=notify)."""

import os
import socket


def notify(state: str) -> None:
    """Send a state such as `READY=1` to whoever started us and asked for it; never raises."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # A name with @ is one of Linux' abstract sockets, which begin with a zero byte.
    name = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.setblocking(False)
            out.sendto(state.encode(), name)
    except OSError:
        return  # nobody listens: then nobody waits for it


def watchdog_seconds() -> float | None:
    """How often to say WATCHDOG=1: half of what systemd waits. None: it does not watch us."""
    given = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not given.isascii() or not given.isdigit() or meant != str(os.getpid()):
        return None
    return int(given) / 1e6 / 2 or None
