"""What a record proves of a run that died, where its hardware may be found, and who may start it again."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sequences
from bench.config import load_bench, load_cell
from bench.plan import Plan, bind
from bench.record import Event, Record, Rows
from bench.resume_auto import authorise
from bench.resume_checks import compared, refused, scanned, voltage_band
from bench.resumption import Resumption, gathered, read_back
from bench.shipped import examples
from drivers import ConfigError
from drivers.capabilities import Identity
from drivers.reading import Quality, Reading
from tests.scenarios.test_resume import CYCLES

CYCLING = sequences.parse(CYCLES.replace("\nREPEAT", "").replace("\nCHARGE", "").replace("\nDISCHARGE", ""), "cycles")
STARTED: dict[str, Any] = {"step_kind": "charge", "phase": "conditioning"}


def record_of(
    *happened: tuple[str, dict[str, Any]], rows: list[tuple[float, int, float, float]] | None = None
) -> Record:
    """Events a second apart from 100 s on, and rows of (time, step, V, A)."""
    events = [
        Event(at, 100.0 + at, 1e9 + at, kind, data)
        for at, (kind, data) in enumerate((("header", {"run_id": "0001-x", "mode": "live"}), *happened))
    ]
    rows = rows or []
    columns: dict[str, list[float | None]] = {
        "mono_s": [row[0] for row in rows],
        "utc_s": [1e9 - 100.0 + row[0] for row in rows],
        "step": [row[1] for row in rows],
        "v": [row[2] for row in rows],
        "a": [row[3] for row in rows],
    }
    return Record(Path("x"), tuple(events), Rows(columns, {"voltage": "v", "current": "a"}))


def started(step: int, path: str, kind: str = "charge") -> tuple[str, dict[str, Any]]:
    return "step_started", {**STARTED, "step": step, "path": path, "step_kind": kind}


def ended(step: int, path: str, **results: float) -> tuple[str, dict[str, Any]]:
    return "step_ended", {"step": step, "path": path, "results": results, "why": "x"}


def test_between_two_steps_it_goes_on_behind_the_one_that_ended() -> None:
    found = read_back(record_of(started(1, "1/1/1"), ended(1, "1/1/1", in_ah=0.5)), CYCLING)
    assert (found.path, found.how, found.index) == ((1, 1, 1), "next", 1)
    assert found.results == (("in_ah", 0.5, True),)


def test_results_come_back_in_the_order_of_the_walk_and_a_missing_one_stays_missing() -> None:
    kept = record_of(
        started(1, "1/1/1"), ended(1, "1/1/1", in_ah=0.5),
        started(2, "1/1/2", "discharge"), ended(2, "1/1/2"),
        started(3, "1/2/1"), ended(3, "1/2/1", in_ah=0.6),
        started(4, "1/2/2", "discharge"),
    )  # fmt: skip
    found = read_back(kept, CYCLING)
    assert found.results == (("in_ah", 0.5, True), ("out_ah", None, True), ("in_ah", 0.6, True))
    assert (found.path, found.how) == ((1, 2, 2), "resume")
    values = gathered(kept, CYCLING)
    assert values["result.in_ah"] == (0.5, 0.6)
    out = values["result.out_ah"]
    assert isinstance(out, tuple)
    assert math.isnan(out[0])


def test_what_may_have_flowed_unseen_is_bounded_by_the_last_current() -> None:
    rule = ("log_rule", {"step": 1, "path": "1/1/1", "rule": {"every_s": 10.0}})
    kept = record_of(started(1, "1/1/1"), rule, ("output_on", {}), rows=[(103.5, 1, 3.7, 36.0)])
    # 36 A for 10 s of logging interval, 1 s of rows in memory and 5 s until the watchdog: 576 As
    assert read_back(kept, CYCLING).unseen_ah == pytest.approx(0.16)


@pytest.mark.parametrize(
    ("happened", "why"),
    [
        (("contact", {"what": "x"}), "the stimulus has reached the sample"),
        (("transferred", {"from": "a", "to": "b"}), "carried to another place"),
        (("ending", {"cause": "interlock", "rule": "door"}), "had ended"),
        (("step_started", {**STARTED, "step": 1, "path": "1", "phase": "stimulus"}), "stimulus had begun"),
    ],
)
def test_what_is_never_resumed(happened: tuple[str, dict[str, Any]], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        read_back(record_of(happened), CYCLING)


def test_a_run_in_virtual_time_has_no_plant_any_more() -> None:
    kept = record_of()
    header = replace(kept.events[0], data={**kept.events[0].data, "virtual_time": True})
    with pytest.raises(ConfigError, match="plant is gone"):
        read_back(replace(kept, events=(header,)), CYCLING)


def base(**changes: Any) -> Resumption:
    return replace(read_back(record_of(), CYCLING), **changes)


@pytest.mark.parametrize(
    ("current_a", "gap_h", "band_v"),
    [
        # 20 mV and 2 mV an hour either way; three times the onset of 50 mV away from the current
        (10.0, 0.0, (3.7 - 0.02 - 0.15, 3.7 + 0.02)),
        (-10.0, 0.0, (3.7 - 0.02, 3.7 + 0.02 + 0.15)),
        (-10.0, 10.0, (3.7 - 0.04, 3.7 + 0.04 + 0.15)),
        (0.0, 0.0, (3.7 - 0.02 - 0.05, 3.7 + 0.02 + 0.05)),
        (0.0, 1000.0, (3.7 - 0.1 - 0.05, 3.7 + 0.1 + 0.05)),
    ],
)
def test_where_a_sample_may_be_found(current_a: float, gap_h: float, band_v: tuple[float, float]) -> None:
    found = base(instants={"current": current_a}, onset_v=0.05, gap_s=3600.0 * gap_h)
    assert voltage_band(found, 3.7) == pytest.approx(band_v)


PLAN = bind(
    CYCLING,
    load_bench(examples() / "benches" / "demo.toml"),
    load_cell(examples() / "cells" / "nmc-21700.toml"),
    mode="simulated",
)
PSB = Identity("EA", "PSB", "1", "2.0")


def heard(plan: Plan, *, volts: float = 3.7, surface_c: float = 25.0, closed: float = 0.0) -> dict[str, Reading]:
    channel = plan.channel
    values = {channel.cell_voltage: volts, channel.ambient or "": 25.0, **dict.fromkeys(channel.surface, surface_c)}
    values |= dict.fromkeys(plan.feedbacks, closed)
    return {name: Reading(name, value, 0.0, 0.0, Quality.GOOD) for name, value in values.items()}


FOUND = base(
    instants={"current": 0.0, "cell_voltage": 3.7, "temperature": 25.0},
    identities={"psb": {"maker": "EA", "model": "PSB", "serial": "1", "firmware": "2.0"}},
    gap_s=60.0,
    onset_v=0.02,
)


def no(found: Resumption, readings: dict[str, Reading], psb: Identity = PSB) -> list[str]:
    checks = compared(PLAN, found, readings, {"psb": psb}, longest_gap_s=3600.0)
    return [check.name for check in checks if not check.ok]


def test_hardware_that_is_as_it_was_left_passes() -> None:
    assert no(FOUND, heard(PLAN)) == []
    assert refused(compared(PLAN, FOUND, heard(PLAN), {"psb": PSB}, longest_gap_s=3600.0)) is None


@pytest.mark.fault("F40", "H13")
def test_each_difference_is_named_and_all_at_once() -> None:
    other = Identity("EA", "PSB", "2", "2.0")
    assert no(FOUND, heard(PLAN), other) == ["device psb"]
    assert no(FOUND, heard(PLAN, volts=3.8)) == ["voltage"]
    assert no(FOUND, heard(PLAN, surface_c=28.5)) == ["temperature"]
    assert no(FOUND, heard(PLAN, surface_c=math.nan)) == ["temperature"]
    assert no(FOUND, heard(PLAN, closed=1.0)) == [f"contactor {name}" for name in PLAN.feedbacks]
    assert no(replace(FOUND, gap_s=3601.0), heard(PLAN)) == ["gap"]
    assert no(replace(FOUND, gap_s=-5.0), heard(PLAN)) == ["gap"], "the wall clock went back"
    silent = {name: reading for name, reading in heard(PLAN).items() if name != PLAN.channel.cell_voltage}
    assert no(FOUND, silent) == ["voltage"]
    checks = compared(PLAN, FOUND, heard(PLAN, volts=3.8, surface_c=40.0), {"psb": other}, longest_gap_s=3600.0)
    error = refused((*checks, scanned("S-1", "S-2")))
    assert error is not None
    assert len(error.faults) == 4


def willing(folder: Path, **leave: Any) -> Plan:
    """A plan whose bench allows resuming, and a permit with these fields changed (None: no such file)."""
    path = folder / "resume" / "demo.permit.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"schema": "cellbench/resume-permit/1", "bench": "demo", "by": "Sun", "until": "2026-01-31", **leave}
    path.write_text(json.dumps(given))
    path.chmod(0o644)
    resume = PLAN.bench.resume.model_copy(update={"auto": True, "at_most": 2})
    return replace(PLAN, bench=PLAN.bench.model_copy(update={"resume": resume}))


SAID = base(policy="resume", path=(1, 1, 1))
NOW_S = 1767600000.0  # 2026-01-05


def test_leave_counts_starts_within_a_day(tmp_path: Path) -> None:
    plan = willing(tmp_path)
    assert [authorise(plan, SAID, tmp_path, utc_s=NOW_S + at).today for at in (0.0, 60.0)] == [1, 2]
    with pytest.raises(ConfigError, match="2 times within a day, at most 2"):
        authorise(plan, SAID, tmp_path, utc_s=NOW_S + 120.0)
    assert authorise(plan, SAID, tmp_path, utc_s=NOW_S + 86401.0).today == 2, "the first is a day old"


@pytest.mark.parametrize(
    ("leave", "why"),
    [
        ({"until": "2026-01-04"}, "ended on 2026-01-04"),
        ({"bench": "other"}, "not for this bench"),
        ({"by": " "}, "names nobody"),
        ({"schema": "cellbench/resume-permit/2"}, "not for this bench"),
        ({"until": "soon"}, "cannot be read"),
    ],
)
def test_a_permit_that_does_not_hold_gives_no_leave(tmp_path: Path, leave: dict[str, str], why: str) -> None:
    plan = willing(tmp_path, **leave)
    with pytest.raises(ConfigError, match=why):
        authorise(plan, SAID, tmp_path, utc_s=NOW_S)
    assert not (tmp_path / "resume" / "demo.history.jsonl").exists(), "nothing was started"


def test_a_permit_that_anyone_may_write_gives_no_leave(tmp_path: Path) -> None:
    plan = willing(tmp_path)
    (tmp_path / "resume" / "demo.permit.json").chmod(0o666)
    with pytest.raises(ConfigError, match="others than its owner"):
        authorise(plan, SAID, tmp_path, utc_s=NOW_S)


def test_a_history_that_cannot_be_read_counts_as_full(tmp_path: Path) -> None:
    plan = willing(tmp_path)
    (tmp_path / "resume" / "demo.history.jsonl").write_text("{torn")
    with pytest.raises(ConfigError, match="how often"):
        authorise(plan, SAID, tmp_path, utc_s=NOW_S)


@pytest.mark.parametrize("kind", ["trip", "stop"])
def test_a_run_that_died_between_its_trip_and_its_end_is_not_resumed(kind: str) -> None:
    happened = (started(1, "1/1/1"), (kind, {"cause": "sample_event", "rule": "sample.temperature"}))
    with pytest.raises(ConfigError) as refusal:
        read_back(record_of(*happened), CYCLING)
    assert "sample.temperature" in refusal.value.faults[0].error
