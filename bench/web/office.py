"""What every route works with: the desk, the users, the trail, and the threads that wait for the disk."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
import structlog
from fastapi import Depends, Request

from bench.daemon.desk import Desk
from bench.web.accounts import Accounts
from bench.web.attempts import Attempts
from bench.web.audit import Audit, Change
from bench.web.callers import Door
from bench.web.feed import Feed
from bench.web.keys import Keys
from bench.web.passwords import Passwords, TooManyWaiting
from bench.web.problems import Problem, of_error
from bench.web.roles import Caller, person_key
from bench.web.settings import WebSettings
from drivers import real_elapsed_s, system_clock
from drivers.errors import RecordError

T = TypeVar("T")
_log = structlog.get_logger("cellbench.web")


@dataclass(slots=True)
class Entry:
    """What a route tells the trail while it works: what it was, what it is, why, and who signed for it."""

    old: Any = None
    new: Any = None
    why: str = ""
    signature: Mapping[str, Any] | None = None


@dataclass
class Office:
    desk: Desk
    data: Path
    settings: WebSettings
    accounts: Accounts
    passwords: Passwords
    audit: Audit
    door: Door
    feed: Feed
    log_ins: Attempts
    signing: Attempts
    keys: Keys
    utc_s: Callable[[], float]
    #: The bench's process, of which the figures speak.
    daemon: int
    _disk: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="web-disk"))
    _later: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    def opened(
        cls,
        desk: Desk,
        data: Path,
        settings: WebSettings,
        passwords: Passwords | None = None,
        utc_s: Callable[[], float] | None = None,
        *,
        console: str,
        daemon: int | None = None,
    ) -> Office:
        """``utc_s`` None: this computer's clock; ``console``: the token of the local console; ``daemon``: the bench's
        process if it is not this one. Raises RecordError if the users cannot be kept."""
        utc_s = utc_s or system_clock(real_elapsed_s).utc_s
        accounts = Accounts(data)
        return cls(
            desk=desk,
            data=data,
            settings=settings,
            accounts=accounts,
            passwords=passwords or Passwords(),
            audit=Audit(data, accounts, utc_s),
            door=Door(accounts, utc_s, console, idle_s=settings.idle_s),
            feed=Feed(desk, settings),
            log_ins=Attempts(real_elapsed_s, burst=settings.login_burst, every_s=settings.login_every_s),
            signing=Attempts(real_elapsed_s, burst=settings.login_burst, every_s=settings.login_every_s),
            keys=Keys(),
            utc_s=utc_s,
            daemon=daemon or os.getpid(),
        )

    async def close(self) -> None:
        """The trail is written to its end; the users are closed."""
        if self._later:
            await asyncio.wait(self._later, timeout=5.0)
        self._disk.shutdown(wait=True)
        self.passwords.close()
        self.accounts.close()

    async def on_disk(self, work: Callable[[], T]) -> T:
        """Something that waits for the disk, one after the other, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)

    @asynccontextmanager
    async def changing(
        self, caller: Caller, act: str, on: str, *, ahead: bool = False, **known: Any
    ) -> AsyncIterator[Entry]:
        """The change inside is in the trail when this ends, whatever its outcome; ``ahead``: also before it begins, so
        that nothing is energised of which no trace can be kept. Raises Problem ``audit``: it could not be written."""
        entry = Entry(**known)
        if ahead:
            await self._written(_change(caller, act, on, "asked", entry))
        outcome = "done"
        try:
            yield entry
        except Exception as error:
            outcome = of_error(error).code
            raise
        finally:
            await self._written(_change(caller, act, on, outcome, entry))

    def note_later(self, caller: Caller, act: str, on: str, outcome: str = "done", **known: Any) -> None:
        """As :meth:`changing`, without waiting: a stop does not wait for a disk."""
        task = asyncio.get_running_loop().create_task(self._noted(_change(caller, act, on, outcome, Entry(**known))))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def signed(self, caller: Caller, password: str | None, meaning: str, what: Any) -> dict[str, Any]:
        """The signature of a caller who gave the password again: name, time, meaning, hash of what was signed.

        Raises Problem ``not-signed``, ``too-many-attempts``, ``forbidden`` (the console is nobody)."""
        if caller.how == "console":
            raise Problem("forbidden", "the local console is no person and signs nothing", "log in")
        if not password:
            raise Problem("not-signed", "this is signed with your password", "enter your password again")
        await self.proved(caller.name, password, "not-signed", self.signing, person_key(caller.name))
        return self.signature(caller.name, meaning, what)

    def signature(self, name: str, meaning: str, what: Any) -> dict[str, Any]:
        """Of somebody whose password was right just now."""
        body = orjson.dumps(what, option=orjson.OPT_SORT_KEYS)
        return {
            "name": name,
            "utc_s": self.utc_s(),
            "meaning": meaning,
            "sha256": hashlib.sha256(body).hexdigest(),
        }

    async def proved(self, name: str, password: str, refusal: str, attempts: Attempts, *keys: str) -> None:
        """Whether it is this user's password. Raises Problem ``refusal``, ``too-many-attempts``."""
        attempts.take(*keys)
        try:
            right = await self.passwords.matches_aside(self.accounts.hash_of(name), password)
        except TooManyWaiting:
            raise Problem("too-many-attempts", "many passwords are being checked", "try again", after_s=5.0) from None
        if not right:
            _log.warning("wrong password", user=ascii(name[:80]))  # a terminal may read along
            raise Problem(refusal, "the name or the password is wrong", "enter it again; an admin can set another")
        attempts.give_back(*keys)

    async def hashed(self, password: str) -> str:
        try:
            return await self.passwords.hash_aside(password)
        except TooManyWaiting:
            raise Problem("too-many-attempts", "many passwords are being checked", "try again", after_s=5.0) from None

    async def _written(self, change: Change) -> None:
        try:
            await self.on_disk(lambda: self.audit.add(change))
        except RecordError as error:
            _log.error("audit trail not kept", act=change.act, on=change.on, who=change.who, outcome=change.outcome)
            first = error.faults[0]
            raise Problem("audit", f"{change.outcome}, but {first.error}", first.fix) from None

    async def _noted(self, change: Change) -> None:
        try:
            await self._written(change)
        except Problem:
            return  # it is in the program's log


def _change(caller: Caller, act: str, on: str, outcome: str, entry: Entry) -> Change:
    bare = Change(act=act, on=on, who=caller.name, role=caller.role.value, how=caller.how, outcome=outcome)
    return replace(bare, old=entry.old, new=entry.new, why=entry.why, signature=entry.signature)


def _office(request: Request) -> Office:
    office: Office = request.app.state.office
    return office


OfficeOf = Annotated[Office, Depends(_office)]
