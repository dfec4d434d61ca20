"""Claiming a bench for live use, before the first connect: nobody else has it, and nothing is owed on it anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.config import BenchFile, load_bench, wire_keys
from bench.data_folder import BenchLock, DataFolder
from bench.latch import Latches
from bench.open_runs import order_of
from bench.whereabouts import Whereabouts, refuse_elsewhere, unseen, used_by
from drivers.errors import ConfigError


def claim(
    data: DataFolder,
    bench: BenchFile,
    file: Path,
    *,
    run: str,
    start_utc_s: float,
    environment: Mapping[str, str],
    devices: Iterable[str] | None = None,
    resuming: Path | None = None,
    latched_too: bool = False,
) -> BenchLock:
    """Hold the wires of these devices (None: all) and the bench's file, and note that this data folder uses the bench.

    Raises BenchHeld if a wire is held by whomever, or if the bench, or one that shares a wire with it, is latched or
    has an interrupted run in any data folder that was noted (of its own folder's interrupted runs only the latches are
    looked at: whoever connects makes the bench safe then). Raises RecordError if that cannot be told or noted. Nothing
    has been connected to, and nothing stays held, when it raises. ``resuming`` is the bundle that is being taken up;
    ``latched_too`` is for a program that shows a latch of its own folder and starts nothing by itself. The lock's
    ``warnings`` name the noted folders that are not there: they refuse nothing, and must be told.
    """
    register, used = Whereabouts.of(environment), used_by(bench, file, data.path)

    def owed() -> None:
        if not latched_too:
            Latches(data.path).refuse(bench.name)
        refuse_elsewhere(register, used, resuming=resuming)

    owed()
    lock = data.lock(wire_keys(bench, devices), bench=file, run=run, start_utc_s=start_utc_s)
    try:
        owed()  # by a run that has just ended, too
        register.note(used)
        lock.warnings = unseen(register, used)
    except BaseException:
        lock.release()
        raise
    return lock


def note_use(bundle: Path, data: DataFolder, environment: Mapping[str, str]) -> None:
    """Note the bench of this live run's bundle for the data folder that may take a latch of it now, which need not be
    the one it ran with. A bundle without its inputs is left to whoever needs them. Raises RecordError, ConfigError."""
    try:
        file, bench = Path(order_of(bundle)["bench"]), load_bench(bundle / "bench.toml")
    except (ConfigError, LookupError, TypeError):
        return
    Whereabouts.of(environment).note(used_by(bench, file, data.path))
