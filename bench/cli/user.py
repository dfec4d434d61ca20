"""``cellbench user``: who may use the interface of a data folder's daemon."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from bench.cli.ending import examples_of, output, print_json, told
from bench.cli.options import DATA, JSON
from bench.data_folder import DataFolder
from bench.results import UserList, UserRow
from drivers.clock import real_elapsed_s, system_clock
from drivers.errors import ConfigError, Fault

if TYPE_CHECKING:
    from bench.web.accounts import Accounts, User
    from bench.web.audit import Audit
    from bench.web.roles import Role

NAME = Annotated[str, typer.Argument(help="The user's name.")]
ROLE = Annotated[str, typer.Argument(help="viewer, operator, engineer, safety or admin; each holds those before it.")]
FROM_STDIN = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin instead of asking.")
]


def add_to(app: typer.Typer) -> None:
    commands = typer.Typer(
        help="Keep the users of a bench's daemon. The daemon may be running.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        epilog=examples_of('cellbench user add "Wang Fang" --role admin'),
    )
    for name, command, example in (
        ("add", add, 'cellbench user add "Wang Fang" --role safety'),
        ("list", list_, "cellbench user list --json"),
        ("role", role, 'cellbench user role "Wang Fang" engineer'),
        ("password", password, 'cellbench user password "Wang Fang"'),
        ("disable", disable, 'cellbench user disable "Wang Fang"'),
        ("enable", enable, 'cellbench user enable "Wang Fang"'),
    ):
        commands.command(name, epilog=examples_of(example))(command)
    app.add_typer(commands, name="user")


def add(
    name: NAME,
    role: Annotated[str, typer.Option("--role", help="viewer, operator, engineer, safety or admin.")],
    password_stdin: FROM_STDIN = False,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Add a user. The password is asked for twice; at least ten characters, of any kind."""
    with told(as_json=as_json), _book(data) as book:
        chosen = _role(role)
        kept = book.accounts.add(name, chosen, _hashed(name, from_stdin=password_stdin), book.utc_s)
        book.note("user.add", kept.name, new={"role": chosen.value})
        _show([kept], f"{kept.name} may use the interface, as {chosen.value}", as_json=as_json)


def list_(data: DATA = None, as_json: JSON = False) -> None:
    """List the users."""
    with told(as_json=as_json), _book(data) as book:
        _show(list(book.accounts.users()), None, as_json=as_json)


def role(name: NAME, role: ROLE, data: DATA = None, as_json: JSON = False) -> None:
    """Give a user another role. Every session and token of theirs ends."""
    with told(as_json=as_json), _book(data) as book:
        before, after = book.accounts.change(name, role=_role(role))
        book.note("user.change", after.name, old={"role": before.role.value}, new={"role": after.role.value})
        _show([after], f"{after.name} is {after.role.value} now; they log in again", as_json=as_json)


def password(name: NAME, password_stdin: FROM_STDIN = False, data: DATA = None, as_json: JSON = False) -> None:
    """Give a user another password. Every session and token of theirs ends."""
    with told(as_json=as_json), _book(data) as book:
        _, after = book.accounts.change(name, password_hash=_hashed(name, from_stdin=password_stdin))
        book.note("user.change", after.name, new={"password": True})
        _show([after], f"{after.name} has another password; they log in again", as_json=as_json)


def disable(name: NAME, data: DATA = None, as_json: JSON = False) -> None:
    """Let a user in no more. Their name stays on what they did; every session and token of theirs ends."""
    _let(name, data, disabled=True, as_json=as_json)


def enable(name: NAME, data: DATA = None, as_json: JSON = False) -> None:
    """Let a disabled user in again."""
    _let(name, data, disabled=False, as_json=as_json)


def _let(name: str, data: Path | None, *, disabled: bool, as_json: bool) -> None:
    with told(as_json=as_json), _book(data) as book:
        before, after = book.accounts.change(name, disabled=disabled)
        book.note("user.change", after.name, old={"disabled": before.disabled}, new={"disabled": after.disabled})
        _show([after], f"{after.name} is {'disabled' if disabled else 'enabled'}", as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Book:
    """The users of a data folder, and the trail in which every change of them stands."""

    accounts: Accounts
    audit: Audit
    utc_s: float

    def note(self, act: str, on: str, *, new: Mapping[str, object], old: Mapping[str, object] | None = None) -> None:
        from bench.web.audit import Change

        who = f"{_account()} (command line)"
        self.audit.add(Change(act=act, on=on, who=who, role="admin", how="console", old=old, new=new))


@contextmanager
def _book(data: Path | None) -> Iterator[_Book]:
    from bench.web.accounts import Accounts
    from bench.web.audit import Audit

    folder = DataFolder.choose(data, os.environ).path
    clock = system_clock(real_elapsed_s)
    _refuse_of_another(folder)
    accounts = Accounts(folder)
    try:
        yield _Book(accounts, Audit(folder, accounts, clock.utc_s), clock.utc_s())
    finally:
        accounts.close()


def _refuse_of_another(folder: Path) -> None:
    """What this account makes in another one's folder, that one's daemon could not read. Raises ConfigError."""
    import pwd

    try:
        owner = folder.stat().st_uid
    except OSError:
        return  # it is made now, or cannot be used: which is said then
    if owner == os.geteuid():
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"#{owner}"
    fix = f"run it as that account: sudo -u {name} cellbench user ..."
    raise ConfigError([Fault(f"the data folder belongs to the account {name}", str(folder), fix)])


def _role(text: str) -> Role:
    from bench.web.roles import Role

    try:
        return Role(text)
    except ValueError:
        fix = f"write {', '.join(Role)}"
        raise ConfigError([Fault(f"{text!r} is no role", "--role", fix)]) from None


def _hashed(name: str, *, from_stdin: bool) -> str:
    from bench.web.passwords import Passwords, faults_of

    text = (
        sys.stdin.readline().rstrip("\r\n")
        if from_stdin
        else typer.prompt(f"password of {name}", hide_input=True, confirmation_prompt=True, err=True)
    )
    faults = faults_of(text, name)
    if faults:
        raise ConfigError(faults)
    passwords = Passwords()
    try:
        return passwords.hash(text)
    finally:
        passwords.close()


def _account() -> str:
    """Under which account of this PC it is done."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"account {os.getuid()}"


def _show(users: list[User], said: str | None, *, as_json: bool) -> None:
    if as_json:
        rows = [UserRow(name=it.name, role=it.role.value, disabled=it.disabled) for it in users]
        print_json(UserList(exit_code=0, users=rows))
    elif said is not None:
        output.print(said, markup=False)
    elif not users:
        output.print("there are no users yet: `cellbench user add NAME --role admin`", markup=False)
    else:
        table = Table("name", "role", "", box=None, pad_edge=False)
        for it in users:
            table.add_row(it.name, it.role.value, "disabled" if it.disabled else "")
        output.print(table)
