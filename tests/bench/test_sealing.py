"""A run that is closed beside others: the same bundle, made by a process of its own."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from bench import record, sealing
from bench.log import AT_ONCE, IN_THREADS, Besides, RunLog
from bench.open_runs import is_owned
from bench.results import VerifyStatus
from bench.seal_key import SealKey
from bench.signature import Trust
from bench.verify import verify
from drivers.errors import RecordError
from tests.bench.synthetic_run import Time, result
from tests.bench.test_log import until


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


def open_files(pid: int | str) -> list[str]:
    return [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]


async def test_the_process_that_seals_owns_the_bundle_as_long_as_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its program may be killed meanwhile: nobody else closes the bundle then."""
    folder, pid, go_on = tmp_path / "run", tmp_path / "pid", tmp_path / "go-on"
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\ncat > /dev/null\necho $$ > {pid}.part\nmv {pid}.part {pid}\nread _ < {go_on}\n")
    stand_in.chmod(0o755)
    os.mkfifo(go_on)
    log = recorded(folder, IN_THREADS)
    monkeypatch.setattr("sys.executable", str(stand_in))
    sealing_it = asyncio.create_task(sealing.sealed(log, result()))
    await until(pid.exists)
    events = str(folder / "events.jsonl")
    assert events in open_files(pid.read_text().strip())
    assert events not in open_files("self"), "it is the child's alone: the program may die"
    assert is_owned(folder)
    with pytest.raises(RecordError, match="reopened"):
        RunLog.reopen(folder, Time().clock, durable=False)
    go_on.write_text("\n")
    with pytest.raises(RecordError, match="the process that seals ended with 0"):
        await sealing_it
    assert not is_owned(folder)
    RunLog.reopen(folder, Time().clock, durable=False).abandon()


@pytest.mark.parametrize("error", [OSError(errno.ENOMEM, "Cannot allocate memory"), ValueError("embedded null byte")])
async def test_a_machine_that_has_no_process_to_give_is_told_as_trouble_of_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise error

    log = recorded(tmp_path / "run", IN_THREADS)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", refused)
    with pytest.raises(RecordError, match=f"no process to seal it can be started: .*{error.args[-1]}"):
        await sealing.sealed(log, result())
    assert not is_owned(tmp_path / "run")
    assert verify(tmp_path / "run").status is VerifyStatus.NOT_CLOSED


@pytest.mark.parametrize("said", ["", "half a sen", "[]", "7"])
async def test_a_process_that_says_nothing_of_use_has_not_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\ncat > /dev/null\nprintf '%s' '{said}'\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(stand_in))
    with pytest.raises(RecordError, match="the process that seals ended with 0"):
        await sealing.sealed(recorded(tmp_path / "run", IN_THREADS), result())


async def test_rows_after_settling_are_kept_in_a_window_of_their_own(tmp_path: Path) -> None:
    log = recorded(tmp_path / "run", IN_THREADS)
    await log.settle()
    assert not list((tmp_path / "run" / "readings").glob("window-*"))
    log.row([150.0, 1.79e9, 1, 3.7, -1.0])
    log.close()
    kept = record.load(tmp_path / "run")
    assert [event.data["rows"] for event in kept.of("segment")] == [40, 1]
    assert len(kept.rows) == 41
