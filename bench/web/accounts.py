"""Users and what they hold: one SQLite file of the data folder, readable by its owner alone.

Passwords are kept as argon2id hashes; session and API tokens, which are random, as SHA-256. The daemon and the command
line may have it open at once.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.web.roles import Caller, Role, person_key
from drivers.errors import ConfigError, Fault, RecordError

FILE = "users.sqlite"
VERSION = 1
_NAME = re.compile(r"[^\W_][\w .'\-]{0,59}")
_SCHEMA = """
CREATE TABLE users (
  key TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, hash TEXT NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0, created_utc_s REAL NOT NULL
) STRICT;
CREATE TABLE credentials (
  digest TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL REFERENCES users (key) ON DELETE CASCADE,
  kind TEXT NOT NULL, label TEXT NOT NULL, role TEXT NOT NULL, created_utc_s REAL NOT NULL, expires_utc_s REAL NOT NULL
) STRICT;
CREATE TABLE heads (name TEXT PRIMARY KEY, count INTEGER NOT NULL, digest TEXT NOT NULL) STRICT;
"""

Kind = Literal["session", "token"]


@dataclass(frozen=True, slots=True)
class User:
    name: str
    role: Role
    disabled: bool
    created_utc_s: float


@dataclass(frozen=True, slots=True)
class Credential:
    """A session or an API token, without the secret."""

    id: str
    user: str
    kind: Kind
    label: str
    role: Role
    created_utc_s: float
    expires_utc_s: float


class Expired(Exception):
    """The credential was good once."""


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def check_name(name: str) -> str:
    """The name as it is kept. Raises ConfigError."""
    plain = " ".join(unicodedata.normalize("NFC", name).split())
    if not _NAME.fullmatch(plain):
        fix = "use letters, digits, spaces and . ' - only, at most 60 characters, for example 'Wang Fang'"
        raise ConfigError([Fault(f"{name[:80]!r} cannot be a user's name", "user", fix)])
    return plain


class Accounts:
    """The users of one data folder. Each call is one transaction; raises RecordError if the file cannot be used."""

    def __init__(self, data: Path) -> None:
        self.path = data / FILE
        self._db = _opened(self.path)

    def close(self) -> None:
        self._db.close()

    # users

    def users(self) -> tuple[User, ...]:
        rows = self._rows("SELECT name, role, disabled, created_utc_s FROM users ORDER BY key")
        return tuple(User(name, Role(role), bool(disabled), created) for name, role, disabled, created in rows)

    def user(self, name: str) -> User | None:
        key = person_key(name)
        return next((user for user in self.users() if person_key(user.name) == key), None)

    def hash_of(self, name: str) -> str | None:
        """The password's hash; None for nobody, and for who is disabled."""
        rows = self._rows("SELECT hash FROM users WHERE key = ? AND disabled = 0", person_key(name))
        return str(rows[0][0]) if rows else None

    def add(self, name: str, role: Role, password_hash: str, utc_s: float) -> User:
        """Raises ConfigError: the name is taken, or none."""
        plain = check_name(name)
        with self._changing() as db:
            row = (person_key(plain), plain, role.value, password_hash, utc_s)
            try:
                db.execute("INSERT INTO users (key, name, role, hash, created_utc_s) VALUES (?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                fix = "choose another name; names count as one however they are capitalised"
                raise ConfigError([Fault(f"there is a user {plain!r} already", "user", fix)]) from None
        return User(plain, role, disabled=False, created_utc_s=utc_s)

    def change(
        self, name: str, *, role: Role | None = None, disabled: bool | None = None, password_hash: str | None = None
    ) -> tuple[User, User]:
        """The user before and after. Every session and token of theirs ends. Raises ConfigError (unknown, or the last
        admin who is not disabled)."""
        key = person_key(name)
        with self._changing() as db:
            before = self.user(name)
            if before is None:
                raise ConfigError([_unknown(name)])
            after = User(
                before.name,
                before.role if role is None else role,
                before.disabled if disabled is None else disabled,
                before.created_utc_s,
            )
            db.execute("UPDATE users SET role = ?, disabled = ? WHERE key = ?", (after.role.value, after.disabled, key))
            if password_hash is not None:
                db.execute("UPDATE users SET hash = ? WHERE key = ?", (password_hash, key))
            if _is_admin(before) and not any(_is_admin(user) for user in self.users()):
                fix = "make another user an admin first"
                raise ConfigError([Fault(f"{before.name} is the last admin", "user", fix)])
            db.execute("DELETE FROM credentials WHERE user = ?", (key,))
        return before, after

    # sessions and tokens

    def give(
        self, kind: Kind, name: str, *, label: str, role: Role | None, utc_s: float, lasts_s: float
    ) -> tuple[str, Credential]:
        """A new secret, told this once, and what is kept of it. ``role`` None is the user's own, whatever it becomes.

        Raises ConfigError for a user that is unknown or disabled."""
        secret = f"cb{kind[0]}_{secrets.token_urlsafe(32)}"
        with self._changing() as db:
            user = self.user(name)
            if user is None or user.disabled:
                raise ConfigError([_unknown(name)])
            kept = Credential(secrets.token_hex(8), user.name, kind, label, role or user.role, utc_s, utc_s + lasts_s)
            db.execute("DELETE FROM credentials WHERE expires_utc_s < ?", (utc_s - 86400.0,))
            db.execute(
                "INSERT INTO credentials VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    digest_of(secret),
                    kept.id,
                    person_key(user.name),
                    kind,
                    label,
                    kept.role.value,
                    utc_s,
                    kept.expires_utc_s,
                ),
            )
        return secret, kept

    def caller(self, secret: str, utc_s: float) -> Caller | None:
        """Who holds this secret; None for nobody. Raises Expired."""
        rows = self._rows(
            "SELECT c.id, c.kind, c.role, c.created_utc_s, c.expires_utc_s, u.name, u.role, u.disabled "
            "FROM credentials c JOIN users u ON u.key = c.user WHERE c.digest = ?",
            digest_of(secret),
        )
        if not rows:
            return None
        credential, kind, own, since_utc_s, expires_utc_s, name, role, disabled = rows[0]
        if disabled or utc_s >= expires_utc_s:
            raise Expired
        lesser = min(Role(own), Role(role), key=lambda each: each.rank)
        return Caller(name, lesser, "token" if kind == "token" else "session", credential, since_utc_s)

    def credentials(self, kind: Kind, name: str | None = None) -> tuple[Credential, ...]:
        """Those of one user, or all."""
        rows = self._rows(
            "SELECT c.id, u.name, c.label, c.role, c.created_utc_s, c.expires_utc_s FROM credentials c "
            "JOIN users u ON u.key = c.user WHERE c.kind = ? AND (? IS NULL OR c.user = ?) ORDER BY c.created_utc_s",
            kind,
            None if name is None else person_key(name),
            None if name is None else person_key(name),
        )
        return tuple(Credential(row[0], row[1], kind, row[2], Role(row[3]), row[4], row[5]) for row in rows)

    def take_back(self, credential: str) -> bool:
        """End a session or token; whether there was one."""
        with self._changing() as db:
            return db.execute("DELETE FROM credentials WHERE id = ?", (credential,)).rowcount > 0

    # the heads of what is chained beside it

    def head(self, name: str) -> tuple[int, str] | None:
        """How many records a chain had, and its last digest, as it was last kept."""
        rows = self._rows("SELECT count, digest FROM heads WHERE name = ?", name)
        return (int(rows[0][0]), str(rows[0][1])) if rows else None

    def keep_head(self, name: str, count: int, digest: str) -> None:
        with self._changing() as db:
            db.execute("INSERT OR REPLACE INTO heads VALUES (?, ?, ?)", (name, count, digest))

    def _rows(self, query: str, *values: object) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise _unusable(self.path, str(error)) from None

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _unusable(self.path, str(error)) from None


def _is_admin(user: User) -> bool:
    return user.role is Role.ADMIN and not user.disabled


def _opened(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite keeps the rights of the file for those that it makes beside it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        if path.stat().st_mode & 0o077:
            raise _unusable(path, "others may read or write it", f"chmod 600 {path}, then change every password")
        db = sqlite3.connect(path, timeout=2.0, isolation_level=None, check_same_thread=False)
    except OSError as error:
        raise _unusable(path, error.strerror or "it cannot be opened") from None
    except sqlite3.Error as error:
        raise _unusable(path, str(error)) from None
    try:
        _prepare(db, path)
    except sqlite3.Error as error:
        db.close()
        raise _unusable(path, str(error)) from None
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("BEGIN IMMEDIATE")
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        db.execute("ROLLBACK")
        raise _unusable(path, f"a newer program wrote it (form {version})", "use that program; nothing was changed")
    if version == 0:
        for statement in filter(str.strip, _SCHEMA.split(";")):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def _unknown(name: str) -> Fault:
    return Fault(f"there is no user {name[:80]!r}", "user", "`cellbench user list` names them")


def _unusable(path: Path, why: str, fix: str = "mend the disk, or restore the file from a copy") -> RecordError:
    return RecordError(f"the users cannot be read or kept: {why}", str(path), fix)
