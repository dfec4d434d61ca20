"""The real application before a paper desk: real users, log-ins and signatures, with a hash that costs little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from argon2 import PasswordHasher

from bench.web.accounts import Accounts
from bench.web.app import STATIC as STATIC
from bench.web.passwords import Passwords
from bench.web.roles import Role
from bench.web.settings import WebSettings
from tests.page.paper_desk import PaperDesk
from tests.web.here import web

PASSWORD = "right horse"
#: One of each role; two of them may start a destructive test together.
PEOPLE = {
    "gast": Role.VIEWER,
    "lin": Role.OPERATOR,
    "wang": Role.ENGINEER,
    "shen": Role.SAFETY,
    "root": Role.ADMIN,
}


def cheap_passwords() -> Passwords:
    """argon2id as in the product, with the least of memory and time: what is tested here is not the hash."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def keep_people(data: Path) -> None:
    """Each of ``PEOPLE`` in the data folder's users, all with the same password."""
    passwords = cheap_passwords()
    accounts = Accounts(data)
    try:
        for name, role in PEOPLE.items():
            accounts.add(name, role, passwords.hash(PASSWORD), 1.8e9)
    finally:
        accounts.close()
        passwords.close()


@contextmanager
def served(desk: PaperDesk, data: Path, settings: WebSettings | None = None) -> Iterator[str]:
    """On loopback, in a thread of its own; gives the page's address."""
    keep_people(data)
    with web(data, settings or WebSettings(port=0), cheap_passwords())(desk) as link:
        yield str(link)
