"""Who is here: logging in and out, users, tokens."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from bench.web.accounts import Credential, User
from bench.web.callers import COOKIE, Admin, Leaver, Viewer
from bench.web.office import Office, OfficeOf
from bench.web.passwords import faults_of
from bench.web.problems import Problem
from bench.web.roles import Caller, Role, person_key
from bench.web.routes.shapes import (
    ChangedUser,
    LogIn,
    Me,
    NewPassword,
    NewToken,
    NewUser,
    Session,
    SomeId,
    TokenView,
    UserName,
    UserView,
)
from drivers.errors import ConfigError

router = APIRouter(tags=["people"])
DAY_S = 86400.0


@router.post("/login")
async def login(asked: LogIn, request: Request, response: Response, office: OfficeOf) -> Session:
    """A session by name and password."""
    where = request.client.host if request.client else "nowhere"
    keys = (f"from {where}", f"as {person_key(asked.name)}")
    await office.proved(asked.name, asked.password, "wrong-password", office.log_ins, *keys)
    lasts_s = office.settings.session_s
    secret, kept = office.accounts.give(
        "session",
        asked.name,
        label="page" if asked.cookie else "program",
        role=None,
        utc_s=office.utc_s(),
        lasts_s=lasts_s,
    )
    caller = Caller(kept.user, kept.role, "session", kept.id)
    async with office.changing(caller, "session.begin", kept.user):
        pass
    if asked.cookie:
        response.set_cookie(
            COOKIE,
            secret,
            max_age=int(lasts_s),
            httponly=True,
            samesite="strict",
            secure=office.settings.with_tls,
            path="/",
        )
    return Session(
        name=kept.user, role=kept.role, expires_utc_s=kept.expires_utc_s, token=None if asked.cookie else secret
    )


@router.post("/logout", status_code=204)
async def logout(caller: Leaver, response: Response, office: OfficeOf) -> None:
    """End the session (or token) that asks."""
    async with office.changing(caller, "session.end", caller.name):
        if caller.credential:
            office.accounts.take_back(caller.credential)
    response.delete_cookie(COOKIE, path="/")


@router.get("/me")
async def me(caller: Viewer) -> Me:
    return Me(name=caller.name, role=caller.role, how=caller.how)


@router.post("/me/password", status_code=204)
async def own_password(caller: Viewer, asked: NewPassword, office: OfficeOf) -> None:
    """Every session and token of the caller ends."""
    _person(caller)
    async with office.changing(caller, "user.password", caller.name) as entry:
        entry.signature = await office.signed(caller, asked.old, "new password", {"name": caller.name})
        new_hash = await _hashed(office, caller.name, asked.new)
        office.accounts.change(caller.name, password_hash=new_hash)


@router.get("/users")
async def users(_: Admin, office: OfficeOf) -> list[UserView]:
    return [_user(user) for user in office.accounts.users()]


@router.post("/users", status_code=201)
async def add_user(caller: Admin, asked: NewUser, office: OfficeOf) -> UserView:
    async with office.changing(caller, "user.add", asked.name[:120], new={"role": asked.role.value}):
        new_hash = await _hashed(office, asked.name, asked.password)
        return _user(office.accounts.add(asked.name, asked.role, new_hash, office.utc_s()))


@router.patch("/users/{name}")
async def change_user(caller: Admin, name: UserName, asked: ChangedUser, office: OfficeOf) -> UserView:
    """Every session and token of theirs ends."""
    async with office.changing(caller, "user.change", name) as entry:
        new_hash = None if asked.password is None else await _hashed(office, name, asked.password)
        before, after = office.accounts.change(name, role=asked.role, disabled=asked.disabled, password_hash=new_hash)
        entry.old = {"role": before.role.value, "disabled": before.disabled}
        entry.new = {"role": after.role.value, "disabled": after.disabled, "password": new_hash is not None}
        return _user(after)


@router.get("/tokens")
async def tokens(caller: Viewer, office: OfficeOf) -> list[TokenView]:
    """One's own; an admin sees all."""
    of = None if caller.role is Role.ADMIN else caller.name
    return [_token(kept) for kept in office.accounts.credentials("token", of)]


@router.post("/tokens", status_code=201)
async def add_token(caller: Viewer, asked: NewToken, office: OfficeOf) -> TokenView:
    """A token of the caller's own, for a program. It is told this once and kept as a hash."""
    _person(caller)
    if asked.role is not None and not caller.role.holds(asked.role):
        raise Problem("forbidden", f"the token would have more than your role {caller.role.value}", "ask an admin")
    new = {"role": None if asked.role is None else asked.role.value, "days": asked.days}
    async with office.changing(caller, "token.add", asked.label, new=new) as entry:
        entry.signature = await office.signed(caller, asked.password, "new token", new)
        secret, kept = office.accounts.give(
            "token", caller.name, label=asked.label, role=asked.role or caller.role, utc_s=office.utc_s(),
            lasts_s=asked.days * DAY_S,
        )  # fmt: skip
    return _token(kept, secret)


@router.delete("/tokens/{token_id}", status_code=204)
async def end_token(caller: Viewer, token_id: SomeId, office: OfficeOf) -> None:
    """One's own; an admin ends any."""
    of = None if caller.role is Role.ADMIN else caller.name
    async with office.changing(caller, "token.end", token_id):
        mine = any(kept.id == token_id for kept in office.accounts.credentials("token", of))
        if not mine or not office.accounts.take_back(token_id):
            raise Problem("unknown", "there is no such token", "GET /api/v1/tokens names them")


def _person(caller: Caller) -> None:
    if caller.how == "console":
        raise Problem("forbidden", "the local console is no person", "log in")


async def _hashed(office: Office, name: str, password: str) -> str:
    faults = faults_of(password, name)
    if faults:
        raise ConfigError(faults)
    return await office.hashed(password)


def _user(user: User) -> UserView:
    return UserView(name=user.name, role=user.role, disabled=user.disabled, created_utc_s=user.created_utc_s)


def _token(kept: Credential, secret: str | None = None) -> TokenView:
    return TokenView(
        id=kept.id,
        user=kept.user,
        label=kept.label,
        role=kept.role,
        created_utc_s=kept.created_utc_s,
        expires_utc_s=kept.expires_utc_s,
        token=secret,
    )
