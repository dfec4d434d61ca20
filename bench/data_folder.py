"""The data folder: sample records, bench locks, the run counter, the key and, unless told otherwise, the runs.

Locks are advisory locks of the operating system on one file a wire, which say who holds it, and a name a wire in the
whole machine (``bench/wire_hold.py``). Both end with the process that holds them, however it ends, so there is no stale
lock to remove by hand.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.samples import SampleStore, write_atomically
from bench.seal_key import SealKey
from bench.wire_hold import hold_wire
from drivers import BenchHeld, Fault, RecordError

DEFAULT_FOLDER = "cellbench-data"
VARIABLE = "CELLBENCH_DATA"

#: A run starts only with so many times the space that it is expected to take.
SPACE_FACTOR = 2


class DataFolder:
    """One data folder. Nothing is made in it before it is needed."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def choose(cls, option: str | Path | None, environment: Mapping[str, str]) -> DataFolder:
        """``--data``, else $CELLBENCH_DATA, else ./cellbench-data."""
        return cls(option or environment.get(VARIABLE) or DEFAULT_FOLDER)

    @property
    def samples(self) -> SampleStore:
        return SampleStore(self.path / "samples")

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    def seal_key(self) -> SealKey:
        """The key that closes this folder's bundles, made at first use. Raises RecordError; to be called before the
        first energy, so that no run ends with a bundle that cannot be signed."""
        return SealKey.at(self.keys)

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    def new_run(self, out: Path | None, sequence_id: str) -> tuple[str, Path]:
        """A new run id, ``0007-gbt31486-2024-room-capacity``, and its new empty folder in ``out`` or ``runs``.

        The number comes from the folder's counter and is never given twice, not even to two processes at once. Raises
        RecordError.
        """
        parent = (out if out is not None else self.runs).resolve()
        name = re.sub(r"[^a-z0-9]+", "-", sequence_id.lower()).strip("-")[:60] or "run"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            while True:
                run_id = f"{self._next_number():04d}-{name}"
                try:
                    (parent / run_id).mkdir()
                except FileExistsError:
                    continue  # ``out`` may hold runs of another data folder
                return run_id, parent / run_id
        except OSError as error:
            fix = "choose another folder with --out or --data, or free the disk"
            raise RecordError(f"no run can be kept: {error.strerror}", str(parent), fix) from None

    def _next_number(self) -> int:
        self.path.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path / ".run-counter.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            counter = self.path / "run-counter"
            try:
                written = counter.read_text().strip()
            except FileNotFoundError:
                written = "0"
            if not re.fullmatch(r"[0-9]{1,9}", written):
                fix = "write the number of the last run into it"
                raise RecordError(f"the run counter says {written[:20]!r}, which is no number", str(counter), fix)
            number = int(written) + 1
            write_atomically(counter, f"{number}\n".encode())
            return number
        finally:
            os.close(handle)

    def lock(
        self, wire_keys: Iterable[str], *, bench: Path | None = None, run: str = "", start_utc_s: float = 0.0
    ) -> BenchLock:
        """Hold every wire, or none: raises BenchHeld naming who holds the first one that is taken.

        A wire is held against every program of this machine. ``bench`` is the bench's file: it is held too, so that a
        run on other wires of it is kept out. ``run`` is what others are told that they are held for, such as the
        sequence's id.
        """
        lock = BenchLock(self.path / "locks", run, start_utc_s)
        try:
            for key in sorted(set(wire_keys)):
                lock.take(key)
            for key in lock.wires:  # after the files: what they say names the run
                lock.take_everywhere(key)
            if bench is not None:  # last: who holds a wire can be named
                lock.take_file(bench)
        except BaseException:
            lock.release()
            raise
        return lock


class BenchLock:
    """Wires held by this process, until :meth:`release` or its end. A context manager."""

    def __init__(self, folder: Path, run: str, start_utc_s: float) -> None:
        self._folder = folder
        self._run = run
        self._start_utc_s = start_utc_s
        self._held: dict[str, int] = {}
        self._files: list[int] = []
        self._names: list[socket.socket] = []
        #: What whoever holds the bench must tell a person before anything is energised.
        self.warnings: tuple[Fault, ...] = ()

    @property
    def wires(self) -> tuple[str, ...]:
        return tuple(self._held)

    @property
    def handles(self) -> tuple[int, ...]:
        """Every open lock: a wire stays held until the last process that has one of them ends or lets go."""
        return (*self._files, *self._held.values(), *(name.fileno() for name in self._names))

    def take(self, key: str) -> None:
        """Hold one more wire. Raises BenchHeld, RecordError."""
        path = self._folder / lock_name(key)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RecordError(
                f"the lock of {key} cannot be made: {error.strerror}", str(path), "mend the disk"
            ) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(handle)
            os.close(handle)
            fix = "wait for that run, or stop it; a run that is simulated with --simulate needs no bench"
            raise BenchHeld(f"the wire {key} is held by {holder}", str(path), fix) from None
        self._held[key] = handle
        self._sign(key)

    def take_everywhere(self, key: str) -> None:
        """Hold a wire against programs that use another data folder. Raises BenchHeld, RecordError."""
        self._names.append(hold_wire(key))

    def take_file(self, path: Path) -> None:
        """Hold a bench file itself, which is the same for every data folder and account. Raises BenchHeld, RecordError.

        Nothing is written to it. A file of that name in its place is another file; the wires are locked all the same.
        """
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            said = f"the bench file cannot be locked: {error.strerror}"
            raise RecordError(said, str(path), "give this account the right to read it") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            fix = "wait for that run, or stop it; a run that is simulated with --simulate needs no bench"
            raise BenchHeld("the bench is held by another run, maybe of another data folder", str(path), fix) from None
        self._files.append(handle)

    def release(self) -> None:
        """Let go of every wire. Idempotent."""
        while self._files:
            os.close(self._files.pop())
        while self._names:
            self._names.pop().close()
        for handle in self._held.values():
            os.ftruncate(handle, 0)
            os.close(handle)
        self._held.clear()

    def __enter__(self) -> BenchLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _sign(self, key: str) -> None:
        start = datetime.fromtimestamp(self._start_utc_s, UTC).isoformat(timespec="seconds")
        text = json.dumps({"wire": key, "pid": os.getpid(), "run": self._run, "start": start}) + "\n"
        handle = self._held[key]
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)


def lock_name(key: str) -> str:
    """The lock's file name: readable, and never the same for two wires."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "_", key).strip("_.")[:60]
    return f"{plain}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.lock"


def _holder(handle: int) -> str:
    """What the holder signed with; it may be signing just now."""
    try:
        signed: dict[str, Any] = json.loads(os.pread(handle, 4096, 0))
        run = f", run {signed['run']}" if signed["run"] else ""
        return f"process {signed['pid']}{run}, since {signed['start']}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def free_bytes(folder: Path) -> int:
    """Free space where ``folder`` is, or will be."""
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def check_space(folder: Path, forecast_bytes: int, *, free: int | None = None) -> None:
    """Raises RecordError if less than twice the forecast is free; nothing has been started then."""
    available = free_bytes(folder) if free is None else free
    wanted = SPACE_FACTOR * forecast_bytes
    if available < wanted:
        error = f"{available / 1e6:.0f} MB are free, and the run may take {forecast_bytes / 1e6:.0f} MB"
        fix = f"free {wanted / 1e6:.0f} MB, or choose another folder with --out"
        raise RecordError(error, str(folder), fix)
