"""Every call that the record makes to the disk fails once, in every way: nothing that was acknowledged is lost.

A short record with three windows is written on the simulated disk, at once and with the long work done beside the loop
at moments that the seed draws. A run draws one call in three by the seed that is printed, unless CELLBENCH_ALL is set,
which ``scripts/soak`` does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench import log as log_module
from bench import record
from bench.beside import Job
from bench.log import AT_ONCE, Besides, RunLog
from bench.results import VerifyStatus
from bench.room import LOW_WATER_BYTES, RESERVE
from bench.trouble import Trouble, TroubleKind
from bench.verify import verify
from drivers.errors import RecordError
from tests.bench.synthetic_run import Time
from tests.durability.simulated_disk import PowerCutError, SimulatedDisk

SEED = int(os.environ.get("CELLBENCH_SEED", "20261123"))
EVENTS = 16
HEADER = {"run_id": "0001-x", "mode": "live"}


@dataclass
class Written:
    """What the program was told is on disk, and what the record told of the disk."""

    events: list[int] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)
    log: RunLog | None = None
    troubles: list[Trouble] = field(default_factory=list)
    raised: int = 0
    begun: bool = False
    closed: bool = False


class Sometime:
    """A thread whose work is done, and told of, some time after it was begun: when the drawn moment comes."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._begun: list[tuple[Job[Any], Callable[[], object]]] = []
        self._done: list[Callable[[], object]] = []

    def begin(self, job: Job[Any], told: Callable[[], object]) -> None:
        self._begun.append((job, told))

    def go_on(self) -> None:
        """A moment passes."""
        if self._begun and self._rng.random() < 0.3:
            job, told = self._begun.pop(0)
            job.attempt()
            self._done.append(told)
        if self._done and self._rng.random() < 0.3:
            self._done.pop(0)()


def write_record(folder: Path, disk: SimulatedDisk, besides: Sequence[Sometime] = ()) -> Written:
    """Events and rows in turn; after every event that was acknowledged the rows before it are acknowledged too."""
    written = Written()
    beside = Besides(besides[0], besides[1]) if besides else AT_ONCE
    try:
        (folder / "plan.json").parent.mkdir(parents=True, exist_ok=True)
        log = RunLog.create(folder, Time().clock, durable=True, header=HEADER, disk=disk, beside=beside)
        written.log, written.begun = log, True
        log.on_trouble = written.troubles.append
        try:
            _write(log, written, besides)
        finally:
            log.close()
        written.closed = log.failed is None
    except RecordError:
        written.raised += written.begun
    except PowerCutError:
        pass
    finally:
        if written.log is not None:
            written.log.abandon()
    return written


def _write(log: RunLog, written: Written, besides: Sequence[Sometime]) -> None:
    held: list[float] = []
    try:
        log.open_readings(["v", "i"])
    except RecordError:
        written.raised += 1
    for n in range(1, EVENTS):
        if _over(log):
            return
        for at in range(4):
            try:
                log.row([4.0 * n + at, 0.0, 1, 3.0 + n, 1.0])
                log.tick()
            except RecordError:
                written.raised += 1
                if _over(log):
                    return
            held.append(4.0 * n + at)
            for beside in besides:
                beside.go_on()
        try:
            log.event("tick", number=n)
        except RecordError:
            written.raised += 1
        if not _over(log):
            written.events.append(n)
            written.rows += held
            held.clear()


def _over(log: RunLog) -> bool:
    return log.failed is not None


def check_kept(folder: Path, written: Written) -> None:
    """What was acknowledged is there, in order; more may be."""
    kept = record.load(folder)
    events = [event.data["number"] for event in kept.of("tick")]
    assert events[: len(written.events)] == written.events
    assert kept.rows.mono_s[: len(written.rows)] == written.rows
    found = verify(folder)
    assert found.status is VerifyStatus.NOT_CLOSED, found.problems


def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "WINDOW_ROWS", 20)


def besides(monkeypatch: pytest.MonkeyPatch, rng: random.Random) -> Sequence[Sometime]:
    """For segments and for rows; every row that comes along while none is being written is written beside the loop."""
    monkeypatch.setattr(log_module, "FLUSH_S", 0.0)
    return Sometime(rng), Sometime(rng)


def calls_of_a_healthy_disk(tmp_path: Path) -> int:
    disk = SimulatedDisk()
    written = write_record(tmp_path / "healthy", disk)
    assert written.closed
    assert len(written.events) == EVENTS - 1
    return disk.calls


def chosen(calls: int, rng: random.Random) -> list[int]:
    if os.environ.get("CELLBENCH_ALL"):
        return list(range(1, calls + 1))
    return sorted(rng.sample(range(1, calls + 1), calls // 3))


@pytest.mark.fault("F67", "F68", "H15")
@pytest.mark.parametrize(
    ("number", "ever_after", "partly"),
    [
        pytest.param(errno.EIO, False, False, id="one i/o error"),
        pytest.param(errno.EIO, False, True, id="one i/o error half way"),
        pytest.param(errno.EIO, True, False, id="a dead disk"),
        pytest.param(errno.ENOSPC, True, True, id="a full disk"),
        pytest.param(errno.EDQUOT, True, False, id="a quota"),
        pytest.param(errno.EROFS, True, False, id="mounted read-only"),
    ],
)
@pytest.mark.parametrize("beside", [False, True], ids=["at once", "beside the loop"])
async def test_nothing_acknowledged_is_lost_whichever_call_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, ever_after: bool, partly: bool, beside: bool
) -> None:
    small_windows(monkeypatch)
    calls = calls_of_a_healthy_disk(tmp_path)
    rng = random.Random(SEED)
    picked = chosen(calls, rng)
    for at in picked:
        disk = SimulatedDisk(fail_at=at, number=number, ever_after=ever_after, partly=partly, rng=rng)
        folder = tmp_path / str(at)
        written = write_record(folder, disk, besides(monkeypatch, rng) if beside else ())
        where = (SEED, at, disk.kinds[at - 1])
        if not written.begun:
            continue
        log = written.log
        assert log is not None
        try:
            check_kept(folder, written)
            check_kept(disk.after_power_cut(folder, tmp_path / f"{at}-cut" / "run"), written)
        except (AssertionError, RecordError) as error:
            raise AssertionError(where, error) from error
    print(f"{len(picked)} of {calls} calls failed (CELLBENCH_SEED={SEED})")


@pytest.mark.fault("F65", "H15")
@pytest.mark.parametrize("beside", [False, True], ids=["at once", "beside the loop"])
async def test_nothing_acknowledged_is_lost_whenever_the_power_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    small_windows(monkeypatch)
    calls = calls_of_a_healthy_disk(tmp_path)
    rng = random.Random(SEED)
    picked = chosen(calls, rng)
    for at in picked:
        disk = SimulatedDisk(fail_at=at, number=None, rng=rng)
        folder = tmp_path / str(at)
        written = write_record(folder, disk, besides(monkeypatch, rng) if beside else ())
        if not written.begun:
            continue
        where = (SEED, at, disk.kinds[at - 1])
        try:
            found = disk.after_power_cut(folder, tmp_path / f"{at}-found" / "run")
            check_kept(found, written)
            again = RunLog.reopen(found, Time().clock, durable=False)
            again.event("tick", number=len(written.events) + 100)
            again.close()
            check_kept(found, written)
        except (AssertionError, RecordError) as error:
            raise AssertionError(where, error) from error
    print(f"power cut at {len(picked)} of {calls} calls (CELLBENCH_SEED={SEED})")


@pytest.mark.fault("F68")
async def test_after_a_sync_that_fails_the_run_is_recorded_to_its_end_in_a_new_file(tmp_path: Path) -> None:
    healthy = SimulatedDisk()
    write_record(tmp_path / "healthy", healthy)
    syncs = [at for at, kind in enumerate(healthy.kinds, 1) if kind == "sync"]
    disk = SimulatedDisk(fail_at=syncs[8], number=errno.EIO)
    written = write_record(tmp_path / "run", disk)
    assert written.log is not None
    assert (written.log.failed, written.raised, written.closed) == (None, 1, True)
    assert [it.kind for it in written.troubles] == [TroubleKind.SUSPECT]
    assert written.troubles[0].cause.rule == "record: suspect"
    assert written.events == list(range(1, EVENTS))
    assert len(written.log.heads.suspect) == 1
    check_kept(tmp_path / "run", written)


@pytest.mark.fault("F67")
async def test_at_low_water_the_reserve_is_given_back_and_the_run_is_told_once(tmp_path: Path) -> None:
    disk = SimulatedDisk()
    log = RunLog.create(tmp_path / "run", Time().clock, durable=True, header=HEADER, disk=disk)
    told: list[Trouble] = []
    log.on_trouble = told.append
    assert (tmp_path / "run" / RESERVE).exists()
    log.event("tick", number=1)
    assert told == []
    disk.free = LOW_WATER_BYTES - 1
    log.event("tick", number=2)
    log.event("tick", number=3)
    assert log.low
    assert [(it.kind, it.value) for it in told] == [(TroubleKind.LOW_WATER, float(disk.free))]
    assert not (tmp_path / "run" / RESERVE).exists()
    log.close()
    kinds = [event.kind for event in record.load(tmp_path / "run").events]
    assert kinds == ["header", "tick", "tick", "low_water", "tick", "log_closed"]


@pytest.mark.fault("F67")
async def test_a_full_disk_is_met_with_the_reserve_first(tmp_path: Path) -> None:
    """One write finds no room; what was held back makes it, and nothing is lost or raised."""
    healthy = SimulatedDisk()
    write_record(tmp_path / "healthy", healthy)
    writes = [at for at, kind in enumerate(healthy.kinds, 1) if kind == "write"]
    disk = SimulatedDisk(fail_at=writes[5], number=errno.ENOSPC, partly=True)
    written = write_record(tmp_path / "run", disk)
    assert written.log is not None
    assert (written.log.failed, written.log.suspect, written.raised) == (None, None, 0)
    assert written.events == list(range(1, EVENTS))
    check_kept(tmp_path / "run", written)


@pytest.mark.fault("F68")
async def test_a_record_that_was_taken_up_twice_goes_on_in_the_next_file(tmp_path: Path) -> None:
    """The first file fails, the program is killed, the second record is torn, the program takes it up, and it fails."""
    folder = tmp_path / "run"
    healthy = SimulatedDisk()
    RunLog.create(tmp_path / "healthy", Time().clock, durable=True, header=HEADER, disk=healthy).close()
    disk = SimulatedDisk(fail_at=len(healthy.kinds) + 1, number=errno.EIO)
    log = RunLog.create(folder, Time().clock, durable=True, header=HEADER, disk=disk)
    for number in range(9):
        with contextlib.suppress(RecordError):
            log.event("tick", number=number)
    assert log.suspect is not None
    log.abandon()
    with (folder / "events-2.jsonl").open("ab") as file:
        file.write(b'{"n":')
    taken = SimulatedDisk()
    again = RunLog.reopen(folder, Time().clock, durable=True, disk=taken)
    again.event("tick", number=9)
    again.abandon()
    opened = len(taken.kinds)
    failing = SimulatedDisk(fail_at=opened, number=errno.EIO)
    third = RunLog.reopen(folder, Time().clock, durable=True, disk=failing)
    for number in (10, 11):
        with contextlib.suppress(RecordError):
            third.event("tick", number=number)
    third.close()
    assert sorted(path.name for path in folder.glob("events*")) == ["events-2.jsonl", "events-3.jsonl", "events.jsonl"]
    assert [event.data["number"] for event in record.load(folder).of("tick")] == list(range(12))
    assert third.heads.suspect == ("events.jsonl", "events-2.jsonl")
