"""Tasks whose turns can be watched, delayed or stopped: how a program stands still while its bench goes on.

:class:`Turns` is a task factory. It hands every turn of every task made through it (but those whose names say that they
belong to the bench) to a coroutine of its own, which may let some turns of the loop pass first. The order of what is
ready stays asyncio's own: an extra turn is a place where another task may come in between, as it may on a busy machine.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any
from weakref import WeakSet

#: Tasks of this name belong to the bench, not to the program; and so does what they make, under whatever name.
BENCH = "bench: "

#: Told before each turn of a task: its name and its coroutine, suspended.
OnTurn = Callable[[str, Coroutine[Any, Any, Any]], None]


class Turns:
    """A task factory. ``extra`` gives how many turns of the loop pass before a task's next one; ``on_turn`` is told of
    each. While ``frozen`` no task of the program takes a turn."""

    def __init__(self, *, extra: Callable[[], int] | None = None, on_turn: OnTurn | None = None) -> None:
        self.extra = extra
        self.on_turn = on_turn
        self.frozen = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._bench: WeakSet[asyncio.Task[Any]] = WeakSet()

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Every task made from now on is ours."""
        loop.set_task_factory(self.make)

    def make(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **how: Any) -> asyncio.Task[Any]:
        """What ``loop.create_task`` calls."""
        if self.of_bench(asyncio.current_task(loop)):
            task = asyncio.Task(coroutine, loop=loop, **how)
            self._bench.add(task)
            return task
        turned = _Turned(self, coroutine)
        task = asyncio.Task(turned, loop=loop, **how)
        turned.name = task.get_name()
        return task

    def of_bench(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether the task is the bench's, by its own name or by who made it."""
        return task is not None and (task in self._bench or task.get_name().startswith(BENCH))

    def stands_still(self) -> bool:
        """Whether no task takes a turn now."""
        return self.frozen

    def freeze(self) -> None:
        """From now on no task takes a turn. Idempotent."""
        self.frozen = True

    def thaw(self) -> None:
        """Tasks go on where they stood, each with what it was told meanwhile. Idempotent."""
        self.frozen = False
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)

    def held(self) -> asyncio.Future[None]:
        """What a frozen task waits for."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        future._asyncio_future_blocking = True  # noqa: SLF001 - as a future's own __await__ hands itself to its task
        return future


class _Turned(Coroutine[Any, Any, Any]):
    """A task's coroutine, which is given its turns when we say so."""

    def __init__(self, turns: Turns, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.name = ""
        self._turns = turns
        self._coroutine = coroutine
        self._left: int | None = None
        self._of_bench: bool | None = None
        self._error: BaseException | None = None

    def send(self, value: Any) -> Any:
        turns = self._turns
        if self._of_bench is None:  # a loop before Python 3.12 names a task only once it is made
            self._of_bench = turns.of_bench(asyncio.current_task())
        if self._of_bench:
            return self._coroutine.send(value)
        if turns.frozen:
            return turns.held()
        if turns.extra is not None and self._error is None:
            if self._left is None:
                self._left = turns.extra()
            if self._left > 0:
                self._left -= 1
                return None
            self._left = None
        if turns.on_turn is not None:
            turns.on_turn(self.name, self._coroutine)
        if turns.stands_still():  # since just now
            return turns.held()
        error, self._error = self._error, None
        return self._coroutine.send(value) if error is None else self._coroutine.throw(error)

    def throw(self, *error: Any) -> Any:
        if self._turns.frozen and not self._of_bench:
            self._error = error[0] if isinstance(error[0], BaseException) else error[0]()
            return self._turns.held()
        self._left = None
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, None, None]:
        return self._coroutine.__await__()
