"""A run that is closed beside others: the same bundle, made by a process of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench import record, sealing
from bench.log import AT_ONCE, IN_THREADS, Besides, RunLog
from bench.results import VerifyStatus
from bench.seal_key import SealKey
from bench.signature import Trust
from bench.verify import verify
from drivers.errors import RecordError
from tests.bench.synthetic_run import Time, result


def recorded(folder: Path, beside: Besides) -> RunLog:
    time = Time()
    header = {"run_id": "1", "mode": "live"}
    log = RunLog.create(folder, time.clock, durable=False, header=header, beside=beside)
    log.open_readings(["v", "i"], roles={"voltage": "v", "current": "i"})
    for at in range(40):
        log.row([100.0 + at, 1.79e9 + at, 1, 3.7 - at * 1e-3, -1.0])
    return log


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_process_of_its_own_makes_the_same_bundle(tmp_path: Path) -> None:
    key = SealKey.at(tmp_path / "keys")
    here = await sealing.sealed(recorded(tmp_path / "here", AT_ONCE), result(), key=key)
    beside = await sealing.sealed(recorded(tmp_path / "beside", IN_THREADS), result(), key=key)
    assert files(here.parent) == files(beside.parent)
    assert verify(beside.parent, Trust({key.public: "bench 7"})).said is VerifyStatus.INTACT


async def test_the_loop_goes_on_while_a_run_is_sealed(tmp_path: Path) -> None:
    log = recorded(tmp_path / "run", IN_THREADS)
    sealing_it = asyncio.create_task(sealing.sealed(log, result()))
    turns = 0
    while not sealing_it.done():
        await asyncio.sleep(0)
        turns += 1
    assert (tmp_path / "run" / "manifest.json").exists()
    assert turns > 100


async def test_what_the_process_was_refused_is_raised_here(tmp_path: Path) -> None:
    log = recorded(tmp_path / "run", IN_THREADS)
    (tmp_path / "run" / "report.html").mkdir()
    with pytest.raises(RecordError, match="Is a directory while writing report"):
        await sealing.sealed(log, result())
    assert not (tmp_path / "run" / "manifest.json").exists()


async def test_a_process_that_dies_leaves_a_bundle_that_is_not_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = recorded(tmp_path / "run", IN_THREADS)
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(RecordError, match="the process that seals ended with 1"):
        await sealing.sealed(log, result())
    assert verify(tmp_path / "run").status is VerifyStatus.NOT_CLOSED


async def test_rows_after_settling_are_kept_in_a_window_of_their_own(tmp_path: Path) -> None:
    log = recorded(tmp_path / "run", IN_THREADS)
    await log.settle()
    assert not list((tmp_path / "run" / "readings").glob("window-*"))
    log.row([150.0, 1.79e9, 1, 3.7, -1.0])
    log.close()
    kept = record.load(tmp_path / "run")
    assert [event.data["rows"] for event in kept.of("segment")] == [40, 1]
    assert len(kept.rows) == 41
