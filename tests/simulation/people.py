"""The people at a simulated bench: two who arm and start, who may be slow, say no, or try what is not theirs to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from bench.answers import Answer, Answers, Judged, Permission, same_name
from sequences.language import Confirm, Question

#: One who is in no hurry; an arming holds for 30 s.
SLOW_S = (20.0, 50.0)
HURRY_S = (0.2, 4.0)
NAMES = ("Wang Fang", "Li Na", "Zhao Min")


@dataclass(frozen=True, slots=True)
class Said:
    """One person's answer to one question for leave, when it was given. ``name`` is None for a no."""

    at_s: float
    what: str
    name: str | None


class People:
    """Answers as several people would; ``told`` hears ``arm`` and ``start`` at the instant at which they are said.

    Entries and judgements are those of ``others``. Without ``awkward`` everybody is quick, willing and in the right.
    Awkward ones are slow, refuse, answer nothing, or type the name of the person who has decided before them, with
    other capitals, until they are told that it takes another.
    """

    def __init__(self, others: Answers, seed: int, *, awkward: bool, told: Callable[[str], object]) -> None:
        self.said: list[Said] = []
        self.turned_away = 0
        self._others = others
        self._random = Random(f"people {seed}")
        self._awkward = awkward
        self._told = told

    @property
    def by(self) -> str:
        return self._others.by

    async def ask(self, step: Confirm) -> Mapping[str, Answer] | None:
        await self._think()
        if self._awkward and self._random.random() < 0.05:
            return None
        return await self._others.ask(step)

    async def permit(self, permission: Permission) -> str | None:
        await self._think(slow=0.3 if permission.what == "start" else 0.1)
        name = self._name(permission)
        self.said.append(Said(asyncio.get_running_loop().time(), permission.what, name))
        if name is not None:
            self._told(permission.what)
        return name

    async def judge(self, question: Question, shown: Sequence[str], /) -> Judged | None:
        await self._think()
        if self._awkward and self._random.random() < 0.1:
            return None
        return await self._others.judge(question, shown)

    def _name(self, permission: Permission) -> str | None:
        random = self._random
        if self._awkward and random.random() < 0.05:
            return None
        if self._awkward and permission.not_by and random.random() < 0.5:
            again = random.choice(sorted(permission.not_by)).upper()
            if permission.open_to(again):  # nobody turned it away: it counts
                return again
            self.turned_away += 1
        return next((name for name in random.sample(NAMES, len(NAMES)) if permission.open_to(name)), None)

    async def _think(self, *, slow: float = 0.1) -> None:
        is_slow = self._awkward and self._random.random() < slow
        await asyncio.sleep(self._random.uniform(*(SLOW_S if is_slow else HURRY_S)))


def two_people(first: str, second: str) -> bool:
    """Whether these names are those of two people."""
    return same_name(first) != same_name(second)
