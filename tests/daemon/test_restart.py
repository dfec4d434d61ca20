"""After a restart nothing goes on by itself: the channel of an interrupted run holds until a person has decided."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from bench import verify
from bench.daemon.desk import DeskRefused
from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from bench.results import VerifyStatus
from tests.daemon.houses import asked, ended, in_house, in_step, plant_of, started

pytestmark = pytest.mark.scenario


def dies_in_mid_run(data: Path, left: Path) -> str:
    """A data folder as a program leaves it that is gone in the middle of a discharge; gives the run's id."""

    async def visit(house: BenchHouse, desk: FrontDesk) -> str:
        run = await started(desk, asked("3"), key="3")
        await in_step(house, run.run_id, "out")
        await asyncio.sleep(20.0)
        shutil.copytree(data, left)
        return run.run_id

    run_id = in_house(data, visit)
    note = left / "open-runs" / f"{run_id}.json"
    said = json.loads(note.read_text())
    note.write_text(json.dumps({**said, "bundle": str(left / "runs" / run_id)}))
    return run_id


def test_the_channel_holds_the_others_do_not_and_a_person_closes_the_run(tmp_path: Path) -> None:
    left = tmp_path / "left"
    run_id = dies_in_mid_run(tmp_path / "before", left)

    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        states = {channel.name: channel.state for channel in desk.now().channels}
        assert states == {"1": "idle", "2": "idle", "3": "held", "4": "idle"}
        held = next(channel for channel in desk.now().channels if channel.name == "3")
        assert held.needs_me
        assert held.why is not None
        assert run_id in held.why.en
        (old,) = await desk.runs()
        assert (old.run_id, old.state, old.verdict) == (run_id, "interrupted", None)
        (alarm,) = await desk.alarms()
        assert (alarm.channel, alarm.safety, alarm.state) == ("3", True, "unacknowledged")
        with pytest.raises(DeskRefused) as refused:
            await desk.shelve(alarm.alarm_id, by="wang", for_s=60.0, why="later")
        assert refused.value.code == "safety-alarm"
        with pytest.raises(DeskRefused) as refused:
            await started(desk, asked("3"), key="again")
        assert refused.value.code == "held"
        with pytest.raises(DeskRefused) as refused:
            await desk.resume(run_id, by="wang")
        assert refused.value.code == "not-now"
        await asyncio.sleep(3600.0)
        assert plant_of(house).totals("3").discharged_ah == 0.0
        other = await started(desk, asked("1"), key="1")
        assert (await ended(house, other.run_id)).verdict == "pass"
        closed = await desk.close_interrupted(run_id, by="wang", note="power cut")
        assert (closed.state, closed.verdict) == ("closed", "aborted")
        assert {channel.state for channel in house.refresh().channels} == {"idle"}
        (alarm,) = await desk.alarms()
        assert alarm.state == "returned_unacknowledged"
        assert (await desk.acknowledge(alarm.alarm_id, by="wang")).state == "normal"
        assert await desk.alarms() == ()
        fresh = await started(desk, asked("3"), key="fresh")
        assert (await ended(house, fresh.run_id)).verdict == "pass"
        assert [run.run_id for run in await desk.runs()] == [fresh.run_id, other.run_id, run_id]

    in_house(left, visit)
    assert verify.verify(left / "runs" / run_id).status is VerifyStatus.INTACT


def test_the_index_may_be_deleted_or_spoilt_and_is_made_again_from_the_bundles(tmp_path: Path) -> None:
    async def first(house: BenchHouse, desk: FrontDesk) -> list[str]:
        runs = [await started(desk, asked(channel), key=channel) for channel in ("1", "2")]
        return [(await ended(house, run.run_id)).run_id for run in runs]

    run_ids = in_house(tmp_path, first)

    async def again(_: BenchHouse, desk: FrontDesk) -> None:
        found = await desk.runs()
        assert [(run.run_id, run.state, run.verdict, run.exit_code) for run in found] == [
            (run_id, "closed", "pass", 0) for run_id in reversed(run_ids)
        ]
        assert [run.run_id for run in await desk.runs(before=run_ids[1])] == [run_ids[0]]
        assert [run.channel for run in await desk.runs(search="PASS nmc-21700", limit=1)] == ["2"]
        assert await desk.runs(search="100%_") == []
        assert (await desk.run(run_ids[0])).operator == "lin"
        assert (await desk.bundle(run_ids[0])).name == run_ids[0]

    in_house(tmp_path, again)
    index = tmp_path / "index.sqlite"
    index.unlink()
    in_house(tmp_path, again)
    index.write_bytes(b"not a database, not at all" * 100)
    in_house(tmp_path, again)
