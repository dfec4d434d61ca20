"""A person at the terminal: confirmations and entries, in English and Chinese."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack

from rich.console import Console

from bench.answers import Answer
from drivers import BASE, UnitError, parse_quantity
from sequences.language import Confirm, Entry


class Terminal:
    """Asks at the terminal without stopping the readings: typing happens in the terminal's own time.

    ``confirms_harmless`` answers confirmations that ask for no entry and are not hazardous. Without a terminal
    nothing is confirmed. ``during`` are entered while a person is asked: what would draw over the question, and a
    simulated clock, which would run away meanwhile.
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
        with ExitStack() as stack:
            for held in self.during:
                stack.enter_context(held())
            return await self._asked(step)

    async def _asked(self, step: Confirm) -> Mapping[str, Answer] | None:
        self._console.print(f"\n[bold]{step.text.en}[/bold]\n{step.text.zh}")
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
                return {entry.name: quantity.value}
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
