"""A poller's grid, its changes of pace, and how it tells a loss."""

from __future__ import annotations

import asyncio

import pytest

from bench.binding.shapes import Poll
from bench.energy import Energy
from bench.poller import Poller
from bench.stream import Stage, Stream
from drivers import Reading, WireTimeout
from simulators.virtual_time import virtual_loop
from tests.bench.benchtop import Events, SmallCycler, World, cancel, in_virtual_time


class Bench:
    def __init__(self, *, index: int = 0, energised_s: float = 1.0, rest_s: float = 2.0) -> None:
        self.device = SmallCycler("psb", World())
        self.energy, self.stream, self.events = Energy(), Stream(), Events()
        self.times: list[float] = []
        self.stream.subscribe(Stage.GUARD, lambda batch: self.times.append(batch[0].mono_s))
        self.poller = Poller(
            self.device,
            index=index,
            poll=Poll(energised_s, rest_s),
            energy=self.energy,
            stream=self.stream,
            event=self.events.event,
        )

    async def for_s(self, time_s: float) -> None:
        task = asyncio.create_task(self.poller.run())
        await asyncio.sleep(time_s)
        await cancel(task)


def test_instants_are_the_phase_plus_whole_periods() -> None:
    bench = Bench(index=3)
    in_virtual_time(bench.for_s(7.0))
    # index 3 x 10 ms, every 2 s at rest, and the millisecond that the device takes to answer
    assert bench.times == pytest.approx([0.031, 2.031, 4.031, 6.031], abs=1e-6)


def test_three_hours_at_one_second_are_10_800_readings() -> None:
    bench = Bench(index=7)
    bench.energy.begin("output")
    in_virtual_time(bench.for_s(10_800.0))
    assert len(bench.times) == 10_800
    steps = [later - earlier for earlier, later in zip(bench.times, bench.times[1:], strict=False)]
    assert max(steps) == pytest.approx(1.0, abs=1e-6)
    assert min(steps) == pytest.approx(1.0, abs=1e-6)


def test_energising_takes_effect_within_one_energised_period() -> None:
    bench = Bench(rest_s=10.0)

    async def scene() -> None:
        task = asyncio.create_task(bench.poller.run())
        await asyncio.sleep(2.5)
        bench.energy.begin("output")
        await asyncio.sleep(3.0)
        bench.energy.end("output")
        await asyncio.sleep(8.0)
        await cancel(task)

    in_virtual_time(scene())
    assert bench.times == pytest.approx([0.001, 3.001, 4.001, 5.001, 10.001], abs=1e-6)


def test_a_slow_read_costs_its_instants_and_never_overlaps() -> None:
    bench = Bench(energised_s=1.0)
    bench.energy.begin("output")
    busy = 0

    async def slow() -> tuple[Reading, ...]:
        nonlocal busy
        busy += 1
        assert busy == 1
        begun_s = asyncio.get_running_loop().time()
        await asyncio.sleep(2.5)
        busy -= 1
        return (Reading("psb.out.voltage_v", 3.7, begun_s, 0.0),)

    bench.device.read = slow  # type: ignore[method-assign]  # the test's own slow device
    in_virtual_time(bench.for_s(11.75))
    assert bench.times == pytest.approx([0.0, 3.0, 6.0, 9.0], abs=1e-6)
    told = [data["gaps"] for kind, data in bench.events.all if kind == "readings_missed"]
    assert told == [[(1.0, 2.0)], [(4.0, 5.0), (7.0, 8.0)], [(10.0, 11.0)]]  # at 2.5 s, at 8.5 s and at the end


def test_an_instant_that_passes_while_missed_ones_are_written_down_is_taken_late() -> None:
    bench, first = Bench(rest_s=1.0), iter((True,))

    async def slow() -> tuple[Reading, ...]:
        begun_s = asyncio.get_running_loop().time()
        await asyncio.sleep(2.5 if next(first, False) else 0.0)
        return (Reading("psb.out.voltage_v", 3.7, begun_s, 0.0),)

    def hangs(kind: str, **data: object) -> None:
        bench.events.event(kind, **data)
        virtual_loop()._clock.now_s += 0.9  # a disk that takes so long

    bench.device.read = slow  # type: ignore[method-assign]  # the test's own slow device
    bench.poller._event = hangs
    in_virtual_time(bench.for_s(6.75))
    assert bench.times == pytest.approx([0.0, 3.4, 4.0, 5.0, 6.0], abs=1e-6)
    assert [data["gaps"] for kind, data in bench.events.all if kind == "readings_missed"] == [[(1.0, 2.0)]]


def test_a_loss_and_its_end_are_told_once_each_and_publish_nothing() -> None:
    bench = Bench()

    async def scene() -> None:
        task = asyncio.create_task(bench.poller.run())
        await asyncio.sleep(1.0)
        bench.device.fail = WireTimeout("psb", "reading", "no reply within 0.5 s")
        await asyncio.sleep(20.0)
        assert bench.events.kinds == ["reading_lost"]
        bench.device.fail = None
        await asyncio.sleep(4.0)
        assert bench.poller.lost is None
        await cancel(task)

    in_virtual_time(scene())
    assert bench.events.kinds == ["reading_lost", "reading_recovered"]
    assert not [time_s for time_s in bench.times if 1.0 < time_s < 21.0]


def test_what_a_subscriber_raises_ends_the_poller() -> None:
    bench = Bench()

    def full(_: object) -> None:
        raise OSError("disk full")

    bench.stream.subscribe(Stage.RECORDER, full)

    async def scene() -> None:
        with pytest.raises(OSError, match="disk full"):
            await bench.poller.run()

    in_virtual_time(scene())


class Telling(SmallCycler):
    """A device that tells how it differs, in the words of ``says`` one look after the other, then nothing."""

    def __init__(self, says: list[tuple[str, ...]]) -> None:
        super().__init__("psb", World())
        self.says = says
        self.looked_s: list[float] = []

    async def deviations(self) -> tuple[str, ...]:
        self.looked_s.append(asyncio.get_running_loop().time())
        await self.reach("")
        return self.says.pop(0) if self.says else ()


class Deviating:
    """A poller of one such device at P = 1 s, energised unless told otherwise, and what it passes on."""

    def __init__(self, *says: tuple[str, ...], energised: bool = True) -> None:
        self.device = Telling(list(says))
        self.energy = Energy()
        self.told: list[tuple[float, str]] = []
        if energised:
            self.energy.begin("output")
        self.poller = Poller(
            self.device,
            index=0,
            poll=Poll(1.0, 2.0),
            energy=self.energy,
            stream=Stream(),
            event=Events().event,
            deviates=lambda _, text: self.told.append((asyncio.get_running_loop().time(), text)),
        )

    def for_s(self, time_s: float) -> None:
        async def scene() -> None:
            task = asyncio.create_task(self.poller.run())
            await asyncio.sleep(time_s)
            await cancel(task)

        in_virtual_time(scene())


@pytest.mark.fault("F23", "F30", "F38", "F39", "F41")
def test_what_is_told_at_two_looks_is_passed_on_by_the_poll_that_follows() -> None:
    bench = Deviating((), ("VOLT? reads 4.30 V",), ("VOLT? reads 4.31 V",))
    bench.for_s(20.0)
    assert bench.device.looked_s[:3] == pytest.approx([0.001, 5.001, 6.001], abs=2e-3)
    assert [text for _, text in bench.told] == ["VOLT? reads 4.31 V"]
    assert bench.told[0][0] == pytest.approx(6.002, abs=2e-3)


def test_a_device_is_looked_at_every_five_seconds_and_a_first_deviation_six_more_times() -> None:
    bench = Deviating(("remote control is lost",))
    bench.for_s(14.0)
    assert bench.told == []
    assert bench.device.looked_s == pytest.approx([0, 1, 2, 3, 4, 5, 6, 11], abs=5e-3)


def test_two_different_deviations_are_not_one_that_stays() -> None:
    bench = Deviating(("output off",), ("remote control is lost",), (), (), (), (), (), ("output off",))
    bench.for_s(30.0)
    assert bench.told == []


def test_at_rest_and_after_a_stop_nobody_looks() -> None:
    bench = Deviating(("output off",), ("output off",), energised=False)
    bench.for_s(30.0)
    assert bench.device.looked_s == []
    bench = Deviating(("output off",), ("output off",))
    bench.energy.forbid()
    bench.for_s(30.0)
    assert (bench.device.looked_s, bench.told) == ([], [])


def test_a_stop_while_the_device_is_asked_makes_its_answer_void() -> None:
    bench = Deviating(("output off",), ("output off",))

    async def and_stopped() -> tuple[str, ...]:
        bench.energy.forbid()
        return ("output off",)

    bench.device.deviations = and_stopped  # type: ignore[method-assign]  # the test's own interruption
    bench.for_s(5.0)
    assert bench.told == []


def test_a_look_that_fails_is_left_to_the_readings() -> None:
    bench = Deviating()

    async def mute() -> tuple[str, ...]:
        raise WireTimeout("psb", "looking", "no reply within 0.5 s")

    bench.device.deviations = mute  # type: ignore[method-assign]  # the test's own silence
    bench.for_s(12.0)
    assert (bench.told, bench.poller.lost, bench.device.reads) == ([], None, 12)
