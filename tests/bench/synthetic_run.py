"""A run made by arithmetic: a cell of known charge behind a cycler without noise, recorded as a real one would be.

The cell is a straight line, OCV = 3.0 V + 1.2 V x SOC, behind 2 mohm, 60 Ah; its surface follows its heat with one time
constant. So the charge of every step is known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import bundle
from bench.log import RunLog
from bench.recorder import LogRuleSI, RecordedChannels, Recorder
from bench.results import CriterionRow, EndedByRow, Limit, RunResult, Value
from bench.seal_key import SealKey
from drivers.clock import Clock
from drivers.reading import Quality, Reading

CHARGE_AH = 60.0
CURRENT_A = 20.0
RESISTANCE_OHM = 0.002
START_UTC_S = 1_790_000_000.0

CHANNELS = RecordedChannels(
    voltage="psb.out.voltage_v",
    current="psb.out.current_a",
    ambient="th1.ai3.temperature_c",
    surfaces=("th1.ai0.temperature_c", "th1.ai1.temperature_c"),
    cell_voltage="v1.ai0.voltage_v",
)

BENCH = """\
schema = "cellbench/bench/1"
name = "bench-7"
title = "Bench 7, room <114>"
[devices.psb]
model = "ea-psb10000"
url = "tcp://192.168.10.20:5025"
[devices.th1]
model = "icpdas-m-7018"
url = "modbus-rtu:///dev/ttyUSB0?baud=9600"
[devices.ch2]
model = "espec-p300"
url = "serial:///dev/ttyUSB2?baud=9600"
[calibration."psb.out"]
certificate = "EA-2026-0417"
date = 2026-04-17
due = 2027-04-17
accuracy = { voltage = "30 mV", current = "170 mA" }
"""

CELL = """\
schema = "cellbench/cell/1"
type = "straight-line"
title = "Straight-line cell"
maker = "arithmetic"
rated_capacity = "60 Ah"
rated_at = "1 I3"
claimed_energy_density = "300 Wh/kg"
mass = "0.700 kg"
fixture = "none"
"""

SEQUENCE = """\
schema: cellbench/sequence/1
id: example/room-capacity
title: {en: Capacity at room temperature, zh: 室温放电容量}
summary: {en: Three discharges at I3., zh: 三次放电。}
standard: {source: GB/T 31486, edition: "2024", clause: "5.2", status: {en: in force, zh: 现行}}
steps:
  - confirm: {entries: [{name: humidity, example: 45 %}, {name: air_pressure, example: 101 kPa}]}
criteria:
  - {id: capacity, kind: requirement, value: result.capacity_ah}
  - {id: humidity, kind: condition, value: entry.humidity}
"""


@dataclass
class Time:
    """A loop's time that moves when told."""

    now_s: float = 100.0

    @property
    def clock(self) -> Clock:
        return Clock(mono_s=lambda: self.now_s, utc_s=lambda: START_UTC_S + self.now_s - 100.0)


@dataclass
class Cell:
    soc: float = 1.0
    surface_c: float = 25.0

    def readings(self, time: Time, current_a: float, dt_s: float) -> tuple[Reading, ...]:
        self.soc += current_a * dt_s / 3600.0 / CHARGE_AH
        voltage_v = 3.0 + 1.2 * self.soc + current_a * RESISTANCE_OHM
        heat_k = 6.0 * (current_a / CURRENT_A) ** 2
        self.surface_c += (25.0 + heat_k - self.surface_c) * min(dt_s / 1200.0, 1.0)
        t, utc = time.now_s, time.clock.utc_s()
        return (
            Reading("psb.out.voltage_v", round(voltage_v, 3), t, utc),
            Reading("psb.out.current_a", current_a, t, utc),
            Reading("th1.ai0.temperature_c", round(self.surface_c, 1), t, utc),
            Reading("th1.ai1.temperature_c", round(self.surface_c - 0.4, 1), t, utc),
            Reading("th1.ai3.temperature_c", 25.0, t, utc),
            Reading("v1.ai0.voltage_v", round(voltage_v, 2), t, utc, Quality.GOOD),
        )


def profile(turns: int) -> Iterator[tuple[str, str, float, float]]:
    """Kind, id, current (A), duration (s): what each step does."""
    yield "soak", "soak", 0.0, 1800.0
    for _ in range(turns):
        yield "discharge", "empty", -CURRENT_A, 0.95 * CHARGE_AH / CURRENT_A * 3600.0
        yield "rest", "rest_empty", 0.0, 1800.0
        yield "charge", "fill", CURRENT_A, 0.95 * CHARGE_AH / CURRENT_A * 3600.0
        yield "rest", "rest_full", 0.0, 1800.0


def record_run(folder: Path, *, turns: int = 1, every_s: float = 10.0, period_s: float = 5.0, seed: int = 1) -> RunLog:
    """Record the run; the log is still open."""
    time, cell = Time(), Cell()
    header: dict[str, Any] = {
        "run_id": "0007-room-capacity",
        "mode": "simulated",
        "seed": seed,
        "operator": "A. Müller",
        "sample": "S-0042",
        "cell": "straight-line",
        "sequence": "example/room-capacity",
    }
    log = RunLog.create(folder, time.clock, durable=False, header=header)
    bundle.put(folder, "bench.toml", BENCH)
    bundle.put(folder, "cell.toml", CELL)
    bundle.put(folder, "sequence.yaml", SEQUENCE)
    bundle.put(folder, "sample.json", {"id": "S-0042", "serial": "=A1", "mass_kg": None})
    warning = "psb: 4.2 V lies in the lowest 10 % of its range"
    rate = {"name": "rate", "value": CURRENT_A, "unit": "A", "text": "1 I3", "overridden": True}
    bundle.put(folder, "plan.json", {"warnings": [warning], "parameters": [rate]})
    bundle.put(folder, "environment.json", {"cellbench": "0.1.0", "python": "3.11.2"})
    recorder = Recorder(log, CHANNELS)
    identity = {"maker": "EA", "model": "PSB 10060-170", "serial": "SN123", "firmware": "3.02"}
    log.event("devices", devices={"psb": identity, "th1": {**identity, "maker": "ICP DAS", "model": "M-7018"}})
    log.event("preflight_passed", ocv_v=4.2)
    log.event("answered", by="simulated operator", values={"humidity": 0.45, "air_pressure": 101.0})
    for index, (kind, name, current_a, seconds) in enumerate(profile(turns), 1):
        log.event("step_started", step=index, path=str(index), step_kind=kind, id=name, phase="conditioning", ends="")
        recorder.begin_step(index, str(index), LogRuleSI(every_s, 0.005, 0.5, 1.0))
        for _ in range(round(seconds / period_s)):
            time.now_s += period_s
            recorder.deliver(cell.readings(time, current_a, period_s))
        log.event("step_ended", step=index, path=str(index), why="duration", took_s=seconds, results={})
    log.event("ending", cause="completed", rule=None, device=None, value=None, limit=None)
    log.event("safe_state_begun", why="completed", fire=False)
    parts = [{"device": "psb", "what": "currents 0, output off", "confirmed": True, "error": None}]
    log.event("safe_state", confirmed=True, isolated=True, took_s=0.31, parts=parts)
    recorder.finish()
    return log


def result(**changes: Any) -> RunResult:
    """What the run above came to."""
    source: dict[str, Any] = {"source": "GB/T 31486-2024", "title_zh": "容量", "note": None, "by": None}
    whole = RunResult(
        exit_code=0,
        run_id="0007-room-capacity",
        bundle="/somewhere/else",
        mode="simulated",
        verdict="pass",
        ended_by=EndedByRow(phase="conditioning", kind="completed"),
        criteria=[
            CriterionRow(
                id="humidity", kind="condition", title="Relative humidity", clause="4.1", verdict="pass", value=45.0,
                unit="%", limit=Limit(at_least=15.0, at_most=90.0), grade="U", **source,
            ),
            CriterionRow(
                id="capacity", kind="requirement", title="Discharge capacity <at least rated>", clause="5.2",
                verdict="pass", value=57.0, unit="Ah", limit=Limit(at_least=54.0), grade="A", **source,
            ),
        ],
        results={
            "capacity_ah": Value(value=57.0, unit="Ah"),
            "energy_wh": Value(value=206.5, unit="Wh"),
            "energy_density_wh_kg": Value(value=295.0, unit="Wh/kg"),
            "peak_temperature_c": Value(value=31.0, unit="degC"),
        },
        plant_truth={
            "capacity_ah": Value(value=57.002, unit="Ah"),
            "energy_wh": Value(value=206.4, unit="Wh"),
            "energy_density_wh_kg": Value(value=294.9, unit="Wh/kg"),
            "peak_temperature_c": Value(value=31.1, unit="degC"),
        },
        test_s=45_000.0,
        wall_s=2.5,
    )  # fmt: skip
    return whole.model_copy(update=changes)


def sealed_run(folder: Path, *, key: SealKey | None = None, **choices: Any) -> Path:
    """A whole closed bundle, signed if there is a key."""
    log = record_run(folder, **choices)
    bundle.seal(log, result(), key=key)
    return folder
