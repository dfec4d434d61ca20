"""Passwords: argon2id in a thread of its own, so that a flood of guesses takes neither the loop nor a second core."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from drivers.errors import Fault

T = TypeVar("T")

MIN_LENGTH = 10
MAX_LENGTH = 256
#: Verifications that may wait for the one thread; more than that is refused, not queued.
MOST_WAITING = 16


class TooManyWaiting(Exception):
    """So many passwords are being checked that this one was not even looked at."""


def faults_of(password: str, name: str) -> list[Fault]:
    """What is wrong with a password that somebody wants to have: length decides, not letters of some kind."""
    plain = unicodedata.normalize("NFKC", password)
    if len(plain) < MIN_LENGTH:
        fix = f"choose at least {MIN_LENGTH} characters, for example four words"
        return [Fault("the password is too short", "password", fix)]
    if len(plain) > MAX_LENGTH:
        return [Fault("the password is too long", "password", f"choose at most {MAX_LENGTH} characters")]
    if name.casefold() in plain.casefold() and len(plain) < len(name) + MIN_LENGTH:
        return [Fault("the password is little more than the name", "password", "choose another one")]
    if len(set(plain)) < 4:
        return [Fault("the password repeats a few characters", "password", "choose another one")]
    return []


class Passwords:
    """Hashes and verifies. ``hasher`` is argon2id with the library's parameters (RFC 9106, low memory)."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobody = ""

    def hash(self, password: str) -> str:
        """The hash to keep; takes about 0.1 s."""
        return self._hasher.hash(unicodedata.normalize("NFKC", password))

    def matches(self, kept: str | None, password: str) -> bool:
        """Whether it is the password. None is nobody's hash: it takes as long and never matches."""
        self._nobody = self._nobody or self._hasher.hash("nobody")  # whoever is asked for first
        try:
            found = self._hasher.verify(
                self._nobody if kept is None else kept, unicodedata.normalize("NFKC", password[: MAX_LENGTH + 1])
            )
        except (VerificationError, InvalidHashError):
            return False
        return found and kept is not None

    async def hash_aside(self, password: str) -> str:
        """:meth:`hash` in the thread. Raises TooManyWaiting."""
        return await self._aside(lambda: self.hash(password))

    async def matches_aside(self, kept: str | None, password: str) -> bool:
        """:meth:`matches` in the thread. Raises TooManyWaiting."""
        return await self._aside(lambda: self.matches(kept, password))

    async def _aside(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise TooManyWaiting
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
