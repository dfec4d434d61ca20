"""Everybody can read it: axe finds nothing serious in any view, in light and dark, and a full wall stays quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Come
from tests.page.paper_desk import NAIL, PaperDesk, step, words

pytestmark = pytest.mark.scenario
AXE = Path(__file__).parent / "vendor" / "axe.js"
VIEWS = (
    "", "start", "prompts", "alarms", "history", "handover", "help", "help/latched", "users", "channel/ch1",
    "run/r-0001", "audit", "mine",
)  # fmt: skip


def serious(page: Page) -> list[str]:
    """What axe finds that keeps somebody out."""
    page.evaluate(AXE.read_text())  # as the debugger does it: the page's own policy forbids strange scripts
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {node['target']} {node.get('failureSummary', '')[:300]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:3]
    ]


def busy(desk: PaperDesk, page: Page) -> None:
    """Something of everything."""
    body = {"request": {"sequence": NAIL, "channel": "ch1", "cell": "nmc-21700"}, "plan_hash": "ab" * 32}
    body |= {"password": "right horse", "second": {"name": "wang", "password": "right horse"}}
    said = page.evaluate(
        """body => fetch("/api/v1/runs", {method: "POST", body: JSON.stringify(body), headers:
        {"Content-Type": "application/json", "X-Cellbench": "1", "Idempotency-Key": "key-of-one-intent"}})
        .then(it => it.status)""",
        body,
    )
    assert said == 201
    desk.show("ch1", step=step())
    desk.ask("r-0001", hazardous=True, not_by=("wang",))
    desk.raise_alarm("a1", safety=True)
    desk.raise_alarm("a2", priority="low", state="returned_unacknowledged", returned_utc_s=1.8e9)
    old = tuple(each.model_copy(update={"stale": True, "age_s": 9.0}) for each in desk.now().channels[1].values)
    desk.show("ch2", state="lost", needs_me=True, why=words("silent", "无应答"), values=old)
    desk.show("ch3", state="latched", needs_me=True, alarms=2)
    desk.show_bench(latched=True)


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_no_view_has_a_serious_fault(come: Come, language: str, colours: str) -> None:
    visit, desk = come(language, name="root", color_scheme=colours)
    busy(desk, visit.page)
    found = []
    for view in VIEWS:
        visit.page.goto(f"{visit.link}#/{view}")
        visit.page.locator("main h1").wait_for()
        visit.page.locator("nav a[href='#/alarms'] .count").wait_for()
        if view.startswith("channel"):
            visit.page.locator(".plot canvas").first.wait_for()
        found += [f"{view or 'wall'}: {each}" for each in serious(visit.page)]
    assert found == []


def test_the_login_has_no_serious_fault(come: Come) -> None:
    visit, _ = come()
    visit.button("app.leave")
    visit.page.get_by_role("button", name=visit.w("login.enter")).wait_for()
    assert serious(visit.page) == []


def test_axe_would_find_a_fault(come: Come) -> None:
    visit, _ = come()
    visit.page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert any(each.startswith("button-name") for each in serious(visit.page))


def test_dark_and_light_by_the_switch_and_language_by_its_button(come: Come) -> None:
    visit, _ = come()
    visit.page.get_by_label(visit.w("app.theme")).select_option("dark")
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 25, 29)"
    visit.page.get_by_label(visit.w("app.theme")).select_option("light")
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(236, 238, 240)"
    visit.page.get_by_role("button", name="中文").click()
    expect(visit.page.get_by_role("button", name="停止全部运行")).to_be_visible()
    visit.page.reload()
    expect(visit.page.get_by_role("button", name="停止全部运行")).to_be_visible()
    assert visit.page.evaluate("document.documentElement.lang") == "zh-CN"


def test_a_wall_of_512_draws_and_follows(come: Come) -> None:
    visit, desk = come(channels=512)
    expect(visit.page.locator(".cell")).to_have_count(512)
    visit.page.evaluate(
        """() => { window.longest = 0; new PerformanceObserver(list => {
        for (const each of list.getEntries()) window.longest = Math.max(window.longest, each.duration); })
        .observe({type: "longtask"}); }"""
    )

    def there(selector: str, count: int = 1) -> None:
        """By selector: a search by role would itself be a long task."""
        expect(visit.page.locator(selector)).to_have_count(count)

    for number in (1, 256, 512):
        desk.show(f"ch{number}", state="running")
        there(f"[data-channel=ch{number}] .state-running")
    desk.show("ch400", state="asking", needs_me=True)
    there(".needs-me")
    visit.page.evaluate("document.querySelector('main .toggle').click()")
    there(".cell", 1)
    visit.page.evaluate("document.querySelector('main .toggle').click()")
    there(".cell", 512)
    assert visit.page.evaluate("window.longest") < 1000  # a stop waits behind it; 111 ms were measured


def test_a_finger_reaches_everything_at_1280_and_on_a_small_screen(come: Come) -> None:
    visit, _ = come()
    for width in (1280, 800, 400):
        visit.page.set_viewport_size({"width": width, "height": 800})
        assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        for box in (each.bounding_box() for each in visit.page.locator("header button:visible, .cell").all()):
            assert box is not None
            assert min(box["height"], box["width"]) >= 40
