"""Whole journeys at a real daemon: a simulated line in a process of its own, the real interface, a real browser."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson
import pytest
from playwright.sync_api import Browser, Error, expect

from bench import verify
from bench.results import VerifyStatus
from bench.shipped import examples
from tests.page.conftest import CHROMIUM, Visit
from tests.page.served import PASSWORD, keep_people
from tests.page.test_journeys import scan

pytestmark = pytest.mark.scenario
LONG = pytest.mark.skipif(not os.environ.get("CELLBENCH_ALL"), reason="long: whole in ./scripts/soak")

ROOT = Path(__file__).resolve().parents[2]
LINE = examples() / "benches" / "line.toml"
CELL = "nmc-21700"
NAIL = "gbt31485-2015/nail-penetration"
SOON_MS, LATER_MS = 20_000, 120_000
ROUNDS = 1000  # of at least 0.4 s: whoever asks gets an answer long before


@dataclass
class Bench:
    link: str
    data: Path
    heard: IO[str]

    def tell(self, word: str) -> None:
        self.heard.write(f"{word}\n")
        self.heard.flush()

    def result(self, run_id: str) -> dict[str, object]:
        bundle = self.data / "runs" / run_id
        assert verify.verify(bundle).status is VerifyStatus.INTACT, (self.data / "said").read_text()
        return dict(orjson.loads((bundle / "result.json").read_bytes()))


@contextmanager
def standing(data: Path, speed: str, *, smoky: bool = False) -> Iterator[Bench]:
    """A daemon on a simulated line, told of smoke through ``Bench.tell`` if it is ``smoky``; SIGTERM ends it."""
    keep_people(data)
    words = ["bench.cli", "serve", "--bench", str(LINE), "--simulate", "--speed", speed, "--listen", "127.0.0.1:0"]
    words += ["--sequences", "tests/daemon", "--data", str(data)]
    with (data / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *(["tests.page.smoky_line", str(data), speed] if smoky else words)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        link = process.stdout.readline().strip()
        assert link, (data / "said").read_text()
        yield Bench(link, data, process.stdin)
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdin.close()
        assert process.wait(60.0) == 0, (data / "said").read_text()
        process.stdout.close()


Arrive = Callable[..., Visit]


@pytest.fixture
def arrive(browser: Browser) -> Iterator[Arrive]:
    """A person in front of a browser of their own, signed in."""
    visits: list[Visit] = []

    def come(bench: Bench, language: str, name: str = "lin", *, of: Browser = browser) -> Visit:
        locale = "zh-CN" if language == "zh" else "en-GB"
        context = of.new_context(locale=locale, viewport={"width": 1280, "height": 900})
        visit = Visit(context.new_page(), context, bench.link, language, [])
        visit.page.close()
        visit.open()
        visit.sign_in(name)
        visits.append(visit)
        return visit

    yield come
    for visit in visits:
        with suppress(Error):  # of a browser that has died
            visit.context.close()
    assert [visit.errors for visit in visits if visit.errors] == []


def start(visit: Visit, *codes: str) -> str:
    visit.page.get_by_role("link", name=visit.w("app.start"), exact=True).click()
    visit.page.locator("#scan").wait_for()
    scan(visit, *codes)
    visit.button("start.check")
    visit.button("start.start")
    said = visit.page.locator("p.good[role=status]")
    expect(said).to_be_visible(timeout=SOON_MS)
    found = re.search(r"\d{4}-[\w-]+", said.inner_text())
    assert found is not None
    return found[0]


@pytest.mark.parametrize("language", ["en", pytest.param("zh", marks=LONG)])
def test_from_scan_to_report(arrive: Arrive, tmp_path: Path, language: str) -> None:
    with standing(tmp_path, "60") as bench:
        visit = arrive(bench, language)
        run_id = start(visit, "tests/asks", "1", CELL)
        page = visit.page
        page.get_by_role("link", name=visit.w("app.prompts")).click()
        page.get_by_role("heading", name=run_id).or_(page.get_by_text(run_id)).first.wait_for(timeout=SOON_MS)
        humidity = page.get_by_label(re.compile({"en": "relative humidity", "zh": "相对湿度"}[language])).first
        humidity.fill("45 %")
        visit.button("prompt.do.confirm")
        expect(page.get_by_text(visit.w("prompts.none"))).to_be_visible(timeout=SOON_MS)
        page.goto(f"{visit.link}#/channel/1")
        expect(page.locator(".plot canvas").first).to_be_visible()
        expect(page.locator(".state-idle")).to_be_visible(timeout=LATER_MS)
        page.get_by_role("link", name=visit.w("app.history")).click()
        page.get_by_role("link", name=run_id).click()
        expect(page.get_by_text("✓ PASS")).to_be_visible()
        with visit.context.expect_page() as opened:
            page.get_by_role("link", name=visit.w("run.report")).click()
        report = opened.value
        expect(report.get_by_text(run_id).first).to_be_visible(timeout=SOON_MS)
        assert report.locator("html").get_attribute("lang") == language
        result = bench.result(run_id)
        assert (result["verdict"], result["results"]) == (
            "pass",
            {"humidity": {"value": 0.45, "unit": "", "at_least": False}},
        )


def test_a_browser_that_dies_in_mid_run_changes_nothing(browser: Browser, arrive: Arrive, tmp_path: Path) -> None:
    doomed = browser.browser_type.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
    with standing(tmp_path, "20") as bench:
        visit = arrive(bench, "en", of=doomed)
        run_id = start(visit, "tests/hours", "2", CELL)
        visit.page.goto(f"{visit.link}#/channel/2")
        expect(visit.page.locator(".state-running")).to_be_visible(timeout=SOON_MS)
        curve = visit.page.locator(".plot canvas").first
        drawn = curve.evaluate("it => it.toDataURL()")
        visit.page.wait_for_function("it => document.querySelector('.plot canvas').toDataURL() !== it", arg=drawn)
        with suppress(Error):  # nobody is left to answer
            doomed.new_browser_cdp_session().send("Browser.crash")
        assert not doomed.is_connected()
        another = arrive(bench, "zh", "wang")
        another.page.goto(f"{another.link}#/channel/2")
        expect(another.page.locator(".state-running")).to_be_visible(timeout=SOON_MS)
        expect(another.page.get_by_text(run_id).first).to_be_visible()
        another.page.get_by_role("button", name=another.w("stop.run")).click()
        expect(another.page.locator(".state-idle")).to_be_visible(timeout=LATER_MS)
        result = bench.result(run_id)
        assert result["verdict"] == "aborted"
        trail = [orjson.loads(line) for line in (bench.data / "audit.jsonl").read_bytes().splitlines()]
        assert ("run.stop", run_id, "wang") in [(it["act"], it["on"], it["who"]) for it in trail]


@pytest.mark.parametrize("language", [pytest.param("en", marks=LONG), "zh"])
def test_from_alarm_to_acknowledged_and_unlatched(arrive: Arrive, tmp_path: Path, language: str) -> None:
    with standing(tmp_path, "20", smoky=True) as bench:
        visit = arrive(bench, language, "shen")
        page = visit.page
        run_id = start(visit, "tests/hours", "1", CELL)
        page.goto(f"{visit.link}#/channel/1")
        expect(page.locator(".state-running")).to_be_visible(timeout=SOON_MS)
        bench.tell("smoke")
        expect(page.locator(".state-latched")).to_be_visible(timeout=LATER_MS)
        assert bench.result(run_id)["verdict"] == "aborted"
        page.locator("nav a[href='#/alarms']").click()
        alarm = page.locator("article.alarm.unseen").first
        expect(alarm).to_contain_text(visit.w("priority.high"))
        expect(alarm).to_contain_text(visit.w("alarms.action"))
        expect(page.get_by_text(visit.w("alarms.never_shelved")).first).to_be_visible()
        acknowledge = page.get_by_role("button", name=visit.w("alarms.acknowledge"), exact=True)
        while there := acknowledge.count():
            acknowledge.first.click()
            expect(acknowledge).to_have_count(there - 1, timeout=SOON_MS)
        bench.tell("air")
        page.locator("summary", has_text=visit.w("latched.act")).click()
        page.get_by_label(visit.w("latched.what")).fill("aired")
        page.get_by_label(visit.w("sign.password", name="shen")).fill(PASSWORD)
        page.get_by_role("button", name=visit.w("latched.act")).click()
        expect(page.locator(".head .alarmed")).to_have_count(0, timeout=SOON_MS)
        trail = [orjson.loads(line) for line in (bench.data / "audit.jsonl").read_bytes().splitlines()]
        assert {"alarm.acknowledge", "bench.unlatch"} <= {it["act"] for it in trail if it["who"] == "shen"}


@LONG
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_nail_with_two_persons_comes_to_a_judgement(arrive: Arrive, tmp_path: Path, language: str) -> None:
    with standing(tmp_path, "max") as bench:
        visit = arrive(bench, language)
        page = visit.page
        visit.open("start")
        page = visit.page
        page.locator("#scan").wait_for()
        scan(visit, NAIL, "1", CELL, "badge:wang")
        visit.button("start.check")
        page.get_by_label(visit.w("start.first_password", name="lin")).fill(PASSWORD)
        page.get_by_label(visit.w("start.second_password")).fill(PASSWORD)
        page.get_by_role("button", name=visit.w("start.arm")).click()
        page.locator("p.good[role=status]").wait_for(timeout=SOON_MS)
        people = {"lin": visit, "wang": arrive(bench, language, "wang")}
        run_id = answered(people, bench)
        result = bench.result(run_id)
        assert result["verdict"] == "fail"  # the simulated cell burns, and both persons say so
        assert result["awaiting"] == []


def answered(people: dict[str, Visit], bench: Bench) -> str:
    """Every question of the one run, by whoever may answer it, until it is over; gives the run."""
    (bundle,) = (bench.data / "runs").iterdir()
    for visit in people.values():
        visit.page.goto(f"{visit.link}#/prompts")
    for _ in range(ROUNDS):
        if verify.verify(bundle).status is not VerifyStatus.NOT_CLOSED:
            return bundle.name
        for name, visit in people.items():
            answer(visit, name)
    raise AssertionError(f"not over after {ROUNDS} rounds: {(bench.data / 'said').read_text()}")


def answer(visit: Visit, name: str) -> None:
    """The first question, if there is one: what is to be read off is as in the example."""
    page = visit.page
    page.wait_for_timeout(200)
    for field in page.locator("article input[placeholder]").all():
        if example := field.get_attribute("placeholder"):
            field.fill(example)
    signed = page.get_by_label(visit.w("sign.password", name=name))
    if signed.count():
        signed.first.fill(PASSWORD)
    asked = page.locator(".prompt-text").first.inner_text() if page.locator(".prompt-text").count() else ""
    seen = "prompt.yes" if re.search(r"\bburn|起火", asked) else "prompt.no"
    for key in ("prompt.do.confirm", "prompt.do.permit", seen):
        button = page.get_by_role("button", name=visit.w(key), exact=True)
        if button.count() and button.first.is_enabled():
            button.first.click()
            return
