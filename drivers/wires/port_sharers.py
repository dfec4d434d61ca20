"""Who else has a serial port open: a lock keeps out only those who ask for it, and replies go to whoever reads first.

Linux only, from /proc; programs of other users are seen only with the right to look at them. Elsewhere: nobody. It is
read without pathlib, since the loop waits for it: a few milliseconds for a hundred programs.
"""

from __future__ import annotations

import os
from pathlib import Path

PROCESSES = "/proc"


def sharers(path: str, owners: frozenset[int] = frozenset()) -> tuple[str, ...]:
    """Other programs that have this device open, as ``name (pid)``, by pid.

    The far end of a pty is not one of them, nor are ``owners``.
    """
    try:
        device = os.stat(path).st_rdev  # noqa: PTH116 - a device, not a file
    except OSError:
        return ()
    ours = owners | {os.getpid()}
    pids = sorted(int(name) for name in _listed(PROCESSES) if name.isdigit())
    return tuple(f"{_name(pid)} ({pid})" for pid in pids if pid not in ours and _holds(pid, device))


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - see above
    except OSError:
        return []


def _holds(pid: int, device: int) -> bool:
    holds = False
    folder = f"{PROCESSES}/{pid}/fd"
    for name in _listed(folder):
        try:
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - what it says is no path to follow
            if not target.startswith("/dev/"):
                continue
            if target in ("/dev/ptmx", "/dev/pts/ptmx"):
                return False  # it is the far end of a pty, which keeps the near end open as well
            holds |= os.stat(f"{folder}/{name}").st_rdev == device  # noqa: PTH116 - follows the descriptor itself
        except OSError:
            continue
    return holds


def _name(pid: int) -> str:
    try:
        return Path(f"{PROCESSES}/{pid}/comm").read_text().strip()
    except OSError:
        return "unknown"
