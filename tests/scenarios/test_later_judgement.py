"""A nail run whose judgements nobody answered, settled later: the whole way, on simulated devices."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from bench import bundle, judging, parquet, record
from bench.answers import GivenAnswers, Judged
from bench.later_evidence import attach, judge
from bench.results import RunResult, VerifyStatus
from bench.run import prepare, run_simulated
from bench.verify import verify
from sequences import expand, parse
from tests.scenarios.runs import order

pytestmark = pytest.mark.scenario

NAIL = Path(__file__).parent / "nail.yaml"
PEOPLE = {"carry": "lin", "arm": "lin", "start": "wang", "take_over": "lin"}


def nail_run(folder: Path, judged: dict[str, Judged]) -> tuple[RunResult, Path]:
    prepared = prepare(order(folder, sequence=NAIL, cell="lfp-blade", edits={"start_soc": '"100 %"'}), {})
    sample = f"{prepared.plan.cell.type}-simulated-1"
    answers = GivenAnswers("answers.yaml", {"sample": sample}, confirms_hazard=True, permits=PEOPLE, judged=judged)
    result = run_simulated(prepared, answers)
    return result, Path(result.bundle)


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, Path]:
    return nail_run(tmp_path_factory.mktemp("unjudged"), {})


@pytest.fixture
def run(unjudged: tuple[RunResult, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(unjudged[1], tmp_path / "run"))


def test_a_run_that_nobody_judged_awaits_that_alone(unjudged: tuple[RunResult, Path]) -> None:
    result, folder = unjudged
    assert (result.verdict, result.exit_code, result.awaiting) == ("inconclusive", 5, ["no-fire", "no-explosion"])
    assert result.ended_by.kind in ("completed", "sample_event")
    assert "AWAITING JUDGEMENT" in (folder / "report.html").read_text()


def test_what_was_sealed_settles_to_what_was_said(unjudged: tuple[RunResult, Path]) -> None:
    """From values.json and sequence.yaml alone: the same clause table, the same results, the same verdict."""
    result, folder = unjudged
    sequence = expand(parse((folder / "sequence.yaml").read_text(), "sequence.yaml"))
    values = {
        name: math.nan if value is None else value
        for name, value in json.loads((folder / bundle.VALUES).read_text()).items()
    }
    settled = judging.settle(sequence, values, ended=result.ended_by.kind, phase=result.ended_by.phase)
    assert settled.verdict == result.verdict
    assert {name: value.value for name, value in result.results.items()} == pytest.approx(settled.results)
    assert [(row.criterion.id, row.verdict, row.value) for row in settled.criteria] == [
        (row.id, row.verdict, row.value) for row in result.criteria
    ]


def test_judged_later_it_comes_to_what_it_would_have_come_to_at_once(run: Path, tmp_path: Path) -> None:
    said = {name: Judged(answer=False, by="wang", note="view") for name in ("fire", "explosion")}
    at_once, _ = nail_run(tmp_path, said)
    judge(run, "fire", answer=False, by="wang", note="video 3", utc_s=1.79e9)
    later = judge(run, "no-explosion", answer=False, by="wang", note="video 3", utc_s=1.79e9)
    assert (later.verdict, later.exit_code) == (at_once.verdict, at_once.exit_code) == ("pass", 0)
    assert later.criteria == at_once.criteria, "also who judged"
    assert later.results == at_once.results
    video = tmp_path / "nail.mp4"
    video.write_bytes(b"moving pictures")
    attach(run, video, what="video", by="wang", utc_s=1.79e9)
    found = verify(run)
    assert (found.status, found.amendments) == (VerifyStatus.INTACT, 3)


def test_the_stroke_lies_on_the_runs_own_clock(unjudged: tuple[RunResult, Path]) -> None:
    """The rig's buffer and the polled position agree to what the offset and one poll allow."""
    result, folder = unjudged
    kept = record.load(folder)
    columns, _ = parquet.read(folder / "stroke-1.parquet")
    table = list(zip(columns["test_time_s"], columns["position_mm"], strict=True))
    moving = [(t, mm) for t, mm in table if t is not None and mm is not None]
    end_s = next(t for t, mm in moving if mm >= moving[-1][1] - 1e-6)
    contact_mm = next(kept.of("stroke_ended")).data["contact_mm"]
    contact_s = next(t for t, mm in moving if mm >= contact_mm)
    depth_mm = moving[-1][1] - contact_mm
    assert depth_mm / (end_s - contact_s) == pytest.approx(25.0, rel=0.02)
    assert next(kept.of("contact")).data["at_s"] - kept.start_s == pytest.approx(contact_s, abs=0.2)
    assert result.results["penetration_depth_mm"].value == pytest.approx(depth_mm, abs=0.01)


def test_temperatures_in_the_bdf_file_are_those_of_the_nailed_cell(unjudged: tuple[RunResult, Path]) -> None:
    result, folder = unjudged
    lines = next(folder.glob("*.bdf.csv")).read_text().splitlines()
    at = lines[0].split(",").index("Surface Temperature T1 / degC")
    hottest_c = max(float(line.split(",")[at]) for line in lines[1:] if line.split(",")[at])
    assert hottest_c == pytest.approx(result.results["peak_temperature_c"].value, abs=2.0)
