"""Looking again, a little at a time, at whether a device still is as it was set: what stands behind ``deviations``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

#: Asks the device one thing: what differs now, in words; None when nothing does. It may raise DeviceError.
Look = Callable[[], Awaitable[str | None]]


class Rounds:
    """Goes round a device's looks, ``each`` of them a call, beside those that belong to every call.

    A look that found something is taken again at the next call, so that a caller who wants to see a thing twice does.
    While a setting is :meth:`changing`, or when one was changed during the look, nothing is said: what was read may
    be of before or of after. When a look raises, so does the call, and the next one begins with that look.
    """

    def __init__(self, each: int) -> None:
        self._each = each
        self._at = 0
        self._changes = 0
        self._under_way = 0

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around everything that sets the device."""
        self._changes += 1
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._changes += 1

    async def go(self, always: tuple[Look, ...], looks: Mapping[str, Look]) -> tuple[str, ...]:
        """One call's share of the looks. Raises DeviceError."""
        if self._under_way:
            return ()
        changes = self._changes
        found = [text for look in always if (text := await look()) is not None]
        names = tuple(looks)
        for _ in range(min(self._each, len(names))):
            if self._changes != changes:
                return ()
            text = await looks[names[self._at % len(names)]]()
            if text is not None:
                found.append(text)
                break
            self._at = (self._at + 1) % len(names)
        return () if self._changes != changes else tuple(found)
