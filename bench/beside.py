"""Long work on the disk, done beside the loop: in daemon threads with a queue, or at once where time is virtual.

No executor: one of its threads on a disk that hangs would keep the process from ever ending.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar, cast

T = TypeVar("T")

#: So long a program that ends waits for what a thread has under way: pyarrow must not be cut off in its middle.
LAST_WAIT_S = 5.0


class Job(Generic[T]):
    """One piece of work and what came of it. It is done once, by whoever comes first."""

    def __init__(self, act: Callable[[], T]) -> None:
        self._act: Callable[[], T] | None = act
        self._claim = threading.Lock()
        self._done = threading.Event()
        self._value: T | None = None
        self._error: BaseException | None = None

    def attempt(self) -> None:
        """Do it, unless it was begun already. Never raises."""
        if not self._claim.acquire(blocking=False):
            return
        act, self._act = self._act, None
        try:
            self._value = None if act is None else act()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to who takes the result
            self._error = error
        finally:
            self._done.set()

    def take(self) -> T:
        """What came of it: it is done here if no thread has begun it, and waited for if one has. Raises what it did."""
        self.attempt()
        self._done.wait()
        if self._error is not None:
            raise self._error
        return cast("T", self._value)

    def cancel(self) -> None:
        """It is never done, or, if it was begun, done when this returns. Never raises."""
        if self._claim.acquire(blocking=False):
            self._act = None
            self._done.set()
        self._done.wait()


class Beside(Protocol):
    """Where jobs are done."""

    def begin(self, job: Job[Any], told: Callable[[], object]) -> None:
        """Have a job done, jobs in their order. ``told`` is called on the running loop when it is, or at once."""


class AtOnce:
    """Here and now: runs in virtual time stay as they are, and nothing is done where nobody waits for it."""

    def begin(self, job: Job[Any], told: Callable[[], object]) -> None:
        job.attempt()
        told()


class Threads:
    """Daemon threads, one queue. They start with the first job. Without a running loop a job is done at once, and so it
    is while the machine has no thread to give: it holds the loop up then, but is never left undone."""

    def __init__(self, name: str, count: int = 1) -> None:
        self._name = name
        self._count = count
        self._jobs: SimpleQueue[tuple[Job[Any], asyncio.AbstractEventLoop, Callable[[], object]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def begin(self, job: Job[Any], told: Callable[[], object]) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            AtOnce().begin(job, told)
            return
        if self._threads or self._start():
            self._jobs.put((job, loop, told))
        else:
            AtOnce().begin(job, told)

    def _start(self) -> bool:
        """Whether there is a thread now; fewer than were asked for will do."""
        with suppress(RuntimeError):  # no thread can be had
            for at in range(self._count):
                thread = threading.Thread(target=self._work, name=f"{self._name} {at + 1}", daemon=True)
                thread.start()
                self._threads.append(thread)
        if self._threads:
            atexit.register(self._end)
        return bool(self._threads)

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, loop, told = item
            job.attempt()
            with suppress(RuntimeError):  # the loop may have ended meanwhile
                loop.call_soon_threadsafe(told)
            del item, job, told

    def _end(self) -> None:
        with suppress(Empty):
            while True:
                self._jobs.get_nowait()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(LAST_WAIT_S)


#: Of the process, for all its records. One conversion at a time is enough; syncs that wait together share a commit.
SEALING = Threads("seal")
WRITING = Threads("write", 4)
