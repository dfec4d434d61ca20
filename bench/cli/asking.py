"""People at the terminal: confirmations, entries, leave by name and judgements, in English and Chinese."""

from __future__ import annotations

import asyncio
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from rich.console import Console

from bench.answers import Answer, Judged, Permission
from bench.entering import bounds_of
from drivers import BASE, UnitError, parse_quantity
from sequences.language import Confirm, Entry, Question, Text

#: Said to whoever may not take this decision, having taken another.
OTHER_PERSON = Text(
    en="{name} has already decided; this takes a second person",
    zh="{name} 已作出前一决定；此项须由第二人决定",
)
_YOUR_NAME = "your name gives leave (empty: no) / 输入姓名表示同意（空行：否）: "
_YES_OR_NO = "type yes or no; an empty line leaves it open / 输入 yes 或 no，空行暂不判定: "
_LOOKED_AT = "what was looked at: view, video, detector / 判定依据（目视、视频、探测器）: "


class Terminal:
    """Asks at the terminal without stopping the readings: typing happens in the terminal's own time.

    ``confirms_harmless`` answers confirmations that ask for no entry and are not hazardous; it never gives leave and
    never judges. Without a terminal nothing is confirmed, allowed or judged. ``during`` are entered while a person is
    asked: what would draw over the question, and a simulated clock, which would run away meanwhile.
    """

    def __init__(self, by: str, console: Console, *, confirms_harmless: bool) -> None:
        self._by = by
        self._console = console
        self._confirms_harmless = confirms_harmless
        self.during: list[Callable[[], AbstractContextManager[object]]] = []

    @property
    def by(self) -> str:
        return self._by

    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        if self._confirms_harmless and not step.hazardous and not step.entries:
            return {}
        if not sys.stdin.isatty():
            return None
        with self._held():
            return await self._asked(step)

    async def permit(self, permission: Permission) -> str | None:
        """Leave is given by typing one's name; an empty line refuses it. What was typed ahead gives none."""
        if not sys.stdin.isatty():
            return None
        with self._held():
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
            self._show(permission.text)
            while name := " ".join((await _line(_YOUR_NAME)).split()):
                if permission.open_to(name):
                    return name
                for said in (OTHER_PERSON.en, OTHER_PERSON.zh):
                    self._console.print(said.format(name=name), markup=False)
            return None

    async def judge(self, question: Question, shown: Sequence[str], /) -> Judged | None:
        """The question, the standard's definition and the evidence, then yes or no, a name, and what was looked at."""
        if not sys.stdin.isatty():
            return None
        with self._held():
            self._show(question.text)
            source = question.source
            where = " ".join(filter(None, (source.standard, source.edition, source.clause)))
            grade = "UNVERIFIED" if source.grade == "U" else source.grade
            lines = (question.definition.en, question.definition.zh, f"[{where}; grade {grade}]", *shown)
            for line in lines:
                self._console.print(f"    {line}", markup=False, soft_wrap=True)
            while said := (await _line(_YES_OR_NO)).strip().lower():
                if said in ("yes", "no"):
                    by = (await _line(f"who judges / 判定人 [{self._by}]: ")).strip() or self._by
                    return Judged(said == "yes", by, (await _line(_LOOKED_AT)).strip())
            return None

    @contextmanager
    def _held(self) -> Iterator[None]:
        with ExitStack() as stack:
            for held in self.during:
                stack.enter_context(held())
            yield

    def _show(self, text: Text) -> None:
        self._console.print(f"\n{text.en}", style="bold", markup=False)
        self._console.print(text.zh, markup=False)

    async def _asked(self, step: Confirm) -> Mapping[str, Answer] | None:
        self._show(step.text)
        answers: dict[str, Answer] = {}
        for entry in step.entries:
            answers.update(await self._entry(entry))
        said = await _line("type yes to confirm / 输入 yes 确认: ")
        return answers if said.strip().lower() == "yes" else None

    async def _entry(self, entry: Entry) -> dict[str, Answer]:
        example = "" if entry.example is None else f" [{entry.example.text}]"
        while True:
            said = (await _line(f"{entry.prompt.en} / {entry.prompt.zh}{example}: ")).strip()
            if not said:
                return {}
            if entry.text:
                return {entry.name: said}
            try:
                quantity = parse_quantity(said)
            except UnitError as error:
                self._console.print(str(error), markup=False)
                continue
            wanted = None if entry.example is None else entry.example.kind
            if wanted in (None, quantity.dimension):
                why = bounds_of(entry).refuse(quantity.value)
                if why is None:
                    return {entry.name: quantity.value}
                self._console.print(why, markup=False)
                continue
            unit = "" if wanted is None else BASE[wanted]
            self._console.print(
                f"that is a {quantity.dimension.value}; a value in {unit or '%'} is wanted", markup=False
            )


def asked_sample(console: Console) -> str | None:
    """The sample's id, scanned or typed; None if there is no terminal to ask at, or nothing was said."""
    if not sys.stdin.isatty():
        return None
    console.print("scan or type the sample id / 扫描或输入样品编号: ", end="", markup=False)
    return sys.stdin.readline().strip() or None


async def _line(prompt: str) -> str:
    """One line of the terminal; the loop goes on meanwhile."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline()
