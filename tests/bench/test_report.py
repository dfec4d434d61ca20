"""The report: whole in itself, the same every time, and it says what must not be missed."""

from __future__ import annotations

import html.parser
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import bundle, record
from bench.report import gather, render
from bench.report.scales import padded, runs, thinned, ticks
from bench.report.step_table import steps_of
from bench.results import CriterionRow, EndedByRow, EndWord, FaultRow, Limit, VerdictWord
from drivers.errors import RecordError
from tests.bench.synthetic_run import CHARGE_AH, record_run, result, sealed_run


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed_run(tmp_path_factory.mktemp("runs") / "run", turns=2)


@pytest.fixture(scope="module")
def page(sealed: Path) -> str:
    return (sealed / "report.html").read_text()


class Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[tuple[str, str, str | None]] = []
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for key, value in attrs:
            if tag != "a" and key in {"src", "href", "srcset", "poster", "data", "xlink:href", "action"}:
                self.fetched.append((tag, key, value))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Page:
    parsed = Page()
    parsed.feed(page)
    return parsed


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", " ".join(read(page).text))


def test_a_browser_would_fetch_nothing(page: str) -> None:
    assert read(page).fetched == []
    assert not re.search(r"@import|url\(|<script|<link|http-equiv", page)


def test_the_same_bundle_gives_the_same_page_anywhere(sealed: Path, page: str, tmp_path: Path) -> None:
    moved = shutil.copytree(sealed, tmp_path / "elsewhere")
    assert render(moved) == page


def test_it_says_what_it_is_not(page: str) -> None:
    text = words_of(page)
    assert "This is not a certificate" in text
    assert "mimics GB/T 31486-2024" in text
    assert "not a safety function" in text


def test_simulated_is_said_loudly_and_a_live_run_does_not_say_it(sealed: Path, page: str, tmp_path: Path) -> None:
    assert words_of(page).index("SIMULATED") < words_of(page).index("PASS")
    live = shutil.copytree(sealed, tmp_path / "live")
    events = (live / "events.jsonl").read_bytes().split(b"\n", 1)[0]
    (live / "events.jsonl").write_bytes(events.replace(b'"mode":"simulated"', b'"mode":"live"') + b"\n")
    assert 'class="stamp"' not in render(live)


def test_identity_standard_and_devices_are_there(page: str) -> None:
    text = words_of(page)
    for wanted in (
        "0007-room-capacity", "A. Müller", "S-0042", "seed 1", "Bench 7, room <114>", "SN123", "3.02", "PSB 10060-170",
        "室温放电容量", "in force", "现行", "EA-2026-0417", "2027-04-17", "cellbench 0.1.0", "not used in this run",
    ):  # fmt: skip
        assert wanted in text, wanted


def test_the_clause_table_marks_what_is_unverified_and_who_entered_what(page: str) -> None:
    text = words_of(page)
    assert "grade U — UNVERIFIED" in text
    assert "entered by simulated operator" in text
    assert text.index("Discharge capacity") < text.index("Relative humidity"), "requirements come first"
    assert "15 … 90" in text
    assert "air pressure 101 kPa simulated operator" in text
    assert "≥ 54" in text


def test_warnings_and_changed_parameters_are_printed(page: str) -> None:
    text = words_of(page)
    assert "lies in the lowest 10 % of its range" in text
    assert "rate 1 I3 CHANGED" in text


def test_results_stand_beside_truth_and_claim(page: str) -> None:
    text = words_of(page)
    assert "57.002" in text
    assert "claimed 300 Wh/kg" in text
    assert "98.3 %" in text, "295 of 300"
    assert "NOMINAL" in text
    assert "lowest 10 % of its range" in text


def test_the_end_and_the_safe_state_are_there(page: str) -> None:
    text = words_of(page)
    assert "the sequence came to its end" in text
    assert "confirmed by read-back" in text
    assert "contactor open by feedback" in text


def svgs(page: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_voltage_current_temperature_and_capacity_are_drawn_with_units_and_steps(page: str) -> None:
    figures = {svg.get("id"): svg for svg in svgs(page)}
    assert set(figures) == {"voltage", "current", "temperature", "capacity", "discharges"}
    for name, unit in (("voltage", "V"), ("current", "A"), ("temperature", "°C"), ("capacity", "Ah")):
        labels = [it.text for it in figures[name].iter("text") if it.get("class") == "label"]
        assert labels == [unit, "test time / h"]
        assert [it for it in figures[name].iter("rect") if "discharge" in (it.get("class") or "")]
    assert len(list(figures["discharges"].iter("polyline"))) == 2
    assert [it for it in figures["voltage"].iter("g") if "mark" in (it.get("class") or "")]


def test_no_curve_has_more_points_than_a_page_can_show(tmp_path: Path) -> None:
    log = record_run(tmp_path / "run", turns=1, every_s=1.0, period_s=1.0)
    log.close()
    for svg in svgs(render(tmp_path / "run")):
        names = [line.findtext("title") for line in svg.iter("polyline")]
        for name in set(names):
            lines = [it for it in svg.iter("polyline") if it.findtext("title") == name]
            assert sum(len(line.get("points", "").split()) for line in lines) <= 2100


def test_steps_carry_the_charge_that_the_cell_gave(tmp_path: Path) -> None:
    record_run(tmp_path / "run", turns=1).close()
    steps = steps_of(record.load(tmp_path / "run"))
    assert [step.kind for step in steps] == ["soak", "discharge", "rest", "charge", "rest"]
    charges = [step.charge_ah for step in steps]
    assert charges == pytest.approx([0.0, -0.95 * CHARGE_AH, 0.0, 0.95 * CHARGE_AH, 0.0], abs=0.02)
    # mean voltage of a straight line from 100 % to 5 % SOC, less the drop over 2 mohm at 20 A
    assert steps[1].energy_wh == pytest.approx(-0.95 * CHARGE_AH * (3.0 + 1.2 * 0.525 - 0.04), rel=1e-3)
    assert [step.end_s - step.begin_s for step in steps] == pytest.approx([1800, 10260, 1800, 10260, 1800])


def test_an_interrupted_run_has_a_report_that_says_so(tmp_path: Path) -> None:
    log = record_run(tmp_path / "run")
    log.flush()
    log.abandon()
    text = words_of(render(tmp_path / "run"))
    assert "NOT CLOSED" in text
    assert "interrupted" in text


@pytest.mark.parametrize(
    ("verdict", "kind", "wanted"),
    [
        ("fail", "completed", "Not met on good measurement: Capacity"),
        ("error", "device", "The bench failed, not the sample"),
        ("aborted", "interlock", "stopped before its end, by an interlock"),
        ("inconclusive", "completed", "out of tolerance: Ambient"),
    ],
)
def test_every_verdict_is_said_in_words(tmp_path: Path, verdict: VerdictWord, kind: EndWord, wanted: str) -> None:
    row: dict[str, Any] = {
        "kind": "condition", "title_zh": "", "source": "S", "clause": None, "value": None, "unit": "", "grade": "A",
        "limit": Limit(),
    }  # fmt: skip
    criteria = [
        CriterionRow(id="a", verdict="fail", title="Capacity", **row),
        CriterionRow(id="b", verdict="inconclusive", title="Ambient", **row),
    ]
    ended = EndedByRow(phase="conditioning", kind=kind, rule="door_closed", device="io1", value=0.0, limit=1.0)
    faults = [FaultRow(error="door <opened>", where="io1", fix="close it")]
    log = record_run(tmp_path / "run")
    log.event("trip", cause=kind, rule="door_closed", device="io1", value=0.0, limit=1.0, readings={})
    bundle.seal(log, result(verdict=verdict, criteria=criteria, ended_by=ended, faults=faults, plant_truth=None))
    text = words_of((tmp_path / "run" / "report.html").read_text())
    assert wanted in text
    assert "rule door_closed · device io1 · value 0 · limit 1" in text
    assert "door <opened>" in text
    assert "not measured" in text


def test_what_is_no_bundle_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="not a bundle"):
        render(tmp_path)


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-6, 1e6), wanted=st.integers(2, 12))
def test_ticks_are_round_evenly_spaced_and_inside(low: float, span: float, wanted: int) -> None:
    high = low + span
    found = ticks(low, high, wanted)
    assert len(found) <= wanted + 2
    air = 1e-6 * max(abs(low), abs(high), span)
    assert all(low - air <= at <= high + air for at in found)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5000), st.integers(8, 2000))
def test_thinning_keeps_every_peak_and_the_order(values: list[float], most: int) -> None:
    points = [(float(at), value) for at, value in enumerate(values)]
    kept = thinned(points, most)
    assert len(kept) <= max(most, 8)
    assert kept == sorted(kept)
    assert set(kept) <= set(points)
    assert {max(kept, key=lambda p: p[1])[1], min(kept, key=lambda p: p[1])[1]} == {max(values), min(values)}


def test_a_gap_in_the_data_is_a_gap_in_the_curve() -> None:
    assert runs([0.0, 1.0, 2.0, 3.0], [1.0, None, 2.0, 3.0]) == [[(0.0, 1.0)], [(2.0, 2.0), (3.0, 3.0)]]


def test_a_flat_curve_is_not_blown_up_to_noise() -> None:
    low, high = padded([25.0, 25.1], at_least=4.0)
    assert high - low == pytest.approx(4.0)


def test_a_simulated_point_carries_a_certificate_dated_from_the_runs_start() -> None:
    """For a year: 2026-01-05 to 2027-01-05. A point of the bench file without a certificate has a simulated one too."""
    bench = {"calibration": {"psb.out": {"certificate": "EA-1", "date": "2025-01-01", "due": "2025-12-31"}}}
    plan = {"simulated": True, "calibration": [{"point": "psb.out", "certificate": "EA-1"}, {"point": "th1.ai0"}]}
    files = gather.Files(sequence={}, bench=bench, cell={}, sample={}, plan=plan, result={}, environment={})
    rows = gather.calibrations(files, 1767600000.0)
    assert [(row["certificate"], row["date"], row["due"]) for row in rows] == [
        ("in place of EA-1", "2026-01-05, the run's start", "2027-01-05"),
        ("", "2026-01-05, the run's start", "2027-01-05"),
    ]


@pytest.mark.parametrize(("example", "printed"), [("0.5 m/s", "0.5 m/s"), ("500 mm/s", "500 mm/s")])
def test_an_entered_speed_is_printed_in_the_unit_it_was_asked_for_in(example: str, printed: str) -> None:
    answered = record.Event(1, 0.0, 0.0, "answered", {"by": "Ann", "values": {"air_speed": 500.0}})
    kept = record.Record(Path("run"), (answered,), record.Rows({}))
    sequence = {"steps": [{"confirm": {"entries": [{"name": "air_speed", "example": example}]}}]}
    files = gather.Files(sequence=sequence, bench={}, cell={}, sample={}, plan={}, result={}, environment={})
    (row,) = gather.entries(kept, files)
    assert row["value"] == printed
