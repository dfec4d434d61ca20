"""A run with more rows than a picture needs: the tables stay whole, the pictures keep every peak."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench import bdf, record
from bench.report.step_table import step_capacity, steps_of
from bench.thinning import thinned
from tests.bench.synthetic_run import CHARGE_AH, record_run

MOST = 300


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    record_run(folder, turns=2).close()
    return folder


def test_slices_keep_first_last_lowest_and_highest_of_each_channel() -> None:
    rows = 1000
    part: dict[str, list[float | None]] = {
        "mono_s": [float(at) for at in range(rows)],
        "utc_s": [float(at) for at in range(rows)],
        "step": [1.0 if at < 555 else 2.0 for at in range(rows)],
        "v": [99.0 if at == 123 else None if at == 124 else math.sin(at) for at in range(rows)],
        "i": [-99.0 if at == 777 else 0.0 for at in range(rows)],
    }
    kept = thinned([part], list(part), rows, 60)
    assert len(kept["mono_s"]) <= 60 + 12
    assert {0.0, 123.0, 554.0, 555.0, 777.0, 999.0} <= set(kept["mono_s"])
    times = [t for t in kept["mono_s"] if t is not None]
    assert times == sorted(times)
    assert [v for t, v in zip(kept["mono_s"], kept["v"], strict=True) if t == 123.0] == [99.0]


def test_a_run_with_few_rows_is_held_whole(run: Path) -> None:
    whole = record.load(run)
    assert record.load(run, most_rows=len(whole.rows)).rows == whole.rows
    assert record.load(run, most_rows=len(whole.rows)).row_count == len(whole.rows)


def test_the_tables_of_a_thinned_record_hold_every_row(run: Path) -> None:
    whole, thin = record.load(run), record.load(run, most_rows=MOST)
    assert len(thin.rows) < len(whole.rows) == thin.row_count
    assert bdf.csv_text(thin) == bdf.csv_text(whole)
    assert bdf.columns(thin) == bdf.columns(whole)


def test_the_steps_of_a_thinned_record_moved_the_same_charge(run: Path) -> None:
    whole, thin = record.load(run), record.load(run, most_rows=MOST)
    assert steps_of(thin) == steps_of(whole)
    _, discharging = step_capacity(thin, steps_of(thin))
    assert len(discharging) == len(thin.rows)
    assert max(ah for ah in discharging if ah is not None) == pytest.approx(0.95 * CHARGE_AH, rel=1e-3)


def test_a_part_of_a_thinned_run_is_shown_closer(run: Path) -> None:
    whole, thin = record.load(run), record.load(run, most_rows=MOST)
    from_s, to_s = whole.rows.mono_s[10], whole.rows.mono_s[60]
    assert list(record.between(thin, from_s, to_s).mono_s) == whole.rows.mono_s[10:61]
