"""The rig's own rows beside the run's: the same numbers as were read, on the run's clock; and roles that move."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from bench import bdf, parquet, record, stroke_table
from bench.log import RunLog
from bench.recorder import LogRuleSI, Recorder
from bench.verify import verify
from drivers.errors import RecordError
from drivers.reading import Reading
from tests.bench.synthetic_nail import (
    BEGUN_S,
    CARRIED_S,
    CHANNELS,
    CONTACT_MM,
    CONTACT_S,
    OFFSET_WITHIN_S,
    PEAK_C,
    SPEED_MM_S,
    UTC_OFFSET_S,
    burst_rows,
    record_nail,
    sealed_nail,
    surface_c,
)
from tests.bench.synthetic_run import Time


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed_nail(tmp_path_factory.mktemp("runs") / "run")


def test_every_row_of_the_buffer_stands_in_both_files(sealed: Path) -> None:
    head, *rows = csv.reader((sealed / "stroke-1.csv").read_text().splitlines())
    assert head == ["test_time_s", "utc_s", "position_mm", "force_n", "voltage_v"]
    wanted = burst_rows()
    assert len(rows) == len(wanted) == 301
    for row, (mono_s, *values) in zip(rows, wanted, strict=True):
        assert mono_s is not None
        assert float(row[0]) == pytest.approx(mono_s - BEGUN_S, abs=1e-6)
        assert float(row[1]) == pytest.approx(mono_s + UTC_OFFSET_S, abs=1e-6)
        assert [None if cell == "" else float(cell) for cell in row[2:]] == values
    columns, about = parquet.read(sealed / "stroke-1.parquet")
    assert list(columns) == head
    assert [list(it) for it in zip(*columns.values(), strict=True)] == [
        [None if cell == "" else float(cell) for cell in row] for row in rows
    ]
    assert about == {"stroke": "1", "offset_within_s": repr(OFFSET_WITHIN_S)}


def test_contact_lies_where_the_run_says_that_it_was(sealed: Path) -> None:
    rows = csv.DictReader((sealed / "stroke-1.csv").read_text().splitlines())
    first = next(row for row in rows if float(row["position_mm"]) >= CONTACT_MM)
    assert float(first["test_time_s"]) == pytest.approx(CONTACT_S - BEGUN_S, abs=1.5 / (SPEED_MM_S * 100))


def test_a_part_that_was_never_logged_is_said_and_the_rest_is_kept(tmp_path: Path) -> None:
    log = record_nail(tmp_path / "run")
    columns = ["mono_s", "position_mm", "force_n", "voltage_v"]
    log.event("burst", stroke=2, part=1, parts=3, offset_within_s=0.01, columns=columns, rows=[[990.0, 1.0, 2.0, None]])
    log.close()
    first, second = stroke_table.strokes(record.load(tmp_path / "run"))
    assert (first.whole, len(first)) == (True, 301)
    assert (second.number, second.whole, len(second)) == (2, False, 1)
    assert second.columns["voltage_v"] == [None]


def test_of_a_buffer_that_was_read_twice_the_last_reading_counts(tmp_path: Path) -> None:
    log = record_nail(tmp_path / "run")
    columns = ["mono_s", "position_mm", "force_n", "voltage_v"]
    log.event("burst", stroke=1, part=1, parts=1, offset_within_s=0.01, columns=columns, rows=[[990.0, 1.0, 2.0, 3.0]])
    log.close()
    (only,) = stroke_table.strokes(record.load(tmp_path / "run"))
    assert (len(only), only.whole) == (1, True)


def test_the_roles_follow_the_sample_to_its_new_place(sealed: Path) -> None:
    rows = record.load(sealed).rows
    surface, ambient, volts = rows.role("surface_1"), rows.role("ambient"), rows.role("cell_voltage")
    for at, mono_s in enumerate(rows.mono_s):
        there = mono_s >= CARRIED_S
        assert surface[at] == (surface_c(mono_s - CONTACT_S) if there else 25.0)
        assert ambient[at] == (23.0 if there else 24.0)
        assert volts[at] == pytest.approx(4.2 if mono_s < CONTACT_S else 1.0, abs=0.01) or mono_s == CONTACT_S
    assert max(value for value in surface if value is not None) == PEAK_C


def test_the_bdf_file_shows_the_sample_wherever_it_was(sealed: Path) -> None:
    table = bdf.columns(record.load(sealed))
    assert max(value for value in table["Surface Temperature T1 / degC"] if value is not None) == PEAK_C
    (carried,) = json.loads(bdf.metadata_text(record.load(sealed)))["carried"]
    assert carried["test_time_s"] == CARRIED_S - BEGUN_S
    assert carried["channels"]["surface_1"] == "th1.ai4.temperature_c"


def test_the_heat_of_the_other_place_is_stored_though_no_role_there_moved_at_first(tmp_path: Path) -> None:
    time = Time(0.0)
    log = RunLog.create(tmp_path / "run", time.clock, durable=False, header={"run_id": "1", "mode": "simulated"})
    recorder = Recorder(log, CHANNELS)
    recorder.begin_step(1, "1", LogRuleSI(1000.0, temperature_c=1.0))
    for second in range(21):
        time.now_s = float(second)
        hot_c = 25.0 + 0.5 * second
        recorder.deliver(
            tuple(
                Reading(name, value, time.now_s, time.now_s)
                for name, value in (
                    ("th1.ai0.temperature_c", 25.0),
                    ("th1.ai4.temperature_c", hot_c),
                    ("psb.out.voltage_v", 0.0),
                    ("psb.out.current_a", 0.0),
                )
            )
        )
    recorder.finish()
    log.close()
    stored = list(record.load(tmp_path / "run").rows.mono_s)
    assert stored == [float(second) for second in range(0, 21, 2)], "one row a kelvin"


@pytest.mark.parametrize(
    "plan", ["[]", "{", '{"places": {}}', '{"places": {"rig1": {"channel": {"surface": 7}}}}', "null"]
)
def test_a_plan_that_is_damaged_is_named_and_nothing_falls_over(sealed: Path, tmp_path: Path, plan: str) -> None:
    run = Path(shutil.copytree(sealed, tmp_path / "run"))
    (run / "plan.json").write_text(plan)
    table = next(run.glob("*.bdf.csv"))
    table.write_text(table.read_text() + "1\n")
    assert {"plan.json", table.name} <= {problem.file for problem in verify(run).problems}
    with pytest.raises(RecordError, match="cannot be read"):
        record.load(run)
