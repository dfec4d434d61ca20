"""What takes energy away waits for no disk, is insisted on, and is not undone; what is watched stays watched."""

from __future__ import annotations

import asyncio
import typing
from typing import Any

import pytest

from bench.aftermath import Aftermath
from bench.binding.shapes import GuardLimit
from bench.energy import Energy
from bench.guard import Guard
from bench.safe_state import SafeState, after_frames
from bench.stream import Stage, Stream
from bench.zone_heat import ZoneHeat
from drivers import Reading, RecordError, WireClosed
from drivers.capabilities import Rig
from drivers.clock import real_elapsed_s
from tests.bench.benchtop import Events, SmallChamber, SmallCycler, SmallDevice, World, in_virtual_time

SURFACE = "th1.ai0.temperature_c"
NO_DISK = RecordError("the disk failed", "the record", "replace it")


class _Rig(SmallDevice):
    """Only stops; whatever else a rig can do is not asked of it here."""

    stops = 0
    refuses = False

    async def make_safe(self, *, fire: bool = False) -> None:
        pass

    async def stop(self) -> None:
        self.stops += 1
        if self.refuses:
            raise WireClosed(self.name, "stopping", "the far end is gone")


for _name in typing._get_protocol_attrs(Rig):  # type: ignore[attr-defined]
    if not hasattr(_Rig, _name):
        setattr(_Rig, _name, lambda _self: None)


@pytest.mark.fault("F67", "F25")
@pytest.mark.parametrize("who", ["the guard", "a person"])
def test_a_disk_that_takes_half_a_second_does_not_hold_up_the_stop(who: str) -> None:
    """In real time, with a sync that blocks: the cycler hears its stop before the first of them."""
    kept_s: list[float] = []
    heard_s: list[float] = []

    class Cycler(SmallCycler):
        async def make_safe(self, *, fire: bool = False) -> None:
            heard_s.append(real_elapsed_s())
            await super().make_safe(fire=fire)

    def slow(kind: str, /, **_: Any) -> None:
        until_s = real_elapsed_s() + 0.05
        while real_elapsed_s() < until_s:  # as a sync does, nothing else of the loop goes on
            pass
        kept_s.append(real_elapsed_s())

    async def scene() -> None:
        energy, stream = Energy(), Stream()
        safe = SafeState((Cycler("psb", World()),), feedbacks=(), energy=energy, event=slow)
        guard = Guard(
            channels={"th1": (SURFACE,)},
            period_s=lambda _: 1.0,
            lost=lambda _: None,
            stream=stream,
            energy=energy,
            event=slow,
            take_energy_away=safe.begin,
            soon=after_frames,
        )
        guard.hold_to([GuardLimit("sample.temperature", SURFACE, None, 61.0, "sample", hard=True)])
        if who == "the guard":
            stream.publish((Reading(SURFACE, 70.0, asyncio.get_running_loop().time(), 0.0),))
        await safe.begin("person: stop")
        guard.close()

    asyncio.run(scene())
    assert heard_s[0] < kept_s[0] - 0.049
    assert len(kept_s) == (3 if who == "the guard" else 2)


@pytest.mark.fault("F45", "H8")
def test_a_chamber_that_a_fire_switched_off_is_not_started_again_by_a_later_try() -> None:
    world, events = World(), Events()
    chamber = SmallChamber("ch1", world)

    async def scene() -> None:
        safe = SafeState((chamber,), feedbacks=(), energy=Energy(), event=events.event)
        chamber.fail = WireClosed("ch1", "making safe", "the far end is gone")
        assert not (await safe.begin("a trip")).confirmed
        trying = asyncio.get_running_loop().create_task(safe.keep_trying())
        chamber.fail = None
        safe.burnt()
        heat = ZoneHeat([chamber], events.event, lambda _: None)
        heat.off("smoke")
        await heat.ended()
        await trying

    in_virtual_time(scene())
    assert set(world.acts) == {"ch1 safe after fire"}


def test_the_heat_of_a_zone_is_put_out_three_times_if_need_be_and_whatever_the_driver_raises_is_said() -> None:
    told: list[str] = []
    events = Events()

    class Chamber(SmallChamber):
        tries = 0

        async def make_safe(self, *, fire: bool = False) -> None:
            self.tries += 1
            raise ZeroDivisionError("a slip in a driver")

    chamber = Chamber("ch1", World())

    async def scene() -> None:
        heat = ZoneHeat([chamber], events.event, lambda message: told.append(message.text))
        heat.off("smoke")
        await heat.ended()

    in_virtual_time(scene())
    assert chamber.tries == 3
    assert "NOT PROVEN OFF" in told[-1]
    assert events.of("heat_off_failed")["device"] == "ch1"


@pytest.mark.fault("F48", "H10")
def test_a_stop_of_what_moves_that_failed_is_insisted_on_after_everything_else_was_proven() -> None:
    rig = _Rig("rig", World())
    assert isinstance(rig, Rig)
    made: list[bool] = []

    async def scene() -> bool:
        safe = SafeState((rig,), feedbacks=(), energy=Energy(), event=Events().event)
        trying: list[asyncio.Task[None]] = []

        def insist(result: Any) -> None:
            made.append(result.confirmed)
            if not trying or trying[-1].done():
                trying.append(asyncio.get_running_loop().create_task(safe.keep_trying()))

        safe.on_made = insist
        await safe.begin("sample event")
        await asyncio.sleep(1.0)
        rig.refuses = True
        await safe.begin("person: stop", stop_motion=True)
        rig.refuses = False
        await asyncio.sleep(6.0)
        await asyncio.gather(*trying)
        return (await safe.begin("the end")).confirmed

    assert in_virtual_time(scene())
    assert made == [True, False]
    assert rig.stops == 4  # three tries at once, one five seconds later


@pytest.mark.fault("F67", "F68")
def test_a_subscriber_that_fails_keeps_the_batch_from_nobody() -> None:
    stream, heard = Stream(), []

    def fails(_: Any) -> None:
        raise NO_DISK

    stream.subscribe(Stage.GUARD, fails)
    stream.subscribe(Stage.LIVE, lambda _: heard.append("live"))
    stream.subscribe(Stage.RECORDER, lambda _: heard.append("recorder"))
    with pytest.raises(RecordError):
        stream.publish((Reading(SURFACE, 25.0, 0.0, 0.0),))
    assert heard == ["live", "recorder"]


@pytest.mark.fault("F67", "F68")
def test_contact_that_cannot_be_kept_is_acted_on_all_the_same() -> None:
    told: list[str] = []
    stream = Stream()

    def fails(_kind: str, /, **_: Any) -> None:
        raise NO_DISK

    async def scene() -> float:
        channel: Any = type("Channel", (), {"surface": (SURFACE,), "detectors": {}})()
        after = Aftermath(
            stream,
            notebook=typing.cast("Any", None),
            place=lambda: channel,
            event=fails,
            on_begin=lambda: told.append("begun"),
            on_end=lambda: None,
        )
        with pytest.raises(RecordError):
            after.begin("contact of the nail")
        stream.publish((Reading(SURFACE, 737.0, asyncio.get_running_loop().time(), 0.0),))
        return after.peak.temperature_c

    assert in_virtual_time(scene()) == 737.0
    assert told == ["begun"]
