"""What is done beside the loop: rows flow on meanwhile, order and promises stay, and trouble is told."""

from __future__ import annotations

import asyncio
import errno
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import log as log_module
from bench import record
from bench.beside import AtOnce, Job, Threads
from bench.disk import RealDisk
from bench.log import Besides, RunLog
from bench.results import VerifyStatus
from bench.trouble import Trouble, TroubleKind
from bench.verify import verify
from drivers.errors import RecordError
from tests.bench.synthetic_run import Time
from tests.bench.test_log import HEADER, until
from tests.durability.simulated_disk import SimulatedDisk


class OnDemand:
    """A thread that works when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Job[Any], Callable[[], object]]] = []

    def begin(self, job: Job[Any], told: Callable[[], object]) -> None:
        self.jobs.append((job, told))

    def work(self, at: int = 0) -> None:
        job, told = self.jobs.pop(at)
        job.attempt()
        told()


def begin(folder: Path, *, disk: RealDisk | None = None, **beside: Any) -> tuple[RunLog, OnDemand, OnDemand]:
    sealing, writing = OnDemand(), OnDemand()
    where = Besides(beside.get("sealing", sealing), beside.get("writing", writing))
    log = RunLog.create(folder, Time().clock, durable=False, header=HEADER, disk=disk, beside=where)
    log.open_readings(["v", "i"])
    return log, sealing, writing


def rows(log: RunLog, first: int, count: int) -> None:
    for at in range(first, first + count):
        log.row([float(at), 0.0, 1, 3.7, float(at)])


def kinds(folder: Path) -> list[str]:
    return [event.kind for event in record.load(folder).events]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "WINDOW_ROWS", 10)


def test_a_job_is_done_once_by_whoever_comes_first() -> None:
    done: list[int] = []

    def act() -> int:
        done.append(0)
        return 7

    job = Job(act)
    assert job.take() == 7
    job.attempt()
    assert (job.take(), len(done)) == (7, 1)
    dropped = Job(lambda: done.append(0))
    dropped.cancel()
    dropped.attempt()
    assert len(done) == 1
    with pytest.raises(ZeroDivisionError):
        Job(lambda: 1 // 0).take()


async def test_a_job_that_a_thread_has_begun_is_waited_for() -> None:
    threads, begun, go_on = Threads("test"), threading.Event(), threading.Event()
    order: list[str] = []

    def act() -> None:
        begun.set()
        go_on.wait(5)
        order.append("done")

    job, told = Job(act), asyncio.Event()
    threads.begin(job, told.set)
    assert begun.wait(5)
    threading.Timer(0.02, go_on.set).start()
    job.cancel()
    assert order == ["done"]
    async with asyncio.timeout(5):
        await told.wait()


def test_without_a_loop_a_job_is_done_at_once() -> None:
    done: list[int] = []
    Threads("none").begin(Job(lambda: done.append(1)), lambda: done.append(2))
    assert done == [1, 2]


async def test_a_job_is_done_at_once_while_the_machine_has_no_thread_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, loop_thread, did = Threads("test", 2), threading.current_thread(), list[threading.Thread]()

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def one() -> threading.Thread:
        told = asyncio.Event()
        threads.begin(Job(lambda: did.append(threading.current_thread())), told.set)
        async with asyncio.timeout(5):
            await told.wait()
        return did[-1]

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        assert await one() is loop_thread
    assert await one() is not loop_thread


def test_rows_flow_into_the_next_window_while_the_one_before_becomes_a_segment(tmp_path: Path) -> None:
    log, sealing, _ = begin(tmp_path)
    rows(log, 0, 15)
    log.event("tick")
    assert kinds(tmp_path) == ["header", "readings", "tick"]
    assert record.load(tmp_path).rows.mono_s == [float(at) for at in range(15)]
    assert verify(tmp_path).status is VerifyStatus.NOT_CLOSED
    sealing.work()
    assert kinds(tmp_path)[-1] == "segment"
    assert record.load(tmp_path).rows.mono_s == [float(at) for at in range(15)]
    log.close()
    assert record.load(tmp_path).rows.mono_s == [float(at) for at in range(15)]
    assert not list((tmp_path / "readings").glob("window-*"))


def test_segments_are_announced_in_order_whichever_is_ready_first(tmp_path: Path) -> None:
    log, sealing, _ = begin(tmp_path)
    rows(log, 0, 35)
    sealing.work(2)
    paths = [event.data["path"] for event in record.load(tmp_path).of("segment")]
    assert paths == [f"readings/000{n}.parquet" for n in (1, 2, 3)]
    while sealing.jobs:
        sealing.work()
    log.close()
    assert len(list(record.load(tmp_path).of("segment"))) == 4
    assert record.load(tmp_path).rows.mono_s == [float(at) for at in range(35)]


@pytest.mark.fault("F64", "H15")
@pytest.mark.parametrize("made", [False, True], ids=["before the segment stands", "before it is announced"])
def test_a_program_that_dies_before_a_segment_is_announced_leaves_rows_that_are_taken_up(
    tmp_path: Path, *, made: bool
) -> None:
    log, sealing, _ = begin(tmp_path)
    rows(log, 0, 25)
    log.flush()
    if made:
        sealing.jobs[0][0].attempt()
    log.abandon()
    assert record.load(tmp_path).rows.mono_s == [float(at) for at in range(25)]
    again = RunLog.reopen(tmp_path, Time().clock, durable=False)
    rows(again, 25, 10)
    again.close()
    assert record.load(tmp_path).rows.mono_s == [float(at) for at in range(35)]
    assert verify(tmp_path).status is VerifyStatus.NOT_CLOSED
    assert "unsealed" not in kinds(tmp_path)


@pytest.mark.fault("F64")
def test_half_a_segment_of_a_program_that_died_is_no_trouble(tmp_path: Path) -> None:
    log, _, _ = begin(tmp_path)
    rows(log, 0, 5)
    log.flush()
    log.abandon()
    (tmp_path / "readings" / "0001.part").write_bytes(b"PAR1")
    again = RunLog.reopen(tmp_path, Time().clock, durable=False)
    again.close()
    assert again.suspect is None
    assert kinds(tmp_path)[-2:] == ["segment", "log_closed"]
    assert not list((tmp_path / "readings").glob("*.part"))


@pytest.mark.fault("F68")
def test_a_segment_that_cannot_be_made_in_the_thread_is_told_by_the_next_call(tmp_path: Path) -> None:
    log, sealing, _ = begin(tmp_path)
    told: list[Trouble] = []
    log.on_trouble = told.append
    rows(log, 0, 11)
    (tmp_path / "readings" / "window-0001.jsonl").write_bytes(b"")
    sealing.work()
    assert [it.kind for it in told] == [TroubleKind.SUSPECT]
    with pytest.raises(RecordError, match="0 rows of 10"):
        log.tick()
    rows(log, 11, 1)
    log.close()
    assert kinds(tmp_path)[-3:] == ["unsealed", "segment", "log_closed"]


def test_an_event_comes_behind_the_rows_that_are_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "FLUSH_S", 0.0)
    log, _, writing = begin(tmp_path)
    rows(log, 0, 3)
    assert len(writing.jobs) == 1, "one write at a time, the others wait"
    assert record.load(tmp_path).rows.mono_s == []
    log.event("tick")
    assert record.load(tmp_path).rows.mono_s == [0.0, 1.0, 2.0]
    writing.work()
    rows(log, 3, 1)
    writing.work()
    log.abandon()
    assert record.load(tmp_path).rows.mono_s == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.fault("F68", "H15")
def test_rows_that_a_thread_could_not_write_go_into_the_next_file_before_those_that_came_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "FLUSH_S", 0.0)

    class Failing(SimulatedDisk):
        def write(self, handle: int, data: memoryview) -> int:
            if bytes(data).startswith(b"[0.0,"):
                raise OSError(errno.EIO, "Input/output error")
            return super().write(handle, data)

        def cut(self, path: Path, size: int) -> None: ...

    disk = Failing()
    log, _, writing = begin(tmp_path, disk=disk)
    rows(log, 0, 3)
    writing.jobs[0][0].attempt()
    monkeypatch.setattr(Failing, "write", SimulatedDisk.write)
    writing.work()
    with pytest.raises(RecordError, match="goes on in a new file"):
        log.tick()
    rows(log, 3, 1)
    log.close()
    kept = record.load(tmp_path)
    assert kept.rows.mono_s == [0.0, 1.0, 2.0, 3.0]
    assert [event.data["records"] for event in kept.of("suspect")] == [0]
    assert verify(tmp_path).status is VerifyStatus.NOT_CLOSED


class Gate(RealDisk):
    """A disk on which no segment can be begun until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self.threads: list[str] = []

    def create(self, path: Path) -> int:
        if path.suffix == ".part":
            self.threads.append(threading.current_thread().name)
            self.reached.set()
            assert self.opened.wait(5)
        return super().create(path)


async def test_the_loop_of_a_live_record_does_not_wait_for_a_segment(tmp_path: Path) -> None:
    gate = Gate()
    where = Besides(Threads("seal"), AtOnce())
    log = RunLog.create(tmp_path, Time().clock, durable=True, header=HEADER, disk=gate, beside=where)
    log.open_readings(["v", "i"])
    rows(log, 0, 11)
    assert gate.reached.wait(5)
    rows(log, 11, 5)
    log.event("tick")
    assert "segment" not in kinds(tmp_path)
    gate.opened.set()
    async with asyncio.timeout(5):
        await until(lambda: b'"segment"' in (tmp_path / "events.jsonl").read_bytes())
    log.close()
    assert gate.threads == ["seal 1", threading.current_thread().name], "the last one is made in closing"
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["data"].get("rows") for line in lines if '"segment"' in line] == [10, 6]
    assert record.load(tmp_path).rows.mono_s == [float(at) for at in range(16)]


async def test_closing_waits_for_a_segment_in_the_making(tmp_path: Path) -> None:
    gate = Gate()
    where = Besides(Threads("seal"), AtOnce())
    log = RunLog.create(tmp_path, Time().clock, durable=True, header=HEADER, disk=gate, beside=where)
    log.open_readings(["v", "i"])
    rows(log, 0, 15)
    assert gate.reached.wait(5)
    threading.Timer(0.02, gate.opened.set).start()
    log.close()
    assert kinds(tmp_path)[-3:] == ["segment", "segment", "log_closed"]
