"""Questions to people, waiting on the desk until somebody answers them."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bench.answers import Answer, Judged, Permission
from bench.daemon.desk import DeskRefused
from bench.daemon.views import EntryView, PromptAnswer, PromptView, Words
from bench.entering import bounds_of, unit_of
from drivers.units import UnitError, parse_quantity
from sequences.language import Confirm, Entry, Question, Text


class Changed(Protocol):
    """Told of each question that is asked, or is gone."""

    def __call__(self, view: PromptView, /, *, asked: bool) -> object: ...


@dataclass(slots=True)
class _Asked:
    view: PromptView
    entries: tuple[Entry, ...]
    given: asyncio.Future[tuple[PromptAnswer, str, Mapping[str, Answer]]]


@dataclass(slots=True)
class Prompts:
    """All open questions of a floor."""

    changed: Changed
    _open: dict[str, _Asked] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def open(self) -> tuple[PromptView, ...]:
        return tuple(asked.view for asked in self._open.values() if not asked.given.done())

    def of(self, run_id: str) -> PromptView | None:
        """The question that a run waits for."""
        return next((asked.view for asked in self._open.values() if asked.view.run_id == run_id), None)

    def answer(self, prompt_id: str, answer: PromptAnswer, *, by: str) -> None:
        """Raises DeskRefused: unknown, second-person, out-of-limits."""
        asked = self._open.get(prompt_id)
        if asked is None or asked.given.done():
            raise DeskRefused("unknown", "nobody asks this any more", "look at the open questions again")
        if answer.yes and not Permission("carry", _WORDLESS, frozenset(asked.view.not_by)).open_to(by):
            raise DeskRefused("second-person", f"{by} has already decided", "a second person must take this decision")
        if asked.view.kind == "permit" and answer.yes and not by.strip():
            raise DeskRefused("second-person", "nobody's name was given", "sign in")
        asked.given.set_result((answer, by, _entered(asked.entries, answer) if answer.yes else {}))

    async def put(
        self, view: PromptView, entries: tuple[Entry, ...] = ()
    ) -> tuple[PromptAnswer, str, Mapping[str, Answer]]:
        """Ask, and wait. Cancelled, the question is taken back."""
        asked = _Asked(view, entries, asyncio.get_running_loop().create_future())
        self._open[view.prompt_id] = asked
        self.changed(view, asked=True)
        try:
            return await asked.given
        finally:
            del self._open[view.prompt_id]
            self.changed(view, asked=False)

    def number(self, run_id: str) -> str:
        return f"{run_id}.{next(self._numbers)}"


_WORDLESS = Text(en="", zh="")


class DeskAnswers:
    """The people of one run, asked at the desk: a :class:`bench.answers.Answers`. ``utc_s`` is the bench's clock."""

    def __init__(self, prompts: Prompts, *, run_id: str, channel: str, utc_s: Callable[[], float]) -> None:
        self.by = "nobody"
        self._prompts = prompts
        self._run_id = run_id
        self._channel = channel
        self._utc_s = utc_s

    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        view = self._view("confirm", step.id or step.kind, step.text, hazardous=step.hazardous)
        shown = tuple(map(_entry, step.entries))
        answer, by, values = await self._prompts.put(view.model_copy(update={"entries": shown}), step.entries)
        self.by = by
        return values if answer.yes else None

    async def permit(self, permission: Permission) -> str | None:
        view = self._view("permit", permission.what, permission.text, hazardous=permission.what != "take_over")
        view = view.model_copy(update={"not_by": tuple(sorted(permission.not_by))})
        answer, by, _ = await self._prompts.put(view)
        return by if answer.yes else None

    async def judge(self, question: Question, shown: Sequence[str], /) -> Judged | None:
        source = question.source
        where = " ".join(filter(None, (source.standard, source.edition, source.clause)))
        grade = "UNVERIFIED" if source.grade == "U" else source.grade
        view = self._view("judge", question.name, question.text, hazardous=False).model_copy(
            update={
                "definition": _words(question.definition),
                "source": f"{where}; grade {grade}",
                "shown": tuple(shown),
            }
        )
        answer, by, _ = await self._prompts.put(view)
        return Judged(answer.yes, by, answer.note)

    def _view(
        self, kind: Literal["confirm", "permit", "judge"], what: str, text: Text, *, hazardous: bool
    ) -> PromptView:
        return PromptView(
            prompt_id=self._prompts.number(self._run_id),
            run_id=self._run_id,
            channel=self._channel,
            kind=kind,
            what=what,
            text=_words(text),
            hazardous=hazardous,
            asked_utc_s=self._utc_s(),
            signed=kind != "confirm" or hazardous,
        )


def _words(text: Text) -> Words:
    return Words(en=text.en, zh=text.zh)


def _entry(entry: Entry) -> EntryView:
    bounds = bounds_of(entry)
    return EntryView(
        name=entry.name,
        label=_words(entry.prompt),
        text=entry.text,
        unit=unit_of(entry),
        example=None if entry.example is None else entry.example.text,
        low=bounds.low,
        high=bounds.high,
    )


def _entered(entries: tuple[Entry, ...], answer: PromptAnswer) -> dict[str, Answer]:
    """What was entered, numbers in base units; an empty one is left out. Raises DeskRefused."""
    known = {entry.name: entry for entry in entries}
    values: dict[str, Answer] = {}
    for name, said in answer.entries.items():
        entry, said = known.get(name), said.strip()
        if entry is None:
            raise DeskRefused(
                "unknown", f"nothing called {name!r} was asked for", f"enter {', '.join(known) or 'nothing'}"
            )
        if not said:
            continue
        if entry.text:
            values[name] = said
            continue
        wanted = None if entry.example is None else entry.example.kind
        example = "" if entry.example is None else f"write for example {entry.example.text}"
        try:
            quantity = parse_quantity(said)
        except UnitError as error:
            raise DeskRefused("out-of-limits", f"{name}: {error}", example) from None
        if wanted not in (None, quantity.dimension) or not math.isfinite(quantity.value):
            raise DeskRefused(
                "out-of-limits", f"{name}: {said!r} is no {wanted.value if wanted else 'number'}", example
            )
        why = bounds_of(entry).refuse(quantity.value)
        if why is not None:
            raise DeskRefused("out-of-limits", f"{name}: {said!r}: {why}", "look at the instrument again")
        values[name] = quantity.value
    return values
