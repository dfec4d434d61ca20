"""What requests carry, beside the daemon's own views."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path, Query
from pydantic import Field

from bench.daemon.views import Name, PromptAnswer, StartRequest, View
from bench.web.passwords import MAX_LENGTH
from bench.web.roles import How, Role

RunId = Annotated[str, Path(pattern=r"^\w[\w.\-]{0,199}$", examples=["0001-gbt31486-2024-room-capacity"])]
#: Of a prompt or an alarm: whatever the daemon called it.
SomeId = Annotated[str, Path(min_length=1, max_length=200)]
UserName = Annotated[str, Path(min_length=1, max_length=60)]
Search = Annotated[str, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=500)]
#: Said by the caller, once for each start that is meant, and again when nobody knows whether it arrived.
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=8, max_length=100, pattern=r"^[\x21-\x7e]+$")]

#: The same, where a second one does little harm.
MaybeKey = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=8, max_length=100, pattern=r"^[\x21-\x7e]+$")
]

Password = Annotated[str, Field(max_length=4 * MAX_LENGTH)]
Note = Annotated[str, Field(max_length=2000)]


class LogIn(View):
    """``cookie`` False: the session's token is told in the answer and no cookie is set, for programs."""

    name: Annotated[str, Field(max_length=120)]
    password: Password
    cookie: bool = True


class Session(View):
    name: str
    role: Role
    expires_utc_s: float
    token: str | None = None


class Me(View):
    name: str
    role: Role
    how: How


class Person(View):
    name: Annotated[str, Field(max_length=120)]
    password: Password


class Start(View):
    """``plan_hash`` is that of the check which was approved. ``password`` signs; ``second`` is the other person whom a
    destructive test needs."""

    request: StartRequest
    plan_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    password: Password | None = None
    second: Person | None = None


class Answer(PromptAnswer):
    password: Password | None = None


class Judgement(View):
    question: Name
    answer: bool
    note: Note = ""
    password: Password


class Shelving(View):
    for_s: Annotated[float, Field(gt=0, le=7 * 86400.0)]
    why: Annotated[str, Field(min_length=3, max_length=500)]


class SignedNote(View):
    note: Annotated[str, Field(min_length=1, max_length=2000)]
    password: Password


class NewNote(View):
    text: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]


class Unlatched(View):
    acknowledged: tuple[str, ...]


class NewUser(View):
    name: Annotated[str, Field(max_length=120)]
    role: Role
    password: Password


class ChangedUser(View):
    role: Role | None = None
    disabled: bool | None = None
    password: Password | None = None


class UserView(View):
    name: str
    role: Role
    disabled: bool
    created_utc_s: float


class NewPassword(View):
    old: Password
    new: Password


class NewToken(View):
    """``role`` is at most the caller's own; without one the token may what its user may."""

    label: Annotated[str, Field(min_length=1, max_length=60)]
    role: Role | None = None
    days: Annotated[float, Field(gt=0, le=3650)] = 90.0
    password: Password


class TokenView(View):
    """``token`` is told once, when it is made."""

    id: str
    user: str
    label: str
    role: Role
    created_utc_s: float
    expires_utc_s: float
    token: str | None = None


class FileView(View):
    name: str
    bytes: int


class AuditRecord(View):
    seq: int
    utc_s: float
    act: str
    on: str
    who: str
    role: str
    how: str
    outcome: str
    old: object = None
    new: object = None
    why: str = ""
    signature: object = None


class AuditView(View):
    """The newest records first. ``broken`` is the record where the trail does not hold any more, ``why`` says how."""

    records: tuple[AuditRecord, ...]
    count: int
    head: str
    broken: int | None
    why: str


class Health(View):
    status: str
