"""The audit trail: every change, with who, when, what it was, what it is, and why. It only grows.

``audit.jsonl`` in the data folder; each line carries the hash of the one before it (bench/chain.py). The newest hash is
also kept among the users, so that a trail whose end was cut off is found out; the head is shown to whoever
keeps it elsewhere. The daemon and the command line may write at once.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.chain import GENESIS, check, digest, encode, read_lines
from bench.web.accounts import Accounts
from drivers.errors import RecordError

FILE = "audit.jsonl"
SCHEMA = "cellbench/audit/1"
_TAIL = 1 << 20
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "seq": int,
    "utc_s": (int, float),
    **dict.fromkeys(("prev", "act", "on", "who", "role", "how", "outcome", "why"), str),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One change. ``act`` is as ``run.start``, ``on`` what it was done to; ``outcome`` is ``done`` or a code."""

    act: str
    on: str
    who: str
    role: str
    how: str
    outcome: str = "done"
    old: Any = None
    new: Any = None
    why: str = ""
    signature: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    """The trail as it was found. ``broken`` is the record (from 0) where it no longer holds; None: it holds."""

    records: tuple[Mapping[str, Any], ...]
    head: str
    broken: int | None
    why: str


class Audit:
    """The trail of one data folder. ``utc_s`` gives the wall clock."""

    def __init__(self, data: Path, accounts: Accounts, utc_s: Callable[[], float]) -> None:
        self.path = data / FILE
        self._accounts = accounts
        self._utc_s = utc_s

    def add(self, change: Change) -> Mapping[str, Any]:
        """Append a change: it is on disk when this returns, with who, when and the hash before it. Raises RecordError:
        it was not kept, and the trail is as before."""
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unkept(self.path, error.strerror) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            return self._appended(handle, change)
        except OSError as error:
            raise _unkept(self.path, error.strerror) from None
        finally:
            os.close(handle)

    def check(self) -> Trail:
        """The whole trail, followed from its beginning. Raises RecordError if it cannot be read."""
        kept = self._accounts.head(FILE)
        try:
            lines = read_lines(self.path)
        except FileNotFoundError:
            missing = kept is not None
            return Trail((), GENESIS, 0 if missing else None, "the trail is gone" if missing else "")
        except OSError as error:
            raise _unkept(self.path, error.strerror) from None
        found = check(lines.lines, GENESIS, _link)
        broken, why = found.broken, found.why
        if broken is None and kept is not None:
            digests = [digest(line) for line in lines.lines]
            if len(digests) < kept[0]:
                broken, why = len(digests), f"{kept[0] - len(digests)} records at its end are missing"
            elif kept[0] and digests[kept[0] - 1] != kept[1]:
                broken, why = kept[0] - 1, "is not the record that was kept"
        return Trail(found.records, found.head, broken, why)

    def _appended(self, handle: int, change: Change) -> Mapping[str, Any]:
        size = os.fstat(handle).st_size
        kept = self._accounts.head(FILE)
        count, prev, whole = self._end(handle, size, lost=kept is not None)
        if whole < size:
            os.ftruncate(handle, whole)  # a power cut's torn line was never told anybody
        if kept is not None and not self._goes_on(handle, whole, count, *kept):
            count, prev = kept  # what was cut off or changed stays missed: the trail breaks here for good
        record = {"schema": SCHEMA, "seq": count, "prev": prev, "utc_s": self._utc_s(), **_document(change)}
        line = encode(record)
        written = 0
        try:
            while written <= len(line):
                written += os.write(handle, (line + b"\n")[written:])
            os.fsync(handle)
            self._accounts.keep_head(FILE, count + 1, digest(line))
        except (OSError, RecordError):
            os.ftruncate(handle, whole)
            raise
        return record

    @staticmethod
    def _goes_on(handle: int, whole: int, count: int, kept_count: int, kept_digest: str) -> bool:
        """Whether the trail's end still holds the record that was kept as its head; a crash may have left one behind
        it whose head was not kept any more."""
        begin = max(0, whole - 2 * _TAIL)
        lines = os.pread(handle, whole - begin, begin).split(b"\n")[:-1]
        later = count - kept_count
        return 0 <= later < len(lines) and digest(lines[-1 - later]) == kept_digest

    def _end(self, handle: int, size: int, *, lost: bool) -> tuple[int, str, int]:
        """How many records there are, the last one's hash, and where the whole lines end. ``lost``: a last record that
        cannot be read counts as none, instead of RecordError."""
        if not size:
            return 0, GENESIS, 0
        begin = max(0, size - _TAIL)
        tail = os.pread(handle, size - begin, begin)
        end = tail.rfind(b"\n") + 1
        if not end:
            if begin:
                raise RecordError("its last line is too long to be one", str(self.path), _FIX)
            return 0, GENESIS, 0
        last = tail[:end].split(b"\n")[-2]
        checked = check([last], "", lambda record: "" if isinstance(record["seq"], int) else "no number")
        if checked.broken is not None:
            if lost:
                return 0, GENESIS, begin + end
            raise RecordError("its last record cannot be read", str(self.path), _FIX)
        return int(checked.records[0]["seq"]) + 1, digest(last), begin + end


def _link(record: Any) -> str:
    """The hash that a record carries. Raises LookupError, TypeError: it is none of ours."""
    if not all(isinstance(record[name], kind) for name, kind in _KINDS.items()):
        raise TypeError("no record of a trail")
    return str(record["prev"])


def _document(change: Change) -> dict[str, Any]:
    return {
        "act": change.act,
        "on": change.on,
        "who": change.who,
        "role": change.role,
        "how": change.how,
        "outcome": change.outcome,
        "old": change.old,
        "new": change.new,
        "why": change.why,
        "signature": change.signature,
    }


_FIX = "mend the disk or the rights of the data folder; `cellbench verify` does not need the trail, changes do"


def _unkept(path: Path, why: str | None) -> RecordError:
    return RecordError(f"the audit trail cannot be kept: {why}", str(path), _FIX)
