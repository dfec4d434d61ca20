"""What people do at the desk while a run goes on: answer, pause, go on, acknowledge."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench import record
from bench.daemon.desk import DeskRefused
from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from bench.daemon.views import EventView, PromptAnswer, PromptView
from tests.daemon.houses import asked, ended, in_house, in_step, plant_of, started, until

pytestmark = pytest.mark.scenario


async def question(desk: FrontDesk) -> PromptView:
    await until(lambda: desk.now().prompts > 0, within_s=120.0)
    (found,) = await desk.prompts()
    return found


def test_a_question_waits_for_a_person_and_takes_only_what_it_asked_for(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        run = await started(desk, asked("1", sequence="tests/asks"), key="1")
        prompt = await question(desk)
        assert (prompt.run_id, prompt.kind, prompt.channel) == (run.run_id, "confirm", "1")
        assert [(entry.name, entry.example) for entry in prompt.entries] == [("humidity", "45 %")]
        assert [(entry.low, entry.high) for entry in prompt.entries] == [(0.0, 1.0)]  # 0 % and 100 %
        channel = next(channel for channel in desk.now().channels if channel.name == "1")
        assert (channel.state, channel.needs_me) == ("asking", True)
        with pytest.raises(DeskRefused) as refused:
            await desk.answer(prompt.prompt_id, PromptAnswer(yes=True, entries={"humidity": "5 V"}), by="wang")
        assert refused.value.code == "out-of-limits"
        with pytest.raises(DeskRefused) as refused:
            await desk.answer(prompt.prompt_id, PromptAnswer(yes=True, entries={"pressure": "1 kPa"}), by="wang")
        assert refused.value.code == "unknown"
        for slip in ("520 %", "-1 %", "100.1 %"):
            with pytest.raises(DeskRefused) as refused:
                await desk.answer(prompt.prompt_id, PromptAnswer(yes=True, entries={"humidity": slip}), by="wang")
            assert (refused.value.code, "at most 100 %" in refused.value.text) == ("out-of-limits", True)
        assert [open_.prompt_id for open_ in await desk.prompts()] == [prompt.prompt_id], "it is still asked"
        await desk.answer(prompt.prompt_id, PromptAnswer(yes=True, entries={"humidity": "52 %"}), by="wang")
        assert await desk.prompts() == (), "answered, it is asked no more"
        with pytest.raises(DeskRefused):
            await desk.answer(prompt.prompt_id, PromptAnswer(yes=True), by="li")
        done = await ended(house, run.run_id)
        assert (done.verdict, done.faults) == ("pass", ())
        tenancy = house.runs.of(run.run_id)
        assert tenancy is not None
        assert tenancy.result is not None
        assert tenancy.result.results["humidity"].value == pytest.approx(0.52)
        assert [row.by for row in tenancy.result.criteria] == ["wang"]
        assert desk.now().prompts == 0

    in_house(tmp_path, visit, staffed=False)


def test_a_stop_takes_the_question_back(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        run = await started(desk, asked("1", sequence="tests/asks"), key="1")
        await question(desk)
        await desk.stop(run.run_id, by="wang")
        assert (await ended(house, run.run_id)).verdict == "aborted"
        assert await desk.prompts() == ()
        assert not plant_of(house).terminal("1").closed

    in_house(tmp_path, visit, staffed=False)


def test_a_paused_run_begins_no_step_and_goes_on_when_it_is_told_to(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        run = await started(desk, asked("1", sequence="tests/asks"), key="1")
        await in_step(house, run.run_id, "first")
        await desk.pause(run.run_id, by="wang")
        await until(lambda: desk.now().channels[0].state == "paused", within_s=120.0)
        await asyncio.sleep(3600.0)
        assert plant_of(house).totals("1").discharged_ah < 0.01  # no more than the pulse that proves the wiring
        assert (await desk.run(run.run_id)).state == "paused"
        await desk.resume(run.run_id, by="li")
        done = await ended(house, run.run_id)
        assert done.verdict == "pass"
        assert plant_of(house).totals("1").discharged_ah == pytest.approx(5.0 * 0.5 * 120.0 / 3600.0, rel=0.1)
        kept = record.load(await desk.bundle(run.run_id))
        (paused,), (on,) = list(kept.of("paused")), list(kept.of("pause_ended"))
        assert (paused.data["by"], on.data["by"]) == ("wang", "li")
        assert on.mono_s - paused.mono_s > 3600.0

    in_house(tmp_path, visit)


def test_who_listens_late_hears_what_was_kept_and_numbers_leave_no_gap(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        early, late = list[EventView](), list[EventView]()
        end = desk.listen(early.append)
        run = await started(desk, asked("1", sequence="tests/asks"), key="1")
        await in_step(house, run.run_id, "first")
        desk.listen(late.append, after=2)
        await ended(house, run.run_id)
        end()
        assert [event.seq for event in early] == list(range(1, len(early) + 1))
        assert late[: len(early)] == early[2:]
        kinds = {event.kind for event in early}
        assert {"run_asked", "run_state", "step_started", "step_ended", "message"} <= kinds

    in_house(tmp_path, visit)
