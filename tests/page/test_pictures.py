"""The page's pictures for the README, drawn on request (`scripts/pictures`)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.daemon.views import StartRequest
from tests.page.conftest import Come
from tests.page.paper_desk import NAIL, PLAIN, PaperDesk, channel, step, words
from tests.page.test_journeys import scan

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.skipif("CELLBENCH_PICTURES" not in os.environ, reason="drawn on request: scripts/pictures"),
]
PICTURES = Path(__file__).resolve().parents[2] / "docs/pictures"


def busy_line(desk: PaperDesk) -> None:
    """Sixteen channels in the middle of a day, the first of them at a nail."""
    desk.begin(StartRequest(sequence=NAIL, channel="ch1", cell="nmc-21700"), key="k", by="lin")
    for number in range(1, 13):
        state = "observing" if number == 5 else "running"
        fields = {"run_id": f"r-{number:04d}", "sequence": PLAIN, "sample": f"L-2026-{number:04d}", "operator": "lin"}
        values = tuple(
            each.model_copy(update={"value": each.value + 0.011 * number if each.value else each.value})
            for each in desk.now().channels[number - 1].values
        )
        desk.show(f"ch{number}", state=state, step=step("discharge 1C", next_hazard=None), values=values, **fields)
    why = words("chamber holds 45 degC for run r-0003 until about 14:20", "温箱正为运行 r-0003 保持 45 ℃，预计至 14:20")
    desk.show("ch13", state="waiting", why=why)
    desk.show("ch7", state="asking", needs_me=True, why=words("a person is asked", "等待人员答复"))
    desk.show("ch15", state="lost", needs_me=True, why=words("cycler-2: no answer", "cycler-2：无应答"))
    desk.raise_alarm("a1", priority="medium", channel="ch15", text=words("cycler-2 does not answer", "cycler-2 无应答"))
    desk.show("ch1", sequence=NAIL, step=step("out", ends="duration >= 1 h"), values=channel("ch1").values)


@pytest.mark.parametrize(
    ("language", "colours", "suffix"), [("en", "light", ""), ("en", "dark", "-dark"), ("zh", "light", "-zh")]
)
def test_draw_the_wall_and_a_channel(come: Come, language: str, colours: str, suffix: str) -> None:
    visit, desk = come(language, channels=16, color_scheme=colours)
    busy_line(desk)
    visit.page.locator(".state-lost").wait_for()
    visit.page.screenshot(path=PICTURES / f"wall{suffix}.png")
    if language == "zh":
        return
    visit.page.set_viewport_size({"width": 1280, "height": 1450})
    visit.page.goto(f"{visit.link}#/channel/ch1")
    visit.page.locator(".plot canvas").nth(3).wait_for()
    visit.page.wait_for_timeout(1500)
    visit.page.screenshot(path=PICTURES / f"channel{suffix}.png")


def test_draw_a_start_and_a_question(come: Come) -> None:
    visit, desk = come(channels=16, color_scheme="light")
    visit.page.get_by_role("link", name=visit.w("app.start"), exact=True).click()
    visit.page.locator("#scan").wait_for()
    scan(visit, NAIL, "ch4", "L-1", "badge:wang")
    visit.button("start.check")
    visit.page.get_by_role("button", name=visit.w("start.arm")).wait_for()
    visit.page.set_viewport_size({"width": 1280, "height": 1300})
    visit.page.evaluate("window.scrollTo(0, 0)")
    visit.page.screenshot(path=PICTURES / "start.png")
    busy_line(desk)
    desk.ask("r-0001", channel="ch1", source="GB/T 31485-2015, 3.8; grade A")
    visit.page.goto(f"{visit.link}#/prompts")
    visit.page.locator("article.prompt").wait_for()
    visit.page.set_viewport_size({"width": 1280, "height": 720})
    visit.page.screenshot(path=PICTURES / "prompt.png")
