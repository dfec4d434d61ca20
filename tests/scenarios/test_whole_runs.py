"""Whole certification runs, judged by arithmetic and by the plant's own book-keeping."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bench.results import RunResult, VerifyStatus
from bench.verify import verify
from tests.scenarios.runs import SHORT, order, run

pytestmark = pytest.mark.scenario


def columns(bundle: str) -> tuple[list[float], list[float]]:
    """Test time and current of the stored rows."""
    table = list(csv.reader(next(Path(bundle).glob("*.bdf.csv")).read_text().splitlines()))
    at_t, at_i = table[0].index("Test Time / s"), table[0].index("Current / A")
    rows = [row for row in table[1:] if row[at_i]]
    return [float(row[at_t]) for row in rows], [float(row[at_i]) for row in rows]


def discharges_ah(bundle: str) -> list[float]:
    """The charge of every unbroken discharge, by trapezoids over the stored rows."""
    times, currents = columns(bundle)
    found, flowing = [], 0.0
    for (t0, i0), (t1, i1) in pairwise(zip(times, currents, strict=True)):
        mean = (i0 + i1) / 2
        if mean < -1e-3:
            flowing -= mean * (t1 - t0) / 3600
        elif flowing:
            found.append(flowing)
            flowing = 0.0
    return [ah for ah in found if ah > 0.05]


def value(result: RunResult, name: str) -> float:
    return result.results[name].value


def truth(result: RunResult, name: str) -> float:
    assert result.plant_truth is not None
    return result.plant_truth[name].value


def test_the_first_generation_holds_300_wh_kg_at_i3(tmp_path: Path) -> None:
    result, watched = run(order(tmp_path, sequence="gbt31486-2024/room-capacity", cell="solid-state-gen1"))
    assert (result.verdict, result.exit_code) == ("pass", 0)
    assert value(result, "energy_density_wh_kg") == pytest.approx(300.0, rel=0.01)
    assert 60.6 <= value(result, "capacity_ah") <= 63.0  # presets hold 101 to 105 % of rated
    assert value(result, "capacity_ah") == pytest.approx(truth(result, "capacity_ah"), rel=2e-3)
    assert value(result, "energy_wh") == pytest.approx(truth(result, "energy_wh"), rel=2e-3)
    last_three = sorted(discharges_ah(result.bundle))[-3:]
    assert sum(last_three) / 3 == pytest.approx(value(result, "capacity_ah"), rel=1e-3)
    assert {row.kind for row in result.criteria} == {"requirement", "condition"}
    assert verify(Path(result.bundle)).status is VerifyStatus.INTACT
    assert watched.bench is not None
    assert watched.bench.forced_jumps() == 0
    assert watched.made_safe()


def test_the_2015_edition_runs_at_1_i1_and_gives_less(tmp_path: Path) -> None:
    result, _ = run(order(tmp_path, sequence="gbt31486-2015/room-capacity", cell="solid-state-gen1"))
    assert value(result, "energy_density_wh_kg") < 300.0
    assert value(result, "capacity_ah") == pytest.approx(truth(result, "capacity_ah"), rel=2e-3)


def test_a_cell_with_nine_tenths_of_its_charge_fails(tmp_path: Path) -> None:
    asked = order(
        tmp_path, sequence="gbt31486-2024/room-capacity", cell="solid-state-gen1", edits={"capacity_factor": "0.9"}
    )
    result, _ = run(asked)
    assert (result.verdict, result.exit_code) == ("fail", 1)
    assert [row.id for row in result.criteria if row.verdict == "fail"] == ["capacity"]
    assert result.ended_by.kind == "completed"


def test_a_gain_error_shifts_the_result_and_not_the_plant(tmp_path: Path) -> None:
    right, _ = run(order(tmp_path))
    wrong, _ = run(order(tmp_path, edits={"current_gain_error": "0.002"}))
    assert value(right, "capacity_ah") / truth(right, "capacity_ah") == pytest.approx(1.0, abs=5e-4)
    assert value(wrong, "capacity_ah") / truth(wrong, "capacity_ah") == pytest.approx(1.002, abs=5e-4)


def test_what_was_measured_is_never_called_truth(tmp_path: Path) -> None:
    sequence = tmp_path / "ocv.yaml"
    looks = "  - measure:\n      id: look\n      duration: 10 s\n      results: {ocv: voltage}\n"
    looks += "results:\n  ocv_v: result.ocv\n"
    sequence.write_text(SHORT.read_text().replace("results:\n  capacity_ah", f"{looks}  capacity_ah"))
    result, _ = run(order(tmp_path, sequence=sequence))
    assert value(result, "ocv_v") == pytest.approx(3.6, abs=0.1)
    assert result.plant_truth is not None
    assert "ocv_v" not in result.plant_truth
    assert truth(result, "capacity_ah") == pytest.approx(2.5 / 6, rel=5e-3)  # 2.5 A for 10 min, to a second


def recorded(bundle: str) -> tuple[list[str], list[object]]:
    """Rows and events of a run, with what the wall clock and the counter of runs put in left out."""
    folder = Path(bundle)
    rows = next(folder.glob("*.bdf.csv")).read_text().splitlines()
    lines = (folder / "events.jsonl").read_text().splitlines()
    events = [{key: of for key, of in json.loads(line).items() if key not in ("prev", "hash")} for line in lines]
    for event in events:
        event["data"].pop("run_id", None)
        event["data"].pop("wall_s", None)
    return rows, list(events)


def test_the_same_seed_gives_the_same_readings_and_another_seed_other_noise(tmp_path: Path) -> None:
    first, again, other = (recorded(run(replace(order(tmp_path), seed=seed))[0].bundle) for seed in (1, 1, 2))
    assert first[0] == again[0]
    assert first[1] == again[1]
    assert first[0] != other[0]


def test_a_visa_wire_carries_a_whole_run(tmp_path: Path) -> None:
    from bench.shipped import examples

    bench = tmp_path / "bench.toml"
    text = (examples() / "benches" / "demo.toml").read_text()
    bench.write_text(text.replace("tcp://192.168.10.20:5025", "visa://TCPIP0::192.168.10.20::5025::SOCKET"))
    result, watched = run(order(tmp_path, bench=bench))
    assert result.verdict == "pass"
    assert watched.made_safe()
