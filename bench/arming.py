"""Two people start what cannot be undone: one arms, another starts, soon after, with every interlock read afresh."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bench.answers import Answers, Permission
from bench.cause import NotConfirmedError
from bench.seat import Seat
from sequences.language import Text

#: The first person's decision holds so long; then both are asked again.
ARMED_FOR_S = 30.0
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Decisions:
    """What the two people are told."""

    arm: Text
    start: Text


async def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True)
class Arming:
    """Asks two people. ``event`` is the log's."""

    answers: Answers
    seat: Seat
    event: Callable[..., Any]

    async def by_two(
        self,
        decisions: Decisions,
        *,
        armed: Callable[[str], Awaitable[None]] | None = None,
        disarmed: Callable[[], Awaitable[None]] = _nothing,
    ) -> str:
        """The name of the second person, who starts. Everything is as it must be when this returns: the first decision
        is no older than ARMED_FOR_S, and every interlock of the place was read after the second one.

        ``armed(name)`` is what follows the first decision (a rig is armed), ``disarmed`` what undoes it. Raises
        NotConfirmedError if somebody says no, or nobody is quick enough; DeviceError if an interlock is not heard.
        """
        loop = asyncio.get_running_loop()
        for _ in range(ROUNDS):
            first = await permitted(self.answers, self.event, Permission("arm", decisions.arm))
            armed_s = loop.time()
            if armed is not None:
                await armed(first)
            not_by = frozenset({first})
            try:
                second = await permitted(self.answers, self.event, Permission("start", decisions.start, not_by))
            except NotConfirmedError:
                await disarmed()
                raise
            await self.seat.heard(self.seat.channel.interlocks.values(), after_s=loop.time())
            if loop.time() - armed_s <= ARMED_FOR_S:
                return second
            self.event("arming_expired", after_s=round(loop.time() - armed_s, 3), first=first, second=second)
            await disarmed()
        raise NotConfirmedError(f"nobody started within {ARMED_FOR_S:g} s of the arming, {ROUNDS} times running")


async def permitted(answers: Answers, event: Callable[..., Any], permission: Permission) -> str:
    """The name of who gave leave, on the log. Raises NotConfirmedError if nobody did."""
    by = await answers.permit(permission)
    if by is None:
        event("not_permitted", what=permission.what)
        raise NotConfirmedError(f"nobody gave leave to {permission.what}")
    event("permitted", what=permission.what, by=by)
    return by
