"""Each of these ends with a clear message, the right exit code and nothing energised. The plant is the oracle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.results import RunResult, VerifyStatus
from bench.run import prepare
from bench.shipped import examples
from bench.simulated import SimulatedBench
from bench.verify import verify
from drivers import ConfigError, DeviceError
from tests.scenarios.runs import Watched, order, run

pytestmark = pytest.mark.scenario

At = Callable[[SimulatedBench], None]


def said(result: RunResult) -> str:
    return " ".join(f"{fault.where} {fault.error} {fault.fix}" for fault in result.faults)


def at(seconds: float, what: Callable[[SimulatedBench], object]) -> At:
    """Do something to the bench at a virtual time after its start."""

    def arrange(bench: SimulatedBench) -> None:
        asyncio.get_running_loop().call_later(seconds, what, bench)

    return arrange


def refused(result: RunResult, watched: Watched, *, exit_code: int) -> str:
    assert result.exit_code == exit_code
    assert watched.moved_ah() == 0.0
    assert watched.made_safe()
    assert verify(Path(result.bundle)).status is VerifyStatus.INTACT
    return said(result)


@pytest.mark.fault("F37", "H2")
def test_a_reversed_cell_is_refused_before_anything_is_connected(tmp_path: Path) -> None:
    text = refused(*run(order(tmp_path, edits={"reversed": "true"})), exit_code=3)
    assert "revers" in text or "polarity" in text


def test_a_missing_cell_is_refused(tmp_path: Path) -> None:
    text = refused(*run(order(tmp_path, edits={"missing": "true"})), exit_code=3)
    assert "cell" in text


@pytest.mark.fault("F31")
def test_an_open_thermocouple_is_refused(tmp_path: Path) -> None:
    def open_it(bench: SimulatedBench) -> None:
        bench.scene.personality("th1").open_sensor("ai0")

    text = refused(*run(order(tmp_path), arrange=open_it), exit_code=3)
    assert "th1" in text
    assert "ai0" in text


def left_on(bench: SimulatedBench) -> None:
    """As a crashed host leaves it: 5 A into the cell, through the closed contactor."""
    psb, plant = bench.scene.personality("psb"), bench.scene.plant
    bench.scene.personality("io1").outputs[0] = 1
    plant.contactor("1", closed=True)
    for command in ("SYST:LOCK ON", "VOLT 4.1", "POW 100", "CURR 5", "OUTP ON"):
        psb.answer(command.encode(), asyncio.get_running_loop().time())
    assert plant.terminal("1").current_a > 1.0


@pytest.mark.fault("F42")
@pytest.mark.parametrize("missing", ["th1", "ch1"])
def test_a_missing_device_leaves_nothing_on_that_was_found_on(tmp_path: Path, missing: str) -> None:
    """The plant is the oracle: 5 A flowed before we came, and none does after we gave up."""
    kept: list[SimulatedBench] = []

    def leave_on(bench: SimulatedBench) -> None:
        kept.append(bench)
        bench.scene.cut(missing)
        left_on(bench)

    with pytest.raises(DeviceError) as failed:
        run(order(tmp_path), arrange=leave_on)
    faults = failed.value.faults
    assert missing in {fault.where for fault in faults}
    assert {fault.where for fault in faults if fault.error.startswith("found_energised")} == {"psb", "io1"}
    assert all("made safe" in fault.error for fault in faults if fault.error.startswith("found_energised"))
    terminal = kept[0].scene.plant.terminal("1")
    assert terminal.current_a == 0.0
    assert not terminal.closed


def test_a_contactor_that_does_not_open_is_a_device_error(tmp_path: Path) -> None:
    result, watched = run(order(tmp_path), arrange=lambda bench: bench.scene.plant.stick_contactor("1", closed=True))
    assert result.exit_code == 4
    assert watched.moved_ah() == 0.0
    assert "contactor" in said(result)


def test_a_contactor_that_does_not_close_is_a_device_error(tmp_path: Path) -> None:
    result, watched = run(order(tmp_path), arrange=lambda bench: bench.scene.plant.stick_contactor("1", closed=False))
    assert "contactor" in refused(result, watched, exit_code=4)


@pytest.mark.fault("F2", "H4")
@pytest.mark.parametrize("device", ["psb", "io1", "th1"])
def test_a_wire_cut_in_the_middle_of_a_step_ends_in_the_safe_state(tmp_path: Path, device: str) -> None:
    result, watched = run(order(tmp_path), arrange=at(300.0, lambda bench: bench.scene.cut(device)))
    assert result.exit_code == 4
    assert result.verdict == "error"
    assert device in said(result)
    assert watched.bench is not None
    assert watched.bench.scene.plant.terminal("1").current_a == 0.0
    assert verify(Path(result.bundle)).status is VerifyStatus.INTACT


@pytest.mark.fault("F54", "H10")
def test_a_door_that_opens_trips(tmp_path: Path) -> None:
    arrange = at(300.0, lambda bench: bench.scene.plant.set_input("chamber1", "door_closed", 0.0))
    result, watched = run(order(tmp_path), arrange=arrange)
    assert (result.exit_code, result.verdict, result.ended_by.kind) == (3, "aborted", "interlock")
    assert "door_closed" in (result.ended_by.rule or "")
    assert watched.made_safe()


@pytest.mark.fault("F31", "F26")
def test_a_thermocouple_that_opens_under_current_trips_by_staleness(tmp_path: Path) -> None:
    arrange = at(300.0, lambda bench: bench.scene.personality("th1").open_sensor("ai1"))
    result, watched = run(order(tmp_path), arrange=arrange)
    assert (result.exit_code, result.verdict, result.ended_by.kind) == (3, "aborted", "staleness")
    assert watched.made_safe()


@pytest.mark.fault("F29", "F76")
def test_files_at_fault_are_refused_by_code_2_with_every_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        prepare(order(tmp_path, overrides={"current": "2 I1", "curent": "1 I1"}), {})
    assert len(refusal.value.faults) >= 2


def test_a_sequence_looser_than_the_cell_is_refused(tmp_path: Path) -> None:
    sequence = tmp_path / "loose.yaml"
    sequence.write_text(
        (Path(__file__).parent / "short.yaml").read_text().replace("voltage: cell.charge_voltage", "voltage: 4.5 V")
    )
    with pytest.raises(ConfigError) as refusal:
        prepare(order(tmp_path, sequence=sequence), {})
    assert "4.5" in str(refusal.value)


def test_a_bench_limit_tighter_than_the_sequence_is_respected(tmp_path: Path) -> None:
    bench = tmp_path / "bench.toml"
    text = (examples() / "benches" / "demo.toml").read_text()
    bench.write_text(text.replace('current = "170 A"\nplace', 'current = "1 A"\nplace'))
    with pytest.raises(ConfigError) as refusal:
        prepare(order(tmp_path, bench=bench), {})
    assert "1 A" in str(refusal.value)
