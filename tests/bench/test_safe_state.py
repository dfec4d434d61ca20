"""The safe state is attempted on every device, in order, within its deadlines, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from bench.energy import Energy
from bench.safe_state import SafeResult, SafeState, outlast
from drivers import Quality, Reading, RecordError, WireClosed
from tests.bench.benchtop import (
    Events,
    SmallChamber,
    SmallCycler,
    SmallInputs,
    SmallSwitches,
    World,
    cancel,
    in_virtual_time,
)

FEEDBACK = "io1.di0.on"


class Bench:
    """Everything energised, then made safe."""

    def __init__(self, **fire: Any) -> None:
        self.world, self.energy, self.events = World(), Energy(), Events()
        self.world.output = self.world.contactor = True
        self.cycler = SmallCycler("psb", self.world)
        self.switches = SmallSwitches("io1", self.world)
        self.chamber = SmallChamber("ch1", self.world)
        self.inputs = SmallInputs("th1", self.world)
        self.safe = SafeState(
            (self.inputs, self.chamber, self.switches, self.cycler),
            feedbacks=(FEEDBACK,),
            energy=self.energy,
            event=self.events.event,
            **fire,
        )

    def make(self, **how: Any) -> SafeResult:
        async def scene() -> SafeResult:
            return await self.safe.begin("a test", **how)

        return in_virtual_time(scene())


def test_cycler_first_then_contactor_and_all_confirmed() -> None:
    bench = Bench()
    result = bench.make()
    assert result.confirmed
    assert result.isolated
    assert not bench.world.output
    assert not bench.world.contactor
    acts = bench.world.acts
    assert acts.index("psb safe") < acts.index("io1 safe")
    assert {"ch1 safe", "th1 safe"} <= set(acts)
    assert bench.energy.forbidden
    assert bench.events.kinds == ["safe_state_begun", "safe_state"]


def test_fire_reaches_the_chamber() -> None:
    bench = Bench()
    bench.make(fire=True)
    assert "ch1 safe after fire" in bench.world.acts


def _smokes(readings: Sequence[Reading]) -> bool:
    return any(reading.channel == "io1.di3.on" and reading.value == 0.0 for reading in readings)


def test_smoke_that_is_seen_only_once_the_safe_state_has_begun_still_switches_the_chamber_off() -> None:
    bench = Bench(detectors=("io1",), burns=_smokes)

    async def scene() -> SafeResult:
        task = bench.safe.begin("a test")
        await asyncio.sleep(0.0015)  # the cycler's own exchange: the safe state is under way
        bench.world.inputs["di3"] = 0.0
        return await task

    result = in_virtual_time(scene())
    assert result.confirmed
    acts = [act for act in bench.world.acts if act.startswith("ch1")]
    assert acts == ["ch1 safe", "ch1 safe after fire"]
    assert bench.events.of("safe_state")["fire"] is True
    assert [part.device for part in result.parts].count("ch1") == 1


@pytest.mark.parametrize("how", ["fail", "hang"])
def test_a_detector_that_does_not_answer_does_not_hold_up_the_safe_state(how: str) -> None:
    bench = Bench(detectors=("th1",), burns=_smokes)
    if how == "fail":
        bench.inputs.fail = WireClosed("th1", "reading", "the far end is gone")
    else:
        bench.inputs.hang = True
    result = bench.make()
    assert [part.device for part in result.failures] == ["th1"]
    assert "ch1 safe after fire" not in bench.world.acts
    assert result.took_s <= 7.1  # 6 s for the rest, 1 s for the last look


@pytest.mark.parametrize("broken", ["cycler", "switches", "chamber", "inputs"])
@pytest.mark.parametrize("how", ["fail", "hang", "crash"])
def test_one_that_fails_hangs_or_crashes_never_skips_the_others(broken: str, how: str) -> None:
    bench = Bench()
    device = getattr(bench, broken)
    if how == "fail":
        device.fail = WireClosed(device.name, "making safe", "the far end is gone")
    elif how == "hang":
        device.hang = True
    else:

        async def crash(**_: object) -> None:
            raise ZeroDivisionError("a slip in a driver")

        device.make_safe = crash
    result = bench.make()
    assert not result.confirmed
    named = {"cycler": "psb", "switches": "io1", "chamber": "ch1", "inputs": "th1"}
    assert named[broken] in {part.device for part in result.failures}
    safe = {act.split()[0] for act in bench.world.acts if "safe" in act}
    assert safe == set(named.values()) - {named[broken]}
    assert "safe_state_failed" in bench.events.kinds
    # 2 s for a cycler, 2 + 2 s for a module and its feedback, 6 s for the rest
    assert result.took_s <= 6.1


@pytest.mark.fault("H1", "H4")
def test_a_cycler_that_is_gone_is_isolated_by_the_contactor() -> None:
    bench = Bench()
    bench.cycler.hang = True
    result = bench.make()
    assert result.isolated
    assert not bench.world.contactor
    assert bench.events.of("safe_state")["confirmed"] is False


def test_the_contactor_waits_for_a_hung_cycler_no_longer_than_a_stop_may_take() -> None:
    bench = Bench()
    bench.cycler.hang = True
    result = bench.make()
    opened_s = bench.world.times_s[bench.world.acts.index("io1 safe")]
    assert opened_s == pytest.approx(0.15 + 0.001)  # its start, and its one exchange of a millisecond
    assert result.isolated
    assert bench.events.of("safe_state_escalated") == {"device": "io1", "not_confirmed": ["psb"]}


def test_cyclers_are_made_safe_beside_each_other_and_the_contactor_after_the_slower_one() -> None:
    world, events = World(), Events()
    quick, slow = SmallCycler("psb", world), SmallCycler("psb2", world)
    reach = slow.reach

    async def late(act: str) -> None:
        await asyncio.sleep(0.1)
        await reach(act)

    slow.reach = late  # type: ignore[method-assign]  # the test's own slow device
    switches = SmallSwitches("io1", world)
    safe = SafeState((switches, slow, quick), feedbacks=(FEEDBACK,), energy=Energy(), event=events.event)

    async def scene() -> SafeResult:
        return await safe.begin("a test")

    assert in_virtual_time(scene()).confirmed
    at_s = dict(zip(world.acts, world.times_s, strict=True))
    assert at_s["psb safe"] == pytest.approx(0.001)
    assert at_s["psb2 safe"] == pytest.approx(0.101)
    assert at_s["io1 safe"] == pytest.approx(0.102)
    assert "safe_state_escalated" not in events.kinds


def test_a_bench_without_anything_to_switch_is_safe_at_once() -> None:
    async def scene() -> SafeResult:
        return await SafeState((), feedbacks=(), energy=Energy(), event=Events().event).begin("a test")

    result = in_virtual_time(scene())
    assert result.confirmed
    assert not result.isolated


def test_a_contactor_that_stays_closed_is_reported_loudly() -> None:
    bench = Bench()
    bench.world.contactor_stuck = True
    result = bench.make()
    assert not result.isolated
    (failure,) = result.failures
    assert "NOT PROVEN OPEN" in (failure.error or "")
    assert "by hand" in (failure.error or "")


def test_a_contactor_that_closes_by_itself_while_the_chamber_is_slow_is_reported() -> None:
    bench = Bench()

    async def slow(*, fire: bool = False) -> None:
        await asyncio.sleep(1.0)
        assert not bench.world.contactor  # long open, and proven so
        bench.world.contactor = True

    bench.chamber.make_safe = slow  # type: ignore[method-assign]  # the test's own slow chamber
    result = bench.make()
    assert not result.isolated
    assert not result.confirmed
    assert "CLOSED AGAIN" in str(bench.events.of("safe_state_failed")["error"])


def test_a_slow_contactor_is_waited_for() -> None:
    bench = Bench()
    bench.world.contactor_stuck = True

    async def scene() -> SafeResult:
        task = bench.safe.begin("a test")
        await asyncio.sleep(0.8)
        bench.world.contactor_stuck = None
        return await task

    assert in_virtual_time(scene()).isolated


def test_a_feedback_that_is_no_good_reading_proves_nothing() -> None:
    bench = Bench()

    async def bad() -> tuple[Reading, ...]:
        await asyncio.sleep(0.001)
        return (Reading(FEEDBACK, 0.0, 0.0, 0.0, Quality.IMPLAUSIBLE),)

    bench.switches.read = bad  # type: ignore[method-assign]  # the test's own feedback
    assert not bench.make().isolated


@pytest.mark.fault("F24")
def test_a_lost_stop_is_sent_again() -> None:
    bench = Bench()
    bench.cycler.fail = WireClosed("psb", "making safe", "the far end is gone")

    async def scene() -> SafeResult:
        task = bench.safe.begin("a test")
        await asyncio.sleep(0.15)
        bench.cycler.fail = None
        return await task

    result = in_virtual_time(scene())
    assert result.confirmed
    assert bench.world.acts.count("psb safe") == 1


def test_it_happens_once_and_whoever_waits_for_it_outlasts_being_cancelled() -> None:
    bench = Bench()
    bench.cycler.hang = True
    finished: list[float] = []

    async def person() -> None:
        cancelled = await outlast(bench.safe.begin("a person"))
        finished.append(asyncio.get_running_loop().time())
        assert cancelled

    async def scene() -> SafeResult:
        waiting = asyncio.create_task(person())
        await asyncio.sleep(0.1)
        for _ in range(5):  # a person who keeps pressing Ctrl-C
            waiting.cancel()
            await asyncio.sleep(0.1)
        assert not waiting.done()
        assert bench.safe.begin("another reason") is bench.safe.begin("a third")
        result = await bench.safe.begin("again")
        await waiting
        await cancel(waiting)
        return result

    result = in_virtual_time(scene())
    assert result.why == "a person"
    assert finished[0] >= 2.0
    assert bench.world.acts.count("io1 safe") == 1


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    bench = Bench()
    bench.events.failed = RecordError("no space left", "events.jsonl", "free some")
    assert bench.make().confirmed


def test_what_was_away_is_made_safe_once_it_answers_and_its_result_stands() -> None:
    """An instrument that answers again after 7 s is off at the try 10 s after the first safe state: one every 5 s."""
    bench = Bench()

    async def scene() -> tuple[SafeResult, SafeResult, float]:
        loop = asyncio.get_running_loop()
        bench.cycler.fail = WireClosed("psb", "making safe", "the far end is gone")
        first = await bench.safe.begin("a test")
        trying, since_s = loop.create_task(bench.safe.keep_trying()), loop.time()
        await asyncio.sleep(7.0)
        bench.cycler.fail = None
        await trying
        return first, await bench.safe.begin("the end"), loop.time() - since_s

    first, last, took_s = in_virtual_time(scene())
    assert [part.device for part in first.failures] == ["psb"]
    assert last.confirmed
    assert not bench.world.output
    assert 10.0 <= took_s < 11.0
    assert [fields["device"] for kind, fields in bench.events.all if kind == "safe_state_late"] == ["psb"]


def test_a_feedback_that_answers_late_proves_the_contactor_open() -> None:
    bench = Bench()

    async def scene() -> tuple[SafeResult, SafeResult]:
        bench.world.contactor_stuck = True
        first = await bench.safe.begin("a test")
        trying = asyncio.get_running_loop().create_task(bench.safe.keep_trying())
        await asyncio.sleep(12.0)
        assert not trying.done()
        bench.world.contactor_stuck = None
        await trying
        return first, await bench.safe.begin("the end")

    first, last = in_virtual_time(scene())
    assert (first.isolated, last.isolated) == (False, True)
    assert last.confirmed
