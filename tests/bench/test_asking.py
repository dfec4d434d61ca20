"""People at a terminal: leave by name, a second person, a judgement in both languages, and nobody there at all."""

from __future__ import annotations

import io
import os
import pty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from bench.answers import Judged, Permission
from bench.cli.asking import Terminal
from sequences.language import Confirm, Grade, Question, Source, Text

ARM = Text(en="Arm the rig.", zh="设备预备。")
FIRE = Question(
    name="fire",
    text=Text(en="Was there fire?", zh="是否起火？"),
    definition=Text(en="a flame for longer than 1 s", zh="持续火焰超过 1 s"),
    source=Source(standard="GB 38031", edition="2025", clause="3.11", grade=Grade.U),
)


class Typist(io.StringIO):
    """Where prompts are written, and who types the next line at each of them."""

    def __init__(self, keyboard: int, lines: list[str]) -> None:
        super().__init__()
        self._keyboard = keyboard
        self.lines = lines

    def write(self, text: str) -> int:
        if text.endswith(": "):
            os.write(self._keyboard, f"{self.lines.pop(0)}\n".encode())
        return super().write(text)


@contextmanager
def typing(monkeypatch: pytest.MonkeyPatch, *lines: str, ahead: str = "") -> Iterator[tuple[Terminal, io.StringIO]]:
    """A terminal at which these lines are typed, each when it is asked for, and what the screen shows."""
    ours, theirs = pty.openpty()
    os.write(ours, ahead.encode())
    screen, typist = io.StringIO(), Typist(ours, list(lines))
    with os.fdopen(theirs, encoding="utf-8") as keyboard, monkeypatch.context() as patched:
        patched.setattr("sys.stdin", keyboard)
        patched.setattr("sys.stderr", typist)
        yield Terminal("lin", Console(file=screen, width=200), confirms_harmless=True), screen
    os.close(ours)
    assert not typist.lines


async def test_a_name_gives_leave_and_an_empty_line_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with typing(monkeypatch, "Wang  Fang", "") as (terminal, screen):
        assert await terminal.permit(Permission("arm", ARM)) == "Wang Fang"
        assert await terminal.permit(Permission("arm", ARM)) is None
    assert "Arm the rig." in screen.getvalue()
    assert "设备预备。" in screen.getvalue()


async def test_who_armed_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with typing(monkeypatch, "lin", " LIN", "王芳") as (terminal, screen):
        assert await terminal.permit(Permission("start", ARM, frozenset({"Lin"}))) == "王芳"
    assert screen.getvalue().count("takes a second person") == 2
    assert "须由第二人决定" in screen.getvalue()


async def test_what_was_typed_ahead_gives_no_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    with typing(monkeypatch, "", ahead="lin\nwang\n") as (terminal, _):
        assert await terminal.permit(Permission("arm", ARM)) is None


async def test_a_judgement_shows_definition_and_evidence_and_takes_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with typing(monkeypatch, "maybe", "No", "wang", "video 2", "yes", "", "", "") as (terminal, screen):
        assert await terminal.judge(FIRE, ("flame detector: silent",)) == Judged(False, "wang", "video 2")
        assert await terminal.judge(FIRE, ()) == Judged(True, "lin", "")
        assert await terminal.judge(FIRE, ()) is None
    for words in ("Was there fire?", "是否起火？", "a flame for longer than 1 s", "持续火焰超过 1 s", "UNVERIFIED",
                  "GB 38031 2025 3.11", "flame detector: silent"):  # fmt: skip
        assert words in screen.getvalue()


async def test_without_a_terminal_nobody_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    terminal = Terminal("lin", Console(file=io.StringIO()), confirms_harmless=True)
    with empty.open() as nothing, monkeypatch.context() as patched:
        patched.setattr("sys.stdin", nothing)
        assert await terminal.permit(Permission("arm", ARM)) is None
        assert await terminal.judge(FIRE, ()) is None
        assert await terminal.ask(Confirm(text=ARM, hazardous=True)) is None
        assert await terminal.ask(Confirm(text=ARM)) == {}
