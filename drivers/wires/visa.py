"""Text lines through pyvisa and pyvisa-py, each session in a daemon thread of its own.

pyvisa has no asynchronous calls and a session belongs to one thread (three threads on one session: 958 replies of
1200 wrong), so a session lives in its own thread and the loop hands it one job at a time. It is not an executor: a
hung executor thread keeps the process from ever ending.

pyvisa-py 0.8.1's raw sockets need four guards, all of them here:

- opening a closed port raises nothing: the connection is probed;
- a closed peer is not noticed, the read spins until its timeout: the socket is looked at first;
- a late reply is handed to the next query, for ever: after a timeout the session is closed and opened anew, and the
  known question must be answered before anything else (``clear()`` would drain for 100 ms only, and never returns
  once the peer has closed);
- a write may block for ever: a job that does not come back is left behind with its thread and its session
  (quarantined), and the thread closes the session when it does come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import Any, TypeVar

import pyvisa
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError
from pyvisa.resources import MessageBasedResource

from drivers.clock import real_elapsed_s
from drivers.errors import FrameError, WireClosed, WireTimeout
from drivers.wires import Flight
from drivers.wires.lines import MAX_LINE, OPEN_S
from drivers.wires.port import ExchangeError, PortWire
from drivers.wires.url import WireUrl

T = TypeVar("T")

#: How much longer than its own timeout a job may stay away before its thread is left behind, in seconds.
GRACE_S = 1.0
_OPENING = threading.Lock()


@cache
def _manager() -> pyvisa.ResourceManager:
    """The one manager of the process: closing any of them would end every session."""
    return pyvisa.ResourceManager("@py")


class Session:
    """One open pyvisa session; every method blocks and runs in its own thread only. Raises ExchangeError."""

    def __init__(self, parts: WireUrl) -> None:
        try:
            with _OPENING:
                resource = _manager().open_resource(parts.resource, open_timeout=round(OPEN_S * 1000))
        except Exception as error:  # noqa: BLE001 - pyvisa-py raises bare Exception when a connection times out
            raise ExchangeError(WireClosed, f"{parts.resource} cannot be opened ({error})") from None
        if not isinstance(resource, MessageBasedResource):
            resource.close()
            raise ExchangeError(WireClosed, f"{parts.resource} carries no messages")
        self._resource = resource
        self._warnings = contextlib.ExitStack()
        # Whether a line was cut is a status here; it must not be a Python warning as well.
        self._warnings.enter_context(resource.ignore_warning(StatusCode.success_max_count_read))
        self._ending = parts.ending
        resource.read_termination = parts.ending[-1:].decode("ascii")
        low_level: Any = resource.visalib
        self._low_level: Any = low_level.sessions[resource.session]
        interface = getattr(self._low_level, "interface", None)
        self._socket = interface if isinstance(interface, socket.socket) else None
        if self._socket is not None:
            self._probe(self._socket, parts)

    def _probe(self, sock: socket.socket, parts: WireUrl) -> None:
        try:
            sock.getpeername()
        except OSError:
            reason = OSError(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "connection refused")
            self.close()
            raise ExchangeError(WireClosed, f"{parts.resource} cannot be opened ({reason})") from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def strays(self) -> bool:
        """Whether bytes are there that nobody asked for, or the far end has gone."""
        held = getattr(self._low_level, "_pending_buffer", b"")
        return bool(held) or (self._socket is not None and _readable(self._socket, 0.0))

    def tell(self, line: str, end_s: float) -> None:
        """Send a line, all of it before ``end_s`` on the machine's own clock."""
        if self._socket is not None and not select.select([], [self._socket], [], _left_s(end_s))[1]:
            raise ExchangeError(WireTimeout, "the far end took nothing before the deadline")
        try:
            self._resource.write_raw(line.encode("ascii") + self._ending)
        except (OSError, VisaIOError) as error:
            raise ExchangeError(WireClosed, f"the far end is gone ({error})") from None

    def ask(self, line: str, end_s: float) -> str:
        """Send a line and give the one that answers it before ``end_s``."""
        self.tell(line, end_s)
        if self._socket is not None:
            if not _readable(self._socket, _left_s(end_s)):
                raise ExchangeError(WireTimeout, "no reply came before the deadline")
            self._refuse_closed(self._socket)
        self._resource.timeout = max(1.0, _left_s(end_s) * 1000)
        try:
            raw, status = self._resource.visalib.read(self._resource.session, MAX_LINE)
        except VisaIOError as error:
            if self._socket is not None:
                self._refuse_closed(self._socket)
            if error.error_code == StatusCode.error_timeout:
                raise ExchangeError(WireTimeout, "no complete reply came before the deadline") from None
            raise ExchangeError(WireClosed, str(error)) from None
        except OSError as error:
            raise ExchangeError(WireClosed, f"the far end is gone ({error})") from None
        if status == StatusCode.success_max_count_read:
            raise ExchangeError(FrameError, f"a reply of more than {MAX_LINE} bytes came")
        if self.strays():
            raise ExchangeError(FrameError, f"more than one line came, {raw[:60]!r} first")
        if not raw.isascii() or not (text := raw.decode("ascii").strip()).isprintable():
            raise ExchangeError(FrameError, f"the reply {raw[:60]!r} is not text")
        return text

    def _refuse_closed(self, sock: socket.socket) -> None:
        try:
            gone = _readable(sock, 0.0) and not sock.recv(1, socket.MSG_PEEK)
        except OSError:
            gone = True
        if gone:
            raise ExchangeError(WireClosed, "the far end closed the connection")

    def close(self) -> None:
        with contextlib.suppress(OSError, VisaIOError, pyvisa.errors.InvalidSession):
            self._warnings.close()
            self._resource.close()


def _left_s(end_s: float) -> float:
    return max(0.0, end_s - real_elapsed_s())


def _readable(sock: socket.socket, timeout_s: float) -> bool:
    return bool(select.select([sock], [], [], timeout_s)[0])


class _StrayError(Exception):
    """The session holds bytes that belong to no question."""


class Worker:
    """A daemon thread that owns one session and does one job after another.

    A job that stays away longer than its deadline is abandoned: ``run`` raises ExchangeError, the thread goes on
    alone and closes its session when it is back.
    """

    def __init__(self, parts: WireUrl, flight: Flight) -> None:
        self._parts = parts
        self._flight = flight
        self._jobs: SimpleQueue[tuple[Callable[[Session | None], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self.abandoned = False
        self._ended = self._loop.create_future()
        threading.Thread(target=self._work, name=f"visa {parts.resource}", daemon=True).start()

    async def open(self) -> None:
        """Open the session. Raises ExchangeError."""
        await self._run(lambda _: None, OPEN_S)

    async def run(self, job: Callable[[Session], T], timeout_s: float) -> T:
        """Do one job in the thread. Raises ExchangeError."""

        def with_session(session: Session | None) -> T:
            if session is None:
                raise ExchangeError(WireClosed, "the session is not open")
            return job(session)

        return await self._run(with_session, timeout_s)

    async def end(self) -> None:
        """Close the session; returns when the thread is done with it, or without it after GRACE_S."""
        self._flight.left(1)
        self._jobs.put(None)
        try:
            async with asyncio.timeout(GRACE_S):
                await asyncio.shield(self._ended)
        except TimeoutError:
            self.abandoned = True
        finally:
            self._flight.arrived(1)

    def abandon(self) -> None:
        """Leave the thread to itself; it closes the session when it comes back."""
        self.abandoned = True
        self._jobs.put(None)

    async def _run(self, job: Callable[[Session | None], T], timeout_s: float) -> T:
        done: asyncio.Future[T] = self._loop.create_future()
        # A virtual clock stands still while the thread has the exchange: its own timeout is real.
        self._flight.left(1)
        self._jobs.put((job, done))
        timer = self._loop.call_later(timeout_s + GRACE_S, self._overdue, done)
        try:
            return await done
        finally:
            timer.cancel()
            self._flight.arrived(1)

    def _overdue(self, done: asyncio.Future[Any]) -> None:
        if not done.done():
            self.abandon()
            done.set_exception(ExchangeError(WireTimeout, "the VISA library did not come back; its session is left"))

    def _work(self) -> None:
        session: Session | None = None
        opened = False
        while (item := self._jobs.get()) is not None:
            job, done = item
            try:
                if not opened:
                    opened = True
                    session = Session(self._parts)
                result = job(session)
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
                self._deliver(done, None, error)
            else:
                self._deliver(done, result, None)
        if session is not None:
            session.close()
        self._deliver(self._ended, None, None)

    def _deliver(self, done: asyncio.Future[Any], result: object, error: Exception | None) -> None:
        def settle() -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)

        with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
            self._loop.call_soon_threadsafe(settle)


class VisaLines(PortWire):
    """A :class:`drivers.wires.LineWire` through pyvisa (``visa://RESOURCE``).

    ``timeout_s`` bounds every exchange in real time, whatever deadline the caller gave. An exchange that fails ends
    the session; the next one opens a new one and asks the known question first.
    """

    def __init__(self, parts: WireUrl, flight: Flight, *, timeout_s: float = 0.5) -> None:
        super().__init__(parts, flight)
        self._timeout_s = timeout_s
        self._worker: Worker | None = None
        self._suspect = False
        self._known: tuple[str, str, float] | None = None
        self._quiet_until_s = 0.0

    async def query(
        self, line: str, *, device: str, doing: str, deadline_s: float = 0.5, stop: bool = False, pause_s: float = 0.0
    ) -> str:
        """Send one line and give the one line that answers it. Raises WireTimeout, WireClosed, FrameError."""
        timeout_s = min(deadline_s, self._timeout_s)

        def ask(session: Session) -> str:
            return session.ask(line, real_elapsed_s() + timeout_s)

        return await self._carried(
            lambda: self._exchange(ask, device, doing, timeout_s, pause_s, urgent=stop), stop=stop
        )

    async def send(
        self, line: str, *, device: str, doing: str, deadline_s: float = 0.5, stop: bool = False, pause_s: float = 0.0
    ) -> None:
        """Send one line that has no answer. Raises WireTimeout (the far end does not take it), WireClosed."""
        timeout_s = min(deadline_s, self._timeout_s)

        def tell(session: Session) -> None:
            session.tell(line, real_elapsed_s() + timeout_s)

        exchange = self._tell_at_once if stop else self._exchange
        await self._carried(lambda: exchange(tell, device, doing, timeout_s, pause_s, urgent=stop), stop=stop)

    def recognise(self, question: str, answer: str, *, pause_s: float = 0.0) -> None:
        """After trouble, go on only when ``question`` is answered by exactly ``answer``."""
        self._known = (question, answer, pause_s)

    def distrust(self) -> None:
        """The last reply does not fit its request: begin a new session before the next one."""
        self._suspect = True

    async def _exchange(
        self, job: Callable[[Session], T], device: str, doing: str, timeout_s: float, pause_s: float, *, urgent: bool
    ) -> T:
        loop = asyncio.get_running_loop()
        await self._quiet_until(self._quiet_until_s)
        self._give_way(device, doing, urgent=urgent)

        def guarded(session: Session) -> T:
            if session.strays():
                raise _StrayError
            return job(session)

        try:
            if self._worker is None or self._suspect:
                await self._resynchronise(timeout_s, free=urgent)
                self._give_way(device, doing, urgent=urgent)
            try:
                return await self._running().run(guarded, timeout_s)
            except _StrayError:
                self.health.strayed(1)
                await self._resynchronise(timeout_s, free=urgent)
                self._give_way(device, doing, urgent=urgent)
                return await self._running().run(guarded, timeout_s)
        except (ExchangeError, _StrayError) as failed:
            self._suspect = True
            await self._free()
            if isinstance(failed, ExchangeError):
                raise failed.of(device, doing) from None
            raise FrameError(device, doing, "bytes came that nobody had asked for") from None
        finally:
            if pause_s:
                self._quiet_until_s = loop.time() + pause_s

    async def _tell_at_once(
        self, job: Callable[[Session], T], device: str, doing: str, timeout_s: float, pause_s: float, *, urgent: bool
    ) -> T:
        """A line that has no answer need not wait until late answers are sorted out. Raises WireError."""
        loop = asyncio.get_running_loop()
        if self._quiet_until_s > loop.time():
            await asyncio.sleep(self._quiet_until_s - loop.time())
        try:
            if self._worker is not None and await self._running().run(Session.strays, timeout_s):
                await self._free()  # unasked bytes, or the far end has gone
            if self._worker is None:
                self._suspect = True
                await self._open_session(free=urgent)
            return await self._running().run(job, timeout_s)
        except ExchangeError as failed:
            self._suspect = True
            await self._free()
            raise failed.of(device, doing) from None
        finally:
            if pause_s:
                self._quiet_until_s = loop.time() + pause_s

    async def _open_session(self, *, free: bool) -> None:
        """A new session that nothing is known of yet. Raises ExchangeError."""
        self._turn_to_connect(free=free)
        self._worker = Worker(self._parts, self._flight)
        try:
            await self._worker.open()
        except ExchangeError:
            self.pace.failed()
            raise

    async def _resynchronise(self, timeout_s: float, *, free: bool) -> None:
        """A new session whose next line is the answer to the next question. Raises ExchangeError."""
        await self._free()
        await self._open_session(free=free)
        if self._known is not None:
            question, answer, pause_s = self._known

            def prove(session: Session) -> None:
                found = session.ask(question, real_elapsed_s() + timeout_s)
                if found != answer:
                    raise ExchangeError(FrameError, f"{question!r} is answered by {found!r}, before it was {answer!r}")

            await self._running().run(prove, timeout_s)
            await asyncio.sleep(pause_s)
        self._suspect = False

    def _running(self) -> Worker:
        assert self._worker is not None
        return self._worker

    async def _open_first(self) -> None:
        if self._worker is None:
            await self._resynchronise(self._timeout_s, free=True)

    async def _free(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None and not worker.abandoned:
            await worker.end()
