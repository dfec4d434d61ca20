"""What the guard does never hangs on the disk: it acts first, then writes, then tells of what could not be kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bench.binding.shapes import GuardLimit
from bench.cause import Cause, EndKind
from bench.energy import Energy
from bench.guard import Guard
from bench.rules.shapes import Detector
from bench.stream import Stream
from drivers import Reading, RecordError
from tests.bench.benchtop import in_virtual_time

AMPS, T, DOOR, SMOKE = "psb.out.current_a", "th1.ai0.temperature_c", "io1.di1.on", "io1.di3.on"
WARM = GuardLimit("sample.temperature", T, None, 56.0, "sample", hard=True, tier="warn")
HOT = GuardLimit("sample.temperature", T, None, 61.0, "sample", hard=True)
DOOR_SHUT = GuardLimit("interlock.door_closed", DOOR, 0.5, None, "interlock", hard=True)
NO_SMOKE = Detector("chamber2", "smoke_clear", SMOKE)
FULL = RecordError("no space left", "events.jsonl", "free some")


class Watch:
    """A guard whose disk is full from the first event on: ``did`` is everything in its order."""

    def __init__(self, *limits: GuardLimit) -> None:
        self.stream, self.energy = Stream(), Energy()
        self.did: list[str] = []
        self.tries = 0
        self.guard = Guard(
            channels={"psb": (AMPS,), "th1": (T,), "io1": (DOOR, SMOKE)},
            period_s=lambda _: 1.0,
            lost=lambda _: None,
            stream=self.stream,
            energy=self.energy,
            event=self._event,
            take_energy_away=self._take,
            warned=lambda _: self.did.append("told"),
            heat_off=lambda _: self.did.append("heat off"),
        )
        self.guard.hold_to(limits, rules=[NO_SMOKE])

    def _event(self, kind: str, /, **_: Any) -> None:
        """As the run's log: it raises once, later calls do nothing."""
        self.did.append(kind)
        self.tries += 1
        if self.tries == 1:
            raise FULL

    def _take(self, why: str, *, fire: bool, stop_motion: bool) -> None:
        self.did.append("energy away" + (", tool stopped" if stop_motion else ""))

    def say(self, *pairs: tuple[str, float]) -> None:
        now_s = asyncio.get_running_loop().time()
        self.stream.publish(tuple(Reading(channel, value, now_s, 0.0) for channel, value in pairs))


@pytest.mark.fault("F67", "F68")
def test_a_warning_that_cannot_be_kept_holds_up_neither_the_person_nor_the_trip_behind_it() -> None:
    """Both stand in one batch: the warm surface first, the open door after it."""

    async def scene() -> None:
        watch = Watch(WARM, DOOR_SHUT)
        with pytest.raises(RecordError):
            watch.say((T, 57.0), (DOOR, 0.0))
        assert watch.did == ["told", "energy away, tool stopped", "warning", "trip"]
        assert watch.energy.forbidden
        assert watch.guard.tripped.result().rule == "interlock.door_closed"

    in_virtual_time(scene())


@pytest.mark.fault("F67", "F68")
def test_in_the_stimulus_energy_goes_although_the_event_before_it_cannot_be_kept() -> None:
    async def scene() -> None:
        watch = Watch(HOT)
        watch.guard.stimulated = True
        watch.energy.begin("psb.out")
        with pytest.raises(RecordError):
            watch.say((T, 62.0))
        assert watch.did == ["energy away", "sample_event", "trip"]
        assert watch.guard.tripped.result() == Cause(EndKind.SAMPLE_EVENT, "sample.temperature", "th1", 62.0, 61.0)

    in_virtual_time(scene())


@pytest.mark.fault("F67", "H8")
def test_in_a_pause_of_the_stimulus_smoke_puts_the_heat_out_although_nothing_can_be_kept() -> None:
    async def scene() -> None:
        watch = Watch()
        watch.guard.stimulated = True
        with pytest.raises(RecordError):
            watch.say((SMOKE, 0.0))
        assert watch.did == ["heat off", "sample_event"]

    in_virtual_time(scene())


@pytest.mark.fault("F67", "H10")
def test_after_a_trip_a_door_stops_the_tool_although_nothing_can_be_kept() -> None:
    async def scene() -> None:
        watch = Watch(HOT, DOOR_SHUT)
        watch.guard.stimulated = True
        watch.energy.begin("psb.out")
        with pytest.raises(RecordError):
            watch.say((T, 62.0), (DOOR, 0.0))
        assert watch.did[:2] == ["energy away", "energy away, tool stopped"]
        assert watch.guard.later == Cause(EndKind.INTERLOCK, "interlock.door_closed", "io1", 0.0, 0.5)

    in_virtual_time(scene())


@pytest.mark.fault("F67")
def test_what_a_new_pulse_calls_for_raises_nothing_where_energy_is_asked_for() -> None:
    """The step that begins the pulse is cancelled by the trip; that the disk is full is told with the next reading."""

    async def scene() -> None:
        watch = Watch(HOT)
        watch.guard.stimulated = True
        watch.tries = 1  # the disk fills up only now
        watch.say((T, 62.0))
        watch.tries = 0
        watch.energy.begin("psb.out")
        assert watch.did == ["sample_event", "energy away", "trip"]
        with pytest.raises(RecordError):
            watch.say((AMPS, 1.0))
        watch.say((AMPS, 1.0))

    in_virtual_time(scene())


@pytest.mark.fault("F67", "F68")
@pytest.mark.parametrize("how", ["deviation", "host", "silence"])
def test_every_other_way_in_acts_first_and_then_tells_of_the_disk(how: str) -> None:
    async def scene() -> None:
        watch = Watch()

        async def found() -> None:
            if how == "deviation":
                watch.guard.deviates("psb", "current limit 3 A, set 2 A")
            elif how == "host":
                watch.guard.distrust_host(Cause(EndKind.HOST, "suspended", value=30.0, limit=2.0))
            else:
                await watch.guard.run()

        with pytest.raises(RecordError):
            await found()
        assert watch.did == ["energy away", "trip"]
        assert watch.guard.tripped.done()

    in_virtual_time(scene())
