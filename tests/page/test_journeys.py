"""Whole journeys of people at the page, in both languages."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.page.conftest import Come, Visit
from tests.page.paper_desk import NAIL, PLAIN, PaperDesk, words
from tests.page.served import PASSWORD

pytestmark = pytest.mark.scenario
both = pytest.mark.parametrize("language", ["en", "zh"])


def scan(visit: Visit, *codes: str) -> None:
    """As a keyboard wedge does: keys wherever the focus is, then Enter."""
    for code in codes:
        visit.page.keyboard.type(code)
        visit.page.keyboard.press("Enter")


def started(visit: Visit, desk: PaperDesk, *, channel: str = "ch2") -> str:
    visit.page.get_by_role("link", name=visit.w("app.start"), exact=True).click()
    expect(visit.page.locator("#scan")).to_be_focused()
    scan(visit, PLAIN, channel, "SN1")
    visit.button("start.check")
    visit.button("start.start")
    expect(visit.page.get_by_text(visit.w("start.started", run="r-0001"))).to_be_visible()
    return "r-0001"


@both
def test_from_scan_to_report(come: Come, language: str) -> None:
    visit, desk = come(language)
    run_id = started(visit, desk)
    run = desk._runs[run_id]
    assert (run.sequence, run.channel, run.cell, run.sample) == (PLAIN, "ch2", "nmc-21700", "L-1")
    desk.finish(run_id)
    visit.page.get_by_role("link", name=visit.w("app.history")).click()
    visit.page.get_by_role("link", name=run_id).click()
    expect(visit.page.get_by_text("✓ PASS")).to_be_visible()
    link = visit.page.get_by_role("link", name=visit.w("run.report"))
    expect(link).to_have_attribute("href", f"/api/v1/bundles/{run_id}/report?lang={language}")


@both
def test_from_alarm_to_acknowledgement(come: Come, language: str) -> None:
    visit, desk = come(language)
    desk.raise_alarm(safety=True)
    visit.page.get_by_role("link", name=visit.w("app.alarms")).get_by_text("1").wait_for()
    visit.page.get_by_role("link", name=visit.w("app.alarms")).click()
    alarm = visit.page.get_by_role("article")
    for text in ({"en": "Heat.", "zh": "发热。"}, {"en": "Let it cool.", "zh": "等待冷却。"}):
        expect(alarm.get_by_text(text[language])).to_be_visible()
    expect(alarm.get_by_text(visit.w("alarms.never_shelved"))).to_be_visible()
    expect(alarm.get_by_text(visit.w("alarms.shelve"), exact=True)).to_have_count(0)
    visit.button("alarms.acknowledge")
    expect(alarm.get_by_text(visit.w("alarmstate.acknowledged"), exact=True)).to_be_visible()
    assert ("acknowledge", "a1", "lin") in desk.asked


@both
def test_a_nail_takes_two_persons_and_a_judgement(come: Come, language: str) -> None:
    visit, desk = come(language)
    visit.open("start")
    visit.page.locator("#scan").wait_for()
    scan(visit, NAIL, "ch1", "L-1", "badge:lin", "badge:wang")
    visit.button("start.check")
    arm = visit.page.get_by_role("button", name=visit.w("start.arm"))
    visit.page.get_by_label(visit.w("start.first_password", name="lin")).fill(PASSWORD)
    second = visit.page.get_by_label(visit.w("start.second_name"), exact=True)
    expect(second).to_have_value("wang")
    visit.page.get_by_label(visit.w("start.second_password")).fill(PASSWORD)
    second.fill("Lin")
    expect(arm).to_be_disabled()
    expect(visit.page.get_by_text(visit.w("start.same"))).to_be_visible()
    second.fill("wang")
    arm.click()
    visit.page.get_by_text(visit.w("start.started", run="r-0001")).wait_for()
    desk.ask("r-0001")
    visit.page.get_by_role("link", name=visit.w("app.prompts")).click()
    expect(
        visit.page.get_by_text({"en": "Flame for longer than 1 s", "zh": "持续燃烧超过 1 s"}[language])
    ).to_be_visible()
    no = visit.page.get_by_role("button", name=visit.w("prompt.no"), exact=True)
    expect(no).to_be_disabled()  # until it is signed
    visit.page.get_by_label(visit.w("sign.password", name="lin")).fill("wrong")
    no.click()
    expect(visit.page.get_by_text(visit.w("help.not-signed.what"))).to_be_visible()
    assert not [each for each in desk.asked if each[0] == "answer"]
    visit.page.get_by_label(visit.w("sign.password", name="lin")).fill(PASSWORD)
    no.click()
    expect(visit.page.get_by_text(visit.w("prompts.none"))).to_be_visible()
    assert desk.asked[-1] == ("answer", "fire", "False", "lin")


@both
def test_a_browser_that_dies_in_mid_run_changes_nothing(come: Come, language: str) -> None:
    visit, desk = come(language)
    run_id = started(visit, desk)
    visit.page.close()
    desk.show("ch2", state="observing")
    visit.open("channel/ch2")
    expect(visit.page.locator(".state-observing")).to_be_visible()
    expect(visit.page.get_by_text(run_id)).to_be_visible()
    expect(visit.page.get_by_text("V <= 2.5 V or 3 h").first).to_be_visible()
    expect(visit.page.locator(".tree [aria-current=step]")).to_contain_text("2 'out' (discharge)")
    margin = visit.page.locator(".figures tr", has_text=visit.w("quantity.temperature_c"))
    expect(margin).to_contain_text("35.2 °C")  # 60.0 - 24.8
    expect(visit.page.locator(".hazard")).to_contain_text("the nail moves")
    visit.page.get_by_role("button", name=visit.w("stop.run")).click()
    expect(visit.page.locator(".state-idle")).to_be_visible()
    assert ("stop", run_id, "lin") in desk.asked


def test_stop_is_one_tap_away_in_every_view_and_asks_nothing(come: Come) -> None:
    visit, desk = come()
    for count, place in enumerate(("", "start", "prompts", "alarms", "history", "handover", "help", "channel/ch1"), 1):
        visit.page.goto(f"{visit.link}#/{place}")
        expect(visit.page.get_by_text("not an emergency stop")).to_be_visible()
        visit.button("stop.all")
        expect(visit.page.get_by_text(visit.w("stop.asked", count=0))).to_be_visible()
        visit.button("app.seen")
        assert desk.asked == [("abort", "lin")] * count


def test_a_stop_that_fails_says_so(come: Come) -> None:
    visit, _ = come()
    visit.context.set_offline(True)
    visit.page.keyboard.press("F9")
    expect(visit.page.get_by_text(visit.w("stop.failed"))).to_be_visible()


def test_keys_alone_go_from_the_wall_to_a_run_and_stop_it(come: Come) -> None:
    visit, desk = come()
    page = visit.page
    page.locator(".cell").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-channel=ch2]")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("link", name=visit.w("channel.start")).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#scan")).to_be_focused()
    scan(visit, PLAIN, "nmc-21700")
    for name in ("start.check", "start.start"):
        button = page.get_by_role("button", name=visit.w(name), exact=True)
        for _ in range(30):
            if button.count() and button.evaluate("it => it === document.activeElement"):
                break
            page.keyboard.press("Tab")
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_timeout(300)
    page.get_by_text(visit.w("start.started", run="r-0001")).wait_for()
    assert desk._runs["r-0001"].channel == "ch2"
    page.keyboard.press("F9")
    page.get_by_text(visit.w("stop.asked", count=1)).wait_for()
    assert ("stop", "r-0001", "lin") in desk.asked


def test_what_is_old_is_grey_and_says_how_old(come: Come) -> None:
    visit, desk = come()
    stale = tuple(each.model_copy(update={"stale": True, "age_s": 75.0}) for each in desk.now().channels[0].values)
    desk.show("ch1", values=stale)
    cell = visit.page.locator("[data-channel=ch1]")
    expect(cell.locator(".stale").first).to_contain_text("1 min 15 s old")
    assert visit.page.locator("[data-channel=ch2] .stale").count() == 0
    visit.context.set_offline(True)  # no new connection; the open stream is cut by its server
    desk.cut()
    expect(visit.page.locator(".late-banner")).to_be_visible()
    expect(visit.page.locator("[data-channel=ch2]")).to_have_class("cell cell-idle late")


def test_the_wall_shows_who_needs_a_person(come: Come) -> None:
    visit, desk = come()
    desk.show("ch3", state="lost", needs_me=True, why=words("cycler: silent", "循环仪：无应答"))
    visit.page.get_by_role("button", name=visit.w("wall.filter", count=1)).click()
    expect(visit.page.locator(".cell")).to_have_count(1)
    expect(visit.page.locator(".cell")).to_contain_text("cycler: silent")


def test_markup_in_what_the_bench_says_stays_text(come: Come) -> None:
    visit, desk = come()
    evil = "<img src=x onerror=document.title='owned'>"
    desk.show("ch1", state="held", needs_me=True, why=words(evil, evil), sample=evil)
    expect(visit.page.get_by_text(evil).first).to_be_visible()
    assert visit.page.locator(".cell img").count() == 0
    assert "owned" not in visit.page.title()


def test_two_pages_share_one_stream(come: Come) -> None:
    visit, desk = come()
    visit.open()
    expect(visit.page.locator(".cell")).to_have_count(4)
    assert desk.feed is not None
    assert desk.feed.readers == 1
    visit.context.pages[0].close()
    desk.show("ch1", state="paused")
    expect(visit.page.locator("[data-channel=ch1] .state-paused")).to_be_visible()
