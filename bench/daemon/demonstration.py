"""A daemon that needs nothing: a simulated line, people to log in as, a few runs going, and a broker if asked for.

Simulated people answer what conditioning asks; a nail test is left to whoever looks at the page, two of them.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from bench.answers import Answers, simulated_operator
from bench.daemon.desk import Desk, DeskRefused
from bench.daemon.serving import Beside, in_thread
from bench.daemon.settings import DeskSettings
from bench.daemon.views import StartRequest
from bench.plan import Plan
from bench.shipped import examples
from drivers.clock import real_elapsed_s, system_clock
from drivers.errors import BenchError, ConfigError, Fault, RecordError
from sequences.language import Phase
from sequences.tree import walk_steps

if TYPE_CHECKING:
    from bench.web.settings import WebSettings

#: Whoever sees the page may log in as one of them: the line is simulated and on this PC alone.
PASSWORD = "demonstration"  # noqa: S105 - told to everybody
PEOPLE: Mapping[str, str] = {
    "viewer": "viewer",
    "lin": "operator",
    "wang": "engineer",
    "shen": "safety",
    "admin": "admin",
}
#: A file that a demonstration's data folder has, and no other.
MARK = "demonstration"
#: What goes on at which channel; the others are free for whoever looks on.
GOING = (
    StartRequest(sequence="gbt31486-2024/room-capacity", channel="1", cell="solid-state-gen1"),
    StartRequest(sequence="gbt31486-2024/room-capacity", channel="2", cell="nmc-25ah"),
    StartRequest(sequence="gbt31486-2015/room-capacity", channel="3", cell="lfp-block"),
)
BY = "lin"
#: Between a run's end and the next one's start, and between two looks whether it has ended.
PAUSE_S, LOOK_S = 20.0, 2.0
_log = structlog.get_logger("cellbench.demo")


@dataclass(frozen=True, slots=True)
class Demonstration:
    settings: DeskSettings
    #: Goes beside the daemon and starts the runs, each again when it has ended.
    keep_going: Beside


@contextmanager
def prepared(
    data: Path | None, web: WebSettings, *, mqtt: bool, say: Callable[[str], object]
) -> Iterator[Demonstration]:
    """Its data folder with users in it, a new one unless one is named, and its broker. Raises ConfigError (other
    machines could reach it; no broker can be had), RecordError."""
    if not web.on_loopback:
        fix = "leave --listen out: everybody knows these passwords"
        raise ConfigError([Fault("a demonstration is for this PC alone", f"--listen {web.host}", fix)])
    folder = data or Path(tempfile.mkdtemp(prefix="cellbench-demo-"))
    _claim(folder)
    _keep_people(folder)
    say(f"data folder {folder}")
    say(f"log in as {', '.join(f'{name} ({role})' for name, role in PEOPLE.items() if name != role)}, admin or viewer;")
    say(f"  the password of each is {PASSWORD}")
    bench = examples() / "benches" / "line.toml"
    with ExitStack() as stack:
        if mqtt:
            from bench.daemon.demo_broker import broker

            port = stack.enter_context(broker())
            bench = _with_outbox(bench, folder, port)
            say(f"broker on 127.0.0.1:{port}: mosquitto_sub -p {port} -v -t 'cellbench/#' -t 'spBv1.0/#'")
        settings = DeskSettings(
            bench,
            folder,
            "simulated",
            answering=_answering,
            start_utc_s=system_clock(real_elapsed_s).utc_s(),
        )
        yield Demonstration(settings, keep_going)


def _claim(folder: Path) -> None:
    """Everybody knows its passwords: they get into no folder but a demonstration's. Raises ConfigError, RecordError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / MARK).exists():
            if any(folder.iterdir()):
                fix = "leave --data out, or name a folder that is empty or new"
                raise ConfigError([Fault("this data folder is not a demonstration's", f"--data {folder}", fix)])
            (folder / MARK).touch()
    except OSError as error:
        raise RecordError(f"it cannot be used: {error.strerror}", str(folder), "leave --data out") from None


def keep_going(desk: Desk) -> AbstractContextManager[None]:
    """Start what is to go on, and start it again whenever it has ended."""
    return in_thread(partial(_going, desk), "demo")


async def _going(desk: Desk, stop: asyncio.Event) -> None:
    tasks = [asyncio.create_task(_again_and_again(desk, request), name=request.channel) for request in GOING]
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _again_and_again(desk: Desk, request: StartRequest) -> None:
    """A start that is refused, because a person has taken the channel or the bench is latched, is tried again."""
    number = 0
    while True:
        number += 1
        asked = request.model_copy(update={"seed": number})
        try:
            found = await desk.check(asked)
            if found.plan_hash is None:
                _log.error("cannot be started", faults=[fault.error for fault in found.faults])
                return
            key = f"demo-{os.getpid()}-{request.channel}-{number}"
            run = await desk.start(asked, plan_hash=found.plan_hash, key=key, by=BY)
            while run.state not in ("closed", "interrupted"):
                await asyncio.sleep(LOOK_S)
                run = await desk.run(run.run_id)
        except (DeskRefused, BenchError) as error:
            _log.info("not started", channel=request.channel, why=str(error))
        await asyncio.sleep(PAUSE_S)


def _answering(plan: Plan) -> Answers | None:
    """Simulated people for what hurts nobody; whoever looks on for the rest."""
    if any(step.phase is Phase.STIMULUS for _, step in walk_steps(plan.sequence.steps)):
        return None
    return simulated_operator(plan.simulated_entries)


def _keep_people(folder: Path) -> None:
    from bench.web.accounts import Accounts
    from bench.web.passwords import Passwords
    from bench.web.roles import Role

    accounts, passwords = Accounts(folder), Passwords()
    try:
        hashed = passwords.hash(PASSWORD)
        known = {user.name for user in accounts.users()}
        utc_s = system_clock(real_elapsed_s).utc_s()
        for name, role in PEOPLE.items():
            if name not in known:
                accounts.add(name, Role(role), hashed, utc_s)
    finally:
        accounts.close()
        passwords.close()


def _with_outbox(bench: Path, folder: Path, port: int) -> Path:
    """The bench file with an outbox to the broker at a port, in the data folder."""
    path = folder / "demo-bench.toml"
    table = f'\n[outbox]\nsinks = ["json", "sparkplug"]\n\n[outbox.mqtt]\nurl = "mqtt://127.0.0.1:{port}"\n'
    path.write_text(bench.read_text(encoding="utf-8") + table, encoding="utf-8")
    return path
