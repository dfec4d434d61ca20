"""What is kept beside the runs: the trail of changes, one's own account, notes for the next shift, interrupted runs."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from bench.daemon.views import EntryView
from tests.page.conftest import Come
from tests.page.paper_desk import words
from tests.page.served import PASSWORD
from tests.page.test_journeys import started

pytestmark = pytest.mark.scenario
FRESH = "another right horse"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_note_for_the_next_shift_is_kept_by_the_bench_and_stands_in_the_trail(come: Come, language: str) -> None:
    visit, desk = come(language, name="wang")
    page = visit.page
    page.get_by_role("link", name=visit.w("app.handover")).click()
    page.get_by_label(visit.w("handover.notes_label")).fill("door switch of chamber 1 sticks")
    visit.button("handover.notes_add")
    expect(page.locator(".notes li")).to_contain_text("door switch of chamber 1 sticks")
    assert ("add_note", "door switch of chamber 1 sticks", "wang") in desk.asked
    page.get_by_role("link", name=visit.w("app.audit")).click()
    expect(page.locator("td", has_text="note.add").first).to_be_visible()
    expect(page.locator("p.good")).to_be_visible()  # the chain holds
    page.get_by_label(visit.w("history.search")).fill("nothing of that kind")
    visit.button("history.find")
    expect(page.get_by_text(visit.w("audit.none"))).to_be_visible()


def test_a_viewer_writes_no_notes_and_sees_no_trail(come: Come) -> None:
    visit, _ = come(name="gast")
    visit.page.get_by_role("link", name=visit.w("app.handover")).click()
    expect(visit.page.get_by_role("heading", name=visit.w("handover.notes"))).to_be_visible()
    expect(visit.page.get_by_role("button", name=visit.w("handover.notes_add"))).to_have_count(0)
    expect(visit.page.get_by_role("link", name=visit.w("app.audit"))).to_have_count(0)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_person_makes_and_ends_a_token_and_changes_the_own_password(come: Come, language: str) -> None:
    visit, _ = come(language)
    page = visit.page
    page.locator("a.me").click()
    tokens = page.locator(".card", has=page.get_by_role("heading", name=visit.w("tokens.title")))
    tokens.get_by_label(visit.w("tokens.label")).fill("MES")
    tokens.get_by_label(visit.w("sign.password", name="lin")).fill(PASSWORD)
    visit.button("tokens.add")
    expect(tokens.locator("code")).to_contain_text("cbt_")
    expect(tokens.locator("td", has_text="MES")).to_be_visible()
    visit.button("tokens.end")
    expect(tokens.get_by_text(visit.w("tokens.none"))).to_be_visible()
    own = page.locator(".card", has=page.get_by_role("heading", name=visit.w("mine.password")))
    own.get_by_label(visit.w("sign.password", name="lin")).fill(PASSWORD)
    own.get_by_label(visit.w("mine.new"), exact=True).fill(FRESH)
    own.get_by_label(visit.w("mine.again")).fill(FRESH + "?")
    expect(own.get_by_text(visit.w("mine.differs"))).to_be_visible()
    own.get_by_label(visit.w("mine.again")).fill(FRESH)
    visit.button("mine.change")
    page.get_by_label(visit.w("login.name"), exact=True).fill("lin")  # every session has ended
    page.get_by_label(visit.w("login.password"), exact=True).fill(FRESH)
    page.get_by_role("button", name=visit.w("login.enter")).click()
    page.get_by_role("button", name=visit.w("stop.all")).wait_for()


def test_an_interrupted_run_is_given_up_with_a_note_and_a_signature(come: Come) -> None:
    visit, desk = come()
    run_id = started(visit, desk)
    desk.interrupt(run_id)
    held = visit.page.locator(".cell", has=visit.page.locator(".state-held"))
    visit.page.goto(f"{visit.link}#/")
    held.click()
    visit.page.get_by_role("link", name=visit.w("channel.held")).click()
    give_up = visit.page.get_by_role("button", name=visit.w("run.close"))
    expect(give_up).to_be_disabled()
    visit.page.get_by_label(visit.w("prompt.note")).fill("cell is cold")
    visit.page.get_by_label(visit.w("sign.password", name="lin")).fill(PASSWORD)
    give_up.click()
    expect(visit.page.get_by_text(visit.w("runstate.closed")).first).to_be_visible()
    assert ("close_interrupted", run_id, "cell is cold", "lin") in desk.asked


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_value_outside_its_limits_is_not_sent(come: Come, language: str) -> None:
    visit, desk = come(language)
    run_id = started(visit, desk)
    common = {"text": False, "example": None}
    entries = (
        EntryView(name="air", label=words("humidity", "湿度"), unit="", low=0.0, high=1.0, **common),
        EntryView(name="mass", label=words("mass", "质量"), unit="kg", low=0.07, high=None, **common),
    )
    desk.ask(run_id, kind="confirm", what="weigh", signed=False, definition=None, source=None, entries=entries)
    visit.page.locator("nav a[href='#/prompts']").click()
    air, mass = (
        visit.page.get_by_label("humidity" if language == "en" else "湿度"),
        visit.page.get_by_label("mass" if language == "en" else "质量"),
    )
    expect(air.locator("xpath=..")).to_contain_text(visit.w("prompt.between", low="0 %", high="100 %"))
    send = visit.page.get_by_role("button", name=visit.w("prompt.do.confirm"), exact=True)
    for field, wrong, right in ((air, "101 %", "100 %"), (mass, "69 g", "70 g"), (mass, "0.069 kg", "0.07 kg")):
        field.fill(wrong)
        expect(visit.page.locator("article [role=alert]")).to_have_count(1)
        expect(send).to_be_disabled()
        field.fill(right)
        expect(visit.page.locator("article [role=alert]")).to_have_count(0)
        expect(send).to_be_enabled()
    send.click()
    expect(visit.page.get_by_text(visit.w("prompts.none"))).to_be_visible()
    assert ("answer", "weigh", "True", "lin") in desk.asked
