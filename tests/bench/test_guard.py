"""What trips, when, why, and that it trips once. Times follow from A = 3 P."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.binding.shapes import GuardLimit
from bench.cause import EndKind
from bench.energy import Energy
from bench.guard import Guard
from bench.stream import Stream
from drivers import Quality, Reading, RecordError
from tests.bench.benchtop import Events, cancel, in_virtual_time

V, AMPS, T = "psb.out.voltage_v", "psb.out.current_a", "th1.ai0.temperature_c"
DOOR, SMOKE = "io1.di1.on", "io1.di3.on"
LIMITS = (
    GuardLimit("sample.voltage", V, 2.44, 4.36, "sample", hard=True),
    GuardLimit("bench.voltage", V, -0.5, 5.0, "bench", hard=True),
    GuardLimit("sample.current", AMPS, -121.4, 60.8, "sample", hard=True),
    GuardLimit("bench.surface_temperature", T, None, 130.0, "bench", hard=True),
    GuardLimit("interlock.door_closed", DOOR, 0.5, None, "interlock", hard=True),
    GuardLimit("interlock.smoke_clear", SMOKE, 0.5, None, "interlock", hard=True),
)
CHANNELS = {"psb": (V, AMPS), "th1": (T,), "io1": (DOOR, SMOKE), "ch1": ("ch1.air.temperature_c",)}


class Watch:
    """A guard with P = 1 s (chamber 5 s), fully armed, and what it did."""

    def __init__(self) -> None:
        self.stream, self.energy, self.events = Stream(), Energy(), Events()
        self.taken: list[tuple[str, bool]] = []
        self.lost: dict[str, str] = {}
        self.guard = Guard(
            channels=CHANNELS,
            period_s=lambda device: 5.0 if device == "ch1" else 1.0,
            lost=self.lost.get,
            stream=self.stream,
            energy=self.energy,
            event=self.events.event,
            take_energy_away=lambda why, *, fire, stop_motion: self.taken.append((why, fire)),
        )
        self.guard.hold_to(LIMITS)

    def say(self, channel: str, value: float, quality: Quality = Quality.GOOD) -> None:
        now_s = asyncio.get_running_loop().time()
        self.stream.publish((Reading(channel, value, now_s, 0.0, quality),))

    def say_all_is_well(self) -> None:
        now_s = asyncio.get_running_loop().time()
        self.stream.publish((Reading(V, 3.7, now_s, 0.0), Reading(AMPS, 20.0, now_s, 0.0)))
        self.stream.publish((Reading(T, 30.0, now_s, 0.0),))
        self.stream.publish((Reading(DOOR, 1.0, now_s, 0.0), Reading(SMOKE, 1.0, now_s, 0.0)))
        self.stream.publish((Reading(CHANNELS["ch1"][0], 25.0, now_s, 0.0),))


@pytest.mark.parametrize(
    ("channel", "value", "kind", "rule", "limit"),
    [
        (V, 4.3601, EndKind.SAMPLE_EVENT, "sample.voltage", 4.36),
        (V, 2.4399, EndKind.SAMPLE_EVENT, "sample.voltage", 2.44),
        (AMPS, 60.81, EndKind.SAMPLE_EVENT, "sample.current", 60.8),
        (AMPS, -121.5, EndKind.SAMPLE_EVENT, "sample.current", -121.4),
        (T, 130.1, EndKind.BENCH_LIMIT, "bench.surface_temperature", 130.0),
        (DOOR, 0.0, EndKind.INTERLOCK, "interlock.door_closed", 0.5),
    ],
)
def test_one_good_reading_outside_trips_before_publish_returns(
    channel: str, value: float, kind: EndKind, rule: str, limit: float
) -> None:
    async def scene() -> None:
        watch = Watch()
        watch.say(channel, value)
        cause = watch.guard.cause
        assert cause is not None
        assert (cause.kind, cause.rule, cause.device) == (kind, rule, channel.split(".")[0])
        assert (cause.value, cause.limit) == (value, limit)
        assert watch.energy.forbidden
        assert watch.taken == [(f"trip: {rule}", False)]
        assert watch.events.of("trip")["readings"][channel] == value

    in_virtual_time(scene())


def test_a_reading_on_its_limit_does_not_trip() -> None:
    async def scene() -> None:
        watch = Watch()
        for channel, value in ((V, 4.36), (V, 2.44), (AMPS, 60.8), (AMPS, -121.4), (T, 130.0)):
            watch.say(channel, value)
        assert watch.guard.cause is None

    in_virtual_time(scene())


def test_the_first_cause_stays_the_cause() -> None:
    async def scene() -> None:
        watch = Watch()
        watch.say(DOOR, 0.0)
        watch.say(T, 400.0)
        assert watch.guard.cause is not None
        assert watch.guard.cause.rule == "interlock.door_closed"
        assert watch.events.kinds == ["trip"]
        assert len(watch.taken) == 1

    in_virtual_time(scene())


def test_smoke_is_told_as_fire() -> None:
    async def scene() -> None:
        watch = Watch()
        watch.say(SMOKE, 0.0)
        assert watch.taken == [("trip: interlock.smoke_clear", True)]

    in_virtual_time(scene())


def test_bad_readings_do_not_trip_at_once_and_go_stale_after_three_periods() -> None:
    async def scene() -> None:
        watch = Watch()
        timer = asyncio.create_task(watch.guard.run())
        loop = asyncio.get_running_loop()
        for _ in range(5):  # good until t = 4 s, then an open sensor while all else goes on
            watch.say_all_is_well()
            await asyncio.sleep(1.0)
        while watch.guard.cause is None and loop.time() < 60.0:
            now_s = loop.time()
            watch.stream.publish((Reading(T, math.nan, now_s, 0.0, Quality.OPEN),))
            watch.stream.publish((Reading(V, 3.7, now_s, 0.0), Reading(AMPS, 20.0, now_s, 0.0)))
            watch.stream.publish((Reading(DOOR, 1.0, now_s, 0.0), Reading(SMOKE, 1.0, now_s, 0.0)))
            await asyncio.sleep(0.5)
        assert watch.guard.cause is not None
        assert watch.guard.cause.kind is EndKind.STALENESS
        assert watch.guard.cause.device == "th1"
        assert watch.guard.cause.limit == 3.0
        assert 7.0 < loop.time() <= 7.5 + 1e-6
        await timer

    in_virtual_time(scene())


@pytest.mark.parametrize("error", [None, "no reply within 0.5 s"])
def test_silence_trips_after_three_periods_as_the_device_if_its_wire_fails(error: str | None) -> None:
    async def scene() -> None:
        watch = Watch()
        if error is not None:
            watch.lost["psb"] = error
        watch.say_all_is_well()
        timer = asyncio.create_task(watch.guard.run())
        loop = asyncio.get_running_loop()
        while not watch.guard.tripped.done():
            now_s = loop.time()
            watch.stream.publish((Reading(T, 30.0, now_s, 0.0),))
            watch.stream.publish((Reading(DOOR, 1.0, now_s, 0.0), Reading(SMOKE, 1.0, now_s, 0.0)))
            await asyncio.sleep(0.25)
        cause = watch.guard.tripped.result()
        assert cause.device == "psb"
        assert cause.kind is (EndKind.STALENESS if error is None else EndKind.DEVICE)
        assert watch.guard.error == (error or "")
        assert 3.0 < loop.time() <= 3.25 + 1e-6
        await timer

    in_virtual_time(scene())


def test_a_device_without_limits_may_not_fall_silent_either() -> None:
    async def scene() -> None:
        watch = Watch()
        timer = asyncio.create_task(watch.guard.run())
        loop = asyncio.get_running_loop()
        while not watch.guard.tripped.done():
            now_s = loop.time()
            for channel, value in ((V, 3.7), (AMPS, 0.0), (T, 30.0), (DOOR, 1.0), (SMOKE, 1.0)):
                watch.say(channel, value)
            await asyncio.sleep(0.5)
        assert watch.guard.tripped.result().device == "ch1"
        assert 15.0 < now_s + 0.5 <= 15.5 + 1e-6
        await timer

    in_virtual_time(scene())


def test_a_channel_that_is_not_armed_is_only_listened_to() -> None:
    async def scene() -> None:
        watch = Watch()
        other = Guard(
            channels=CHANNELS,
            period_s=lambda _: 1.0,
            lost=lambda _: None,
            stream=watch.stream,
            energy=Energy(),
            event=Events().event,
            take_energy_away=lambda _, **__: None,
        )
        other.hold_to(LIMITS, without=(V, AMPS))
        watch.say(V, 0.0)
        assert other.cause is None
        watch.say(DOOR, 0.0)
        assert other.cause is not None

    in_virtual_time(scene())


def test_energy_is_taken_away_even_if_the_trip_cannot_be_written() -> None:
    async def scene() -> None:
        watch = Watch()
        watch.events.failed = RecordError("no space left", "events.jsonl", "free some")
        with pytest.raises(RecordError):
            watch.say(T, 400.0)
        assert watch.taken
        assert watch.energy.forbidden

    in_virtual_time(scene())


def test_after_close_nothing_trips() -> None:
    async def scene() -> None:
        watch = Watch()
        timer = asyncio.create_task(watch.guard.run())
        await asyncio.sleep(1.0)
        watch.guard.close()
        watch.say(V, 0.0)
        await asyncio.sleep(100.0)
        assert watch.guard.cause is None
        await timer
        await cancel()

    in_virtual_time(scene())


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30))
def test_it_trips_on_exactly_the_first_number_outside(values: list[float]) -> None:
    async def scene() -> None:
        watch = Watch()
        for value in values:
            watch.say(V, value)
        # What no measurement gives is no reading: three such of five trip for being implausible, whatever they say.
        odd = [math.isinf(value) or 0.0 < abs(value) < 1.1754943508222875e-38 for value in values]
        counted = [at for at, value in enumerate(values) if not math.isnan(value)]
        for place, at in enumerate(counted):
            recent = counted[max(0, place - 4) : place + 1]
            if odd[at] and sum(odd[other] for other in recent) >= 3:
                expected: tuple[str, float | None] = (f"implausible: {V}", None)
                break
            if not odd[at] and not 2.44 <= values[at] <= 4.36:
                expected = ("sample.voltage", values[at])
                break
        else:
            assert watch.guard.cause is None
            return
        assert watch.guard.cause is not None
        assert (watch.guard.cause.rule, watch.guard.cause.value) == expected

    in_virtual_time(scene())


BURNT = GuardLimit("sample.temperature", T, None, 900.0, "sample", hard=True)
BENCH_HOT = GuardLimit("bench.surface_temperature", T, None, 130.0, "bench", hard=True)
GAS = GuardLimit("interlock.gas_clear", SMOKE, 0.5, None, "detector", hard=True)


class Abuse(Watch):
    """A guard from the first contact on, holding to limits of a stimulus."""

    def __init__(self) -> None:
        super().__init__()
        door = next(limit for limit in LIMITS if limit.channel == DOOR)
        self.guard.hold_to((BURNT, GAS, door))
        self.guard.stimulated = True

    @property
    def kind(self) -> EndKind | None:
        return None if self.guard.cause is None else self.guard.cause.kind


def test_before_the_stimulus_a_detector_trips_like_an_interlock() -> None:
    async def scene() -> None:
        watch = Abuse()
        watch.guard.stimulated = False
        watch.say(SMOKE, 0.0)
        assert watch.guard.cause is not None
        assert watch.guard.cause.kind is EndKind.INTERLOCK

    in_virtual_time(scene())


def test_a_sample_event_is_noted_once_and_trips_only_what_is_energised() -> None:
    async def scene() -> None:
        watch = Abuse()
        for _ in range(3):
            watch.say(T, 950.0)
            watch.say(SMOKE, 0.0)
        assert watch.guard.cause is None
        assert watch.events.kinds == ["sample_event", "sample_event"]
        watch.energy.begin("psb output")
        watch.guard.hold_to((replace(BURNT, rule="sample.hotter"),))
        watch.say(T, 960.0)
        assert watch.kind is EndKind.SAMPLE_EVENT
        assert watch.guard.later is None
        assert watch.taken

    in_virtual_time(scene())


def test_after_an_observation_a_door_is_noted_and_trips_again_once_a_step_follows() -> None:
    """What is energised after an observation is watched like anything else (another stimulus, a check-up cycle)."""

    async def scene() -> None:
        watch = Abuse()
        watch.guard.observed = True
        watch.say(DOOR, 0.0)
        assert watch.guard.observed
        assert (watch.events.kinds, watch.guard.later, watch.taken) == (["bench_event"], None, [])
        watch.guard.observed = False
        watch.guard.hold_to((BURNT, replace(GAS, rule="interlock.flame_clear"), BENCH_HOT))
        watch.energy.begin("psb.out")
        watch.say(T, 131.0)
        assert watch.kind is EndKind.BENCH_LIMIT
        assert watch.taken

    in_virtual_time(scene())


def test_a_door_trips_in_the_stimulus_and_is_what_came_later() -> None:
    async def scene() -> None:
        watch = Abuse()
        watch.say(DOOR, 0.0)
        assert watch.guard.cause is not None
        assert watch.guard.cause.kind is EndKind.INTERLOCK
        assert watch.guard.later is watch.guard.cause
        watch.guard.observed = True
        watch.say(T, 999.0)
        assert watch.events.kinds[:2] == ["bench_event", "trip"]

    in_virtual_time(scene())


def test_a_sensor_that_burns_off_is_the_samples_doing_and_a_silent_device_the_benchs() -> None:
    async def scene() -> None:
        watch = Abuse()
        timer = asyncio.ensure_future(watch.guard.run())
        for _ in range(5):  # every device speaks; the thermocouple is open
            now_s = asyncio.get_running_loop().time()
            watch.stream.publish((Reading(V, 3.7, now_s, 0.0),))
            watch.stream.publish((Reading(DOOR, 1.0, now_s, 0.0), Reading(SMOKE, 1.0, now_s, 0.0)))
            watch.stream.publish((Reading(T, math.nan, now_s, 0.0, Quality.OPEN),))
            await asyncio.sleep(1.0)
        assert watch.guard.cause is None
        assert [fields["rule"] for kind, fields in watch.events.all if kind == "sample_event"] == [
            f"sample.temperature: no good reading of {T}"
        ]
        await asyncio.sleep(20.0)
        assert watch.kind is EndKind.STALENESS
        watch.guard.close()
        timer.cancel()
        await asyncio.gather(timer, return_exceptions=True)

    in_virtual_time(scene())


def test_a_detector_that_goes_on_speaking_is_not_silent() -> None:
    async def scene() -> None:
        watch = Abuse()
        timer = asyncio.ensure_future(watch.guard.run())
        for _ in range(10):
            watch.say_all_is_well()
            watch.say(SMOKE, 0.0)
            await asyncio.sleep(1.0)
        assert watch.guard.cause is None
        assert watch.events.kinds == ["sample_event"]
        watch.guard.close()
        timer.cancel()
        await asyncio.gather(timer, return_exceptions=True)

    in_virtual_time(scene())


def test_after_a_trip_the_open_contactor_is_no_event() -> None:
    async def scene() -> None:
        watch = Abuse()
        closed = GuardLimit("contactor closed", V, 0.5, None, "device", hard=True)
        watch.guard.hold_to((BURNT, GAS, closed))
        watch.energy.begin("heat")
        watch.say(SMOKE, 0.0)
        watch.say(V, 0.0)
        assert watch.guard.cause is not None
        assert watch.guard.cause.kind is EndKind.SAMPLE_EVENT
        assert watch.guard.later is None

    in_virtual_time(scene())
