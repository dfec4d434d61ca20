"""The fault table and what carries it out: every fault can be struck on a bench that has its target, and heals."""

from __future__ import annotations

import asyncio

import pytest

from bench.run import prepare
from bench.simulated import FAULTS, SceneSpec, SimulatedBench, in_virtual_time, scene_spec, virtual_bench
from simulators.aims import fits, slips
from simulators.fault_table import TABLE
from simulators.spec import Signal
from simulators.strikes import Host, Strike, Strikes
from simulators.turns import Turns
from tests.scenarios.runs import START_UTC_S, order


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> SceneSpec:
    plan = prepare(order(tmp_path_factory.mktemp("plan")), {}).plan
    return scene_spec(plan.bench, plan.cell, channel="1", mass_kg=plan.cell.mass_kg, seed=1)


def aims(name: str, scene: SceneSpec) -> list[str]:
    """Everything on the demonstration bench that a fault can strike."""
    kind = TABLE[name]
    if kind.target == "place":
        return ["chamber1"]
    if kind.target == "channel":
        return ["1"]
    if kind.target == "":
        return [""]
    devices = [device for device in scene.devices if fits(kind, device)]
    if kind.target == "device":
        return [device.name for device in devices]
    kinds = ("di",) if name.startswith("input") else ("ai",)
    return [f"{it.name}.{point}" for it in devices for point in it.points if point[:2] in kinds]


class Said:
    """A host that notes what happens to it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def host(self) -> Host:
        def note(name: str) -> object:
            return lambda *_: self.calls.append(name)

        names = ("stop", "cancel", "freeze", "thaw", "kill", "step_clock", "fill_disk", "break_sync")
        return Host(**{name: note(name) for name in names})  # type: ignore[arg-type]


def struck(scene: SceneSpec, strike: Strike, then: object = None) -> Said:
    said = Said()

    async def main() -> None:
        async with virtual_bench(scene, start_utc_s=START_UTC_S) as bench:
            strikes = Strikes(bench.scene, [strike], said.host())
            strikes.arm()
            await asyncio.sleep(2.0)
            assert [it.strike for it in strikes.struck] == [strike]
            assert strikes.struck[0].at_s == 1.0
            if callable(then):
                then(bench)
            await strikes.heal()
            await asyncio.sleep(5.0)
            for device in scene.devices:
                attached = bench.scene.attached(device.name)
                assert not attached.cut, device.name
                assert not attached.personality.faults, device.name

    in_virtual_time(main(), speed=None)
    return said


@pytest.mark.parametrize("name", sorted(TABLE))
def test_it_strikes_at_its_time_wherever_it_can_and_heals(scene: SceneSpec, name: str) -> None:
    aimed = aims(name, scene)
    assert aimed, "nothing on the bench can have it"
    for where in aimed[:3]:
        struck(scene, Strike(name, where, at_s=1.0))


def test_every_row_says_what_it_is() -> None:
    assert FAULTS is TABLE
    assert len(TABLE) >= 40
    for row in TABLE.values():
        assert row.numbers, row.name
        assert row.en.endswith("."), row.name
        assert row.zh.endswith("。"), row.name


def signal_of(bench: SimulatedBench, kind: str) -> float:
    bench.scene.plant.advance(asyncio.get_running_loop().time())
    return bench.scene.plant.signal(Signal(kind, "chamber1"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "contact"),
    [
        ("door_opens", "door_closed"),
        ("estop", "estop_released"),
        ("smoke", "smoke"),
        ("flame", "flame"),
        ("gas", "gas"),
    ],
)
def test_contacts_open(scene: SceneSpec, name: str, contact: str) -> None:
    seen: list[float] = []
    struck(scene, Strike(name, "chamber1", at_s=1.0), lambda bench: seen.append(signal_of(bench, contact)))
    assert seen == [0.0]


def test_the_heater_pad_heats_and_the_welded_chamber_does_too(scene: SceneSpec) -> None:
    def cell_c(bench: SimulatedBench) -> None:
        surface = bench.scene.plant.terminal("1")
        bench.scene.plant.advance(asyncio.get_running_loop().time())
        assert surface.cell is not None
        seen.append(surface.cell.temperature_c)

    seen: list[float] = []
    struck(scene, Strike("cell_heats", "chamber1", at_s=1.0), cell_c)
    assert seen[0] > 25.0  # 400 W into 43 J/K for a second, from 23 degC


@pytest.mark.parametrize(
    ("name", "called"),
    [("person_stops", "stop"), ("cancelled", "cancel"), ("killed", "kill"), ("clock_steps", "step_clock"),
     ("disk_full", "fill_disk"), ("disk_fails", "break_sync"), ("frozen", "freeze")],
)  # fmt: skip
def test_the_host_is_told(scene: SceneSpec, name: str, called: str) -> None:
    assert called in struck(scene, Strike(name, at_s=1.0)).calls


def test_what_the_host_cannot_do_is_refused(scene: SceneSpec) -> None:
    async def main() -> None:
        async with virtual_bench(scene, start_utc_s=START_UTC_S) as bench:
            with pytest.raises(ValueError, match="killed cannot be struck"):
                Strikes(bench.scene, [Strike("killed", at_s=1.0)]).arm()

    in_virtual_time(main(), speed=None)


def test_a_wrong_aim_is_said(scene: SceneSpec) -> None:
    assert "no device" in (slips(Strike("no_reply", "nobody"), scene.devices) or "")
    assert "no fault" in (slips(Strike("nothing"), scene.devices) or "")
    assert slips(Strike("no_reply", "psb"), scene.devices) is None


def test_a_frozen_task_takes_no_turn_and_misses_nothing() -> None:
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            await asyncio.sleep(1.0)
            ticks.append(asyncio.get_running_loop().time())

    async def main() -> None:
        loop = asyncio.get_running_loop()
        turns = Turns()
        turns.install(loop)
        task = loop.create_task(tick())
        await asyncio.sleep(2.5)
        turns.freeze()
        await asyncio.sleep(5.0)
        assert ticks == [1.0, 2.0]
        turns.thaw()
        await asyncio.sleep(1.1)
        assert ticks == [1.0, 2.0, 7.5, 8.5]
        turns.freeze()
        task.cancel()
        await asyncio.sleep(1.0)
        assert not task.done()
        turns.thaw()
        await asyncio.wait([task])
        assert task.cancelled()

    in_virtual_time(main(), speed=None)


def test_extra_turns_let_others_in_between_and_change_no_result() -> None:
    async def main() -> list[int]:
        turns = Turns(extra=lambda: 3)
        turns.install(asyncio.get_running_loop())
        order: list[int] = []

        async def one(number: int) -> int:
            await asyncio.sleep(0)
            order.append(number)
            return number

        tasks = [asyncio.get_running_loop().create_task(one(number)) for number in range(4)]
        assert [await task for task in tasks] == [0, 1, 2, 3]
        return order

    assert in_virtual_time(main(), speed=None) == [0, 1, 2, 3]
