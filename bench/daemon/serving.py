"""The daemon: opens a house, lets people in through whatever is started beside it, and leaves the bench safe.

The bench's loop is the main thread's. What serves people runs in a thread of its own and reaches the bench through the
desk alone, so that nothing a browser does, or fails to do, holds up a guard, a log or a stop.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from bench.daemon.desk import Desk
from bench.daemon.front_desk import FrontDesk
from bench.daemon.garbage import Garbage, looked_for_apart
from bench.daemon.house import BenchHouse
from bench.daemon.log_lines import logged
from bench.daemon.opening import live_house, simulated_house
from bench.daemon.settings import DeskSettings
from bench.outbox import Outbox
from bench.outbox.run_feed import OutboxFeed
from bench.simulated import in_virtual_time
from bench.stop_signals import stop_signals
from drivers.clock import real_elapsed_s, system_clock
from drivers.errors import BenchError, DeviceError, RecordError

#: Enters with the desk, when the house is open; leaves when people are to go. A thread of its own is its business.
Beside = Callable[[Desk], AbstractContextManager[object]]
#: The wall is made anew so often, in real time.
VIEW_S = 0.2
#: How often it is looked whether somebody has closed an interrupted run from a shell, in real time.
HOLDS_S = 5.0
#: In virtual time without a speed there is nobody to look on in real time.
UNHURRIED = 300.0
#: The bench's thread waits no longer for one that computes: a start that is worked out, a page that is put together.
SWITCH_S = 0.0001
#: Held as long as a daemon keeps the folder.
LOCK = "daemon.lock"
#: The people's thread may take so long to go.
LEAVE_S = 10.0
_log = structlog.get_logger("cellbench.daemon")


def serve(settings: DeskSettings, *, beside: tuple[Beside, ...] = (), speed: float | None = 1.0) -> None:
    """Until SIGTERM, Ctrl-C or a closed terminal; every run is then stopped and seen to its end. ``speed`` is that of a
    simulated bench. Raises BenchError where the house cannot be opened, and when a live bench has lost its guardian:
    its runs have then made safe and ended, and whoever started the program starts it again.

    People are let out last: they may watch the runs end.
    """
    sys.setswitchinterval(SWITCH_S)
    with _alone(settings.data), looked_for_apart():
        if settings.mode == "simulated":
            in_virtual_time(_serve(settings, simulated_house(settings), beside, speed or UNHURRIED), speed=speed)
        else:
            asyncio.run(_serve(settings, live_house(settings), beside, 1.0))


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """No other daemon keeps this data folder. Raises BenchError."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        handle = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        said = f"the data folder cannot be used: {error.strerror}"
        raise RecordError(said, str(data), "mend its rights, or name another with --data") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fix = "end that one, or give this one another folder with --data"
            raise BenchError("another daemon keeps this data folder", str(data), fix) from None
        yield
    finally:
        os.close(handle)


async def _serve(
    settings: DeskSettings,
    opening: AbstractAsyncContextManager[BenchHouse],
    beside: tuple[Beside, ...],
    speed: float,
) -> None:
    with stop_signals() as stop:
        async with opening as house:
            desk = FrontDesk(house)
            with logged(house.bulletin, settings), _told_outside(house):
                async with _kept_up(house, speed):
                    entered: list[AbstractContextManager[object]] = []
                    try:
                        for start in beside:
                            each = start(desk)
                            each.__enter__()
                            entered.append(each)
                        await _until(stop, house.lost)
                        await house.runs.stop_all("the end of the program")
                    finally:
                        for each in reversed(entered):
                            await asyncio.get_running_loop().run_in_executor(None, each.__exit__, None, None, None)
    if house.lost.done():
        raise DeviceError("guardian", "serving the bench", house.lost.result(), "start the program again")


async def _until(stop: asyncio.Event, lost: asyncio.Future[str]) -> None:
    """Somebody stops the program, or it can do nothing for its bench any more."""
    stopped = asyncio.get_running_loop().create_task(stop.wait(), name="stop")
    try:
        ends: list[asyncio.Future[Any]] = [stopped, lost]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()


@asynccontextmanager
async def _kept_up(house: BenchHouse, speed: float) -> AsyncIterator[None]:
    """The wall made anew, and the holds looked for, at a pace of real time."""

    async def every(period_s: float, act: Callable[[], Coroutine[Any, Any, object]]) -> None:
        while True:
            await asyncio.sleep(period_s * speed)
            await act()

    garbage = Garbage(lambda: all(tenancy.over for tenancy in house.runs.all))
    forget = house.runs.feeds.add(garbage)

    async def refresh() -> None:
        house.refresh()
        garbage.look()

    tasks = [
        asyncio.get_running_loop().create_task(every(VIEW_S, refresh), name="wall"),
        asyncio.get_running_loop().create_task(every(HOLDS_S, house.look_for_holds), name="holds"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        forget()


@contextmanager
def _told_outside(house: BenchHouse) -> Iterator[None]:
    """What the bench file's outbox says leaves the house, from a thread and a loop of their own. Raises ConfigError."""
    data, floor = house.settings.data, house.floor
    box = Outbox.of(
        floor.bench.outbox,
        os.environ,
        data / "outbox",
        bench=floor.bench.name,
        clock=system_clock(real_elapsed_s),
        tell=lambda text: _log.info("outbox", text=text),
    )
    if box is None:
        yield
        return

    async def send(stop: asyncio.Event) -> None:
        async with box:
            await stop.wait()

    with in_thread(send, "outbox"):
        deaf = house.runs.feeds.add(OutboxFeed(box, floor.clock.utc_s))
        try:
            yield
        finally:
            deaf()


@contextmanager
def in_thread(serving: Callable[[asyncio.Event], Coroutine[Any, Any, None]], name: str) -> Iterator[None]:
    """Run a coroutine in a loop and a thread of its own; it is to end when its event is set. What it raises before that
    is raised here, at the latest on leaving."""
    ready = threading.Event()
    failed: list[BaseException] = []
    ends: list[Callable[[], object]] = []

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        ends.append(partial(loop.call_soon_threadsafe, stop.set))
        ready.set()
        await serving(stop)

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 - it is told in the thread that waits
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        if ends and thread.is_alive():
            ends[0]()
        thread.join(LEAVE_S)
    if failed:
        raise failed[0]
