"""Whole tests of the library through the desk, to their verdicts: the oracle is the plant."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bench import record, verify
from bench.daemon.desk import DeskRefused
from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from bench.daemon.views import PromptAnswer, PromptView
from bench.results import RunResult, VerifyStatus
from tests.daemon.houses import asked, ended, in_house, plant_of, started, until

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.skipif(not os.environ.get("CELLBENCH_ALL"), reason="long: whole in ./scripts/soak"),
]

CAPACITY, NAIL = "gbt31486-2024/room-capacity", "gbt31485-2015/nail-penetration"
READ = {
    "humidity": "47 %",
    "air_pressure": "100.5 kPa",
    "nail_diameter": "6 mm",
    "nail_cone": "50 deg",
    "nail_material": "tungsten steel",
    "nail_serial": "N-7",
}


def result_of(house: BenchHouse, run_id: str) -> RunResult:
    tenancy = house.runs.of(run_id)
    assert tenancy is not None
    assert tenancy.result is not None
    return tenancy.result


def test_two_capacity_tests_at_once_measure_what_each_cell_truly_gave(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        runs = [
            await started(desk, asked(channel, sequence=CAPACITY).model_copy(update={"seed": seed}), key=channel)
            for channel, seed in (("1", 11), ("3", 12))
        ]
        await until(lambda: all(channel.state == "running" for channel in house.refresh().channels[:3:2]))
        assert house.runs.leases.holders("ch1") == tuple(run.run_id for run in runs)
        for run in runs:
            over = await ended(house, run.run_id)
            assert (over.verdict, over.exit_code, over.ended_by, over.faults) == ("pass", 0, "completed", ())
            result = result_of(house, run.run_id)
            assert result.plant_truth is not None
            for name in ("capacity_ah", "energy_wh"):
                measured, true = result.results[name].value, result.plant_truth[name].value
                print(f"{run.run_id} {name}: {measured:.4f}, plant {true:.4f}")
                assert measured == pytest.approx(true, rel=1e-3)
            # the cell file's 5 Ah, and what a healthy one has of it
            assert 5.0 <= result.results["capacity_ah"].value <= 5.5
            assert verify.verify(await desk.bundle(run.run_id)).status is VerifyStatus.INTACT
        plant = plant_of(house)
        assert not any(plant.terminal(run.channel).closed for run in runs)
        assert {run.run_id for run in await desk.runs(search="capacity PASS")} == {run.run_id for run in runs}

    in_house(tmp_path, visit)


class Persons:
    """Two people at the desk. One carries, arms and judges; the other starts. ``asked`` is what they were asked."""

    def __init__(self, house: BenchHouse, desk: FrontDesk, channel: str) -> None:
        self.asked: list[str] = []
        self._house, self._desk, self._channel = house, desk, channel

    async def at_the_desk(self) -> None:
        while True:
            await until(lambda: bool(self._house.runs.prompts.open), within_s=48 * 3600.0)
            (prompt,) = await self._desk.prompts()
            self.asked.append(prompt.what)
            await asyncio.sleep(20.0)
            await self._answer(prompt)

    async def _answer(self, prompt: PromptView) -> None:
        desk, number = self._desk, prompt.prompt_id
        channel = next(each for each in self._house.refresh().channels if each.name == self._channel)
        assert (channel.state, channel.needs_me) == ("asking", True)
        if prompt.kind == "confirm":
            given = {entry.name: READ.get(entry.name, "S-1") for entry in prompt.entries}
            await desk.answer(number, PromptAnswer(yes=True, entries=given), by="wang")
        elif prompt.what == "start":
            assert prompt.hazardous
            assert prompt.not_by == ("wang",)
            with pytest.raises(DeskRefused) as refused:
                await desk.answer(number, PromptAnswer(yes=True), by=" Wang ")
            assert refused.value.code == "second-person"
            await desk.answer(number, PromptAnswer(yes=True), by="li")
        elif prompt.kind == "permit":
            await desk.answer(number, PromptAnswer(yes=True), by="wang")
        else:
            assert prompt.definition is not None
            happened = plant_of(self._house).seen(self._channel)[prompt.what]
            await desk.answer(number, PromptAnswer(yes=happened, note="camera 2"), by="wang")


def test_a_nail_with_two_persons_comes_to_a_judgement_and_a_verdict(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        run = await started(desk, asked("1", sequence=NAIL), key="n", by="wang")
        persons = Persons(house, desk, "1")
        people = asyncio.get_running_loop().create_task(persons.at_the_desk())
        ending = asyncio.get_running_loop().create_task(ended(house, run.run_id))
        async with asyncio.timeout(96 * 3600.0):
            await asyncio.wait([people, ending], return_when=asyncio.FIRST_COMPLETED)
        if people.done():
            people.result()  # a person who failed tells why
        over = ending.result()
        people.cancel()
        print(persons.asked, over)
        assert over.faults == ()
        seen = plant_of(house).seen("1")
        assert over.verdict == ("fail" if seen["fire"] or seen["explosion"] else "pass")
        assert over.awaiting == ()
        assert persons.asked[:2] == ["setup", "carry"]
        assert [what for what in persons.asked if what in ("arm", "start")] == ["arm", "start"]
        assert persons.asked[-6:] == ["fire", "explosion", "rupture", "vent", "leak", "take_over"]
        result = result_of(house, run.run_id)
        print({name: value.value for name, value in result.results.items()}, seen)
        peak_c = plant_of(house).totals("1").peak_surface_c
        assert result.results["peak_temperature_c"].value == pytest.approx(peak_c, rel=0.05)
        kept = record.load(await desk.bundle(run.run_id))
        assert kept.header["operator"] == "wang"
        assert verify.verify(await desk.bundle(run.run_id)).status is VerifyStatus.INTACT
        plant = plant_of(house)
        assert not plant.terminal("1").closed

    in_house(tmp_path, visit, staffed=False)
