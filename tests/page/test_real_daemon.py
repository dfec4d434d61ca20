"""Whole journeys at a real daemon: a simulated line in a process of its own, the real interface, a real browser."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Browser, expect

from bench import verify
from bench.results import VerifyStatus
from bench.shipped import examples
from tests.page.conftest import Visit
from tests.page.served import PASSWORD, keep_people
from tests.page.test_journeys import scan

pytestmark = pytest.mark.scenario
LONG = pytest.mark.skipif(not os.environ.get("CELLBENCH_ALL"), reason="long: whole in ./scripts/soak")

ROOT = Path(__file__).resolve().parents[2]
LINE = examples() / "benches" / "line.toml"
CELL = "nmc-21700"
NAIL = "gbt31485-2015/nail-penetration"
SOON_MS, LATER_MS = 20_000, 120_000


@dataclass
class Bench:
    link: str
    data: Path

    def result(self, run_id: str) -> dict[str, object]:
        bundle = self.data / "runs" / run_id
        assert verify.verify(bundle).status is VerifyStatus.INTACT
        return dict(orjson.loads((bundle / "result.json").read_bytes()))


@contextmanager
def standing(data: Path, speed: str) -> Iterator[Bench]:
    """A daemon on a simulated line; SIGTERM ends it."""
    keep_people(data)
    words = ("serve", "--bench", str(LINE), "--simulate", "--speed", speed, "--listen", "127.0.0.1:0")
    with (data / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.cli", *words, "--sequences", "tests/daemon", "--data", str(data)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
    try:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        assert link, (data / "said").read_text()
        yield Bench(link, data)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60.0) == 0, (data / "said").read_text()
        assert process.stdout is not None
        process.stdout.close()


Arrive = Callable[..., Visit]


@pytest.fixture
def arrive(browser: Browser) -> Iterator[Arrive]:
    """A person in front of a browser of their own, signed in."""
    visits: list[Visit] = []

    def come(bench: Bench, language: str, name: str = "lin") -> Visit:
        locale = "zh-CN" if language == "zh" else "en-GB"
        context = browser.new_context(locale=locale, viewport={"width": 1280, "height": 900})
        visit = Visit(context.new_page(), context, bench.link, language, [])
        visit.page.close()
        visit.open()
        visit.sign_in(name)
        visits.append(visit)
        return visit

    yield come
    for visit in visits:
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


def test_a_browser_that_dies_in_mid_run_changes_nothing(arrive: Arrive, tmp_path: Path) -> None:
    with standing(tmp_path, "20") as bench:
        visit = arrive(bench, "en")
        run_id = start(visit, "tests/hours", "2", CELL)
        visit.page.goto(f"{visit.link}#/channel/2")
        expect(visit.page.locator(".state-running")).to_be_visible(timeout=SOON_MS)
        visit.context.close()  # in the middle of its stream
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
        assert result["verdict"] in ("pass", "fail")
        assert result["awaiting"] == []


def answered(people: dict[str, Visit], bench: Bench) -> str:
    """Every question of the one run, by whoever may answer it, until it is over; gives the run."""
    (bundle,) = (bench.data / "runs").iterdir()
    for visit in people.values():
        visit.page.goto(f"{visit.link}#/prompts")
    while not (bundle / "result.json").exists():
        for name, visit in people.items():
            answer(visit, name)
    return bundle.name


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
    for key in ("prompt.do.confirm", "prompt.do.permit", "prompt.no"):
        button = page.get_by_role("button", name=visit.w(key), exact=True)
        if button.count() and button.first.is_enabled():
            button.first.click()
            return
