"""The guard's rules in whole runs: a simulated instrument lies, and the plant says whether energy went in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from bench.results import RunResult
from bench.shipped import examples
from bench.simulated import SimulatedBench
from tests.scenarios.runs import Watched, order, run

pytestmark = pytest.mark.scenario

NAIL = Path(__file__).parent / "nail.yaml"


def at(seconds: float, what: Callable[[SimulatedBench], object]) -> Callable[[SimulatedBench], None]:
    def arrange(bench: SimulatedBench) -> None:
        asyncio.get_running_loop().call_later(seconds, what, bench)

    return arrange


def events(result: RunResult, kind: str) -> list[dict[str, object]]:
    lines = (Path(result.bundle) / "events.jsonl").read_bytes().splitlines()
    return [event["data"] for event in map(orjson.loads, lines) if event["kind"] == kind]


def with_guard(folder: Path, table: str) -> Path:
    path = folder / "bench.toml"
    path.write_text((examples() / "benches" / "demo.toml").read_text().replace("[limits]", f"{table}\n\n[limits]", 1))
    return path


def tripped(result: RunResult, watched: Watched, rule: str) -> None:
    assert (result.exit_code, result.ended_by.rule) == (3, rule)
    assert result.verdict == "aborted"
    assert watched.made_safe()


@pytest.mark.fault("F35")
def test_a_sense_input_that_drifts_away_from_the_terminal_trips(tmp_path: Path) -> None:
    def drift(bench: SimulatedBench) -> None:
        bench.scene.personality("v1").distort("ai0", lambda value: value - 0.2)

    result, watched = run(order(tmp_path), arrange=at(200.0, drift))
    tripped(result, watched, "cross_check.voltage")
    # two comparisons of an input that is read every 5 s, and the terminal's reading after the second
    assert 200.0 < result.test_s < 200.0 + 10.0 + 2.0 + 70.0


@pytest.mark.fault("F32")
def test_a_surface_sensor_that_repeats_itself_while_the_others_move_alarms_then_trips(tmp_path: Path) -> None:
    def freeze(bench: SimulatedBench) -> None:
        bench.scene.personality("th1").force("ai0", 25.0)

        def warm(by_k: float) -> Callable[[float], float]:
            return lambda value: value + by_k

        for second in range(0, 400, 10):
            for point in ("ai1", "ai2"):
                asyncio.get_running_loop().call_later(
                    second, bench.scene.personality("th1").distort, point, warm(0.01 * second)
                )

    result, watched = run(order(tmp_path), arrange=at(60.0, freeze))
    tripped(result, watched, "stuck")
    assert [fields["rule"] for fields in events(result, "warning")] == ["stuck"]


@pytest.mark.fault("H6")
def test_a_surface_that_warms_too_fast_trips_before_it_is_hot(tmp_path: Path) -> None:
    def warm(bench: SimulatedBench) -> None:
        begun_s = asyncio.get_running_loop().time()
        bench.scene.personality("th1").distort(
            "ai1", lambda value: value + 1.5 * (asyncio.get_running_loop().time() - begun_s)
        )

    result, watched = run(order(tmp_path), arrange=at(200.0, warm))
    tripped(result, watched, "sample.temperature_rate")
    (trip,) = events(result, "trip")
    readings = trip["readings"]
    assert isinstance(readings, dict)
    assert readings["th1.ai1.temperature_c"] < 40.0  # 25 degC and at most 6 s of 1.5 K/s


def test_a_warning_is_told_and_a_stop_ends_the_run_by_the_way_out(tmp_path: Path) -> None:
    table = '[guard.limits."sample.temperature"]\nwarn = "30 K"\nstop = "20 K"\nhysteresis = "1 K"'

    def warm(bench: SimulatedBench) -> None:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        bench.scene.personality("th1").distort("ai1", lambda value: value + 0.2 * (loop.time() - begun_s))

    result, watched = run(order(tmp_path, bench=with_guard(tmp_path, table)), arrange=at(60.0, warm))
    tripped(result, watched, "sample.temperature (stop)")
    assert [fields["limit"] for fields in events(result, "warning")] == [31.0]  # 61 degC less 30 K
    assert [fields["limit"] for fields in events(result, "stop")] == [41.0]
    assert events(result, "trip") == []


@pytest.mark.fault("H8", "F45")
def test_smoke_in_the_enclosure_ends_the_run_while_the_sample_is_in_the_chamber_of_its_zone(tmp_path: Path) -> None:
    """The nail's run reads the enclosure's detectors while its cell still rests next door."""
    sequence = tmp_path / "rested.yaml"
    sequence.write_text(NAIL.read_text().replace("steps:\n", "steps:\n  - rest: {duration: 10 min}\n", 1))

    def smoke(bench: SimulatedBench) -> None:
        bench.scene.plant.set_input("rig1", "smoke", 0.0)

    result, watched = run(order(tmp_path, sequence=sequence, cell="nmc-25ah"), arrange=at(120.0, smoke))
    tripped(result, watched, "zone.rig1.smoke")
    assert [fields["fire"] for fields in events(result, "safe_state_begun")] == [True]
