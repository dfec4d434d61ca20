"""Whether the computer has room for a run: file handles and memory. What runs out in a run ends it; so it is asked
before the first energy, as the disk is."""

from __future__ import annotations

import math
import resource
from dataclasses import dataclass
from pathlib import Path

from drivers.errors import RecordError

#: A connected run holds two or three files more at a time; a failed disk makes it hold as many again, a connection that
#: is lost is opened before the old one is gone, and the guardian has its own. Our choice: plenty.
HANDLES = 24
#: A run was seen to add 24 MB; rows are kept for an hour at most. Our choice: five times that.
MEMORY_BYTES = 128_000_000

_FIX = "end what else runs on this computer, or give it more; nothing was started"


@dataclass(frozen=True, slots=True)
class HostRoom:
    """What is left: file handles of this process, and bytes of memory that the computer gives without swapping."""

    handles: float
    memory_bytes: float


def check_host(room: HostRoom) -> None:
    """Raises RecordError if a run might not be carried to its end; nothing has been started then."""
    if room.handles < HANDLES:
        said = f"{room.handles:.0f} file handles are left to this process, a run may need {HANDLES}"
        raise RecordError(said, "this computer", f"raise the limit (ulimit -n, LimitNOFILE=), or {_FIX}")
    if room.memory_bytes < MEMORY_BYTES:
        said = f"{room.memory_bytes / 1e6:.0f} MB of memory are left, a run may need {MEMORY_BYTES / 1e6:.0f} MB"
        raise RecordError(said, "this computer", _FIX)


def measured(proc: Path = Path("/proc")) -> HostRoom:
    """What is left now (proc(5): MemAvailable); what cannot be told counts as endless."""
    return HostRoom(_handles(proc), _kilobytes(proc / "meminfo", "MemAvailable:"))


def _handles(proc: Path) -> float:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return math.inf
    try:
        return most - sum(1 for _ in (proc / "self" / "fd").iterdir())
    except OSError:
        return math.inf


def _kilobytes(path: Path, key: str) -> float:
    """The bytes of a line ``key  N kB``; infinity where there is none."""
    try:
        lines = path.read_text().splitlines()
        return next(float(line.split()[1]) * 1024.0 for line in lines if line.startswith(key))
    except (OSError, ValueError, IndexError, StopIteration):
        return math.inf
