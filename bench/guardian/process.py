"""The guardian's process: starts the run as its child, lends it the contactor's port, and takes over when it must."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.guardian.aside import Aside
from bench.guardian.channel import BEAT_S, SILENCE_S, Channel
from bench.guardian.journal import Journal
from bench.guardian.link import VARIABLE
from bench.guardian.notify import Notifier
from bench.guardian.takeover import Bench, TakeOver
from bench.guardian.terminal import Terminal
from bench.safe_plan import SafePlan
from drivers.clock import Clock, system_clock
from drivers.errors import BenchError
from drivers.wires.lending import Lending

#: The exit codes of a run that its guardian has ended: everything confirmed safe, or not.
ABORTED, NOT_SAFE = 3, 4
#: How long a killed process may take to be gone.
GONE_S = 2.0
#: How long a terminal may take to show what was said.
LAST_WORDS_S = 1.0


@dataclass(frozen=True, slots=True)
class Guarded:
    """How a guarded command ended: its exit code, and why the guardian ended it (None: it ended by itself)."""

    code: int
    why: str | None = None


class Guardian:
    """Supervises one child. ``told`` speaks to whoever sits at the terminal."""

    def __init__(self, command: Sequence[str], *, notifier: Notifier, told: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self._command = tuple(command)
        self._notifier, self._told = notifier, told
        self._clock: Clock = system_clock(loop.time)
        self._why: asyncio.Future[str] = loop.create_future()
        self._ended = asyncio.Event()
        self._child: asyncio.subprocess.Process | None = None
        self._bench: Bench | None = None
        self._journal: Journal | None = None
        self._stimulated = False
        self._taking_over = False
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> Guarded:
        """Until the child is over, or the bench is safe without it."""
        loop = asyncio.get_running_loop()
        beats, theirs = socket.socketpair()
        wires, lent = socket.socketpair()
        terminal = Terminal()
        channel = self._channel = Channel(beats, hear=self._heard, ended=self._pipe_ended)
        self._lending = Lending(wires)
        try:
            self._child = child = await self._spawned(theirs, lent)
        finally:
            theirs.close()
            lent.close()
        terminal.give(child.pid)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._signalled, number)
        channel.start()
        serving = loop.create_task(self._lending.run(), name="lending")
        waiting = loop.create_task(child.wait(), name="child")
        self._notifier.ready()
        self._tick()
        try:
            ends: list[asyncio.Future[Any]] = [waiting, self._why]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done() and self._journal is not None:
                channel.drain()  # what it said last: it may have released the bench
                if self._journal is not None and not self._why.done():
                    self._why.set_result("the run's process is gone")
            if self._why.done():
                return await self._take_over(self._why.result(), waiting, terminal)
            code = await waiting
            return Guarded(code if code >= 0 else 128 - code)
        finally:
            self._notifier.stopping()
            if self._timer is not None:
                self._timer.cancel()
            channel.close()
            await self._lending_over(serving)
            terminal.take_back()
            terminal.close()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def _spawned(self, beats: socket.socket, wires: socket.socket) -> asyncio.subprocess.Process:
        handles = (beats.fileno(), wires.fileno())
        said = ",".join(str(number) for number in (*handles, os.getpid()))
        environ = {key: value for key, value in os.environ.items() if key not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
        return await asyncio.create_subprocess_exec(
            *self._command, pass_fds=handles, process_group=0, env={**environ, VARIABLE: said}
        )

    def _signalled(self, number: signal.Signals) -> None:
        """The child's to answer while it is trusted; after that a person's word that nobody need watch any longer."""
        if self._taking_over or self._child is None:
            self._ended.set()
            return
        try:
            self._child.send_signal(signal.SIGTERM if number is signal.SIGHUP else number)
        except ProcessLookupError:
            return

    def _tick(self) -> None:
        """The guardian's own timer: its beats, and the child's silence."""
        loop = asyncio.get_running_loop()
        self._channel.beat()
        silent = False
        if self._journal is not None and not self._taking_over:
            if loop.time() - self._channel.heard_s > SILENCE_S:
                self._channel.drain()  # what came while this process was held up counts
            silent = self._journal is not None and loop.time() - self._channel.heard_s > SILENCE_S
            if silent and not self._why.done():
                self._why.set_result(f"no heartbeat for {SILENCE_S:g} s")
        if not silent:
            self._notifier.alive()
        self._timer = loop.call_later(BEAT_S / 2, self._tick)

    def _pipe_ended(self, why: str) -> None:
        if self._journal is not None and not self._why.done():
            self._why.set_result(why)

    def _heard(self, message: Mapping[str, Any]) -> None:
        """Once the trust in the child has ended, it can neither be released nor arm another plan."""
        if self._why.done() and ("arm" in message or "release" in message):
            return
        if "arm" in message:
            self._answer({"armed": self._armed(message)})
            self._channel.heard_s = asyncio.get_running_loop().time()  # it waited while this process did
        elif "release" in message:
            self._release()
            self._answer({"released": True})
        elif "stimulated" in message:
            self._stimulated = bool(message["stimulated"])
            if self._journal is not None:
                self._journal.note("stimulated" if self._stimulated else "observed")

    def _answer(self, message: Mapping[str, Any]) -> None:
        self._answering = asyncio.get_running_loop().create_task(self._said(message), name="answering the child")

    async def _said(self, message: Mapping[str, Any]) -> None:
        try:
            await self._channel.say(message)
        except OSError:
            return  # its end of the pipe tells the same

    def _armed(self, message: Mapping[str, Any]) -> bool | str:
        """Take the safe plan: True, or why it cannot be carried out."""
        try:
            plan = SafePlan.of(message["arm"])
            bench = Bench(plan, self._clock, self._lending.wire)
            for device in plan.devices:
                bench.add(device.name)
        except BenchError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a driver of a third party: the run is told, and does not begin
            return f"{type(error).__name__}: {error}"
        self._bench = bench
        if self._journal is not None:  # another plan in place of the one before
            self._journal.note("armed_anew")
            self._journal.close()
        child = None if self._child is None else self._child.pid
        self._journal = Journal(
            Path(message["folder"]),
            self._clock,
            mode=plan.mode,
            told=self._told,
            guardian=os.getpid(),
            child=child,
            plan=plan.document(),
        )
        if not self._journal.settle():
            self._told(f"the disk of {message['folder']} does not answer")
        self._notifier.status(f"guards {plan.bench}, channel {plan.channel}")
        return True

    def _release(self) -> None:
        if self._journal is not None:
            self._journal.note("released")
            self._journal.close()
        self._journal = self._bench = None
        self._stimulated = False
        self._notifier.status("nothing is energised")

    async def _take_over(self, why: str, waiting: asyncio.Task[int], terminal: Terminal) -> Guarded:
        bench, journal = self._bench, self._journal
        assert bench is not None
        assert journal is not None
        self._taking_over = True
        self._lending.take_back("the guardian has taken the port")
        self._notifier.status(f"makes safe: {why}")

        async def end_child() -> str:
            how = await _killed(waiting, self._child)
            terminal.take_back()
            return how

        over = TakeOver(bench, journal, end_child=end_child, ended=self._ended, told=self._told)
        try:
            safe = await over.run(why, stimulated=self._stimulated)
        except Exception:  # noqa: BLE001 - a slip here: the child is ended all the same, its devices' watchdogs act
            safe = False
            self._told(f"MAKING SAFE BROKE OFF: {traceback.format_exc()}")
            journal.note("broken_off", trace=traceback.format_exc())
            await end_child()
        journal.close()
        await bench.close()
        return Guarded(ABORTED if safe else NOT_SAFE, why)

    async def _lending_over(self, serving: asyncio.Task[None]) -> None:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await self._lending.close()


async def _killed(waiting: asyncio.Task[int], child: asyncio.subprocess.Process | None) -> str:
    """End the child and everything that it started, running or stopped. Says how it ended."""
    if child is not None and not waiting.done():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await asyncio.wait([waiting], timeout=GONE_S)
    if not waiting.done():
        return f"it is not gone {GONE_S:g} s after it was killed"
    code = waiting.result()
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


class Voice:
    """Speaks to whoever sits at the terminal, from a thread: nobody may be reading what stands behind it."""

    def __init__(self) -> None:
        self._aside = Aside("guardian's voice")

    def say(self, text: str) -> None:
        self._aside.do(partial(_said_aloud, f"GUARDIAN: {text}\n"))

    def close(self) -> None:
        self._aside.settle(LAST_WORDS_S)


def _said_aloud(line: str) -> None:
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # there is no terminal any more


def guard(command: Sequence[str], environ: Mapping[str, str]) -> Guarded:
    """Be the guardian of a child that runs this command, until it is over."""

    voice = Voice()

    async def main() -> Guarded:
        return await Guardian(command, notifier=Notifier(environ), told=voice.say).run()

    try:
        return asyncio.run(main())
    finally:
        voice.close()
