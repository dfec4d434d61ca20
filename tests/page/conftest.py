"""One browser for all of these tests; a bench of paper and a fresh visitor for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.page.paper_desk import PaperDesk
from tests.page.served import PASSWORD, STATIC, served

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 8000


@pytest.fixture(autouse=True)
def _no_leaked_tasks() -> None:
    """Playwright's own loop runs in this thread as long as the browser does; what serves has a thread of its own."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of a module, not of the session: while it is open no other test of this process could run a loop."""
    if not CHROMIUM.exists():
        pytest.skip("no Chromium at /usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """A person at the page. ``w`` gives the page's words in the visitor's language."""

    page: Page
    context: BrowserContext
    link: str
    language: str
    errors: list[str]

    def w(self, key: str, **filling: object) -> str:
        words = json.loads((STATIC / "words" / f"{self.language}.json").read_text())
        return str(words[key]).format(**filling)

    def open(self, place: str = "") -> Page:
        """A new page of the same browser, at a view."""
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if "Content Security" in said.text else None)
        self.page.goto(f"{self.link}#/{place}")
        return self.page

    def sign_in(self, name: str = "lin") -> None:
        self.page.get_by_label(self.w("login.name"), exact=True).fill(name)
        self.page.get_by_label(self.w("login.password"), exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name=self.w("login.enter")).click()
        self.page.get_by_role("button", name=self.w("stop.all")).wait_for()

    def button(self, key: str) -> None:
        self.page.get_by_role("button", name=self.w(key), exact=True).click()


Come = Callable[..., tuple[Visit, PaperDesk]]


@pytest.fixture
def come(browser: Browser, tmp_path: Path) -> Iterator[Come]:
    """``come("zh")``: a person of that language at a fresh bench, signed in at the wall."""
    ends: list[Callable[[], object]] = []
    visits: list[Visit] = []

    def arrive(
        language: str = "en", *, name: str = "lin", channels: int = 4, **look: object
    ) -> tuple[Visit, PaperDesk]:
        desk = PaperDesk(channels, data=tmp_path)
        serving = served(desk, tmp_path)
        link = serving.__enter__()
        ends.append(lambda: serving.__exit__(None, None, None))
        locale = "zh-CN" if language == "zh" else "en-GB"
        context = browser.new_context(locale=locale, viewport={"width": 1280, "height": 800}, **look)  # type: ignore[arg-type]
        ends.append(context.close)
        visit = Visit(context.pages[0] if context.pages else context.new_page(), context, link, language, [])
        visit.page.close()
        visit.open()
        visit.sign_in(name)
        visits.append(visit)
        return visit, desk

    yield arrive
    for end in reversed(ends):
        end()
    assert [visit.errors for visit in visits if visit.errors] == []
