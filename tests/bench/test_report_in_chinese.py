"""A report in Chinese: its own words are; what the record says stands as it was written."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files as package_files
from pathlib import Path
from typing import get_args

import pytest

from bench.record import Record
from bench.report import render, words
from bench.report.marked_events import CHINESE, MARKED
from bench.report.step_table import Step, steps_of
from bench.report.wording import Language
from bench.results import EndWord, VerdictWord
from sequences.language import Phase
from tests.bench.synthetic_nail import sealed_nail
from tests.bench.synthetic_run import sealed_run
from tests.bench.test_report import read, words_of

TEMPLATE = package_files("bench.report").joinpath("report.html.j2").read_text("utf-8")
#: Both languages of a phrase of the template.
PHRASES = re.findall(r"\b[bo]\(\"([^\"]+)\", \"([^\"]+)\"\)", TEMPLATE)
HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("runs")
    nail = sealed_nail(folder / "nail", judged={"fire": False, "explosion": False})
    return sealed_run(folder / "capacity", turns=1), nail, sealed_nail(folder / "unjudged")


def test_every_phrase_of_the_page_has_words_in_both() -> None:
    assert len(PHRASES) > 120
    assert [(en, zh) for en, zh in PHRASES if not HAN.search(zh)] == []
    assert [en for en, _ in PHRASES if HAN.search(en)] == []


def test_a_chinese_page_says_none_of_its_english_phrases(bundles: tuple[Path, ...]) -> None:
    english = {en for en, _ in PHRASES if len(en.split()) > 2} | {
        "This is not a certificate",
        "Clauses",
        "How it ended",
    }
    for bundle in bundles:
        page = render(bundle, "zh")
        assert page.startswith('<!doctype html>\n<html lang="zh">')
        text = words_of(page)
        assert [phrase for phrase in english if re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text)] == []
        for heading in ("条款", "结果", "曲线", "结束与安全状态", "工步", "标识", "设备与校准", "事件"):
            assert heading in text
        assert "本报告不是认证证书" in text


def test_what_must_not_be_missed_is_said_in_chinese(bundles: tuple[Path, ...]) -> None:
    capacity, judged, unjudged = (words_of(render(bundle, "zh")) for bundle in bundles)
    assert "模拟试验 — 所有读数均来自仿真模型" in capacity
    assert "未经核实" in capacity
    assert "待判定" in unjudged
    assert "无人接管" in unjudged
    assert "是否起火？" in judged
    assert "Did it <burn>?" not in judged  # the sequence has it in Chinese
    assert "测量有效，所有要求均已满足" in judged


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_that_a_record_says_becomes_markup(
    bundles: tuple[Path, ...], language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "<img src=x onerror=alert(1)>"

    def altered(kept: Record) -> list[Step]:
        return [replace(step, kind=evil, phase=evil, name=evil, why=evil) for step in steps_of(kept)]

    monkeypatch.setattr("bench.report.steps_of", altered)
    monkeypatch.setattr("bench.report.first_out.figure", lambda _: (evil, evil, "<svg></svg>", [(1, evil)]))
    monkeypatch.setattr("bench.report.words.ended", lambda _: (evil, evil))
    for bundle in bundles:
        page = render(bundle, language)
        assert evil not in page
        assert html.escape(evil) in page
        assert not {"img", "burn"} & set(read(page).tags)


def test_without_a_language_it_is_the_page_that_was_sealed(bundles: tuple[Path, ...]) -> None:
    for bundle in bundles:
        assert render(bundle) == render(bundle, "en") == (bundle / "report.html").read_text()


def test_every_word_of_the_record_that_is_one_of_few_has_chinese() -> None:
    assert CHINESE.keys() == MARKED.keys()
    assert words.PHASES.keys() == {phase.value for phase in Phase}
    assert {*get_args(EndWord)} <= words.ENDS.keys()
    assert {*get_args(VerdictWord)} <= words.VERDICTS.keys()
    assert words.GRADES_ZH.keys() == words.GRADES.keys()


def test_the_command_writes_it_and_refuses_other_languages(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    def report(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bench.cli", "report", str(bundles[0]), *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    out = tmp_path / "zh.html"
    assert report("--lang", "zh", "--out", str(out)).returncode == 0
    assert out.read_text() == render(bundles[0], "zh")
    refused = report("--lang", "fr", "--out", str(tmp_path / "fr.html"))
    assert refused.returncode == 2
    assert "write en or zh" in refused.stderr
    assert not (tmp_path / "fr.html").exists()
