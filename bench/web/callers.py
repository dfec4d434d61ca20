"""Who asks: the credential of a request, and what each route needs of it.

``Authorization: Bearer`` carries a session, an API token or the console's token; a browser's session comes as a
cookie. A cookie goes along by itself, so a change by cookie also needs the header ``X-Cellbench``, which no other page
can send.
"""

from __future__ import annotations

import os
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request

from bench.web.accounts import Accounts, Expired
from bench.web.gate import SAFE_METHODS
from bench.web.problems import Problem
from bench.web.roles import Caller, Role
from drivers.errors import RecordError

COOKIE = "cellbench_session"
PAGE_HEADER = "x-cellbench"
CONSOLE_FILE = "console.token"
#: Callers that are remembered for stops while the users' file cannot be read.
_REMEMBERED = 1024


def console_token(data: Path) -> str:
    """A new token for whoever may read the file of it: the account that keeps the bench, and root. It ends with the
    daemon that made it. Raises RecordError."""
    path = data / CONSOLE_FILE
    secret = f"cbc_{secrets.token_urlsafe(32)}"
    try:
        data.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secret + "\n")
    except OSError as error:
        said = f"the local console's token cannot be kept: {error.strerror}"
        raise RecordError(said, str(path), "mend the rights of the data folder") from None
    return secret


class Door:
    """Finds the caller of a request."""

    def __init__(self, accounts: Accounts, utc_s: Callable[[], float], console: str, *, idle_s: float) -> None:
        self._accounts = accounts
        self._utc_s = utc_s
        self._console = console
        self._idle_s = idle_s
        #: Of each session that was used here, when it last changed something.
        self._used_utc_s: OrderedDict[str, float] = OrderedDict()
        self._known: dict[str, Caller] = {}

    def caller(self, request: Request, *, for_stop: bool = False, left_alone: bool = False) -> Caller:
        """Raises Problem ``anonymous``, ``expired``, ``foreign-origin``; RecordError if the users cannot be read.

        A page asks by itself as long as it is open. So only changes count as use, and a session that was left alone
        may still look and stop; what else it asks for is ``expired``, unless ``left_alone`` lets it."""
        secret, by_cookie = _secret_of(request)
        if secret is None:
            raise Problem("anonymous", "this needs a log-in", "log in, or send Authorization: Bearer")
        if secrets.compare_digest(secret.encode("utf-8", "replace"), self._console.encode()):
            return Caller("local console", Role.VIEWER, "console")
        found = self._found(secret, for_stop=for_stop)
        if found is None:
            raise Problem("anonymous", "nobody holds this session or token", "log in again")
        if by_cookie and request.method not in SAFE_METHODS and not request.headers.get(PAGE_HEADER):
            raise Problem(
                "foreign-origin", "a change by cookie needs the header X-Cellbench", "use the bench's own page"
            )
        if request.method not in SAFE_METHODS and found.how == "session":
            self._use(found, allowed=for_stop or left_alone)
        return found

    def _use(self, caller: Caller, *, allowed: bool) -> None:
        now_s = self._utc_s()
        if now_s - self._used_utc_s.get(caller.credential, caller.since_utc_s) < self._idle_s:
            self._used_utc_s[caller.credential] = now_s
            self._used_utc_s.move_to_end(caller.credential)
            while len(self._used_utc_s) > _REMEMBERED:
                self._used_utc_s.popitem(last=False)
        elif not allowed:
            said = f"the session was left alone for more than {self._idle_s / 60.0:.0f} min; it may look and stop"
            raise Problem("expired", said, "log in again")

    def _found(self, secret: str, *, for_stop: bool) -> Caller | None:
        try:
            found = self._accounts.caller(secret, self._utc_s())
        except Expired:
            self._known.pop(secret, None)
            raise Problem("expired", "the session or token has ended", "log in again") from None
        except RecordError:
            if for_stop and secret in self._known:  # a broken disk keeps nobody from a stop
                return self._known[secret]
            raise
        if found is None:
            self._known.pop(secret, None)
            return None
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[secret] = found
        return found


def _secret_of(request: Request) -> tuple[str | None, bool]:
    header = request.headers.get("authorization")
    if header is not None:
        kind, _, secret = header.partition(" ")
        return (secret.strip(), False) if kind.lower() == "bearer" and secret.strip() else (None, False)
    return request.cookies.get(COOKIE), True


def needs(role: Role, *, for_stop: bool = False, left_alone: bool = False) -> Any:
    """What a route depends on to be given its caller, who holds at least this role."""

    async def caller(request: Request) -> Caller:
        door: Door = request.app.state.office.door
        found = door.caller(request, for_stop=for_stop, left_alone=left_alone)
        if not found.role.holds(role):
            raise Problem("forbidden", f"this needs the role {role.value}; yours is {found.role.value}", "ask an admin")
        return found

    caller.needed_role = role  # type: ignore[attr-defined] # what the document and the tests read
    return Depends(caller)


Viewer = Annotated[Caller, needs(Role.VIEWER)]
Stopper = Annotated[Caller, needs(Role.VIEWER, for_stop=True)]
Leaver = Annotated[Caller, needs(Role.VIEWER, left_alone=True)]
Operator = Annotated[Caller, needs(Role.OPERATOR)]
Engineer = Annotated[Caller, needs(Role.ENGINEER)]
Safety = Annotated[Caller, needs(Role.SAFETY)]
Admin = Annotated[Caller, needs(Role.ADMIN)]

Work = Callable[[], Awaitable[Any]]
