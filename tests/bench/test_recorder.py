"""Which readings become rows, and that straight lines between them integrate to what flowed."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import bdf, record
from bench.log import RunLog
from bench.recorder import LogRuleSI, RecordedChannels, Recorder
from drivers.reading import Quality, Reading
from tests.bench.synthetic_run import CHANNELS, CHARGE_AH, Time, record_run

SMALL = RecordedChannels(voltage="p.out.voltage_v", current="p.out.current_a", surfaces=("t.ai0.temperature_c",))
HEADER = {"run_id": "1", "mode": "simulated"}


class Kept:
    """Collects rows where the log would write them."""

    def __init__(self, folder: Path) -> None:
        self.rows: list[list[float]] = []
        self.log = RunLog.create(folder, Time().clock, durable=False, header=HEADER)
        self.log.row = lambda values: self.rows.append(list(values))  # type: ignore[method-assign]
        self.recorder = Recorder(self.log, SMALL)

    def cycler(self, t: float, volts: float, amps: float, quality: Quality = Quality.GOOD) -> None:
        self.recorder.deliver(
            (Reading("p.out.voltage_v", volts, t, t, quality), Reading("p.out.current_a", amps, t, t, quality))
        )

    def surface(self, t: float, celsius: float, quality: Quality = Quality.GOOD) -> None:
        self.recorder.deliver((Reading("t.ai0.temperature_c", celsius, t, t, quality),))

    def events(self, kind: str) -> list[Any]:
        lines = (self.log.folder / "events.jsonl").read_text().splitlines()
        return [it["data"] for it in map(json.loads, lines) if it["kind"] == kind]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    yield made
    made.log.abandon()


def test_a_row_at_the_latest_after_the_time_of_the_rule(kept: Kept) -> None:
    kept.recorder.begin_step(1, "1", LogRuleSI(every_s=10.0))
    for t in range(31):
        kept.cycler(float(t), 3.7, 1.0)
    assert [row[0] for row in kept.rows] == [0.0, 10.0, 20.0, 30.0]
    assert kept.recorder.take_longest_interval_s() == 10.0


def test_a_row_when_a_quantity_moved_by_its_step(kept: Kept) -> None:
    kept.recorder.begin_step(1, "1", LogRuleSI(every_s=1000.0, voltage_v=0.01))
    for t in range(100):
        kept.cycler(float(t), 3.7 + t * 0.001, 1.0)
    assert [row[0] for row in kept.rows][:4] == pytest.approx([0.0, 10.0, 20.0, 30.0], abs=1.0)


def test_a_temperature_alone_moves_a_row(kept: Kept) -> None:
    kept.recorder.begin_step(1, "1", LogRuleSI(every_s=1000.0, temperature_c=1.0))
    kept.surface(0.0, 25.0)
    kept.cycler(0.0, 3.7, 1.0)
    kept.surface(1.0, 25.9)
    kept.cycler(1.0, 3.7, 1.0)
    kept.surface(2.0, 26.1)
    kept.cycler(2.0, 3.7, 1.0)
    assert [row[0] for row in kept.rows] == [0.0, 2.0]


def test_before_a_jump_the_row_just_before_it_is_stored(kept: Kept) -> None:
    kept.recorder.begin_step(1, "1", LogRuleSI(every_s=1000.0, current_a=1.0))
    for t in range(100):
        kept.cycler(float(t), 3.7, 0.0 if t < 50 else -20.0)
    assert [row[0] for row in kept.rows] == [0.0, 49.0, 50.0]


def test_a_slow_change_does_not_double_the_rows(kept: Kept) -> None:
    kept.recorder.begin_step(1, "1", LogRuleSI(every_s=1e6, current_a=1.0))
    for t in range(1000):
        kept.cycler(float(t), 3.7, -t * 0.01)
    assert len(kept.rows) == 10


def test_a_step_begins_and_ends_with_rows_of_its_own(kept: Kept) -> None:
    kept.recorder.begin_step(1, "1", LogRuleSI(every_s=100.0))
    for t in range(15):
        kept.cycler(float(t), 3.7, 1.0)
    kept.recorder.begin_step(2, "2", LogRuleSI(every_s=100.0))
    for t in range(15, 25):
        kept.cycler(float(t), 3.6, 0.0)
    kept.recorder.finish()
    assert [(row[0], row[2]) for row in kept.rows] == [(0.0, 1), (14.0, 1), (15.0, 2), (24.0, 2)]


def test_the_longest_interval_is_taken_step_by_step(kept: Kept) -> None:
    kept.recorder.begin_step(1, "1", LogRuleSI(every_s=10.0))
    for t in range(0, 21, 5):
        kept.cycler(float(t), 3.7, 1.0)
    assert kept.recorder.take_longest_interval_s() == 10.0
    kept.recorder.begin_step(2, "2", LogRuleSI(every_s=5.0))
    for t in range(25, 51, 5):
        kept.cycler(float(t), 3.7, 1.0)
    assert kept.recorder.take_longest_interval_s() == 5.0


def test_a_bad_value_is_no_number_and_its_turning_bad_is_an_event(kept: Kept) -> None:
    kept.recorder.begin_step(1, "1", LogRuleSI(every_s=1.0))
    kept.surface(0.0, 25.0)
    kept.cycler(0.0, 3.7, 1.0)
    kept.surface(1.0, math.nan, Quality.OPEN)
    kept.cycler(1.0, 3.7, 1.0)
    kept.surface(2.0, math.nan, Quality.OPEN)
    kept.surface(3.0, 25.0)
    kept.cycler(3.0, 3.7, 1.0)
    assert [row[-1] for row in kept.rows] == pytest.approx([25.0, math.nan, 25.0], nan_ok=True)
    assert [(it["was"], it["now"]) for it in kept.events("quality")] == [("good", "open"), ("open", "good")]


def test_an_old_value_does_not_stand_beside_a_new_one(kept: Kept) -> None:
    kept.recorder.begin_step(1, "1", LogRuleSI(every_s=20.0))
    kept.surface(0.0, 25.0)
    for t in range(0, 61, 20):
        kept.cycler(float(t), 3.7, 1.0)
    assert [row[-1] for row in kept.rows] == pytest.approx([25.0, 25.0, math.nan, math.nan], nan_ok=True)


def test_without_a_cycler_the_other_channels_are_recorded_still(kept: Kept) -> None:
    kept.recorder.begin_step(1, "1", LogRuleSI(every_s=1.0))
    kept.cycler(0.0, 3.7, 1.0)
    for t in range(1, 10):
        kept.surface(float(t), 25.0 + t)
    later = [row for row in kept.rows if row[0] > 5.0]
    assert [row[-1] for row in later] == [31.0, 32.0, 33.0, 34.0]
    assert all(math.isnan(row[3]) and math.isnan(row[4]) for row in later)


@given(
    levels=st.lists(st.tuples(st.floats(-120.0, 120.0), st.integers(2, 400)), min_size=1, max_size=6),
    every_s=st.floats(5.0, 300.0),
)
def test_rows_integrate_to_the_charge_that_flowed(
    tmp_path_factory: pytest.TempPathFactory, levels: list[tuple[float, int]], every_s: float
) -> None:
    """Currents that step: trapezoids of the rows against trapezoids of every reading."""
    kept = Kept(tmp_path_factory.mktemp("run"))
    kept.recorder.begin_step(1, "1", LogRuleSI(every_s=every_s, current_a=0.5))
    t, every = 0.0, []
    for amps, count in levels:
        for _ in range(count):
            kept.cycler(t, 3.7, amps)
            every.append((t, amps))
            t += 1.0
    kept.recorder.finish()
    kept.log.abandon()
    rows = [(row[0], row[4]) for row in kept.rows]

    def charge(points: list[tuple[float, float]]) -> float:
        return sum((b[1] + a[1]) / 2 * (b[0] - a[0]) for a, b in itertools.pairwise(points))

    missed = sum(0.5 * abs(b[0] - a[0]) for a, b in itertools.pairwise(levels) if abs(b[0] - a[0]) < 0.5)
    assert charge(rows) == pytest.approx(charge(every), abs=1e-6 + missed * max(every_s, 1.0))


def test_a_recorded_run_holds_the_charge_of_its_cell(tmp_path: Path) -> None:
    record_run(tmp_path, turns=1).close()
    table = bdf.columns(record.load(tmp_path))
    assert table["Discharging Capacity / Ah"][-1] == pytest.approx(0.95 * CHARGE_AH, rel=1e-9)
    assert table["Charging Capacity / Ah"][-1] == pytest.approx(0.95 * CHARGE_AH, rel=1e-9)


def test_the_columns_stand_in_a_fixed_order_and_say_what_they_mean() -> None:
    assert CHANNELS.names == (
        "psb.out.voltage_v",
        "psb.out.current_a",
        "th1.ai0.temperature_c",
        "th1.ai1.temperature_c",
        "th1.ai3.temperature_c",
        "v1.ai0.voltage_v",
    )
    assert CHANNELS.roles["surface_2"] == "th1.ai1.temperature_c"
