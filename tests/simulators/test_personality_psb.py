"""The simulated EA PSB 10000 against the maker's documents and against the plant behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from statistics import mean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.personalities.ea_psb10000 import Psb10000
from simulators.personalities.scpi import ErrorQueue, HeaderTree, ScpiError, number
from simulators.plant.plant import Plant
from simulators.spec import CellSpec
from simulators.virtual_time import VirtualLoop, run_virtual, virtual_loop
from tests.simulators.clients import CELL, psb, scene_of

NO_ERROR = '0,"No error"'


class Bench:
    """An instrument in front of a cell whose contactor is closed."""

    def __init__(self, loop: VirtualLoop, *, cell: CellSpec = CELL, seed: int = 1, **changes: Any) -> None:
        spec = psb(**changes)
        self.loop = loop
        self.plant = Plant(scene_of(spec, cell=cell))
        self.plant.advance(loop.time())
        self.device = Psb10000(spec, self.plant, seed, loop)
        self.plant.contactor("1", closed=True)

    def say(self, *lines: str) -> str:
        """Send lines; the answer to the last one, empty if it had none."""
        text = ""
        for line in lines:
            reply = self.device.answer(line.encode(), self.loop.time())
            text = reply[0][1].decode().rstrip("\n") if reply else ""
        return text

    def errors(self) -> str:
        return self.say("SYST:ERR:ALL?")

    def measured(self) -> tuple[float, float]:
        volts, amperes, watts = self.say("MEAS:ARR?").split(",")
        assert (volts[-1], amperes[-1], watts[-1]) == ("V", "A", "W")
        return float(volts[:-1]), float(amperes[:-1])

    def charge(self, volts: float = 4.3, amperes: float = 20.0) -> None:
        self.say("SYST:LOCK ON", f"VOLT {volts}", "SINK:CURR 0", f"CURR {amperes}", "OUTP ON")

    def discharge(self, volts: float = 2.5, amperes: float = 20.0) -> None:
        self.say("SYST:LOCK ON", f"VOLT {volts}", "CURR 0", f"SINK:CURR {amperes}", "OUTP ON")


def on_bench(check: Callable[[Bench], Awaitable[None]], **changes: Any) -> None:
    async def main() -> None:
        bench = Bench(virtual_loop(), **changes)
        await check(bench)
        bench.device.close()

    run_virtual(main())


def test_it_names_itself_in_five_fields() -> None:
    async def check(bench: Bench) -> None:
        fields = bench.say("*IDN?").split(",")
        assert len(fields) == 5
        assert fields[0].startswith("EA")
        assert fields[1:3] == ["PSB 10060-170", "1234560001"]

    on_bench(check, serial="1234560001")


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("SYST:NOM:VOLT?", "60.00V"),
        ("SYST:NOM:CURR?", "170.00A"),
        ("SYST:NOM:POW?", "5000W"),
        ("SYSTem:NOMinal:VOLTage?", "60.00V"),
        ("system:nom:voltage?", "60.00V"),
        (":SYST:LOCK:OWN?", "NONE"),
        ("SYST:CONF:MODE?", "UIP"),
        ("OUTP?", "OFF"),
        ("OUTPUT:STATE?", "OFF"),
        ("SOUR:VOLT?", "0.00V"),
        ("SOURCE:VOLTAGE:LEVEL?", "0.00V"),
        ("SYST:ERR?", NO_ERROR),
        ("SYST:COMM:MON:ACT?", "OFF"),
        ("POW:STAG:AFT:REM?", "AUTO"),
        ("STAT:QUES:COND?", "0"),
    ],
)
def test_queries_answer_without_the_remote_lock(query: str, answer: str) -> None:
    async def check(bench: Bench) -> None:
        assert bench.say(query) == answer
        assert bench.errors() == NO_ERROR

    on_bench(check)


@pytest.mark.parametrize(
    "command",
    [
        "VOLT 4",
        "CURR 1",
        "POW 10",
        "SINK:CURR 1",
        "SINK:POW 1",
        "VOLT:PROT 5",
        "CURR:PROT 5",
        "SINK:CURR:PROT 5",
        "OUTP ON",
        "OUTP OFF",
        "SYST:CONF:MODE UIP",
        "*RST",
    ],
)
def test_set_values_limits_mode_and_output_need_the_remote_lock(command: str) -> None:
    async def check(bench: Bench) -> None:
        assert bench.say(command) == ""
        assert bench.errors() != NO_ERROR
        assert bench.say("SYST:LOCK ON", "SYST:LOCK:OWN?") == "REMOTE"
        assert bench.say(command) == ""
        assert bench.errors() == NO_ERROR

    on_bench(check)


@pytest.mark.parametrize(
    ("header", "text", "read"),
    [
        ("VOLT", "4.2", "4.20V"),
        ("VOLT", "12.000", "12.00V"),
        ("VOLT", "61.2", "61.20V"),  # 102 % of nominal
        ("VOLT", "4.2V", "4.20V"),
        ("CURR", "2.000", "2.00A"),
        ("CURR", "1.234", "1.23A"),
        ("POW", "73", "73W"),
        ("SINK:CURR", "1e1", "10.00A"),
        ("SINK:POW", "100", "100W"),
        ("VOLT:PROT", "66", "66.00V"),
        ("CURR:PROT", "20.5", "20.50A"),
        ("SINK:CURR:PROT", "20.5", "20.50A"),
        ("SINK:CURRENT:PROTECTION:LEVEL", "187", "187.00A"),
    ],
)
def test_a_set_value_reads_back_with_its_unit(header: str, text: str, read: str) -> None:
    async def check(bench: Bench) -> None:
        assert bench.say("SYST:LOCK ON", f"{header} {text}", f"{header}?") == read
        assert bench.errors() == NO_ERROR

    on_bench(check)


@pytest.mark.parametrize(
    "command",
    [
        "VOLT 61.3",
        "VOLT -1",
        "CURR 173.5",
        "SINK:CURR -0.1",
        "POW 5200",
        "VOLT:PROT 70",
        "SINK:CURR:PROT 187.1",
        "VOLT four",
        "VOLT",
        "VOLT 4A",
        "OUTP MAYBE",
        "SYST:CONF:MODE CV",
        "SYST:COMM:MON:TIM 0",
        "SYST:COMM:MON:TIM 36001",
        "FROB 1",
        "FROB?",
        "*OPC?",
    ],
)
def test_what_cannot_be_is_only_an_entry_in_the_error_queue(command: str) -> None:
    async def check(bench: Bench) -> None:
        bench.say("SYST:LOCK ON", "VOLT 4.2")
        assert bench.say(command) == ""
        assert bench.errors() != NO_ERROR
        assert bench.errors() == NO_ERROR
        assert bench.say("VOLT?") == "4.20V"
        assert bench.say("OUTP?") == "OFF"

    on_bench(check)


def test_the_error_queue_gives_the_oldest_first_and_all_at_once() -> None:
    async def check(bench: Bench) -> None:
        bench.say("FROB", "VOLT 1")
        assert bench.say("SYST:ERR?").startswith("-113,")
        assert bench.say("SYST:ERR?").startswith("-201,")
        assert bench.say("SYST:ERR?") == NO_ERROR
        bench.say("FROB", "VOLT 1")
        assert bench.errors().count('","') == 0
        bench.say("FROB", "VOLT 1")
        assert bench.errors().count(",") == 3
        bench.say("FROB", "*CLS")
        assert bench.errors() == NO_ERROR

    on_bench(check)


def test_charging_is_positive_and_the_instrument_holds_its_set_current() -> None:
    async def check(bench: Bench) -> None:
        ocv_v, rest_a = bench.measured()
        assert rest_a == pytest.approx(0.0, abs=0.02)
        assert 3.0 < ocv_v < 4.3
        bench.charge()
        await asyncio.sleep(10.0)
        volts, amperes = bench.measured()
        assert amperes == pytest.approx(20.0, abs=0.02)
        assert volts > ocv_v
        assert bench.plant.terminal("1").current_a == pytest.approx(20.0)

    on_bench(check)


def test_discharging_is_negative() -> None:
    async def check(bench: Bench) -> None:
        ocv_v, _ = bench.measured()
        bench.discharge()
        await asyncio.sleep(10.0)
        volts, amperes = bench.measured()
        assert amperes == pytest.approx(-20.0, abs=0.02)
        assert volts < ocv_v

    on_bench(check)


def test_output_off_takes_the_current_away() -> None:
    async def check(bench: Bench) -> None:
        bench.charge()
        await asyncio.sleep(5.0)
        assert bench.say("OUTP?") == "ON"
        assert bench.say("OUTP OFF", "OUTP?") == "OFF"
        await asyncio.sleep(1.0)
        assert bench.measured()[1] == pytest.approx(0.0, abs=0.02)
        assert bench.plant.terminal("1").current_a == 0.0

    on_bench(check)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_gain_error_shifts_the_reported_charge_and_not_the_truth(sign: int) -> None:
    """The ammeter reads 0.2 % too much and the instrument regulates what it reads: reported = truth * 1.002."""

    async def check(bench: Bench) -> None:
        (bench.charge if sign > 0 else bench.discharge)()
        reported_as = 0.0
        for _ in range(600):
            await asyncio.sleep(1.0)
            reported_as += bench.measured()[1]
        totals = bench.plant.totals("1")
        truth_ah = totals.charged_ah if sign > 0 else totals.discharged_ah
        assert truth_ah == pytest.approx(20.0 / 1.002 * 600 / 3600, rel=1e-6)
        assert sign * reported_as / 3600 == pytest.approx(truth_ah * 1.002, rel=1e-4)

    on_bench(check, current_gain_error=0.002)


def test_it_is_unipolar_a_reversed_cell_reads_nothing() -> None:
    async def check(bench: Bench) -> None:
        assert bench.measured()[0] == 0.0

    on_bench(check, cell=replace(CELL, reversed_=True))


def test_readings_step_by_ten_millivolts_and_scatter_around_the_truth() -> None:
    async def check(bench: Bench) -> None:
        bench.charge(amperes=20.004)
        await asyncio.sleep(5.0)
        readings = [bench.measured() for _ in range(400)]
        truth = bench.plant.terminal("1")
        assert all(round(volts * 100) == pytest.approx(volts * 100) for volts, _ in readings)
        assert mean(volts for volts, _ in readings) == pytest.approx(truth.voltage_v, abs=0.005)
        assert mean(amperes for _, amperes in readings) == pytest.approx(truth.current_a, abs=0.005)
        assert len({amperes for _, amperes in readings}) > 1

    on_bench(check)


def test_over_voltage_protection_switches_the_output_off() -> None:
    async def check(bench: Bench) -> None:
        bench.say("SYST:LOCK ON", "VOLT:PROT 4.0")
        bench.charge(amperes=60.0)
        for _ in range(3600):
            await asyncio.sleep(1.0)
            if bench.say("OUTP?") == "OFF":
                break
        else:
            pytest.fail("OVP never tripped")
        assert int(bench.say("STAT:QUES:COND?")) & 1
        assert bench.plant.terminal("1").current_a == 0.0
        assert bench.plant.terminal("1").voltage_v < 4.0 + 0.1
        assert bench.say("*CLS", "STAT:QUES:COND?") == "0"

    on_bench(check)


@pytest.mark.parametrize(("guarded", "other"), [("source", "sink"), ("sink", "source")])
def test_over_current_protection_switches_the_output_off_in_its_own_direction(guarded: str, other: str) -> None:
    async def check(bench: Bench) -> None:
        flow = {"source": bench.charge, "sink": bench.discharge}
        bench.say("SYST:LOCK ON", f"{'CURR' if guarded == 'source' else 'SINK:CURR'}:PROT 10")
        flow[guarded](amperes=20.0)
        assert bench.say("OUTP?") == "OFF"
        assert bench.plant.terminal("1").current_a == 0.0
        assert int(bench.say("STAT:QUES:COND?")) & 2
        for direction, amperes in ((guarded, 9.0), (other, 20.0)):
            flow[direction](amperes=amperes)
            await asyncio.sleep(1.0)
            assert bench.say("OUTP?") == "ON"
            assert abs(bench.plant.terminal("1").current_a) == pytest.approx(amperes)

    on_bench(check)


def test_a_silent_host_loses_remote_and_the_current_though_nobody_asks() -> None:
    async def check(bench: Bench) -> None:
        bench.charge()
        bench.say("POW:STAG:AFT:REM OFF", "SYST:COMM:MON:TIM 4", "SYST:COMM:MON:ACT ON")
        assert bench.say("SYST:COMM:MON:ACT?") == "ON"
        for _ in range(10):
            await asyncio.sleep(3.0)
            assert bench.say("OUTP?") == "ON"
        await asyncio.sleep(3.9)
        assert bench.plant.terminal("1").setting.on
        await asyncio.sleep(0.2)
        assert not bench.device.on
        bench.plant.advance(bench.loop.time() + 1.0)
        assert bench.plant.terminal("1").current_a == 0.0
        assert bench.say("SYST:LOCK:OWN?") == "NONE"

    on_bench(check)


def test_after_remote_auto_a_silent_host_leaves_the_output_on() -> None:
    async def check(bench: Bench) -> None:
        bench.charge()
        bench.say("SYST:COMM:MON:TIM 4", "SYST:COMM:MON:ACT ON")
        await asyncio.sleep(10.0)
        assert bench.device.on
        assert bench.say("SYST:LOCK:OWN?") == "NONE"

    on_bench(check)


def test_giving_remote_back_switches_off_when_set_so_and_the_watchdog_sleeps() -> None:
    async def check(bench: Bench) -> None:
        bench.say("POW:STAG:AFT:REM OFF", "SYST:COMM:MON:TIM 4", "SYST:COMM:MON:ACT ON")
        bench.charge()
        bench.say("SYST:LOCK OFF")
        assert bench.say("OUTP?") == "OFF"
        bench.say("SYST:LOCK ON", "SYST:COMM:MON:ACT OFF")
        bench.charge()
        await asyncio.sleep(100.0)
        assert bench.device.on

    on_bench(check)


def test_a_stuck_instrument_repeats_itself() -> None:
    async def check(bench: Bench) -> None:
        first = bench.measured()
        bench.device.stuck = True
        bench.charge()
        await asyncio.sleep(60.0)
        assert bench.measured() == first

    on_bench(check)


def test_messages_may_share_a_line() -> None:
    async def check(bench: Bench) -> None:
        assert bench.say("SYST:LOCK ON;VOLT 4.2;VOLT?;OUTP?") == "4.20V;OFF"

    on_bench(check)


def test_the_same_seed_draws_the_same_noise_and_reset_is_a_reset() -> None:
    async def check(bench: Bench) -> None:
        twin = Bench(bench.loop)
        other = Bench(bench.loop, seed=2)
        lines = [[each.say("MEAS:ARR?") for _ in range(50)] for each in (bench, twin, other)]
        assert lines[0] == lines[1]
        assert lines[0] != lines[2]
        bench.charge()
        assert bench.say("*RST", "OUTP?") == "OFF"
        assert bench.say("VOLT?") == "0.00V"

    on_bench(check)


@settings(max_examples=200)
@given(st.binary(max_size=60).filter(lambda line: b"\n" not in line))
def test_no_line_of_bytes_upsets_it(line: bytes) -> None:
    async def check(bench: Bench) -> None:
        bench.device.answer(line, 0.0)
        assert bench.say("OUTP?") == "OFF"

    on_bench(check)


def test_scpi_headers_have_long_short_and_optional_nodes() -> None:
    tree = HeaderTree({"MEASure[:SCALar]:VOLTage[:DC]?": lambda text: text})
    for header in ("MEAS:VOLT?", "measure:scalar:voltage:dc?", "MEAS:SCAL:VOLT?", ":MEAS:VOLT:DC?"):
        assert tree.find(header)[1] == ""
    for header in ("MEASU:VOLT?", "MEAS:VOLT", "VOLT?", "MEAS:DC:VOLT?"):
        with pytest.raises(ScpiError):
            tree.find(header)


def test_a_full_error_queue_says_so() -> None:
    queue = ErrorQueue(room=2)
    for _ in range(3):
        queue.add((-113, "Undefined header"))
    assert queue.all() == '-113,"Undefined header",-350,"Queue overflow"'


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6))
def test_numbers_read_with_and_without_their_unit(value: float) -> None:
    assert number(repr(value), "V") == value
    assert number(f" {value!r} v ", "V") == value
    with pytest.raises(ScpiError):
        number(f"{value!r} A", "V")
