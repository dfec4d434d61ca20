"""Who reads a shared device how often, and what nobody may be told: the device here is a count of its own reads."""

from __future__ import annotations

import asyncio

import pytest

from bench.daemon.floor_device import FloorDevice
from bench.daemon.lent_devices import LentInputs, LentSwitches, Use
from drivers.capabilities import Identity
from drivers.errors import WireTimeout
from drivers.reading import Reading
from simulators.virtual_time import run_virtual

READ_S = 0.25


class Module:
    """A module of two inputs and two outputs; a read takes a quarter of a second and gives its number."""

    name = "io1"
    channels = ("io1.di0.on", "io1.di1.on")

    def __init__(self) -> None:
        self.reads = 0
        self.on = {"do0": False, "do1": False}
        self.armed: list[float] = []
        self.fails = False

    async def connect(self) -> Identity:
        return Identity("a", "b", "", "")

    async def read(self) -> tuple[Reading, ...]:
        await asyncio.sleep(READ_S)
        if self.fails:
            raise WireTimeout("io1", "reading", "no reply")
        self.reads += 1
        now_s = asyncio.get_running_loop().time()
        return tuple(Reading(channel, float(self.reads), now_s, now_s) for channel in self.channels)

    async def make_safe(self, *, fire: bool = False) -> None:
        raise AssertionError(f"nobody switches all outputs off ({fire})")

    async def make_some_safe(self, points: frozenset[str], *, fire: bool = False) -> None:
        assert not fire
        self.on.update(dict.fromkeys(points, False))

    async def arm_watchdog(self, timeout_s: float) -> None:
        self.armed.append(timeout_s)

    async def write(self, point: str, *, on: bool) -> None:
        self.on[point] = on


async def seats() -> tuple[Module, FloorDevice, LentSwitches, LentSwitches]:
    module = Module()
    device = FloorDevice(module)
    await device.connect()
    now_s = asyncio.get_running_loop().time()
    one = LentSwitches(device, Use("a", now_s), ("io1.di0.on",), period_s=1.0, own={"do0"})
    two = LentSwitches(device, Use("b", now_s), ("io1.di1.on",), period_s=1.0, own={"do1"})
    await asyncio.sleep(1.0)
    return module, device, one, two


def test_two_that_ask_at_once_are_answered_by_one_read_each_with_its_own_channels() -> None:
    async def main() -> None:
        module, _, one, two = await seats()
        mine, theirs = await asyncio.gather(one.read(), two.read())
        assert module.reads == 1
        assert [reading.channel for reading in mine] == ["io1.di0.on"]
        assert [reading.channel for reading in theirs] == ["io1.di1.on"]

    run_virtual(main())


def test_a_read_is_given_again_for_half_a_period_from_its_beginning_with_its_own_time() -> None:
    async def main() -> None:
        module, _, one, two = await seats()
        (first,) = await one.read()
        await asyncio.sleep(0.5 - READ_S)  # half a period after it was begun
        (again,) = await two.read()
        assert (module.reads, again.mono_s) == (1, first.mono_s)
        await asyncio.sleep(0.01)
        (later,) = await one.read()
        assert (module.reads, later.value) == (2, 2.0)

    run_virtual(main())


def test_from_its_own_make_safe_on_a_run_is_told_nothing_that_was_asked_before() -> None:
    async def main() -> None:
        module, _, one, two = await seats()
        reading = asyncio.get_running_loop().create_task(two.read())
        await asyncio.sleep(READ_S / 2)
        await one.make_safe()
        (fresh,) = await one.read()  # not the one under way: it was asked before the output went off
        (old,) = await reading
        assert (old.value, fresh.value, module.reads) == (1.0, 2.0, 2)

    run_virtual(main())


def test_a_run_is_told_nothing_that_was_asked_before_it_had_its_seat() -> None:
    async def main() -> None:
        module, device, one, _ = await seats()
        await one.read()
        late = LentInputs(device, Use("c", asyncio.get_running_loop().time()), ("io1.di0.on",), period_s=10.0)
        await late.read()
        assert module.reads == 2

    run_virtual(main())


def test_each_switches_its_own_output_and_no_other() -> None:
    async def main() -> None:
        module, _, one, two = await seats()
        await one.write("do0", on=True)
        await two.write("do1", on=True)
        with pytest.raises(ValueError, match="no output of run a"):
            await one.write("do1", on=False)
        await one.make_safe()
        assert module.on == {"do0": False, "do1": True}

    run_virtual(main())


def test_the_watchdog_is_armed_once_and_again_after_a_silence() -> None:
    async def main() -> None:
        module, device, one, two = await seats()
        await one.arm_watchdog(4.0)
        await two.arm_watchdog(4.0)
        assert module.armed == [4.0]
        module.fails = True
        with pytest.raises(WireTimeout):
            await one.read()
        module.fails = False
        await two.read()
        await two.arm_watchdog(4.0)
        assert module.armed == [4.0, 4.0]
        device.left_by("b")
        await one.arm_watchdog(4.0)
        assert module.armed == [4.0, 4.0, 4.0]

    run_virtual(main())
