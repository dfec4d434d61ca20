"""Who else has a serial port open: a lock keeps out only those who ask for it, and replies go to whoever reads first.

Linux only, from /proc; programs of other users are seen only with the right to look at them. Elsewhere: nobody.
"""

from __future__ import annotations

import os
from pathlib import Path

PROCESSES = Path("/proc")


def sharers(path: str) -> tuple[str, ...]:
    """Other programs that have this device open, as ``name (pid)``, by pid. The far end of a pty is not one of them."""
    try:
        device = os.stat(path).st_rdev  # noqa: PTH116 - a device, not a file
    except OSError:
        return ()
    pids = sorted(int(entry.name) for entry in _listed(PROCESSES) if entry.name.isdigit())
    return tuple(f"{_name(pid)} ({pid})" for pid in pids if pid != os.getpid() and _holds(pid, device))


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _holds(pid: int, device: int) -> bool:
    holds = False
    for entry in _listed(PROCESSES / str(pid) / "fd"):
        try:
            target = os.readlink(entry)  # noqa: PTH115 - what it says is no path to follow
            if not target.startswith("/dev/"):
                continue
            if target in ("/dev/ptmx", "/dev/pts/ptmx"):
                return False  # it is the far end of a pty, which keeps the near end open as well
            holds |= os.stat(entry).st_rdev == device  # noqa: PTH116 - follows the descriptor itself
        except OSError:
            continue
    return holds


def _name(pid: int) -> str:
    try:
        return (PROCESSES / str(pid) / "comm").read_text().strip()
    except OSError:
        return "unknown"
