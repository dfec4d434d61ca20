"""The hand-over page: what a data folder holds open stands on it, in either language, and nothing is changed."""

from __future__ import annotations

import json
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from bench.latch import Latch, Latches
from bench.report import handover
from bench.report.wording import Language, catalogue, language_of
from bench.results import VerdictWord
from bench.samples import Sample, SampleState, SampleStore
from drivers.errors import ConfigError

#: 2026-03-01T06:00:00Z, by `date -u -d @1772344800`.
NOW_UTC_S = 1772344800.0
HOUR_S = 3600.0
REPORT = Path(handover.__file__).parent


class Sections(HTMLParser):
    """The words of a page by the section that they stand in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.language: str | None = None
        self.fetched: list[str] = []
        self.text: dict[str, str] = {}
        self._at = "head"
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "html":
            self.language = given.get("lang")
        if tag in ("header", "section", "footer"):
            self._at = given.get("id") or tag
        self.fetched += [key for key in given if key in ("src", "href", "action")]

    def handle_data(self, data: str) -> None:
        self.text[self._at] = f"{self.text.get(self._at, '')} {data}"


def run(data: Path, name: str, *, hours_ago: float, verdict: str | None, awaiting: tuple[str, ...] = ()) -> Path:
    """A run's folder as far as the page reads it; without a verdict it was never closed."""
    folder = data / "runs" / name
    folder.mkdir(parents=True)
    header = {"run_id": name, "mode": "live", "sequence": "lab/first", "sample": "C25-0007"}
    line = {"n": 0, "utc_s": NOW_UTC_S - hours_ago * HOUR_S, "kind": "header", "data": header}
    (folder / "events.jsonl").write_text(json.dumps(line) + "\n")
    if verdict is not None:
        (folder / "manifest.json").write_text("{}")
        (folder / "result.json").write_text(json.dumps({"verdict": verdict, "awaiting": awaiting}))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    run(tmp_path, "0001-old", hours_ago=13.0, verdict="fail")
    run(tmp_path, "0002-cut", hours_ago=14.0, verdict=None)
    run(tmp_path, "0003-nail", hours_ago=2.0, verdict="inconclusive", awaiting=("no_fire",))
    run(tmp_path, "0004-good", hours_ago=1.0, verdict="pass")
    latch = Latch(
        bench="b<2>", run_id="0004-good", bundle="x", utc_s=NOW_UTC_S, kind="bench_limit", rule="bench.pressure",
        device="th16", value=140.0, limit=130.0, safe=False, unsafe=("contactor k1",),
    )  # fmt: skip
    Latches(tmp_path).put(latch)
    store = SampleStore(tmp_path / "samples")
    for name, state in (("Q1", SampleState.QUARANTINED), ("D1", SampleState.DESTROYED), ("R1", SampleState.RECEIVED)):
        store.add(Sample(id=name, type="nmc-21700", state=state))
    return tmp_path


@pytest.mark.parametrize("language", get_args(Language))
def test_what_is_open_stands_in_its_section(data: Path, language: Language) -> None:
    found = handover.gathered(data, NOW_UTC_S, 12 * HOUR_S)
    page = Sections(handover.render(found, language))
    assert page.language == {"en": "en", "zh": "zh-CN"}[language]
    assert page.fetched == []
    ids = {name: set(re.findall(r"000\d-[a-z]+", text)) for name, text in page.text.items()}
    assert ids["interrupted"] == {"0002-cut"}
    assert ids["awaiting"] == {"0003-nail"}
    assert ids["runs"] == {"0003-nail", "0004-good"}, "begun in the last 12 hours"
    assert "no_fire" in page.text["awaiting"]
    assert "b<2>" in page.text["trips"]
    assert "contactor k1" in page.text["trips"]
    assert set(re.findall(r"\b[QDR]1\b", page.text["samples"])) == {"Q1", "D1"}
    assert "2026-03-01T06:00:00Z" in page.text["header"]
    assert "PASS" in page.text["runs"]
    assert ("合格 PASS" in page.text["runs"]) == (language == "zh")
    assert "3" in page.text["header"], "one trip, one interrupted run, one judgement"
    assert found.attention == 3


def test_the_english_page_has_no_chinese_word(data: Path) -> None:
    page = Sections(handover.render(handover.gathered(data, NOW_UTC_S, HOUR_S), "en"))
    del page.text["head"]  # the style sheet
    assert not re.search(r"[\u4e00-\u9fff]", "".join(page.text.values()))


def test_what_cannot_be_read_is_named(data: Path) -> None:
    (data / "runs" / "0004-good" / "result.json").write_text("{")
    (data / "latches" / "torn.json").write_text("{")
    (data / "samples" / "Q1.json").write_text("[]")
    found = handover.gathered(data, NOW_UTC_S, 12 * HOUR_S)
    text = Sections(handover.render(found, "en")).text["unreadable"]
    assert all(name in text for name in ("0004-good", "torn.json", "Q1.json"))
    assert found.attention == 6, "three spoilt files beside the trip, the interrupted run and the judgement"


def test_nothing_in_the_folder_is_changed(data: Path) -> None:
    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}

    before = files()
    handover.render(handover.gathered(data, NOW_UTC_S, HOUR_S), "zh")
    assert files() == before


def test_a_certificate_holds_to_the_end_of_its_last_day() -> None:
    dates = {"a.voltage": ("A", date(2026, 3, 1)), "b.voltage": ("B", date(2026, 2, 28))}
    assert [it.point for it in handover.overdue(dates, NOW_UTC_S)] == ["b.voltage"]
    assert [it.point for it in handover.overdue(dates, NOW_UTC_S + 18 * HOUR_S)] == ["b.voltage", "a.voltage"]


@pytest.mark.parametrize(("text", "seconds"), [("12h", 43200.0), ("3d", 259200.0), (" 1 h ", 3600.0)])
def test_a_span_of_time(text: str, seconds: float) -> None:
    assert handover.span_s(text) == seconds


@pytest.mark.parametrize("text", ["", "12", "-1h", "1w", "1.5h"])
def test_no_span_of_time(text: str) -> None:
    with pytest.raises(ConfigError):
        handover.span_s(text)


def test_only_the_two_languages() -> None:
    with pytest.raises(ConfigError):
        language_of("de")


def test_the_catalogues_have_the_same_keys_and_blanks() -> None:
    english, chinese = catalogue("en"), catalogue("zh")
    assert english.keys() == chinese.keys()

    def blanks(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text)} - {None}

    assert all(blanks(english[key]) == blanks(chinese[key]) for key in english)
    assert all(text.strip() for words in (english, chinese) for text in words.values())


def test_every_key_is_used_and_none_is_missing() -> None:
    template = (REPORT / "handover.html.j2").read_text()
    used = set(re.findall(r'\bt\("([\w.]+)"[,)]', template))
    families = set(re.findall(r't(?:\.either)?\("(\w+\.)" ~', template))
    keys = set(catalogue("en"))
    assert families == {"verdict.", "ended.", "sample."}
    assert used <= keys
    assert {key for key in keys - used if not key.startswith(tuple(families))} == set()


def test_every_verdict_has_its_words() -> None:
    for word in (*get_args(VerdictWord), "none"):
        english = catalogue("en")[f"verdict.{word}"]
        assert catalogue("zh")[f"verdict.{word}"].endswith(f" {english}"), "the English word stands beside the Chinese"


@pytest.mark.parametrize("language", get_args(Language))
def test_a_template_says_nothing_by_itself(language: Language) -> None:
    template = (REPORT / "handover.html.j2").read_text()
    body = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|<[^>]*>", "", template[template.index("<body>") :], flags=re.S)
    assert not re.search(r"[A-Za-z\u4e00-\u9fff]", body), f"a word that is not of the {language} catalogue"
