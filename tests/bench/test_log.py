"""The one writer: order, chains, rotation, torn tails, and a disk that fails."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import log as log_module
from bench import room
from bench.chain import GENESIS
from bench.log import RunLog
from drivers.errors import RecordError
from tests.bench.synthetic_run import Time

HEADER = {"run_id": "0001-x", "mode": "simulated"}


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1]


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until the condition holds; the caller sets the deadline."""
    loop = asyncio.get_running_loop()
    while not condition():
        turned = loop.create_future()
        loop.call_soon(turned.set_result, None)
        await turned


def begin(folder: Path, time: Time | None = None, *, durable: bool = False) -> RunLog:
    log = RunLog.create(folder, (time or Time()).clock, durable=durable, header=HEADER)
    log.open_readings(["a.b.voltage_v", "a.b.current_a"])
    return log


def test_an_event_is_on_disk_when_the_call_returns(tmp_path: Path) -> None:
    log = begin(tmp_path)
    log.event("setpoint", kind="voltage", value=4.2)
    last = json.loads(lines_of(tmp_path / "events.jsonl")[-1])
    log.abandon()
    assert last["kind"] == "setpoint"
    assert last["data"] == {"kind": "voltage", "value": 4.2}
    assert last["mode"] == "simulated"


def test_each_record_carries_the_sha256_of_the_line_before(tmp_path: Path) -> None:
    log = begin(tmp_path)
    for n in range(20):
        log.event("tick", n=n)
    heads = log.close()
    prev = GENESIS
    for n, line in enumerate(lines_of(tmp_path / "events.jsonl")):
        record = json.loads(line)
        assert record["prev"] == prev
        assert record["n"] == n
        prev = hashlib.sha256(line).hexdigest()
    assert heads.events_head == prev


def test_rows_go_out_before_a_later_event(tmp_path: Path) -> None:
    log = begin(tmp_path)
    log.row([0.0, 0.0, 1, 4.2, 1.0])
    window = tmp_path / "readings" / "window-0001.jsonl"
    assert window.read_bytes() == b""
    log.event("trip")
    assert len(lines_of(window)) == 1
    log.abandon()


async def test_a_durable_row_goes_out_within_a_second_though_nothing_else_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "FLUSH_S", 0.02)
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    log = begin(tmp_path, durable=True)
    events = len(synced)
    log.row([0.0, 0.0, 1, 4.2, 1.0])
    window = tmp_path / "readings" / "window-0001.jsonl"
    async with asyncio.timeout(5):
        await until(window.read_bytes)
    log.abandon()
    assert events == 2, "header and columns were each synced"
    assert len(synced) == 3


def test_a_virtual_run_does_not_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fdatasync", lambda _: pytest.fail("synced"))
    log = begin(tmp_path)
    log.row([0.0, 0.0, 1, 4.2, 1.0])
    log.close()
    assert json.loads(lines_of(tmp_path / "events.jsonl")[0])["data"]["durable"] is False


def test_a_full_window_becomes_a_segment_whose_hash_is_an_event(tmp_path: Path) -> None:
    log = begin(tmp_path)
    for t in range(0, 7300, 100):
        log.row([float(t), 1e9 + t, 1, 3.0 + t / 1e4, float("nan") if t == 300 else 1.0])
    log.close()
    segments = [json.loads(it)["data"] for it in lines_of(tmp_path / "events.jsonl") if b'"segment"' in it]
    assert [it["rows"] for it in segments] == [36, 36, 1], "one hour of run time each"
    for it in segments:
        assert hashlib.sha256((tmp_path / it["path"]).read_bytes()).hexdigest() == it["sha256"]
    first = pq.read_table(tmp_path / segments[0]["path"]).to_pydict()
    assert first["a.b.voltage_v"][1] == 3.01
    assert first["a.b.current_a"][3] is None, "NaN is no value"
    assert not list((tmp_path / "readings").glob("*.jsonl"))


def test_a_window_ends_at_its_number_of_rows_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "WINDOW_ROWS", 10)
    log = begin(tmp_path)
    for t in range(25):
        log.row([float(t), 0.0, 1, 3.0, 1.0])
    log.close()
    assert len(list((tmp_path / "readings").glob("*.parquet"))) == 3


@pytest.mark.parametrize("name", ["one", "two"])
def test_the_same_readings_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    for folder in (tmp_path / "a", tmp_path / "b"):
        time = Time()
        log = begin(folder, time)
        for t in range(200):
            time.now_s += 30.0
            log.row([time.now_s, time.clock.utc_s(), t // 50, 3.0 + t * 0.1, t / 3.0])
            if t % 50 == 0:
                log.event(name, step=t // 50, results={"b": 1.0, "a": 2.0})
        log.close()
    files = {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert len(files) == 3
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_set_is_refused_because_it_has_no_order(tmp_path: Path) -> None:
    log = begin(tmp_path)
    with pytest.raises(TypeError):
        log.event("x", values={"b", "a"})
    log.abandon()


@pytest.mark.fault("F67")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_takes_nothing_more_is_told_once_and_nothing_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    log = begin(tmp_path)
    calls = []

    def fail(fd: int, data: bytes) -> None:
        calls.append(fd)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(RecordError, match="cannot be kept") as told:
        log.event("setpoint")
    assert told.value.faults[0].where == str(tmp_path)
    log.event("safe_state")  # the safe state goes on without a record
    log.row([0.0, 0.0, 1, 1.0, 1.0])
    log.flush()
    log.close()
    assert len(calls) == 1
    assert log.failed is told.value


@pytest.mark.fault("F68")
def test_a_sync_that_fails_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = begin(tmp_path, durable=True)
    calls = []

    def fail(fd: int) -> None:
        calls.append(fd)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(RecordError):
        log.event("setpoint")
    log.event("again")
    log.close()
    assert len(set(calls)) == len(calls) == 2, "once the file, once the one that was to take its place"
    assert log.failed is not None


async def test_a_disk_that_fails_under_the_timer_is_told_at_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "FLUSH_S", 0.0)
    log = begin(tmp_path, durable=True)
    log.row([0.0, 0.0, 1, 1.0, 1.0])
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    async with asyncio.timeout(5):
        await until(lambda: log.failed)
    with pytest.raises(RecordError):
        log.tick()
    log.tick()
    log.abandon()


def test_a_real_full_disk(tmp_path: Path) -> None:
    """/dev/full answers every write with ENOSPC."""
    log = begin(tmp_path)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._events._journals[-1].handle)
    os.close(full)
    with pytest.raises(RecordError, match="No space left on device"):
        log.event("setpoint")
    log.close()


def test_a_run_does_not_start_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ROOM_BYTES", 1 << 62)
    with pytest.raises(RecordError, match="are free"):
        begin(tmp_path)


def test_a_run_does_not_write_over_another(tmp_path: Path) -> None:
    begin(tmp_path).close()
    with pytest.raises(RecordError, match="File exists"):
        begin(tmp_path)


def test_a_torn_tail_is_found_and_kept_when_a_record_is_reopened(tmp_path: Path) -> None:
    log = begin(tmp_path)
    for t in range(3):
        log.row([float(t), 0.0, 1, 1.0, 1.0])
    log.event("setpoint", value=1)
    log.abandon()
    events, window = tmp_path / "events.jsonl", tmp_path / "readings" / "window-0001.jsonl"
    with events.open("ab") as file:
        file.write(b'{"n":3,"mono_s"')
    with window.open("ab") as file:
        file.write(b"[3.0,0.0")
    again = RunLog.reopen(tmp_path, Time().clock, durable=False)
    again.row([3.0, 0.0, 1, 1.0, 1.0])
    heads = again.close()
    records = [json.loads(line) for line in lines_of(events)]
    assert records[3]["kind"] == "reopened"
    told = {"torn_events": '{"n":3,"mono_s"', "torn_readings": "[3.0,0.0", "shift_s": 0.0}
    assert records[3]["data"] == told
    assert heads.readings == 4
    assert records[-2]["data"]["rows"] == 4


def test_an_altered_record_is_not_reopened(tmp_path: Path) -> None:
    log = begin(tmp_path)
    log.event("setpoint", value=1)
    log.event("setpoint", value=2)
    log.abandon()
    path = tmp_path / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"value":1', b'"value":9'))
    with pytest.raises(RecordError, match="does not carry the hash"):
        RunLog.reopen(tmp_path, Time().clock, durable=False)


def test_a_record_has_one_owner(tmp_path: Path) -> None:
    log = begin(tmp_path)
    with pytest.raises(RecordError, match="cannot be reopened"):
        RunLog.reopen(tmp_path, Time().clock, durable=False)
    log.close()


@given(cut=st.integers(min_value=1, max_value=2000))
def test_cut_anywhere_the_record_is_good_to_the_last_whole_line(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    log = begin(folder)
    for n in range(8):
        log.event("tick", n=n)
    log.abandon()
    path = folder / "events.jsonl"
    whole = path.read_bytes()
    kept = max(len(whole) - cut, len(lines_of(path)[0]) + 1)
    os.truncate(path, kept)
    expected = whole[:kept].count(b"\n")
    again = RunLog.reopen(folder, Time().clock, durable=False)
    again.abandon()
    records = [json.loads(line) for line in lines_of(path)]
    assert len(records) == expected + 1
    assert records[-1]["kind"] == "reopened"


WRITER = """
import sys
from collections.abc import Callable
from pathlib import Path
from bench.log import RunLog
from tests.bench.synthetic_run import Time
log = RunLog.create(Path(sys.argv[1]), Time().clock, durable=True, header={"run_id": "1", "mode": "live"})
n = 0
while True:
    log.event("tick", n=n)
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
    n += 1
"""


def test_no_acknowledged_event_is_lost_when_the_program_is_killed(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "run")], stdout=subprocess.PIPE)
    assert child.stdout is not None
    acknowledged = -1
    for line in child.stdout:
        acknowledged = int(line)
        if acknowledged >= 50:
            break
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().split()
    child.wait()
    child.stdout.close()
    acknowledged = max([acknowledged, *map(int, rest[:-1])])
    again = RunLog.reopen(tmp_path / "run", Time().clock, durable=False)
    again.close()
    ticks = [json.loads(it)["data"]["n"] for it in lines_of(tmp_path / "run" / "events.jsonl") if b'"tick"' in it]
    assert ticks == list(range(len(ticks)))
    assert ticks[-1] >= acknowledged
