"""The latch as a file: it outlives everything but a named person's acknowledgement, and is never lost by a slip."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from bench.latch import Acknowledged, Latch, LatchedLimit, Latches, acknowledgeable, devices_of, still_there
from drivers import BenchHeld, ConfigError, RecordError

DOOR = LatchedLimit(rule="interlock.door_closed", channel="io1.di1.on", low=0.5)
OPEN = LatchedLimit(rule="contactor open", channel="io1.di0.on", high=0.5)
BAND = LatchedLimit(rule="sample.temperature", channel="th1.ai0.temperature_c", low=-10.0, high=60.0)
LATCH = Latch(
    bench="demo", run_id="0001-x", bundle="runs/0001-x", utc_s=1.7e9, kind="interlock", rule="interlock.door_closed",
    device="io1", value=0.0, limit=0.5, safe=True, devices=("io1", "th1"), limits=(DOOR, OPEN, BAND),
)  # fmt: skip
OTHER = LATCH.model_copy(update={"run_id": "0002-x", "rule": "sample.voltage"})


def test_a_bench_that_is_latched_keeps_its_first_cause(tmp_path: Path) -> None:
    latches = Latches(tmp_path)
    assert latches.of("demo") is None
    latches.refuse("demo")
    latches.put(LATCH)
    latches.put(OTHER)
    assert Latches(tmp_path).of("demo") == LATCH
    with pytest.raises(BenchHeld, match="door_closed") as held:
        latches.refuse("demo")
    assert "cellbench ack" in held.value.faults[0].fix
    latches.refuse("another")


@pytest.mark.fault("F76")
@pytest.mark.parametrize("content", ["", '{"schema": "cellbench/latch/1"', "[]", '{"schema": "cellbench/latch/9"}'])
def test_a_latch_that_cannot_be_read_holds_the_bench(tmp_path: Path, content: str) -> None:
    latches = Latches(tmp_path)
    latches.put(LATCH)
    latches.path("demo").write_text(content)
    for ask in (latches.of, latches.refuse):
        with pytest.raises(RecordError, match="cannot be read"):
            ask("demo")


@pytest.mark.fault("F67")
def test_a_disk_that_takes_no_latch_and_no_acknowledgement_is_told(tmp_path: Path) -> None:
    """A file lies where the folder should be; the latch that is there stays there."""
    (tmp_path / "full").write_text("")
    with pytest.raises(RecordError, match="cannot be latched"):
        Latches(tmp_path / "full").put(LATCH)
    latches = Latches(tmp_path)
    latches.put(LATCH)
    latches.history("demo").mkdir()
    with pytest.raises(RecordError, match="cannot be kept"):
        latches.release(Acknowledged(latch=LATCH, by="Wang", utc_s=1.7e9 + 60.0, seen={}))
    assert latches.of("demo") == LATCH
    assert latches.acknowledged_s("demo", "0001-x") == -math.inf


@pytest.mark.fault("F55")
def test_what_was_acknowledged_is_kept_with_who_and_what_the_hardware_said(tmp_path: Path) -> None:
    latches = Latches(tmp_path)
    for latch in (LATCH, OTHER):
        latches.put(latch)
        latches.release(Acknowledged(latch=latch, by="Wang", note="switch", utc_s=1.7e9, seen={"io1.di1.on": 1.0}))
    assert latches.of("demo") is None
    kept = [json.loads(line) for line in latches.history("demo").read_text().splitlines()]
    assert [(it["latch"]["run_id"], it["by"], it["seen"]) for it in kept] == [
        ("0001-x", "Wang", {"io1.di1.on": 1.0}),
        ("0002-x", "Wang", {"io1.di1.on": 1.0}),
    ]
    assert latches.acknowledged_s("demo", "0001-x") == LATCH.utc_s
    assert latches.acknowledged_s("demo", "0003-x") == -math.inf


WELL = {"io1.di1.on": 1.0, "io1.di0.on": 0.0, "th1.ai0.temperature_c": 25.0}


@pytest.mark.fault("F58")
@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (WELL, []),
        ({**WELL, "io1.di1.on": 0.0}, ["interlock.door_closed is still there: 0, wanted at least 0.5"]),
        ({**WELL, "io1.di0.on": 1.0}, ["contactor open is still there: 1, wanted at most 0.5"]),
        (
            {**WELL, "th1.ai0.temperature_c": 60.5},
            ["sample.temperature is still there: 60.5, wanted at least -10 and at most 60"],
        ),
        ({**WELL, "th1.ai0.temperature_c": 60.0}, []),
        ({**WELL, "th1.ai0.temperature_c": None}, ["sample.temperature: no good reading"]),
        ({}, [f"{limit.rule}: no good reading" for limit in LATCH.limits]),
    ],
)
def test_it_is_acknowledged_only_once_every_limit_holds_by_a_good_reading(
    seen: dict[str, float | None], said: list[str]
) -> None:
    assert [fault.error for fault in still_there(LATCH, seen)] == said


@pytest.mark.parametrize(
    ("latch", "by", "wrong"), [(LATCH, " ", ["--by"]), (None, "Wang", ["--bench"]), (None, "", ["--by", "--bench"])]
)
def test_nobody_acknowledges_without_a_name_or_what_is_not_latched(
    latch: Latch | None, by: str, wrong: list[str]
) -> None:
    with pytest.raises(ConfigError) as refused:
        acknowledgeable(latch, "demo", by)
    assert [fault.where for fault in refused.value.faults] == wrong
    assert acknowledgeable(LATCH, "demo", "Wang") is LATCH


def test_the_devices_behind_it_are_each_named_once() -> None:
    assert devices_of(LATCH.limits, ["psb", "io1"]) == ("io1", "th1", "psb")


def test_its_line_says_what_happened_and_whether_the_bench_was_proven_safe() -> None:
    assert LATCH.text() == ("interlock: interlock.door_closed (0, limit 0.5) on io1, 2023-11-14T22:13:20+00:00, 0001-x")
    bare = Latch(
        bench="demo", run_id="0001-x", bundle="x", utc_s=1.7e9, kind="host", safe=False, unsafe=("io1: it is welded",)
    )
    assert bare.text() == (
        "host: no rule on the bench, 2023-11-14T22:13:20+00:00, 0001-x; SAFE STATE NOT CONFIRMED: io1: it is welded"
    )
