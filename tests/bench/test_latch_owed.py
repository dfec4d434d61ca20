"""A trip whose program died before it was latched: what the record calls for, put once, by whoever meets the run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from bench.cause import Cause, EndKind
from bench.latch import Acknowledged, Latch, Latches, latching
from bench.latch_owed import owed, owed_by, put_owed
from bench.log import RunLog
from bench.open_runs import OpenRun
from bench.safe_state import MadeSafe, SafeResult
from drivers import BenchHeld, Clock, RecordError
from tests.bench.small_bench import ONE_CYCLE, plan_of

pytestmark = pytest.mark.fault("F64", "H13")

UTC_S = 1.7e9
HEADER = {"run_id": "0007-x", "mode": "live", "bench": "demo"}
DOOR = {"cause": "interlock", "rule": "interlock.door_closed", "device": "io1", "value": 0.0, "limit": 0.5}
COLLAPSE = {"cause": "sample_event", "rule": "sample.voltage", "device": "psb", "value": 0.1, "limit": 2.44}
HEAT = {"cause": "bench_limit", "rule": "bench.place_temperature", "device": "th1", "value": 90.0, "limit": 80.0}
SMOKE = {"cause": "sample_event", "rule": "interlock.smoke_clear", "device": "io1", "value": 0.0, "limit": 0.5}


def safe_state(*, confirmed: bool) -> tuple[str, dict[str, Any]]:
    part = {"device": "io1", "what": "contactor open by feedback", "confirmed": confirmed, "error": None}
    return "safe_state", {"confirmed": confirmed, "isolated": confirmed, "took_s": 0.5, "parts": [part]}


def died(folder: Path, *happened: tuple[str, dict[str, Any]], **header: Any) -> Path:
    """The bundle of a run that was killed after these events."""
    log = RunLog.create(folder, Clock(lambda: 0.0, lambda: UTC_S), durable=False, header={**HEADER, **header})
    for kind, data in happened:
        log.event(kind, **data)
    log.abandon()
    (folder / "plan.json").write_text(json.dumps(plan_of(ONE_CYCLE).document()))
    return folder


@pytest.mark.parametrize(
    ("happened", "rule"),
    [
        ([("trip", DOOR)], "interlock.door_closed"),
        ([("trip", DOOR), safe_state(confirmed=True)], "interlock.door_closed"),
        ([("stop", {**COLLAPSE, "rule": "sample.temperature"})], "sample.temperature (stop)"),
        ([("stop", COLLAPSE), ("trip", DOOR)], "sample.voltage (stop)"),
        # a trip in conditioning is by a sample's limit, too; nothing was noted before it
        ([("trip", COLLAPSE), safe_state(confirmed=True)], "sample.voltage"),
        # from the stimulus on: the bench's own, or a fire; the sample's, where the bench was not proven safe
        ([("bench_event", DOOR)], "interlock.door_closed"),
        ([("sample_event", SMOKE)], "interlock.smoke_clear"),
        ([("sample_event", COLLAPSE), ("trip", COLLAPSE)], "sample.voltage"),
        ([("sample_event", COLLAPSE), ("trip", COLLAPSE), safe_state(confirmed=False)], "sample.voltage"),
        (
            [("sample_event", COLLAPSE), ("trip", COLLAPSE), safe_state(confirmed=True), ("bench_event", DOOR)],
            "interlock.door_closed",
        ),
        (
            [("sample_event", COLLAPSE), ("trip", COLLAPSE), safe_state(confirmed=True), ("sample_event", SMOKE)],
            "interlock.smoke_clear",
        ),
        # whatever it was begun for
        ([safe_state(confirmed=False)], "safe state: contactor open by feedback"),
    ],
)
def test_what_a_living_program_latches_a_dead_one_owes(
    tmp_path: Path, happened: list[tuple[str, dict[str, Any]]], rule: str
) -> None:
    latch = owed(died(tmp_path / "run", *happened))
    assert latch is not None
    assert (latch.rule, latch.bench, latch.run_id, latch.utc_s) == (rule, "demo", "0007-x", UTC_S)


@pytest.mark.parametrize(
    "happened",
    [
        [],
        [("ending", {"cause": "person", "rule": "stop"}), safe_state(confirmed=True)],
        [("trip", DOOR), safe_state(confirmed=True), ("latched", {"cause": "interlock"})],
        [("sample_event", COLLAPSE), ("trip", COLLAPSE), safe_state(confirmed=True)],
        [("sample_event", COLLAPSE)],
        [("warning", {"rule": "sample.temperature"})],
    ],
    ids=["no trip", "a person's stop", "latched already", "what the test was for", "noted only", "a warning"],
)
def test_what_a_living_program_does_not_latch_is_not_owed(
    tmp_path: Path, happened: list[tuple[str, dict[str, Any]]]
) -> None:
    assert owed(died(tmp_path / "run", *happened)) is None


def test_a_run_in_virtual_time_owes_nothing(tmp_path: Path) -> None:
    assert owed(died(tmp_path / "run", ("trip", DOOR), virtual_time=True)) is None


def test_it_asks_for_the_hardware_that_a_latch_in_time_would_have_asked_for(tmp_path: Path) -> None:
    """Every interlock of the demonstration bench and its contactor's feedback, read through their devices' points."""
    latch = owed(died(tmp_path / "run", ("trip", DOOR)))
    assert latch is not None
    wanted = {"io1.di0.on", "io1.di1.on", "io1.di2.on", "io1.di3.on", "io1.di4.on"}
    assert {limit.channel for limit in latch.limits} == wanted
    assert latch.devices == ("io1",)
    assert {"di0", "di1", "di2", "di3", "di4"} <= set(latch.points["io1"])
    assert not latch.safe
    assert "died before the safe state was confirmed" in latch.text()


@pytest.mark.parametrize("plan", [None, "{spoilt", "[]"])
def test_without_its_plan_it_still_asks_for_a_person(tmp_path: Path, plan: str | None) -> None:
    bundle = died(tmp_path / "run", ("trip", DOOR))
    (bundle / "plan.json").unlink()
    if plan is not None:
        (bundle / "plan.json").write_text(plan)
    latch = owed(bundle)
    assert latch is not None
    assert (latch.rule, latch.limits) == ("interlock.door_closed", ())


def test_it_is_put_once_and_never_again_after_a_person_has_acknowledged_it(tmp_path: Path) -> None:
    bundle, latches = died(tmp_path / "run", ("trip", DOOR)), Latches(tmp_path)
    assert put_owed(bundle, latches) is not None
    with pytest.raises(BenchHeld, match="door_closed"):
        latches.refuse("demo")
    latch = latches.of("demo")
    assert latch is not None
    latches.history("demo").write_text('{"torn\n')
    assert latches.acknowledged_s("demo", "0007-x") == -math.inf
    latches.release(Acknowledged(latch=latch, by="Wang", utc_s=UTC_S + 60.0, seen={}))
    assert put_owed(bundle, latches) is None
    latches.refuse("demo")


@pytest.mark.parametrize("in_time", [False, True], ids=["latched by whoever met it", "latched by its program"])
def test_a_trip_after_the_run_was_acknowledged_and_resumed_is_latched_too(tmp_path: Path, *, in_time: bool) -> None:
    """The second program's safe state is unproven, whatever the first one's was."""
    first = [("trip", DOOR), safe_state(confirmed=True), *([("latched", {"cause": "interlock"})] if in_time else [])]
    bundle, latches = died(tmp_path / "run", *first), Latches(tmp_path)
    if in_time:
        latches.put(latched_in_time(bundle))
    else:
        assert put_owed(bundle, latches) is not None
    latch = latches.of("demo")
    assert latch is not None
    latches.release(Acknowledged(latch=latch, by="Wang", utc_s=UTC_S + 60.0, seen={}))
    resumed(bundle, UTC_S + 100.0)
    assert put_owed(bundle, latches) is None
    resumed(bundle, UTC_S + 200.0, ("trip", HEAT))
    put = put_owed(bundle, latches)
    assert put is not None
    assert (put.rule, put.utc_s, put.safe) == ("bench.place_temperature", UTC_S + 200.0, False)
    with pytest.raises(BenchHeld, match="place_temperature"):
        latches.refuse("demo")
    latches.release(Acknowledged(latch=put, by="Wang", utc_s=UTC_S + 260.0, seen={}))
    assert put_owed(bundle, latches) is None


def latched_in_time(bundle: Path) -> Latch:
    """What the first program latched itself."""
    return Latch(
        bench="demo", run_id="0007-x", bundle=str(bundle), utc_s=UTC_S, kind="interlock", rule="door", safe=True
    )


def resumed(folder: Path, utc_s: float, *happened: tuple[str, dict[str, Any]]) -> None:
    """The run taken up again, and killed again after these events."""
    log = RunLog.reopen(folder, Clock(lambda: 0.0, lambda: utc_s), durable=False)
    for kind, data in happened:
        log.event(kind, **data)
    log.abandon()


def test_a_refused_start_says_so_or_why_it_cannot_be_told(tmp_path: Path) -> None:
    tripped = OpenRun("0007-x", "demo", died(tmp_path / "run", ("trip", DOOR)))
    healthy = OpenRun("0008-x", "demo", died(tmp_path / "other", run_id="0008-x"))
    gone = OpenRun("0009-x", "demo", tmp_path / "none")
    said = owed_by((tripped, healthy, gone), tmp_path)
    assert len(said) == 2
    assert "the bench is latched" in said[0].error
    assert "cellbench ack" in said[0].fix
    assert "cannot be read" in said[1].error
    assert Latches(tmp_path).of("demo") is not None


def test_a_record_that_cannot_be_understood_is_told(tmp_path: Path) -> None:
    bundle = died(tmp_path / "run", ("trip", {"cause": "a word of a newer program", "rule": "x"}))
    with pytest.raises(RecordError, match="cannot be read"):
        owed(bundle)


BY_SAMPLE = Cause(EndKind.SAMPLE_EVENT, "sample.voltage", "psb")
BY_DOOR = Cause(EndKind.INTERLOCK, "interlock.door_closed", "io1")
BY_SMOKE = Cause(EndKind.SAMPLE_EVENT, "interlock.smoke_clear", "io1")


@pytest.mark.fault("F54", "F66")
@pytest.mark.parametrize(
    ("cause", "later", "spoke", "wanted"),
    [
        (BY_SAMPLE, None, None, None),
        (BY_SAMPLE, BY_DOOR, None, BY_DOOR),
        (BY_SAMPLE, None, BY_SMOKE, BY_SMOKE),
        (BY_SAMPLE, BY_DOOR, BY_SMOKE, BY_DOOR),
        (BY_SMOKE, BY_DOOR, None, BY_SMOKE),
        (None, None, BY_SMOKE, BY_SMOKE),
        (None, None, None, None),
    ],
)
def test_what_the_sample_did_hides_neither_a_door_nor_a_fire_that_came_after_it(
    cause: Cause | None, later: Cause | None, spoke: Cause | None, wanted: Cause | None
) -> None:
    safe = SafeResult("trip", (MadeSafe("psb", "output off", confirmed=True),), isolated=True, took_s=1.0)
    assert latching(cause, later, spoke, safe, of_test=cause is BY_SAMPLE) is wanted
