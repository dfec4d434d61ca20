"""The run's side: how a child tells its guardian that it is alive and its checks pass, and hears that of the guardian.

Both ways a beat at least every ``BEAT_S``; after ``SILENCE_S`` without one, or at the end of the pipe, each side acts:
the guardian opens the contactor and ends the child, the child makes safe and ends. Between :meth:`Link.arm` and
:meth:`Link.release` only; before and after, nothing that the run has switched is energised.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from bench.guardian.channel import BEAT_S, SILENCE_S, Channel
from bench.safe_plan import SafePlan
from drivers.errors import DeviceError
from drivers.wires import Wire
from drivers.wires.relayed import Lease
from drivers.wires.url import wire_key

#: Which file handles of a child are its two pipes, and its guardian's process: ``3,4,1234``.
VARIABLE = "CELLBENCH_GUARDIAN"
#: How long the guardian may take to answer, in seconds: it makes the drivers of the plan's devices.
ANSWER_S = 10.0
#: The safe state of a run and its minute of readings after a trip are over by then, whatever hangs.
ENDING_S = 120.0


class Supervised(Protocol):
    """What the engine needs of whoever supervises it.

    ``name`` goes into the record's header. ``every_s`` is how often :meth:`beat` is due; ``lost`` resolves to why the
    guardian is gone, between ``arm`` and ``release``.
    """

    @property
    def name(self) -> str: ...
    @property
    def every_s(self) -> float: ...
    @property
    def lost(self) -> asyncio.Future[str]: ...
    def beat(self) -> None:
        """From the guard's own timer, after its checks. Never waits, never raises."""
        ...

    def ending(self, within_s: float = ENDING_S) -> None:
        """Energy is being taken away, by steps that each have a deadline: for so long the link beats by itself."""
        ...

    def stimulated(self) -> None:
        """The stimulus has reached the sample: it is owed its observation, whatever becomes of this process."""
        ...

    def observed(self) -> None:
        """The observation is over."""
        ...

    async def arm(self, plan: SafePlan, folder: Path) -> None:
        """Hand the safe plan over, before anything is energised; ``folder`` takes the guardian's record. Raises
        DeviceError if it is not taken."""
        ...

    async def release(self) -> None:
        """The bench is safe and the record about to be closed: nothing is supervised any more."""
        ...


class NoGuardian:
    """For a run in virtual time: its devices are in this process, and end with it."""

    name = "none (virtual time)"
    every_s = math.inf

    def __init__(self) -> None:
        self._lost: asyncio.Future[str] | None = None

    @property
    def lost(self) -> asyncio.Future[str]:
        """Never resolves."""
        if self._lost is None:
            self._lost = asyncio.get_running_loop().create_future()
        return self._lost

    def beat(self) -> None:
        pass

    def ending(self, within_s: float = ENDING_S) -> None:
        pass

    def stimulated(self) -> None:
        pass

    def observed(self) -> None:
        pass

    async def arm(self, plan: SafePlan, folder: Path) -> None:
        pass

    async def release(self) -> None:
        pass


class Link:
    """The child's end. Made with its two sockets and the guardian's process number; ``async with`` it."""

    every_s = BEAT_S

    def __init__(self, beats: socket.socket, wires: socket.socket, guardian: int) -> None:
        loop = asyncio.get_running_loop()
        self.name = f"process {guardian}"
        self.lost: asyncio.Future[str] = loop.create_future()
        #: Resolves to why the guardian is gone, whether anything is armed or not: nothing can be armed any more.
        self.gone: asyncio.Future[str] = loop.create_future()
        self._channel = Channel(beats, hear=self._heard, ended=self._lose)
        self._lease = Lease(wires)
        self._handles: Sequence[int] = ()
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._armed = False
        self._gone = ""
        self._ending_until_s = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Link:
        self._channel.start()
        await self._lease.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._telling)
        await self._lease.close()
        self._channel.close()
        self.lost.cancel()
        self.gone.cancel()

    def lent(self, urls: Iterable[str]) -> dict[str, Wire]:
        """The wires of these urls, by key, through the guardian, which owns their ports from their opening on."""
        return {wire_key(url): self._lease.wire(url) for url in urls}

    def holding(self, handles: Sequence[int]) -> None:
        """Locks that the guardian is to hold with this process, by file handle: handed over with the plan."""
        self._handles = tuple(handles)

    async def arm(self, plan: SafePlan, folder: Path) -> None:
        doing = "handing over the safe plan"
        if self._gone:
            raise DeviceError("guardian", doing, self._gone, "start the run again")
        was, self._armed = self._armed, False  # it makes drivers and waits for its disk: silence says nothing now
        try:
            answer = await self._asked({"arm": plan.document(), "folder": str(folder)}, doing, self._handles)
        finally:
            self._arm_again(was=was)
        if answer["armed"] is not True:
            raise DeviceError("guardian", doing, str(answer["armed"]), "mend what it names, then start the run again")
        self._armed = True
        self._watch()

    def _arm_again(self, *, was: bool) -> None:
        """As before another plan was handed over; a guardian that was lost meanwhile is told now."""
        self._armed = was
        if was and self._gone:
            self._lose(self._gone)

    async def release(self) -> None:
        self._armed = False
        if not self._gone:
            await self._asked({"release": True}, "ending the supervision")

    def beat(self) -> None:
        self._channel.beat()

    def ending(self, within_s: float = ENDING_S) -> None:
        self._ending_until_s = asyncio.get_running_loop().time() + within_s
        self.beat()

    def stimulated(self) -> None:
        self._tell({"stimulated": True})

    def observed(self) -> None:
        self._tell({"stimulated": False})

    def _tell(self, message: Mapping[str, Any]) -> None:
        task = asyncio.get_running_loop().create_task(self._said(message), name="telling the guardian")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _said(self, message: Mapping[str, Any], handles: Sequence[int] = ()) -> None:
        try:
            await self._channel.say(message, handles)
        except OSError as error:
            self._lose(f"the pipe is broken ({error})")

    async def _asked(self, message: Mapping[str, Any], doing: str, handles: Sequence[int] = ()) -> dict[str, Any]:
        await asyncio.gather(*self._telling)  # what was told before is heard before
        self._answer = asyncio.get_running_loop().create_future()
        await self._said(message, handles)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._answer
        except TimeoutError:
            raise DeviceError("guardian", doing, f"no answer within {ANSWER_S:g} s", "start the run again") from None

    def _heard(self, message: dict[str, Any]) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)

    def _watch(self) -> None:
        """The link's own timer: the guardian's silence; and this side's beats while the run ends."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        if self._armed and now_s - self._channel.heard_s > SILENCE_S:
            self._channel.drain()  # what came while this process was held up counts
            if now_s - self._channel.heard_s > SILENCE_S:
                self._lose(f"no heartbeat for {SILENCE_S:g} s")
        if now_s < self._ending_until_s:
            self.beat()
        self._timer = loop.call_later(BEAT_S / 2, self._watch)

    def _lose(self, why: str) -> None:
        self._gone = self._gone or why
        if not self.gone.done():
            self.gone.set_result(self._gone)
        self._lease.give_up(f"the guardian, which owns the port, is gone: {self._gone}")
        if self._answer is not None and not self._answer.done():
            error = DeviceError("guardian", "waiting for its answer", self._gone, "start the run again")
            self._answer.set_exception(error)
        if self._armed and not self.lost.done():
            self.lost.set_result(self._gone)


def is_child(environ: Mapping[str, str]) -> bool:
    """Whether this process was started by a guardian."""
    return VARIABLE in environ


@asynccontextmanager
async def inherited_link(environ: MutableMapping[str, str]) -> AsyncIterator[Link]:
    """The link of a child, whose handles stand in its environment; they are taken out of it, so that no program that
    it starts keeps the pipes open. Raises DeviceError in a process that has no guardian."""
    said = environ.pop(VARIABLE, None)
    if said is None:
        fix = "start the run with `cellbench run --live`, which is its guardian"
        raise DeviceError("guardian", "starting a live run", "this process has none", fix)
    beats, wires, guardian = (int(number) for number in said.split(","))
    for handle in (beats, wires):
        os.set_inheritable(handle, False)  # noqa: FBT003 - the standard library's
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # a run that Ctrl-Z stopped would be ended by its guardian
    async with Link(socket.socket(fileno=beats), socket.socket(fileno=wires), guardian) as link:
        yield link
