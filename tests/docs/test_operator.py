"""The operator's page, typed along from the scan of a label to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.report.words import VERDICTS
from bench.results import EXIT_CODES
from tests.docs.shell_pages import DOCS, blocks, lay_out, type_along

PAGE = "operator.md"
#: Leaves no simulated bench behind when a command of the page fails.
CLEAN_UP = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"


@pytest.mark.scenario
def test_the_worked_example_goes_from_a_scan_to_a_sealed_report(tmp_path: Path) -> None:
    lay_out(PAGE, "yaml", tmp_path)
    done = type_along(CLEAN_UP + "".join(blocks(PAGE, "bash")), tmp_path, typed="L-2026-0117\n")
    assert done.returncode == 0, done.stderr
    assert "exit code 0" in done.stdout
    assert "intact" in done.stdout
    assert "L-2026-0117" in done.stdout
    (bundle,) = (tmp_path / "rehearsals").iterdir()
    result = json.loads((bundle / "result.json").read_text())
    assert (result["verdict"], result["mode"]) == ("pass", "simulated")
    sample = json.loads((bundle / "sample.json").read_text())
    assert (sample["id"], sample["mass_kg"], sample["balance"]) == ("L-2026-0117", pytest.approx(0.0693), "B-3")
    # 0.5 I1 of 5 Ah for 3 s are 2.1 mAh; the step may end one poll later
    assert result["results"]["capacity_ah"]["value"] == pytest.approx(2.5 * 3 / 3600, rel=0.5)
    report = (bundle / "report.html").read_text("utf-8")
    assert "SIMULATED" in report
    assert "有电荷流过" in report
    for message in ("preflight: reading the bench", "preflight passed, OCV", "the sequence has come to its end"):
        assert message in done.stderr
        assert message in (DOCS / PAGE).read_text("utf-8")


def test_verdicts_and_exit_codes_are_those_of_the_program() -> None:
    lines = [line.split("|") for line in (DOCS / PAGE).read_text("utf-8").splitlines() if line.startswith("|")]
    told = {cells[1].strip(): (cells[2].strip(), cells[3].strip()) for cells in lines if len(cells) == 6}
    for verdict, code in EXIT_CODES.items():
        chinese, number = told[verdict.upper()]
        assert number == str(code)
        assert chinese == VERDICTS[verdict][1]


def test_the_report_has_the_sections_that_the_page_names() -> None:
    template = (DOCS.parent / "bench" / "report" / "report.html.j2").read_text("utf-8")
    page = (DOCS / PAGE).read_text("utf-8")
    for section in (
        "Clauses",
        "Results",
        "Judgement",
        "Hand-over",
        "Stroke",
        "After the stimulus",
        "Curves",
        "How it ended",
        "Identity",
        "Devices and calibration",
    ):
        assert f'<h2>{{{{ b("{section}", ' in template
        assert f"**{section}" in page
