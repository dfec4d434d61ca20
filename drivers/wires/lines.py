"""Text lines over any link that carries bytes: one request out, one line back, never somebody else's line.

A protocol of SCPI or plain ASCII has no transaction number, so a reply that comes after its deadline looks exactly
like the answer to the next question. Three rules keep them apart:

- the line is suspect after a timeout, after bytes that nobody asked for, and after a reply that does not fit;
- a suspect link is given up and opened anew when opening leaves nothing of the past behind (a socket), or drained
  until it is silent (a serial port);
- then, if the driver said how (:meth:`Lines.recognise`), the device must answer a known question with its known
  answer before anything else is asked. A device answers in order, so whatever is late comes before that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from drivers.errors import FrameError, WireClosed, WireTimeout
from drivers.wires import Flight
from drivers.wires.port import ExchangeError, PortWire
from drivers.wires.url import WireUrl

#: The longest line that is accepted, in bytes; what grows beyond it is garbage.
MAX_LINE = 4096
#: How much may come unasked before the link is given up at once, in bytes.
MAX_STRAYS = 65536
#: How long opening may take, in seconds.
OPEN_S = 1.0
#: How long a line that is being drained may go on talking, in seconds.
DRAIN_S = 2.0


class Link(Protocol):
    """The outgoing side of a connection; asyncio's own transports are one."""

    def write(self, data: bytes) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def abort(self) -> None: ...


class Stream(asyncio.Protocol):
    """The incoming side of one connection: holds back what is no whole line yet, up to MAX_LINE.

    ``reply`` is the exchange that waits for a line; bytes that come while nobody waits are counted in ``strays`` and
    dropped. ``on_write`` is the exchange that waits for the kernel to take what was sent.
    """

    def __init__(self, ending: bytes, flight: Flight) -> None:
        self.link: Link | None = None
        self.reply: asyncio.Future[bytes] | None = None
        self.on_write: asyncio.Future[bytes] | None = None
        self.strays = 0
        self.lost: str | None = None
        self._end = ending[-1:]
        self._held = b""
        self._arrived = flight.arrived

    def data_received(self, data: bytes) -> None:
        self._arrived(len(data))
        reply = self.reply
        if reply is None or reply.done():
            self.strays += len(data)
            if self.strays > MAX_STRAYS and self.link is not None:
                self.link.abort()
            return
        if self._held:
            data = self._held + data
        end = data.find(self._end)
        if end < 0 and len(data) <= MAX_LINE:
            self._held = data
            return
        self._held = b""
        self.reply = None
        if end < 0 or end > MAX_LINE:
            reply.set_exception(ExchangeError(FrameError, f"a reply of more than {MAX_LINE} bytes came"))
        elif end + 1 != len(data):
            reply.set_exception(ExchangeError(FrameError, f"more than one line came, {data[:60]!r}"))
        else:
            reply.set_result(data[:end])

    def forget(self) -> None:
        """Nothing that has come so far belongs to what is asked next."""
        self.reply = None
        self.strays = 0
        self._held = b""

    def pause_writing(self) -> None:
        """The link holds bytes that the kernel did not take; see :meth:`Lines.send`."""

    def resume_writing(self) -> None:
        if self.on_write is not None and not self.on_write.done():
            self.on_write.set_result(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = f"the far end is gone ({exc})" if exc else "the far end closed the connection"
        for waiting in (self.reply, self.on_write):
            if waiting is not None and not waiting.done():
                waiting.set_exception(ExchangeError(WireClosed, self.lost))
        self.reply = None


#: Opens a link whose incoming side is the stream that it makes. Raises OSError or TimeoutError.
Connect = Callable[[Callable[[], Stream]], Awaitable[Stream]]


class Lines(PortWire):
    """A :class:`drivers.wires.LineWire` over whatever ``connect`` opens.

    ``settle_s`` is the silence that ends a drain, for a link that opening anew does not clear; None for one that it
    does. An exchange that fails leaves the wire suspect and the next one resynchronises it first. Nothing is ever
    sent twice by the wire itself. After each exchange the line stays quiet for ``gap_s``: what still comes then, such
    as the second of two equal replies, is nobody's answer and makes the line suspect before the next question is out.
    """

    def __init__(
        self, parts: WireUrl, connect: Connect, flight: Flight, *, settle_s: float | None = None, gap_s: float = 0.0
    ) -> None:
        super().__init__(parts, flight)
        self._connect = connect
        self._left = flight.left
        self._settle_s = settle_s
        self._gap_s = gap_s
        self._stream: Stream | None = None
        self._suspect = False  # what comes next may belong to the past
        self._unproven = False  # the known question must be answered before any other
        self._known: tuple[str, str, float] | None = None
        self._quiet_until_s = 0.0

    async def query(
        self, line: str, *, device: str, doing: str, deadline_s: float = 0.5, stop: bool = False, pause_s: float = 0.0
    ) -> str:
        """Send one line and give the one line that answers it, without its terminator.

        ``pause_s`` is the quiet time that the device needs after this exchange before the next one. Raises
        WireTimeout, WireClosed, FrameError (not printable text, more than one line, longer than MAX_LINE).
        """
        return await self._carried(lambda: self._ask(line, device, doing, deadline_s, pause_s, urgent=stop), stop=stop)

    async def send(
        self, line: str, *, device: str, doing: str, deadline_s: float = 0.5, stop: bool = False, pause_s: float = 0.0
    ) -> None:
        """Send one line that has no answer. Raises WireTimeout (the far end does not take it), WireClosed."""
        await self._carried(lambda: self._tell(line, device, doing, deadline_s, pause_s, urgent=stop), stop=stop)

    def recognise(self, question: str, answer: str, *, pause_s: float = 0.0) -> None:
        """After trouble, go on only when ``question`` is answered by exactly ``answer``."""
        self._known = (question, answer, pause_s)

    def distrust(self) -> None:
        """The last reply does not fit its request: resynchronise before the next one."""
        self._suspect = True

    async def _ask(self, line: str, device: str, doing: str, deadline_s: float, pause_s: float, *, urgent: bool) -> str:
        loop = asyncio.get_running_loop()
        if self._quiet_until_s > loop.time():
            await asyncio.sleep(self._quiet_until_s - loop.time())
        stream = self._stream
        if stream is None or stream.lost is not None or stream.strays or self._suspect or self._unproven:
            stream = await self._resynchronised(device, doing, deadline_s, urgent=urgent)
        self._give_way(device, doing, urgent=urgent)
        try:
            return await self._exchange(stream, line, deadline_s)
        except ExchangeError as failed:
            self._fail(stream)
            raise failed.of(device, doing) from None
        finally:
            self._quiet_until_s = loop.time() + max(pause_s, self._gap_s)

    async def _tell(
        self, line: str, device: str, doing: str, deadline_s: float, pause_s: float, *, urgent: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        if self._quiet_until_s > loop.time():
            await asyncio.sleep(self._quiet_until_s - loop.time())
        stream = self._stream
        if urgent:
            # A line that has no answer need not wait until late answers are sorted out.
            if stream is None or stream.lost is not None:
                stream = await self._opened(device, doing, free=True)
        elif stream is None or stream.lost is not None or stream.strays or self._suspect or self._unproven:
            stream = await self._resynchronised(device, doing, deadline_s, urgent=urgent)
        self._give_way(device, doing, urgent=urgent)
        try:
            await self._write(stream, line, deadline_s)
        except ExchangeError as failed:
            self._fail(stream)
            raise failed.of(device, doing) from None
        finally:
            self._quiet_until_s = loop.time() + max(pause_s, self._gap_s)

    async def _exchange(self, stream: Stream, line: str, deadline_s: float) -> str:
        """One request and its line. Raises ExchangeError."""
        self._put(stream, line)
        raw = await self._line(stream, deadline_s)
        try:
            text = raw.decode("ascii").strip()
        except UnicodeDecodeError:
            raise ExchangeError(FrameError, f"the reply {raw[:60]!r} is not text") from None
        if not text.isprintable():
            raise ExchangeError(FrameError, f"the reply {raw[:60]!r} is not text")
        if self._settle_s is not None and text == line:
            self.health.echoed()
            raise ExchangeError(
                FrameError, f"{text!r} came back as it was sent: the adapter has local echo, switch it off"
            )
        if self._known is not None and text == self._known[1] and line != self._known[0]:
            # The known question was asked more than once, and an earlier asking was answered in place of the last.
            raise ExchangeError(FrameError, f"{text!r} came late, it answers {self._known[0]!r}")
        return text

    async def _line(self, stream: Stream, deadline_s: float) -> bytes:
        """The next line that comes. Raises ExchangeError."""
        if stream.lost is not None:
            raise ExchangeError(WireClosed, stream.lost)
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[bytes] = loop.create_future()
        stream.reply = reply
        timer = loop.call_later(deadline_s, _expire, reply, "no complete reply", deadline_s)
        try:
            return await reply
        finally:
            timer.cancel()

    async def _write(self, stream: Stream, line: str, deadline_s: float) -> None:
        """One request without an answer, until the kernel has all of it. Raises ExchangeError."""
        if not self._put(stream, line):
            return
        loop = asyncio.get_running_loop()
        taken: asyncio.Future[bytes] = loop.create_future()
        stream.on_write = taken
        timer = loop.call_later(deadline_s, _expire, taken, "the far end took nothing", deadline_s)
        try:
            await taken
        finally:
            timer.cancel()
            stream.on_write = None

    def _put(self, stream: Stream, line: str) -> int:
        """Hand a line to the kernel; gives the bytes that it did not take."""
        data = line.encode("ascii") + self._parts.ending
        link = stream.link
        if link is None or stream.lost is not None:
            raise ExchangeError(WireClosed, stream.lost or "the link is not open")
        self._left(len(data))
        link.write(data)
        return link.get_write_buffer_size()

    async def _resynchronised(self, device: str, doing: str, deadline_s: float, *, urgent: bool) -> Stream:
        """A stream on which the next line is the answer to the next question. Raises WireError."""
        stream = self._stream
        if stream is not None:
            self.health.strayed(stream.strays)
        suspect = self._suspect or (stream is not None and stream.strays > 0)
        if stream is None or stream.lost is not None or (suspect and self._settle_s is None):
            stream = await self._opened(device, doing, free=urgent)
        if suspect and self._settle_s is not None:
            await self._drain(stream, self._settle_s, device, doing, urgent=urgent)
            self._unproven = self._known is not None
        self._suspect = False
        self._give_way(device, doing, urgent=urgent)
        if self._unproven and self._known is not None:
            question, answer, pause_s = self._known
            await self._await_known(stream, question, answer, device, doing, deadline_s)
            await asyncio.sleep(pause_s)
        self._unproven = False
        return stream

    async def _open_first(self) -> None:
        if self._stream is None or self._stream.lost is not None:
            await self._opened(self.url, "opening the wire", free=True)

    async def _opened(self, device: str, doing: str, *, free: bool) -> Stream:
        """A new stream, the old one given up first: some instruments accept one connection only. Raises WireClosed."""
        if self._stream is not None and self._stream.lost is not None:
            self.pace.failed()
        self._drop()
        try:
            self._turn_to_connect(free=free)
            async with asyncio.timeout(OPEN_S):
                stream = await self._connect(lambda: Stream(self._parts.ending, self._flight))
        except ExchangeError as early:
            raise early.of(device, doing) from None
        except TimeoutError:
            self.pace.failed()
            raise WireClosed(device, doing, f"{self.url} did not open within {OPEN_S:g} s") from None
        except OSError as error:
            self.pace.failed()
            raise WireClosed(device, doing, f"{self.url} cannot be opened ({error})") from None
        self._stream = stream
        self._unproven = self._known is not None
        if self._settle_s is None:
            self._suspect = False
        return stream

    async def _drain(self, stream: Stream, settle_s: float, device: str, doing: str, *, urgent: bool) -> None:
        """Wait for silence. Raises FrameError when the far end does not stop talking, WireTimeout for a stop's sake."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + DRAIN_S
        while True:
            stream.forget()
            await asyncio.sleep(settle_s)
            if not stream.strays:
                return
            self._give_way(device, doing, urgent=urgent)
            if loop.time() >= end_s:
                raise FrameError(device, doing, f"the line did not fall silent for {DRAIN_S:g} s")

    async def _await_known(
        self, stream: Stream, question: str, answer: str, device: str, doing: str, deadline_s: float
    ) -> None:
        """Ask what is known and drop every line until its answer comes. Raises WireError."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + deadline_s
        stream.forget()
        late = 0
        try:
            self._put(stream, question)
            while (await self._line(stream, end_s - loop.time())).strip() != answer.encode("ascii"):
                late += 1
        except ExchangeError as failed:
            self._fail(stream)
            text = f"{failed.text} to {question!r}, asked after an earlier failure ({late} other lines came)"
            raise failed.kind(device, doing, text) from None

    def _fail(self, stream: Stream) -> None:
        """After trouble nothing that is still on its way may be taken for an answer."""
        stream.forget()
        self._suspect = True
        if stream.lost is not None:
            self.pace.failed()
        if self._settle_s is None or stream.lost is not None:
            self._drop()

    async def _free(self) -> None:
        self._drop()
        await asyncio.sleep(0)  # the transport's own last callback

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None and stream.link is not None:
            stream.link.abort()


def _expire(waiting: asyncio.Future[bytes], what: str, deadline_s: float) -> None:
    if not waiting.done():
        waiting.set_exception(ExchangeError(WireTimeout, f"{what} within {deadline_s:g} s"))


def tcp_lines(parts: WireUrl, flight: Flight) -> Lines:
    """Lines over a raw TCP socket (``tcp://host:port``): given up and opened anew whenever it is suspect."""

    async def connect(make: Callable[[], Stream]) -> Stream:
        transport, stream = await asyncio.get_running_loop().create_connection(make, parts.host, parts.port)
        transport.set_write_buffer_limits(high=0)
        stream.link = transport
        return stream

    return Lines(parts, connect, flight)
