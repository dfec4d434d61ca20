"""What the guardian does with a bench whose run is gone: isolate, end the child, make safe, stay while it is owed."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from bench.guardian import journal
from bench.guardian.journal import Journal
from bench.guardian.takeover import AGAIN_S, Bench, TakeOver, _Cooling
from bench.safe_plan import OwedObservation, SafeDevice, SafePlan, steps_for
from drivers import Clock, WireClosed
from drivers.capabilities import DeviceKind
from tests.bench.benchtop import (
    SmallChamber,
    SmallCycler,
    SmallDevice,
    SmallInputs,
    SmallSwitches,
    World,
    in_virtual_time,
)

KINDS = {
    "th1": DeviceKind.INPUTS,
    "ch1": DeviceKind.CHAMBER,
    "io1": DeviceKind.SWITCHES,
    "psb": DeviceKind.CYCLER,
}
OWED = OwedObservation(duration_s=100.0, at_most_s=1000.0, until_c=60.0, rate_k_s=1 / 60)


class Scene:
    """A bench under current, whose run's process is gone."""

    def __init__(self, folder: Path, **plan: Any) -> None:
        self.folder = folder
        self.world = World()
        self.world.output = self.world.contactor = True
        self.small: dict[str, SmallDevice] = {
            "th1": SmallInputs("th1", self.world),
            "ch1": SmallChamber("ch1", self.world),
            "io1": SmallSwitches("io1", self.world),
            "psb": SmallCycler("psb", self.world),
        }
        self.plan = SafePlan(
            bench="demo",
            channel="1",
            devices=tuple(SafeDevice(name, "small", "tcp://10.0.0.1:1") for name in KINDS),
            steps=steps_for(KINDS),
            feedbacks=("io1.di0.on",),
            contactors=("io1",),
            detectors=("io1.di3.on",),
            surfaces=tuple(f"th1.ai{n}.temperature_c" for n in range(3)),
            **plan,
        )
        self.said: list[str] = []
        self.ended = asyncio.Event()
        self.unopened: set[str] = set()
        self.missing: set[str] = set()

    async def take_over(self, *, stimulated: bool = False) -> bool:
        scene, loop = self, asyncio.get_running_loop()

        class Opened(Bench):
            def add(self, name: str) -> None:
                if name in scene.missing:
                    raise KeyError(name)
                self.devices[name] = scene.small[name]

            async def opened(self, name: str) -> str | None:
                return "the far end is gone" if name in scene.unopened else None

        clock = Clock(loop.time, lambda: 1e9 + loop.time())
        bench = Opened(self.plan, clock, lambda _: NotImplemented)
        for name in KINDS:
            if name not in self.missing:
                bench.add(name)
        kept = Journal(self.folder, clock, mode="live", told=self.said.append)

        async def end_child() -> str:
            self.world.acts.append("child ended")
            self.world.times_s.append(loop.time())
            return "SIGKILL"

        over = TakeOver(bench, kept, end_child=end_child, ended=self.ended, told=self.said.append)
        safe = await over.run("no heartbeat for 2 s", stimulated=stimulated)
        kept.close()
        return safe

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "guardian.jsonl").read_text().splitlines()]

    def kinds(self) -> list[str]:
        return [record["kind"] for record in self.records()]


def test_contactor_then_the_child_then_every_device_and_all_of_it_is_recorded(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert in_virtual_time(scene.take_over())
    acts = scene.world.acts
    assert acts.index("io1 safe") < acts.index("child ended") < acts.index("psb safe")
    assert not scene.world.output
    assert not scene.world.contactor
    assert {"ch1 safe", "th1 safe"} <= set(acts)
    wanted = ["taking_over", "contactor_opened", "child_ended", "safe_state_begun", "safe_state", "readings", "ended"]
    assert [kind for kind in scene.kinds() if kind in wanted] == wanted
    values = next(record["data"]["values"] for record in scene.records() if record["kind"] == "readings")
    assert values["psb.out.current_a"] == 0.0
    assert values["io1.di0.on"] == 0.0


def test_a_contactor_that_hangs_keeps_the_child_alive_for_no_longer_than_a_second(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.small["io1"].hang = True

    async def some_time() -> bool:
        taking = asyncio.create_task(scene.take_over())
        await asyncio.sleep(3.0)
        scene.small["io1"].hang = False
        return await taking

    assert in_virtual_time(some_time())
    ended_s = scene.world.times_s[scene.world.acts.index("child ended")]
    assert ended_s <= 1.0 + 1e-6
    assert not scene.world.contactor
    assert scene.said.count("SAFE STATE NOT CONFIRMED: io1: no confirmation within 2 s") == 1


def test_what_is_not_confirmed_is_tried_again_until_a_person_ends_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.small["psb"].fail = WireClosed("psb", "making safe", "the far end is gone")

    async def some_time() -> bool:
        taking = asyncio.create_task(scene.take_over())
        await asyncio.sleep(4 * AGAIN_S)
        scene.ended.set()
        return await taking

    assert not in_virtual_time(some_time())
    assert scene.kinds().count("safe_state") >= 3
    assert not scene.world.contactor
    assert any("by hand" in line for line in scene.said)
    assert scene.records()[-1]["data"]["by"] == "a person"


def test_a_device_that_cannot_be_opened_or_made_keeps_no_other_from_being_made_safe(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.unopened, scene.missing = {"psb"}, {"ch1"}
    scene.small["psb"].fail = WireClosed("psb", "making safe", "the port is not open")

    async def some_time() -> bool:
        taking = asyncio.create_task(scene.take_over())
        await asyncio.sleep(AGAIN_S / 2)
        scene.unopened = set()
        scene.small["psb"].fail = None
        return await taking

    assert in_virtual_time(some_time())
    assert {"no_driver", "not_opened"} <= set(scene.kinds())
    assert not scene.world.output
    assert "th1 safe" in scene.world.acts


def test_smoke_that_is_seen_then_switches_the_chamber_off(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.world.inputs["di3"] = 0.0
    assert in_virtual_time(scene.take_over())
    assert "ch1 safe after fire" in scene.world.acts


def test_a_sample_that_the_stimulus_has_reached_is_watched_until_it_is_cool(tmp_path: Path) -> None:
    scene = Scene(tmp_path, observation=OWED)
    scene.world.surface_c = [90.0, 80.0, 70.0]

    async def some_time() -> float:
        loop = asyncio.get_running_loop()
        taking = asyncio.create_task(scene.take_over(stimulated=True))
        await asyncio.sleep(200.0)
        assert not taking.done()
        scene.world.surface_c = [50.0, 45.0, 40.0]
        assert await taking
        return loop.time()

    # cool at 200 s, and still only once the 40 K that it fell by have left the window of a minute
    assert 259.0 <= in_virtual_time(some_time()) <= 263.0
    assert scene.kinds().count("readings") >= 200
    assert scene.records()[-1]["data"]["by"] == "nothing more is owed"


def test_a_person_ends_the_watching(tmp_path: Path) -> None:
    scene = Scene(tmp_path, observation=OWED)

    async def some_time() -> float:
        taking = asyncio.create_task(scene.take_over(stimulated=True))
        await asyncio.sleep(20.0)
        scene.ended.set()
        assert await taking
        return asyncio.get_running_loop().time()

    assert in_virtual_time(some_time()) < 22.0


def test_without_a_stimulus_no_observation_is_owed(tmp_path: Path) -> None:
    scene = Scene(tmp_path, observation=OWED)

    async def took_s() -> float:
        await scene.take_over()
        return asyncio.get_running_loop().time()

    assert in_virtual_time(took_s()) < 10.0


@pytest.mark.parametrize(
    ("elapsed_s", "hottest_c", "over"),
    [(99.0, 25.0, False), (100.0, 25.0, True), (100.0, 60.1, False), (999.0, 60.1, False), (1000.0, 60.1, True),
     (999.0, float("nan"), False), (1000.0, float("nan"), True)],
)  # fmt: skip
def test_an_observation_ends_by_time_and_temperature(elapsed_s: float, hottest_c: float, over: bool) -> None:
    assert _Cooling(OWED).over(elapsed_s, hottest_c) is over


def test_a_record_that_cannot_be_kept_stops_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "nowhere")
    assert in_virtual_time(scene.take_over())
    assert any("no record can be kept" in line for line in scene.said)
    assert not scene.world.contactor


@pytest.mark.parametrize("act", ["write", "fdatasync"])
def test_a_disk_that_fails_or_hangs_ends_the_record_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    let_go = threading.Event()
    real = getattr(os, act)

    def broken(*given: Any) -> Any:
        if threading.current_thread().name != "guardian's record":
            return real(*given)
        let_go.wait(10)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, act, broken)
    monkeypatch.setattr(journal, "SETTLE_S", 0.05)
    scene = Scene(tmp_path)
    assert in_virtual_time(scene.take_over())  # while the disk hangs
    assert not scene.world.contactor
    let_go.set()
    made = [line for line in scene.said if "record ends here" in line]
    for _ in range(500):
        if made:
            break
        threading.Event().wait(0.01)
        made = [line for line in scene.said if "record ends here" in line]
    assert len(made) == 1


def test_what_no_record_can_hold_is_kept_as_its_text(tmp_path: Path) -> None:
    kept = Journal(tmp_path, Clock(lambda: 0.0, lambda: 1e9), mode="live", told=print)
    kept.note("odd", what={1, 2})
    kept.close()
    last = json.loads((tmp_path / "guardian.jsonl").read_text().splitlines()[-1])
    assert "{1, 2}" in last["data"]["text"]


def test_a_second_record_goes_beside_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        assert in_virtual_time(Scene(tmp_path).take_over())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["guardian-2.jsonl", "guardian.jsonl"]


def test_while_something_is_not_confirmed_it_reads_what_it_can(tmp_path: Path) -> None:
    scene = Scene(tmp_path, observation=OWED)
    scene.small["psb"].fail = WireClosed("psb", "making safe", "the far end is gone")

    async def some_time() -> None:
        taking = asyncio.create_task(scene.take_over(stimulated=True))
        await asyncio.sleep(60.0)
        scene.ended.set()
        await taking

    in_virtual_time(some_time())
    values = [record["data"]["values"] for record in scene.records() if record["kind"] == "readings"]
    assert len(values) >= 30  # about one a second, less the tries between them
    assert "th1.ai0.temperature_c" in values[0]
