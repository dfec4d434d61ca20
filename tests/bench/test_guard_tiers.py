"""What the guard does with warn, stop and trip, with readings that are none, with its rules and with deviations."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable

import pytest

from bench.binding.shapes import GuardLimit
from bench.cause import Cause, EndKind, is_fire
from bench.energy import Energy
from bench.guard import Guard
from bench.rules.shapes import Ceiling, CrossCheck, Detector, Rate, RuleSpec, Runaway
from bench.stream import Stream
from drivers import Quality, Reading, RecordError
from tests.bench.benchtop import Events, in_virtual_time

V, AMPS, CELL, T, DOOR = (
    "psb.out.voltage_v",
    "psb.out.current_a",
    "v1.ai0.voltage_v",
    "th1.ai0.temperature_c",
    "io1.di1.on",
)
SMOKE_THERE = "io2.smoke_clear.on"
HOT = GuardLimit("sample.temperature", T, None, 61.0, "sample", hard=True)
WARM = GuardLimit("sample.temperature", T, None, 56.0, "sample", hard=True, tier="warn", hysteresis=1.0)
SOFT = GuardLimit("sample.temperature", T, None, 59.0, "sample", hard=True, tier="stop")
SKIN = GuardLimit("bench.surface_temperature", T, None, 130.0, "bench", hard=True)
DOOR_SHUT = GuardLimit("interlock.door_closed", DOOR, 0.5, None, "interlock", hard=True)


class Watch:
    """A guard and everything it did."""

    def __init__(
        self,
        *limits: GuardLimit,
        rules: Iterable[RuleSpec] = (),
        spans: dict[str, tuple[float, float]] | None = None,
        energised_at_most_s: float = math.inf,
    ) -> None:
        self.stream, self.energy, self.events = Stream(spans), Energy(), Events()
        self.taken: list[tuple[str, bool]] = []
        self.said: list[str] = []
        self.cold: list[str] = []
        self.guard = Guard(
            channels={"psb": (V, AMPS), "th1": (T,)},
            period_s=lambda _: 1.0,
            lost=lambda _: None,
            stream=self.stream,
            energy=self.energy,
            event=self.events.event,
            take_energy_away=lambda why, *, fire, stop_motion: self.taken.append((why, fire)),
            warned=self.said.append,
            heat_off=self.cold.append,
            energised_at_most_s=energised_at_most_s,
        )
        self.guard.hold_to(limits, rules=rules)

    def say(self, *pairs: tuple[str, float], quality: Quality = Quality.GOOD, mono_s: float = 0.0) -> None:
        self.stream.publish(tuple(Reading(channel, value, mono_s, 0.0, quality) for channel, value in pairs))

    def temperatures(self, *values: float) -> None:
        for second, value in enumerate(values):
            self.say((T, value), mono_s=float(second))

    def rule(self) -> str | None:
        return None if self.guard.cause is None else self.guard.cause.rule


def test_a_warning_tells_once_each_time_and_takes_nothing_away() -> None:
    async def scene() -> None:
        watch = Watch(WARM, HOT)
        watch.temperatures(50, 56.5, 57, 55.5, 56.5, 54.9, 56.1)
        assert watch.events.kinds == ["warning", "warning"]
        assert watch.events.of("warning")["value"] == 56.5
        assert watch.said[0] == f"warning: sample.temperature of {T}: 56.5, bound 56"
        assert (watch.rule(), watch.taken, watch.energy.forbidden) == (None, [], False)

    in_virtual_time(scene())


def test_a_stop_ends_the_run_and_leaves_the_way_out_to_the_engine() -> None:
    async def scene() -> None:
        watch = Watch(HOT, SOFT, WARM)
        watch.temperatures(59.1)
        assert watch.events.kinds == ["stop"]
        assert watch.guard.tripped.result().rule == "sample.temperature (stop)"
        assert watch.guard.tripped.result().kind is EndKind.SAMPLE_EVENT
        assert (watch.taken, watch.energy.forbidden) == ([], False)

    in_virtual_time(scene())


def test_a_trip_after_a_stop_still_takes_energy_away_and_the_first_stays_the_cause() -> None:
    async def scene() -> None:
        watch = Watch(HOT, SOFT, DOOR_SHUT)
        watch.temperatures(59.1, 61.1)
        watch.say((DOOR, 0.0))
        assert watch.events.kinds == ["stop", "trip"]
        assert watch.taken == [("trip: sample.temperature", False)]
        assert watch.energy.forbidden
        assert watch.rule() == "sample.temperature (stop)"

    in_virtual_time(scene())


def test_what_the_way_out_of_a_stop_brings_about_is_no_trip() -> None:
    async def scene() -> None:
        watch = Watch(HOT, SOFT)
        watch.temperatures(59.1)
        watch.energy.forbid()  # the engine has begun the safe state
        watch.temperatures(61.1)
        assert watch.events.kinds == ["stop"]

    in_virtual_time(scene())


def test_what_passes_all_tiers_at_once_trips_first() -> None:
    async def scene() -> None:
        watch = Watch(WARM, SOFT, HOT)
        watch.temperatures(200.0)
        assert watch.events.kinds == ["trip"]
        assert watch.rule() == "sample.temperature"

    in_virtual_time(scene())


def test_energy_goes_even_if_a_stop_cannot_be_written() -> None:
    async def scene() -> None:
        watch = Watch(SOFT)
        watch.events.failed = RecordError("no space left", "events.jsonl", "free some")
        with pytest.raises(RecordError):
            watch.temperatures(59.1)
        assert watch.guard.tripped.done()

    in_virtual_time(scene())


def test_from_the_stimulus_on_a_bench_limit_behind_a_noted_one_still_trips() -> None:
    async def scene() -> None:
        watch = Watch(HOT, SKIN, SOFT)
        watch.guard.stimulated = True
        watch.temperatures(70.0, 131.0)
        assert watch.rule() == "bench.surface_temperature"
        assert watch.events.kinds == ["sample_event", "bench_event", "trip"]

    in_virtual_time(scene())


def test_a_stop_in_the_stimulus_is_an_observation_unless_something_is_energised() -> None:
    async def scene() -> None:
        watch = Watch(SOFT)
        watch.guard.stimulated = True
        watch.temperatures(60.0)
        assert watch.rule() is None
        other = Watch(SOFT)
        other.guard.stimulated = True
        other.energy.begin("heat")
        other.temperatures(60.0)
        assert other.rule() == "sample.temperature (stop)"
        assert other.events.kinds == ["sample_event", "stop"]

    in_virtual_time(scene())


# Readings that are none

PATIENT = GuardLimit("sample.temperature", T, None, 61.0, "sample", hard=True, hits=2, of=2)


@pytest.mark.fault("F26")
@pytest.mark.parametrize("nothing", [math.nan, math.inf, -math.inf, 1e-41])
def test_what_is_no_number_never_resets_what_was_counted(nothing: float) -> None:
    async def scene() -> None:
        watch = Watch(PATIENT)
        watch.temperatures(61.5, nothing, 61.5)
        assert watch.rule() == "sample.temperature"

    in_virtual_time(scene())


@pytest.mark.fault("F26")
def test_nan_only_ages_the_channel() -> None:
    async def scene() -> None:
        watch = Watch(HOT)
        watch.temperatures(*[math.nan] * 20)
        assert watch.rule() is None

    in_virtual_time(scene())


@pytest.mark.fault("F27")
@pytest.mark.parametrize("odd", [math.inf, 1e-41, -300.0])
def test_three_implausible_ones_of_five_trip(odd: float) -> None:
    async def scene() -> None:
        watch = Watch(HOT, spans={T: (-200.0, 1500.0)})
        watch.temperatures(25, odd, 25, 25, odd, 25, 25, odd)
        assert watch.rule() is None
        watch.temperatures(25, 25, 25, 25, odd, odd, 25, odd)
        assert watch.rule() == f"implausible: {T}"
        assert watch.guard.tripped.result().kind is EndKind.STALENESS
        assert watch.stream.latest[T].quality is Quality.IMPLAUSIBLE
        assert math.isnan(watch.stream.latest[T].value)
        assert watch.events.of("trip")["readings"][T] is None

    in_virtual_time(scene())


@pytest.mark.fault("F27")
def test_a_sensor_that_goes_mad_in_the_stimulus_is_the_samples_doing() -> None:
    async def scene() -> None:
        watch = Watch(HOT, DOOR_SHUT)
        watch.guard.stimulated = True
        watch.temperatures(*[math.inf] * 5)
        assert watch.events.kinds == ["sample_event"]
        for _ in range(3):
            watch.say((DOOR, math.inf))
        assert watch.rule() == f"implausible: {DOOR}"

    in_virtual_time(scene())


@pytest.mark.fault("F31")
def test_what_the_driver_marks_is_not_counted_as_implausible() -> None:
    async def scene() -> None:
        watch = Watch(HOT)
        for _ in range(9):
            watch.say((T, math.nan), quality=Quality.OPEN)
        assert watch.rule() is None

    in_virtual_time(scene())


# Rules

APART = CrossCheck(V, AMPS, CELL, apart_v=0.1, lead_ohm=0.002)


@pytest.mark.fault("F35")
def test_the_cross_check_waits_until_the_terminal_is_the_samples() -> None:
    async def scene() -> None:
        watch = Watch(rules=[APART])

        def look() -> None:
            for second in range(10):
                watch.say((V, 0.0), (AMPS, 0.0), mono_s=float(second))
                watch.say((CELL, 3.7), mono_s=second + 0.3)

        watch.guard.hold_to((), without=(V, AMPS), rules=[APART])
        look()
        assert watch.rule() is None
        watch.guard.hold_to((), rules=[APART])
        look()
        assert watch.rule() == "cross_check.voltage"
        assert watch.guard.tripped.result().kind is EndKind.BENCH_LIMIT

    in_virtual_time(scene())


@pytest.mark.fault("F43")
def test_a_rule_that_is_held_on_goes_on_with_what_it_has_seen() -> None:
    async def scene() -> None:
        ceiling = Ceiling(V, AMPS, "psb output", 1.0, 10.0)
        watch = Watch(rules=[ceiling])
        watch.energy.begin("psb output")
        for minute in range(20):
            watch.say((V, 4.0), (AMPS, 6.0), mono_s=60.0 * minute)
            watch.guard.hold_to((), rules=[ceiling])
        assert watch.rule() == "ceiling.charge"  # 6 A for 10 min are 1 Ah

    in_virtual_time(scene())


def test_a_warn_rate_tells_and_a_bad_reading_is_no_slope() -> None:
    async def scene() -> None:
        watch = Watch(rules=[Rate("sample.temperature_rate", T, 1.0, 3.0, rising=True, tier="warn")])
        watch.temperatures(20, 22, 24, math.inf, 28, 30, 32)
        assert watch.events.kinds == ["warning"]

    in_virtual_time(scene())


BURNS = Runaway("rig1", CELL, (T,), 60.0, 1.0)


@pytest.mark.fault("H8", "F45")
def test_a_runaway_in_conditioning_trips_as_a_fire() -> None:
    async def scene() -> None:
        watch = Watch(rules=[BURNS])
        watch.temperatures(*[55.0 + 2 * n for n in range(10)])
        assert watch.taken == [("trip: runaway", True)]
        assert watch.cold == []

    in_virtual_time(scene())


@pytest.mark.fault("H8", "F44", "F45")
def test_in_the_stimulus_a_runaway_puts_the_zones_heat_out_though_nothing_is_energised() -> None:
    async def scene() -> None:
        watch = Watch(rules=[BURNS, Detector("chamber1", "smoke", SMOKE_THERE)])
        watch.guard.stimulated = True
        watch.temperatures(*[55.0 + 2 * n for n in range(10)])
        watch.say((SMOKE_THERE, 0.0))
        assert watch.rule() is None
        assert watch.cold == [f"runaway of {T}"]
        assert watch.events.kinds == ["sample_event", "sample_event"]
        assert watch.guard.burns

    in_virtual_time(scene())


@pytest.mark.fault("H7", "H8")
def test_smoke_next_door_trips_before_the_stimulus() -> None:
    async def scene() -> None:
        there = Detector("rig1", "smoke", SMOKE_THERE)
        watch = Watch(rules=[there])
        watch.say((SMOKE_THERE, 1.0))
        assert not watch.guard.burns
        watch.say((SMOKE_THERE, 0.0))
        assert watch.taken == [("trip: zone.rig1.smoke", True)]
        assert watch.guard.tripped.result().kind is EndKind.INTERLOCK

    in_virtual_time(scene())


@pytest.mark.parametrize(
    ("rule", "fire"), [("zone.rig1.gas", True), ("runaway", True), ("stuck", False), (None, False)]
)
def test_which_rules_are_of_fire(rule: str | None, fire: bool) -> None:
    assert is_fire(rule) is fire


@pytest.mark.fault("F54", "H10")
def test_after_a_trip_a_door_still_stops_the_tool() -> None:
    async def scene() -> None:
        watch = Watch(HOT, DOOR_SHUT)
        watch.guard.stimulated = True
        watch.energy.begin("heat")
        watch.temperatures(61.1)
        assert watch.taken == [("trip: sample.temperature", False)]
        watch.say((DOOR, 0.0))
        assert watch.taken[1:] == [("after a trip: interlock.door_closed", False)]
        assert watch.guard.later is not None

    in_virtual_time(scene())


# Deviations and time


@pytest.mark.fault("F23", "F30", "F38", "F39", "F41")
def test_a_deviation_is_the_devices_fault() -> None:
    async def scene() -> None:
        watch = Watch(HOT)
        watch.guard.deviates("psb", "VOLT? reads 4.3 V where 4.2 V was set")
        cause = watch.guard.tripped.result()
        assert (cause.kind, cause.device) == (EndKind.DEVICE, "psb")
        assert cause.rule == "deviation: VOLT? reads 4.3 V where 4.2 V was set"
        assert len(watch.taken) == 1

    in_virtual_time(scene())


@pytest.mark.fault("F71")
def test_a_host_that_did_not_watch_is_a_cause() -> None:
    async def scene() -> None:
        watch = Watch(HOT)
        watch.guard.distrust_host(Cause(EndKind.HOST, "suspended", None, 3.0, 2.0))
        assert watch.guard.tripped.result().kind is EndKind.HOST
        assert len(watch.taken) == 1

    in_virtual_time(scene())


@pytest.mark.fault("F43")
def test_more_time_energised_than_a_run_can_need_trips() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        watch = Watch(energised_at_most_s=100.0)
        timer = asyncio.create_task(watch.guard.run())

        async def heard(seconds: int) -> None:
            for _ in range(seconds):
                if watch.guard.cause is None:
                    watch.say((V, 3.7), (AMPS, 1.0), mono_s=loop.time())
                    watch.say((T, 25.0), mono_s=loop.time())
                    await asyncio.sleep(1.0)

        for _ in range(2):
            watch.energy.begin("psb output")
            await heard(40)
            watch.energy.end("psb output")
            await heard(500)
        assert watch.rule() is None  # 80 s energised in 1080
        watch.energy.begin("psb output")
        begun_s = loop.time()
        await heard(500)
        assert watch.rule() == "ceiling.time"
        assert loop.time() - begun_s == pytest.approx(20.0, abs=1.1)
        await timer

    in_virtual_time(scene())


@pytest.mark.fault("H7", "H8")
def test_smoke_after_a_trip_in_conditioning_puts_the_zones_heat_out() -> None:
    async def scene() -> None:
        watch = Watch(HOT, rules=[Detector("chamber1", "smoke", SMOKE_THERE)])
        watch.say((T, 70.0))
        assert watch.taken == [("trip: sample.temperature", False)]
        for _ in range(3):
            watch.say((SMOKE_THERE, 0.0))
        assert len(watch.cold) == 1
        assert len(watch.taken) == 1
        assert watch.rule() == "sample.temperature"

    in_virtual_time(scene())


@pytest.mark.fault("H7", "H8")
@pytest.mark.parametrize(("channel", "value"), [(SMOKE_THERE, 0.0), (T, 70.0)])
def test_what_was_noted_in_a_pause_of_the_stimulus_trips_before_the_next_pulse(channel: str, value: float) -> None:
    async def scene() -> None:
        watch = Watch(HOT, rules=[Detector("chamber1", "smoke", SMOKE_THERE)])
        watch.guard.stimulated = True
        watch.say((channel, value))
        assert watch.guard.cause is None
        watch.energy.begin("psb output")
        assert watch.energy.forbidden
        assert len(watch.taken) == 1
        assert watch.guard.tripped.result().kind is EndKind.SAMPLE_EVENT
        assert watch.guard.later is None

    in_virtual_time(scene())
