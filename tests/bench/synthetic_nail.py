"""A nail test made by arithmetic: what the record of one holds, without any simulator.

The nail moves at 25 mm/s from 10 mm on, touches at 40 mm and stops at 77 mm; the force grows by 50 N a millimetre of
depth; the cell's voltage falls by 0.1 V a millimetre until it is 1 V. In chamber1 the cell is at 25 degC, in rig1 it
rises by 2 K a second for 300 s after contact (to 625 degC) and cools by 0.5 K a second for the next 600 s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import bundle
from bench.log import RunLog
from bench.recorder import LogRuleSI, RecordedChannels, Recorder
from bench.results import CriterionRow, EndedByRow, Limit, RunResult, Value, VerdictWord
from bench.seal_key import SealKey
from drivers.reading import Quality, Reading
from tests.bench.synthetic_run import BENCH, CELL, START_UTC_S, Time

BEGUN_S, CARRIED_S, CONTACT_S = 100.0, 400.0, 500.0
OBSERVED_S = 900.0
SPEED_MM_S, START_MM, CONTACT_MM, END_MM = 25.0, 10.0, 40.0, 77.0
OFFSET_WITHIN_S = 0.004
PEAK_C = 625.0

CHANNELS = RecordedChannels(
    voltage="psb.out.voltage_v",
    current="psb.out.current_a",
    ambient="th1.ai3.temperature_c",
    surfaces=("th1.ai0.temperature_c",),
    cell_voltage="v1.ai0.voltage_v",
    elsewhere=("th1.ai4.temperature_c",),
    others=("th1.ai7.temperature_c", "v1.ai1.voltage_v"),
)
RIG_CHANNEL = {
    "voltage": "psb.out.voltage_v",
    "current": "psb.out.current_a",
    "ambient": "th1.ai7.temperature_c",
    "cell_voltage": "v1.ai1.voltage_v",
    "surface": ["th1.ai4.temperature_c"],
}

_OURS = 'source: {standard: ours, edition: "1", clause: "7.2", grade: ours}'
SEQUENCE = f"""\
schema: cellbench/sequence/1
id: test/nail
title: {{en: A nail, zh: 针刺}}
summary: {{en: A nail into a cell., zh: 针刺电芯。}}
class: abuse
log: {{every: 5 s}}
steps:
  - penetrate: {{id: nail, phase: stimulus, speed: 25 mm/s, depth: 37 mm, force: 10 kN, timeout: 60 s}}
  - observe: {{id: watch, phase: observation, duration: 10 min, until: 1000 degC, rate: 1000 K/min, at_most: 3 h}}
  - judge:
      phase: observation
      questions:
        - name: fire
          text: {{en: Did it <burn>?, zh: 是否起火？}}
          definition: {{en: Flame for more than a second., zh: 可见火焰超过一秒。}}
          {_OURS}
          detectors: [flame]
        - name: explosion
          text: {{en: Did it explode?, zh: 是否爆炸？}}
          definition: {{en: The case burst., zh: 外壳破裂。}}
          {_OURS}
  - quarantine: {{phase: observation}}
results:
  peak_temperature_c: run.peak_temperature
  hazard_level: max(7 * judgement.explosion, 5 * judgement.fire, 2)
criteria:
  - id: no-fire
    kind: requirement
    title: {{en: No fire, zh: 不起火}}
    value: judgement.fire
    at_most: 0
    {_OURS}
  - id: no-explosion
    kind: requirement
    title: {{en: No explosion, zh: 不爆炸}}
    value: judgement.explosion
    at_most: 0
    {_OURS}
  - id: seen
    kind: condition
    title: {{en: A point was read, zh: 有有效测点}}
    value: run.peak_temperature
    at_least: -273 degC
    {_OURS}
"""


def position_mm(t_s: float) -> float:
    """Where the nail is, ``t_s`` after contact."""
    return min(max(CONTACT_MM + SPEED_MM_S * t_s, START_MM), END_MM)


def force_n(t_s: float) -> float:
    return 50.0 * max(0.0, position_mm(t_s) - CONTACT_MM)


def nail_volts(t_s: float) -> float:
    return max(1.0, 4.2 - 0.1 * max(0.0, position_mm(t_s) - CONTACT_MM))


def surface_c(t_s: float) -> float:
    return 25.0 if t_s < 0.0 else 25.0 + min(2.0 * t_s, 600.0) - 0.5 * max(0.0, t_s - 300.0)


def burst_rows() -> list[list[float | None]]:
    """100 Hz, from 1 s before contact to 2 s after it; one row without a force."""
    times = [at / 100.0 - 1.0 for at in range(301)]
    rows: list[list[float | None]] = [[CONTACT_S + t, position_mm(t), force_n(t), nail_volts(t)] for t in times]
    rows[200][2] = None
    return rows


def record_nail(
    folder: Path, *, judged: dict[str, bool] | None = None, flame: bool = False, at_least: bool = False
) -> RunLog:
    """The record, still open. ``judged``: the answers given in the run, to be handed over by nobody without any."""
    time, said = Time(BEGUN_S), judged or {}
    header: dict[str, Any] = {"run_id": "0008-nail", "mode": "simulated", "sample": "S-0043", "cell": "straight-line"}
    log = RunLog.create(folder, time.clock, durable=False, header=header)
    bundle.put(folder, "bench.toml", BENCH)
    bundle.put(folder, "cell.toml", CELL)
    bundle.put(folder, "sequence.yaml", SEQUENCE)
    bundle.put(folder, "plan.json", {"places": {"rig1": {"channel": RIG_CHANNEL}}})
    recorder = Recorder(log, CHANNELS)

    def poll(until_s: float) -> None:
        while time.now_s < until_s:
            time.now_s += 5.0
            recorder.deliver(_readings(time))

    recorder.begin_step(1, "1", LogRuleSI(5.0))
    poll(CARRIED_S)
    log.event("transferred", **{"from": "chamber1", "to": "rig1"}, ocv_before_v=4.2, ocv_after_v=4.2, by="lin")
    poll(CONTACT_S)
    log.event("rig_prepared", device="rig", tool="nail", speed_mm_s=SPEED_MM_S, depth_mm=END_MM - CONTACT_MM)
    log.event("permitted", what="arm", by="lin")
    log.event("rig_arming", device="rig", by="lin")
    log.event("stroke_started", device="rig", stroke=1, by="wang")
    log.event("step_started", step=2, path="2", step_kind="penetrate", id="nail", phase="stimulus", ends="")
    log.event("contact", what="contact of the nail", at_s=CONTACT_S, device="rig", voltage_v=4.2)
    rows, columns = burst_rows(), ["mono_s", "position_mm", "force_n", "voltage_v"]
    for part, some in enumerate((rows[:200], rows[200:]), 1):
        log.event("burst", stroke=1, part=part, parts=2, offset_within_s=OFFSET_WITHIN_S, columns=columns, rows=some)
    log.event(
        "stroke_ended", device="rig", stroke=1, state="hold", reason="target", link_lost=False, position_mm=END_MM,
        depth_mm=37.0, speed_mm_s=25.0, peak_force_n=1850.0, contact_mm=CONTACT_MM,
    )  # fmt: skip
    poll(CONTACT_S + 20.0)
    log.event("sample_event", cause="sample_event", rule="interlock.smoke_clear", device="io2", value=0.0, limit=0.5)
    poll(CONTACT_S + OBSERVED_S)
    log.event("observation_ended", observed_s=OBSERVED_S, why="observed 15 min")
    peak = {"temperature_c": PEAK_C, "sensor": "th1.ai4.temperature_c", "peak_mono_s": CONTACT_S + 300.0}
    log.event("peak", **peak, at_least=at_least)
    for name in ("fire", "explosion"):
        log.event("asked_judgement", question=name)
        if name in said:
            against = ["flame"] if flame and name == "fire" and not said[name] else []
            log.event("judged", question=name, answer=said[name], by="lin", note="view", contradicted_by=against)
        else:
            log.event("judgement_missing", question=name)
    by = "lin" if said else None
    log.event("handover", voltage_v=1.0, temperature_c=325.0, energy_wh=96.5, nail_in=True, by=by)
    log.event("ending", cause="completed", rule=None, device=None, value=None, limit=None)
    log.event("safe_state", confirmed=True, isolated=True, took_s=0.3, parts=[])
    recorder.finish()
    return log


def _readings(time: Time) -> tuple[Reading, ...]:
    t, utc, since_s = time.now_s, time.clock.utc_s(), time.now_s - CONTACT_S
    return tuple(
        Reading(name, value, t, utc, Quality.GOOD)
        for name, value in (
            ("psb.out.voltage_v", 0.0),
            ("psb.out.current_a", 0.0),
            ("th1.ai0.temperature_c", 25.0),
            ("th1.ai3.temperature_c", 24.0),
            ("v1.ai0.voltage_v", 4.2 if t <= CARRIED_S else 0.0),
            ("th1.ai4.temperature_c", surface_c(since_s)),
            ("th1.ai7.temperature_c", 23.0),
            ("v1.ai1.voltage_v", nail_volts(since_s)),
        )
    )


def nail_result(judged: dict[str, bool], *, flame: bool = False, at_least: bool = False) -> RunResult:
    """What such a run came to, by the rules of docs/sequence-language.md."""
    values = {name: None if name == "fire" and flame and not yes else float(yes) for name, yes in judged.items()}
    missing = [f"no-{name}" for name in ("fire", "explosion") if name not in judged]
    rows = [_row(f"no-{name}", "requirement", values.get(name), Limit(at_most=0.0)) for name in ("fire", "explosion")]
    rows.append(_row("seen", "condition", PEAK_C, Limit(at_least=-273.0)))
    verdict: VerdictWord = "pass" if not any(row.verdict == "inconclusive" for row in rows) else "inconclusive"
    if any(row.verdict == "fail" for row in rows):
        verdict = "fail"
    results = {"peak_temperature_c": Value(value=PEAK_C, unit="degC", at_least=at_least)}
    if values.get("fire") is not None and values.get("explosion") is not None:
        level = max(7.0 * values["explosion"], 5.0 * values["fire"], 2.0)  # type: ignore[operator] # checked above
        results["hazard_level"] = Value(value=level, unit="")
    return RunResult(
        exit_code={"pass": 0, "fail": 1, "inconclusive": 5}[verdict],
        run_id="0008-nail",
        bundle=".",
        mode="simulated",
        verdict=verdict,
        ended_by=EndedByRow(phase="observation", kind="completed"),
        criteria=rows,
        results=results,
        plant_truth=None,
        awaiting=missing,
        test_s=1300.0,
        wall_s=1.0,
    )


def _row(identity: str, kind: Any, value: float | None, limit: Limit) -> CriterionRow:
    verdict: VerdictWord = "inconclusive" if value is None else "pass"
    if value is not None and limit.at_most is not None and value > limit.at_most:
        verdict = "fail"
    titles = {
        "no-fire": ("No fire", "不起火"),
        "no-explosion": ("No explosion", "不爆炸"),
        "seen": ("A point was read", "有有效测点"),
    }
    return CriterionRow(
        id=identity, kind=kind, title=titles[identity][0], title_zh=titles[identity][1], source="ours-1", clause="7.2",
        verdict=verdict, value=value, unit="degC" if identity == "seen" else "", limit=limit, grade="ours",
    )  # fmt: skip


def sealed_nail(
    folder: Path,
    *,
    judged: dict[str, bool] | None = None,
    flame: bool = False,
    at_least: bool = False,
    key: SealKey | None = None,
) -> Path:
    """A whole closed bundle, signed if there is a key."""
    said = judged or {}
    log = record_nail(folder, judged=said, flame=flame, at_least=at_least)
    values: dict[str, float | None] = {"run.peak_temperature": PEAK_C, "detector.flame": 1.0 if flame else 0.0}
    for name, yes in said.items():
        values[f"judgement.{name}"] = None if name == "fire" and flame and not yes else float(yes)
    bundle.put(folder, bundle.VALUES, values)
    bundle.seal(log, nail_result(said, flame=flame, at_least=at_least), key=key)
    return folder


#: Loop time and wall clock of the record differ by this.
UTC_OFFSET_S = START_UTC_S - BEGUN_S
