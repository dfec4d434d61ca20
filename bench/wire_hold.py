"""Holding a wire against every other program of this machine, whatever data folder, account or bench file it uses.

A held wire is a name in Linux's abstract socket space: bound or refused in one call, no file, and given back by the
kernel when the last process that has the handle ends, however it ends. The handle may be passed to another process.
Programs in another network namespace (a container of its own) do not see it. Unix(7).
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from pathlib import Path

from drivers.errors import BenchHeld, RecordError

#: What the names begin with; the wire's hash follows.
PREFIX = "cellbench-wire-"
_SOCKETS = "/proc/net/unix"
_PROCESSES = "/proc"
#: How much of a holder's command line is shown.
_SHOWN = 120


def wire_name(key: str) -> str:
    """The abstract name of a wire, without its leading zero byte; short enough for every wire."""
    return PREFIX + hashlib.sha256(key.encode()).hexdigest()[:32]


def hold_wire(key: str) -> socket.socket:
    """Hold this wire until the socket and all its copies are closed. Raises BenchHeld naming who holds it, where that
    can be seen, and RecordError where this machine cannot hold wires."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    name = wire_name(key)
    try:
        held.bind("\0" + name)
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            said = f"the wire {key} is held by another run of this machine, {_holders(name)}"
            fix = "wait for that run, or stop it; nothing was connected to"
            raise BenchHeld(said, key, fix) from None
        fix = "cellbench needs Linux, and a service the right to AF_UNIX sockets"
        raise RecordError(f"the wire cannot be held: {error.strerror}", key, fix) from None
    return held


def _holders(name: str) -> str:
    """Who has the socket of this name, in words: the program and its guardian both have it."""
    found = _pids_of(_inode(name))
    if not found:
        return "by a process that this account may not look at"
    return " and ".join(f"process {pid} ({_command(pid)})" for pid in found)


def _inode(name: str) -> str | None:
    try:
        lines = Path(_SOCKETS).read_text(errors="replace").splitlines()
    except OSError:
        return None
    return next((words[6] for line in lines if len(words := line.split()) > 7 and words[7] == f"@{name}"), None)


def _pids_of(inode: str | None) -> list[int]:
    if inode is None:
        return []
    pids = sorted(int(entry.name) for entry in Path(_PROCESSES).iterdir() if entry.name.isdigit())
    return [pid for pid in pids if _has(pid, f"socket:[{inode}]")]


def _has(pid: int, target: str) -> bool:
    folder = f"{_PROCESSES}/{pid}/fd"
    try:
        return any(_is(f"{folder}/{handle}", target) for handle in os.listdir(folder))  # noqa: PTH208 - names alone
    except OSError:
        return False  # gone, or another account's


def _is(link: str, target: str) -> bool:
    try:
        return os.readlink(link) == target  # noqa: PTH115 - what it says is no path to follow
    except OSError:
        return False


def _command(pid: int) -> str:
    """Its command line from its program's name on, shortened."""
    try:
        words = Path(f"{_PROCESSES}/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "unknown"
    said = " ".join(filter(None, words)) or "unknown"
    said = "".join(letter if letter.isprintable() else "?" for letter in said)
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]}..."
