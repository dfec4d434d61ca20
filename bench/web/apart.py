"""The page and the interface in a process of their own, so that whoever looks on takes no time from the bench.

The daemon keeps the socket that people call and hands it down; the desk goes over a second one. If this process dies it
is started again, and who calls meanwhile waits. When the daemon dies it ends at once, which frees the address.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import orjson
import structlog

from bench.daemon.desk import Desk
from bench.daemon.desk_wire import DeskServer
from bench.daemon.far_desk import FarDesk
from bench.daemon.log_lines import lines_written
from bench.daemon.serving import Beside, in_thread
from bench.web.lines import Listening
from bench.web.serving import Entrance, answered, listened
from bench.web.settings import WebSettings

#: The bench goes first where both want the same core.
NICE = 5
#: One that has died is started again after so long, doubled each time until it has lasted.
AGAIN_S, MOST_S, LASTED_S = 0.5, 30.0, 60.0
#: One that was told to may take so long to end.
LEAVE_S = 6.0
_log = structlog.get_logger("cellbench.web")


def web_apart(data: Path, settings: WebSettings) -> Beside:
    """What serves a data folder's daemon from a process of its own. Entering raises as
    :func:`bench.web.serving.listened` does."""
    return partial(_beside, data, settings)


@contextmanager
def _beside(data: Path, settings: WebSettings, desk: Desk) -> Iterator[str]:
    with (
        listened(data, settings) as entrance,
        in_thread(partial(_kept_up, desk, data, settings, entrance), "people"),
    ):
        yield entrance.url


async def _kept_up(desk: Desk, data: Path, settings: WebSettings, entrance: Entrance, stop: asyncio.Event) -> None:
    """Start the page's process, and start it again whenever it has died."""
    server = DeskServer(desk)
    try:
        await _again_and_again(server, data, settings, entrance, stop)
    finally:
        await server.close()


async def _again_and_again(
    server: DeskServer, data: Path, settings: WebSettings, entrance: Entrance, stop: asyncio.Event
) -> None:
    loop = asyncio.get_running_loop()
    wait_s = AGAIN_S
    while not stop.is_set():
        begun_s = loop.time()
        try:
            await _one(server, data, settings, entrance, stop)
        except OSError as error:  # the machine has no process to give
            _log.error("page cannot be started", error=str(error))
        if stop.is_set():
            return
        wait_s = AGAIN_S if loop.time() - begun_s > LASTED_S else min(2.0 * wait_s, MOST_S)
        _log.warning("page has died", again_after_s=wait_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await stop.wait()


async def _one(server: DeskServer, data: Path, settings: WebSettings, entrance: Entrance, stop: asyncio.Event) -> None:
    """One process, from its start to its end. Raises OSError."""
    near, far = socket.socketpair()
    with far:
        try:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.web.apart"),
                stdin=PIPE,
                pass_fds=(far.fileno(), entrance.listening.fileno()),
            )
        except OSError:
            near.close()
            raise
        order = {
            "data": str(data),
            "settings": settings.model_dump(mode="json"),
            "desk": far.fileno(),
            "listening": entrance.listening.fileno(),
            "url": entrance.url,
            "console": entrance.console,
            "daemon": entrance.daemon,
        }
        assert child.stdin is not None
        child.stdin.write(orjson.dumps(order))
        child.stdin.close()
    try:
        await server.serve(near, stop)
    finally:
        await _ended(child)


async def _ended(child: Process) -> None:
    try:
        async with asyncio.timeout(LEAVE_S):
            await child.wait()
    except TimeoutError:
        _log.warning("page does not end", pid=child.pid)
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def main() -> int:
    """The page's process. Its exit code is of no meaning to anybody."""
    for number in (signal.SIGINT, signal.SIGHUP):  # the daemon's: people may watch the runs end
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    order = orjson.loads(sys.stdin.buffer.read())
    settings = WebSettings.model_validate(order["settings"])
    listening = Listening(fileno=order["listening"])
    listening.settimeout(0.0)
    entrance = Entrance(listening, order["url"], order["console"], order["daemon"])
    desk = FarDesk(socket.socket(fileno=order["desk"]))
    with lines_written():
        if not desk.await_wall():
            return 1
        with answered(desk, Path(order["data"]), settings, entrance):
            if not desk.follow():
                os._exit(1)  # the daemon is dead: nobody may go on calling at its address
    return 0


if __name__ == "__main__":
    sys.exit(main())
