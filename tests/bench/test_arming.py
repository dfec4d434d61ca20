"""One person arms, another starts, soon after, with the interlocks read after both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from bench.answers import Permission
from bench.arming import ARMED_FOR_S, ROUNDS, Arming, Decisions
from bench.cause import NotConfirmedError
from bench.simulated import in_virtual_time
from sequences.language import Text

pytestmark = pytest.mark.fault("H10")

TOLD = Decisions(arm=Text(en="arm", zh="预备"), start=Text(en="start", zh="启动"))


@dataclass
class People:
    """Each decision takes so long, in turn."""

    take_s: list[float]
    names: dict[str, str | None] = field(default_factory=lambda: {"arm": "lin", "start": "wang"})
    asked: list[Permission] = field(default_factory=list)

    async def permit(self, permission: Permission) -> str | None:
        self.asked.append(permission)
        await asyncio.sleep(self.take_s.pop(0) if self.take_s else 0.0)
        name = self.names[permission.what]
        return name if name is not None and permission.open_to(name) else None


@dataclass
class Interlocks:
    """A place whose door is heard once a second."""

    heard_after_s: list[float] = field(default_factory=list)

    @property
    def channel(self) -> Any:
        return SimpleNamespace(interlocks={"door_closed": "io1.di1.on"})

    async def heard(self, channels: Iterable[str], *, after_s: float = 0.0) -> None:
        assert list(channels) == ["io1.di1.on"]
        self.heard_after_s.append(after_s)
        await asyncio.sleep(1.0)


def _asked(people: People, **how: Any) -> tuple[str | BaseException, Interlocks, list[str]]:
    interlocks, events = Interlocks(), []

    async def main() -> str | BaseException:
        arming = Arming(people, interlocks, lambda kind, **_: events.append(kind))  # type: ignore[arg-type]
        try:
            return await arming.by_two(TOLD, **how)
        except NotConfirmedError as error:
            return error

    return in_virtual_time(main(), speed=None), interlocks, events


def test_the_second_is_told_who_may_not_start_and_the_interlocks_are_read_last() -> None:
    people = People([3.0, 4.0])
    by, interlocks, events = _asked(people)
    assert by == "wang"
    assert people.asked[1].not_by == frozenset({"lin"})
    assert len(interlocks.heard_after_s) == 1
    assert interlocks.heard_after_s[0] >= 7.0
    assert events == ["permitted", "permitted"]


def test_one_person_alone_starts_nothing_and_what_was_armed_is_disarmed() -> None:
    done: list[str] = []

    async def armed(by: str) -> None:
        done.append(f"armed by {by}")

    async def disarmed() -> None:
        done.append("disarmed")

    by, interlocks, events = _asked(People([], {"arm": "Lin Wei", "start": "lin  wei"}), armed=armed, disarmed=disarmed)
    assert isinstance(by, NotConfirmedError)
    assert done == ["armed by Lin Wei", "disarmed"]
    assert interlocks.heard_after_s == []
    assert events[-1] == "not_permitted"


def test_an_arming_that_is_too_old_begins_anew_with_the_first_person() -> None:
    people = People([0.0, ARMED_FOR_S, 0.0, 5.0])  # with the second that the interlocks take the first is too old
    by, _, events = _asked(people)
    assert by == "wang"
    assert [asked.what for asked in people.asked] == ["arm", "start", "arm", "start"]
    assert "arming_expired" in events


def test_after_some_rounds_it_is_given_up() -> None:
    people = People([0.0, 31.0] * ROUNDS)
    by, _, events = _asked(people)
    assert isinstance(by, NotConfirmedError)
    assert events.count("arming_expired") == ROUNDS
