"""The report of an abuse test: nothing that matters after a stimulus may be missed, and later answers show."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench import bundle
from bench.later_evidence import attach, judge
from bench.report import render
from bench.results import Value
from tests.bench.synthetic_nail import nail_result, record_nail, sealed_nail
from tests.bench.test_report import svgs, words_of

BOTH_NO = {"fire": False, "explosion": False}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed_nail(tmp_path_factory.mktemp("runs") / "run", judged=BOTH_NO)


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed_nail(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def page(judged: Path) -> str:
    return (judged / "report.html").read_text()


def test_what_awaits_judgement_is_said_before_anything_else(unjudged: Path) -> None:
    text = words_of((unjudged / "report.html").read_text())
    assert text.index("AWAITING JUDGEMENT 待判定") < text.index("This is not a certificate")
    assert "no-fire , no-explosion" in text
    assert "Awaits a person's judgement: No fire; No explosion." in text
    assert "not answered 未判定" in text
    assert "NOBODY TOOK IT OVER 无人接管" in text


def test_answers_stand_with_definition_name_and_ground(page: str) -> None:
    text = words_of(page)
    assert "AWAITING" not in text
    assert (
        "Did it <burn>? 是否起火？ Flame for more than a second. 可见火焰超过一秒。 ours 1 7.2, grade ours no lin view"
        in text
    )
    assert "Taken over by lin" in text


def test_a_judged_criterion_reads_yes_or_no(page: str) -> None:
    text = words_of(page)
    clause = text[text.index("No fire 不起火") :][:60]
    assert "no 否 no 否 —" in clause, "its value, and what it must be"


def test_the_hazard_level_is_said_in_words(page: str) -> None:
    assert "EUCAR 2: defect or damage" in words_of(page)


def test_a_peak_that_may_have_been_higher_is_said_to_be_at_least_that(page: str, tmp_path: Path) -> None:
    lost = sealed_nail(tmp_path / "run", judged=BOTH_NO, at_least=True)
    text = words_of((lost / "report.html").read_text())
    assert "at least 至少 625 °C" in text
    assert "at least 625 °C on th1.ai4.temperature_c, 5 min 00 s after it" in text
    assert "at least 至少" not in words_of(page)


def test_the_hand_over_states_volts_heat_energy_and_the_nail(page: str) -> None:
    text = words_of(page)
    for wanted in ("THE TOOL IS IN THE SAMPLE 工具仍在样品内", "cell voltage 1 V", "hottest point 325 °C", "96.5 Wh"):
        assert wanted in text, wanted


def test_a_sample_that_was_touched_and_never_handed_over_is_said_loudly(tmp_path: Path) -> None:
    log = record_nail(tmp_path / "run")
    log.close()
    events = (tmp_path / "run" / "events.jsonl").read_bytes().split(b"\n")
    until = next(at for at, line in enumerate(events) if b'"kind":"observation_ended"' in line)
    (tmp_path / "run" / "events.jsonl").write_bytes(b"\n".join(events[:until]) + b"\n")
    text = words_of(render(tmp_path / "run"))
    assert "THE SAMPLE WAS NOT HANDED OVER" in text
    assert "observation 观察 NOT COMPLETED" in text


def test_the_stroke_is_told_by_the_rigs_own_numbers(page: str) -> None:
    text = words_of(page)
    assert "armed, started by 预备、启动 lin, wang" in text
    assert "mean speed from contact on, from the rig's buffer 接触后平均速度 25 mm/s" in text
    assert "301 rows, clock within ± 4 ms of the run's" in text


def test_force_and_voltage_are_drawn_along_the_stroke_and_heat_after_contact(page: str) -> None:
    figures = {svg.get("id"): svg for svg in svgs(page)}
    wanted = {
        "stroke-1-force": ["N", "position / mm"],
        "stroke-1-voltage": ["V", "position / mm"],
        "stroke-1-position": ["mm", "since contact / s"],
        "stroke-1-speed": ["mm/s", "since contact / s"],
        "aftermath-temperature": ["°C", "since contact / min"],
        "aftermath-voltage": ["V", "since contact / min"],
    }
    assert wanted.keys() <= figures.keys()
    for name, labels in wanted.items():
        assert [it.text for it in figures[name].iter("text") if it.get("class") == "label"] == labels
    marks = [it.findtext("title") or "" for it in figures["aftermath-temperature"].iter("g")]
    assert any("contact of the nail" in text and "smoke" in text for text in marks)
    assert [it.findtext("text") for it in figures["stroke-1-force"].iter("g")] == ["contact"]


def drawn(svg_id: str, page: str) -> list[tuple[float, float]]:
    figure = next(svg for svg in svgs(page) if svg.get("id") == svg_id)
    points = [pair.split(",") for line in figure.iter("polyline") for pair in line.get("points", "").split()]
    return [(float(x), float(y)) for x, y in points]


def test_the_drawn_speed_is_the_speed(page: str) -> None:
    """25 mm/s until the nail stops 1.48 s after contact, then 0: two levels, with a fall of 40 ms between them."""
    heights = [y for _, y in drawn("stroke-1-speed", page)]
    top, bottom = min(heights), max(heights)
    assert sum(top < y < bottom for y in heights) <= 4
    assert heights.index(bottom) > sum(y == top for y in heights) - 1


def test_a_later_answer_shows_beside_the_sealed_one(unjudged: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(unjudged, tmp_path / "run"))
    for question, answer in (("fire", True), ("explosion", False), ("fire", False)):
        judge(run, question, answer=answer, by="Wang <Fang>", note="video 3", utc_s=1_790_100_000.0)
    video = tmp_path / "nail.mp4"
    video.write_bytes(b"x" * 2_000_000)
    attach(run, video, what="video", by="lin", note="camera 3", clock_offset_s=1.2, utc_s=1_790_100_000.0)
    text = words_of(render(run))
    assert "Judged later. When the run was closed its verdict was INCONCLUSIVE" in text
    assert text.index("PASS") < text.index("Judged later")
    assert "yes superseded Wang <Fang>" in text
    assert "added after the seal, amendments/0003.json" in text
    assert "judged by Wang <Fang>" in text
    assert "2026-09-22 18:00:00 UTC" in text
    assert "video nail.mp4 amendments/files/" in text
    assert "2 MB 1.2 s lin" in text
    assert "4 amendments were added since the seal" in text
    assert "EUCAR 2" in text, "the level that only the answers give"
    assert (run / "report.html").read_text() == (unjudged / "report.html").read_text(), "the sealed page stays"


def test_an_amendment_that_does_not_hold_is_said_and_not_used(unjudged: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(unjudged, tmp_path / "run"))
    judge(run, "fire", answer=True, by="lin", note="video", utc_s=1_790_100_000.0)
    path = run / "amendments" / "0001.json"
    path.write_text(path.read_text().replace('"fail"', '"pass"'))
    text = words_of(render(run))
    assert "What was added to this run does not hold" in text
    assert "INCONCLUSIVE" in text
    assert "PASS" not in text


def test_an_answer_that_a_detector_contradicts_is_undecided(tmp_path: Path) -> None:
    run = sealed_nail(tmp_path / "run", judged=BOTH_NO, flame=True)
    text = words_of((run / "report.html").read_text())
    assert "contradicted by flame: undecided" in text
    assert "INCONCLUSIVE" in text


def test_a_simulated_observer_is_named(tmp_path: Path) -> None:
    log = record_nail(tmp_path / "run")
    log.event("judged", question="fire", answer=False, by="simulated observer", note="", contradicted_by=[])
    log.close()
    assert '<strong class="sim">simulated observer</strong>' in render(tmp_path / "run")


def test_a_result_with_no_answer_has_no_hazard_level(tmp_path: Path) -> None:
    log = record_nail(tmp_path / "run")
    result = nail_result({})
    bundle.put(tmp_path / "run", bundle.VALUES, {})
    bundle.seal(log, result.model_copy(update={"results": {"hazard_level": Value(value=9.0, unit="")}}))
    assert "EUCAR" not in words_of((tmp_path / "run" / "report.html").read_text())
