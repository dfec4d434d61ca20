"""A run dies; its bench holds until a person resumes it, and then it goes on as its record and its policy say."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

import sequences
from bench import record
from bench.closing import close_run
from bench.results import RunResult
from bench.resumption import read_back
from bench.run import prepare
from bench.verify import verify
from drivers import BenchHeld, ConfigError, PreflightRefused
from tests.scenarios.resuming import BENCH, Standing, edited_sequence, events, in_step, on_standing
from tests.scenarios.runs import SHORT, edited
from tests.scenarios.test_nail_faults import NAIL

pytestmark = [pytest.mark.scenario]


@pytest.fixture(autouse=True)
def _a_disk_that_needs_no_waiting_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """These programs die; the machine's power stays on."""
    monkeypatch.setattr("os.fdatasync", lambda _: None)


@pytest.mark.fault("F64", "H13", "H14")
def test_a_discharge_goes_on_with_what_it_had_counted(tmp_path: Path) -> None:
    async def story(bench: Standing) -> None:
        bundle = await bench.die(SHORT, in_step("output_on", "1"), after_s=300.0)
        await asyncio.sleep(1800.0)
        _, before_ah = bench.moved_ah()
        result = await bench.resume(bundle)
        _, after_ah = bench.moved_ah()

        assert result.verdict == "pass", bench.said
        # 0.5 I1 of a 5 Ah cell for ten minutes in all
        out_ah = result.results["capacity_ah"].value
        assert out_ah == pytest.approx(2.5 * 600 / 3600, abs=2.5 * 2 / 3600)
        resumed = next(it["data"] for it in events(bundle) if it["kind"] == "resumed")
        assert resumed["gap_s"] == pytest.approx(1800.0, abs=30.0)
        # more flowed than was recorded, by no more than the record says
        assert 0.0 <= after_ah - out_ah <= resumed["unseen_ah"] + 1e-3
        assert before_ah > 0.2
        assert any("resumed after" in fault.error for fault in result.faults)
        assert not verify(bundle).problems

    on_standing(tmp_path, story)


@pytest.mark.fault("F64", "H13")
def test_another_run_is_refused_and_the_bench_made_safe_until_a_person_decides(tmp_path: Path) -> None:
    async def story(bench: Standing) -> None:
        bundle = await bench.die(SHORT, in_step("output_on", "1"), after_s=30.0)
        terminal = bench.bench.scene.plant.terminal("1")
        assert not terminal.closed
        _, before_ah = bench.moved_ah()
        with pytest.raises(BenchHeld, match="was interrupted") as refused:
            await bench.run(bench.order(SHORT))
        assert f"cellbench resume {bundle}" in refused.value.faults[0].fix
        assert bench.moved_ah()[1] == before_ah, "nothing is energised by a run that is refused"
        assert [path.name for path in bench.bundles()] == [bundle.name]

        closed = await asyncio.to_thread(closing_without_hardware, bundle, tmp_path)
        assert (closed.verdict, closed.ended_by.kind) == ("aborted", "person")
        assert closed.ended_by.rule == "interrupted, closed by Zhao"
        assert not verify(bundle).problems
        assert (await bench.run(bench.order(SHORT))).verdict == "pass"

    on_standing(tmp_path, story)


def closing_without_hardware(bundle: Path, data: Path) -> RunResult:
    """The addresses of the example bench lead nowhere here: closing says that nobody has seen the bench safe."""
    result = close_run(bundle, by="Zhao", note="", data=data, environment=os.environ)
    assert any("not made safe" in fault.error for fault in result.faults)
    return result


def test_a_rest_is_redone_and_what_had_ended_is_not(tmp_path: Path) -> None:
    async def story(bench: Standing) -> None:
        bundle = await bench.die(SHORT, in_step("step_started", "2"), after_s=200.0)
        discharged_ah = bench.moved_ah()[1]
        result = await bench.resume(bundle)
        assert result.verdict == "pass", bench.said
        assert bench.moved_ah()[1] == discharged_ah, "the discharge was not done twice"
        assert result.results["capacity_ah"].value == pytest.approx(discharged_ah, rel=0.01)
        rests = [it["data"] for it in events(bundle) if it["kind"] == "step_ended" and it["data"]["path"] == "2"]
        assert [it["took_s"] for it in rests] == [pytest.approx(300.0, abs=1.0)], "its clock began anew"

    on_standing(tmp_path, story)


@pytest.mark.fault("F64")
@pytest.mark.parametrize("deaths", [3])
def test_a_run_may_die_again(tmp_path: Path, deaths: int) -> None:
    async def story(bench: Standing) -> None:
        bundle = await bench.die(SHORT, in_step("output_on", "1"), after_s=120.0)
        for _ in range(deaths - 1):
            await bench.die_again(bundle, after_s=120.0)
        result = await bench.resume(bundle)
        assert result.verdict == "pass", bench.said
        assert result.results["capacity_ah"].value == pytest.approx(2.5 * 600 / 3600, abs=deaths * 2.5 * 2 / 3600)
        gaps = [it["data"] for it in events(bundle) if it["kind"] == "resumed"]
        assert len(gaps) == deaths
        true_ah = bench.moved_ah()[1]
        unseen_ah = sum(it["unseen_ah"] for it in gaps)
        assert 0.0 <= true_ah - result.results["capacity_ah"].value <= unseen_ah + 1e-3

    on_standing(tmp_path, story)


def test_a_step_that_had_ended_by_itself_is_not_energised_again(tmp_path: Path) -> None:
    async def story(bench: Standing) -> None:
        bundle = await bench.die(SHORT, in_step("output_off", "1"))
        before_ah = bench.moved_ah()[1]
        result = await bench.resume(bundle)
        assert bench.moved_ah()[1] == before_ah
        assert result.results["capacity_ah"].value == pytest.approx(before_ah, rel=0.01)

    on_standing(tmp_path, story)


@pytest.mark.fault("H14")
def test_a_gap_in_the_step_breaks_a_condition_on_the_logging_interval(tmp_path: Path) -> None:
    sequence = edited_sequence(tmp_path, INTERVAL)

    async def story(bench: Standing) -> None:
        bundle = await bench.die(sequence, in_step("output_on", "1"), after_s=60.0)
        await asyncio.sleep(600.0)
        result = await bench.resume(bundle)
        rows = {row.id: row for row in result.criteria}
        assert result.verdict == "inconclusive"
        assert rows["often-enough"].verdict == "inconclusive"
        assert rows["often-enough"].value == pytest.approx(600.0, abs=60.0)
        assert rows["something-flowed"].verdict == "pass", "the requirement's own result still shows"

    on_standing(tmp_path, story)


INTERVAL = """\
  - id: often-enough
    kind: condition
    title: {en: Logged often enough, zh: 记录间隔}
    value: run.longest_log_interval
    at_most: 30 s
    source: {standard: ours, edition: "1", grade: ours}
"""


def test_only_the_same_sample_goes_on(tmp_path: Path) -> None:
    refusal = "sample scanned: S-2, wanted S-1"

    async def story(bench: Standing) -> None:
        bundle = await bench.die(SHORT, in_step("output_on", "1"), after_s=30.0)
        before_ah = bench.moved_ah()
        with pytest.raises(PreflightRefused) as refused:
            await bench.resume(bundle, scan="S-2")
        assert refused.value.faults[0].error == refusal
        assert bench.moved_ah() == before_ah
        why = [it["data"]["why"] for it in events(bundle) if it["kind"] == "resume_refused"]
        assert why == [[refusal]]
        assert (await bench.resume(bundle, scan=None)).verdict == "pass", "asked for the sample, the person scans it"

    on_standing(tmp_path, story)


@pytest.mark.fault("H13")
def test_a_sample_that_was_charged_in_the_gap_is_found_by_its_voltage(tmp_path: Path) -> None:
    async def story(bench: Standing) -> None:
        bundle = await bench.die(SHORT, in_step("step_started", "2"), after_s=100.0)
        bench.charge_unseen(0.3)
        with pytest.raises(PreflightRefused, match="voltage"):
            await bench.resume(bundle)

    on_standing(tmp_path, story)


def test_a_gap_that_is_too_long_is_refused(tmp_path: Path) -> None:
    async def story(bench: Standing) -> None:
        bundle = await bench.die(SHORT, in_step("output_on", "1"), after_s=30.0)
        await asyncio.sleep(25 * 3600.0)
        with pytest.raises(PreflightRefused, match="gap: 25 h"):
            await bench.resume(bundle)

    on_standing(tmp_path, story)


CYCLES = """\
schema: cellbench/sequence/1
id: test/cycles
title: {en: Cycles, zh: 循环}
summary: {en: Three short cycles., zh: 三个短循环。}
class: cycling
log: {every: 10 s, voltage: 20 mV, current: 0.1 I1}
watch:
  - {name: lowest, of: voltage, take: min, during: [cycles]}
steps:
  - repeat:
      id: cycles
      count: 3
REPEAT
      steps:
        - charge:
            mode: cc
            voltage: cell.charge_voltage
            current: 0.5 I1
            end: duration >= 3 min
            timeout: 20 min
CHARGE
            results: {in_ah: charge}
        - discharge:
            mode: cc
            voltage: cell.v_min
            current: 0.5 I1
            end: duration >= 3 min
            timeout: 20 min
DISCHARGE
            results: {out_ah: charge}
results:
  least_ah: min(result.out_ah)
  most_ah: max(result.out_ah)
  lowest_v: watch.lowest
criteria:
  - id: steady
    kind: requirement
    title: {en: Every turn alike, zh: 每次循环一致}
    value: (max(result.out_ah) - min(result.out_ah)) / max(result.out_ah)
    at_most: 2 %
    source: {standard: ours, edition: "1", grade: ours}
"""


def cycles(folder: Path, *, repeat: str = "", charge: str = "", discharge: str = "") -> Path:
    text = CYCLES
    for word, indent, policy in (("REPEAT", 6, repeat), ("CHARGE", 12, charge), ("DISCHARGE", 12, discharge)):
        text = text.replace(f"\n{word}\n", f"\n{' ' * indent}resume: {policy}\n" if policy else "\n")
    path = folder / "cycles.yaml"
    path.write_text(text)
    return path


@pytest.mark.fault("F64")
def test_cycling_goes_on_in_its_turn_with_the_results_of_the_turns_before(tmp_path: Path) -> None:
    async def story(bench: Standing) -> None:
        bundle = await bench.die(cycles(tmp_path), in_step("output_on", "1/2/2"), after_s=60.0)
        result = await bench.resume(bundle)
        assert result.verdict == "pass", bench.said
        # 2.5 A for three minutes, each turn; 1 s of polling at either end
        for name in ("least_ah", "most_ah"):
            assert result.results[name].value == pytest.approx(2.5 * 180 / 3600, rel=0.02)
        ended = [it["data"]["path"] for it in events(bundle) if it["kind"] == "step_ended"]
        assert ended == ["1/1/1", "1/1/2", "1/2/1", "1/2/2", "1/3/1", "1/3/2"]
        assert result.results["lowest_v"].value == pytest.approx(
            min(rows_of(bundle, "voltage", flowing=True)), abs=0.02
        )

    on_standing(tmp_path, story)


def rows_of(bundle: Path, role: str, *, flowing: bool) -> list[float]:
    """The stored values of a role while current flowed."""
    rows = record.load(bundle).rows
    pairs = zip(rows.role(role), rows.role("current"), strict=True)
    return [value for value, amps in pairs if value is not None and (not flowing or abs(amps or 0.0) > 2.0)]


def test_a_turn_is_begun_again_where_the_repeat_says_so(tmp_path: Path) -> None:
    async def story(bench: Standing) -> None:
        bundle = await bench.die(cycles(tmp_path, repeat="redo"), in_step("output_on", "1/2/2"), after_s=60.0)
        result = await bench.resume(bundle)
        assert result.verdict == "pass", bench.said
        ended = [it["data"]["path"] for it in events(bundle) if it["kind"] == "step_ended"]
        assert ended == ["1/1/1", "1/1/2", "1/2/1", "1/2/1", "1/2/2", "1/3/1", "1/3/2"]
        assert result.results["most_ah"].value == pytest.approx(2.5 * 180 / 3600, rel=0.02)

    on_standing(tmp_path, story)


def test_a_step_that_says_never_is_never_resumed(tmp_path: Path) -> None:
    async def story(bench: Standing) -> None:
        bundle = await bench.die(cycles(tmp_path, discharge="never"), in_step("output_on", "1/1/2"), after_s=20.0)
        before_ah = bench.moved_ah()
        with pytest.raises(ConfigError, match="resume: never"):
            await bench.resume(bundle)
        assert bench.moved_ah() == before_ah

    on_standing(tmp_path, story)


@pytest.mark.fault("H13", "F64")
def test_a_bench_resumes_by_itself_only_where_all_three_say_yes(tmp_path: Path) -> None:
    willing = tmp_path / "demo.toml"
    willing.write_text(BENCH.read_text() + "\n[resume]\nauto = true\nat_most = 1\n")
    permit = tmp_path / "resume" / "demo.permit.json"

    async def story(bench: Standing) -> None:
        bundle = await bench.die(cycles(tmp_path, discharge="resume"), in_step("output_on", "1/1/2"), after_s=60.0)
        before_ah = bench.moved_ah()
        with pytest.raises(ConfigError, match="nobody in charge of safety"):
            await bench.resume(bundle, auto=True)
        assert bench.moved_ah() == before_ah
        permit.parent.mkdir()
        leave = {"schema": "cellbench/resume-permit/1", "bench": "demo", "by": "Sun", "until": "2026-01-31"}
        permit.write_text(json.dumps(leave))
        assert (await bench.resume(bundle, scan=None, auto=True)).verdict == "pass"
        start = [it["data"] for it in events(bundle) if it["kind"] == "authorised_start"]
        assert [(it["step"], it["permit"], it["today"], it["of"]) for it in start] == [
            ("resume", "Sun, until 2026-01-31", 1, 1)
        ]
        again = await bench.die(cycles(tmp_path, discharge="resume"), in_step("output_on", "1/1/2"), after_s=60.0)
        with pytest.raises(ConfigError, match="at most 1"):
            await bench.resume(again, auto=True)
        assert (await bench.resume(again)).verdict == "pass", "a person still may"

    on_standing(tmp_path, story, bench=willing)


def test_without_a_word_of_the_step_or_the_bench_nothing_resumes_by_itself(tmp_path: Path) -> None:
    async def story(bench: Standing) -> None:
        bundle = await bench.die(cycles(tmp_path), in_step("output_on", "1/1/2"), after_s=60.0)
        with pytest.raises(ConfigError) as refused:
            await bench.resume(bundle, auto=True)
        said = [fault.error for fault in refused.value.faults]
        assert "the step does not say how it is resumed" in said
        assert "the bench file does not allow it" in said

    on_standing(tmp_path, story)


def test_a_cold_sample_is_cold_again_before_it_goes_on(tmp_path: Path) -> None:
    soak = "{temperature: 10 degC, tolerance: 2 K, duration: 10 min, timeout: 4 h}"
    cold = f"  - chamber: {{temperature: 10 degC}}\n  - soak: {soak}\n"
    sequence = edited_sequence(tmp_path, "", ("steps:\n", "steps:\n" + cold))

    async def story(bench: Standing) -> None:
        bundle = await bench.die(sequence, in_step("output_on", "3"), after_s=120.0)
        await asyncio.sleep(16 * 3600.0)
        bench.moved_ah()  # the plant follows the clock when it is asked
        cell = bench.bench.scene.plant.terminal("1").cell
        assert cell is not None
        assert cell.temperature_c > 21.0, "the safe state let it warm up"
        assert (await bench.resume(bundle)).verdict == "pass", bench.said
        resumed = next(it["mono_s"] for it in events(bundle) if it["kind"] == "resumed")
        on = next(it["mono_s"] for it in events(bundle) if it["kind"] == "output_on" and it["mono_s"] > resumed)
        rows = record.load(bundle).rows
        died = max(row for row, at_s in enumerate(rows.mono_s) if at_s < resumed)
        at = min(range(len(rows)), key=lambda row: abs(rows.mono_s[row] - on))
        for role in ("surface_1", "ambient"):
            was, now = rows.role(role)[died], rows.role(role)[at]
            assert was is not None
            assert now is not None
            assert was < 18.0
            assert now == pytest.approx(was, abs=2.5)

    on_standing(tmp_path, story)


@pytest.mark.fault("F64")
def test_a_sample_is_under_test_from_contact_on_and_its_run_is_never_resumed(tmp_path: Path) -> None:
    async def story(bench: Standing) -> None:
        store = prepare(bench.order(NAIL), {}).data.samples
        bundle = await bench.die(NAIL, lambda seen: any(it["kind"] == "contact" for it in seen), after_s=1.0)
        at_death = json.loads((tmp_path / "sample-at-death.json").read_text())
        assert at_death["state"] == "under_test"
        with pytest.raises(ConfigError, match="an abuse test is never resumed"):
            read_back(record.load(bundle), sequences.parse(NAIL.read_text(), "nail.yaml"))
        closed = await asyncio.to_thread(closing_without_hardware, bundle, tmp_path)
        assert closed.verdict == "aborted"
        assert store.show("S-1").state == "quarantined"
        with pytest.raises(ConfigError, match="cannot be tested"):
            prepare(bench.order(SHORT), {})

    cell = edited(tmp_path, "cells", "lfp-blade", {"start_soc": '"100 %"'})
    on_standing(tmp_path, story, cell=cell)
