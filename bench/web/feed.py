"""Events to many readers: one listener at the desk, one bounded queue a reader; whoever is slow is dropped and told.

The bench's thread only appends to a bounded deque and, once a batch, asks the web loop to look. An event becomes bytes
once, whoever reads it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import orjson
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from bench.daemon.desk import Desk
from bench.daemon.views import BenchView, EventView
from bench.web.problems import Problem
from bench.web.settings import WebSettings

PING_S = 10.0


class Reader:
    """One stream. ``cut`` ends its connection, however little of it the far end takes."""

    def __init__(self, who: str, most: int) -> None:
        self.who = who
        self.waiting: deque[bytes] = deque()
        self.wall: bytes | None = None
        self.seen: dict[str, object] | None = None
        self.last_word: bytes | None = None
        self.most = most
        self.something = asyncio.Event()
        self.taken_s = 0.0
        self.task: asyncio.Task[object] | None = None

    def put(self, event: bytes) -> None:
        if self.last_word is not None:
            return
        if len(self.waiting) >= self.most:
            self.end("too-slow", "events came faster than they were read; read again from the last id")
            return
        self.waiting.append(event)
        self.something.set()

    def end(self, code: str, why: str) -> None:
        """No more than a last event, which says why."""
        if self.last_word is None:
            self.waiting.clear()
            self.wall = None
            self.last_word = _event("dropped", {"code": code, "why": why})
            self.something.set()


class Feed:
    """To be begun and closed on the web's loop."""

    def __init__(self, desk: Desk, settings: WebSettings) -> None:
        self._desk = desk
        self._settings = settings
        self._readers: dict[Reader, None] = {}
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=settings.kept_events)
        self._heard: deque[EventView] = deque(maxlen=settings.kept_events)
        self._asked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unlisten: Callable[[], None] | None = None
        self._ticking: asyncio.Task[None] | None = None
        self.dropped = 0

    @property
    def readers(self) -> int:
        return len(self._readers)

    def begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._unlisten = self._desk.listen(self._hear, after=0)
        self._ticking = self._loop.create_task(self._tick(), name="feed")

    async def close(self) -> None:
        """Every reader is told that the bench's page goes away."""
        if self._unlisten is not None:
            self._unlisten()
        for reader in self._readers:
            reader.end("closing", "the program ends")
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking

    def _hear(self, event: EventView) -> None:
        """In the bench's thread: no more than this."""
        self._heard.append(event)
        if not self._asked and self._loop is not None:
            self._asked = True
            with suppress(RuntimeError):  # the web's loop has ended
                self._loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        self._asked = False
        while self._heard:
            event = self._heard.popleft()
            line = format_sse_event(data_str=event.model_dump_json(), event=event.kind, id=str(event.seq))
            self._kept.append((event.seq, line))
            for reader in tuple(self._readers):
                reader.put(line)

    async def _tick(self) -> None:
        """The wall to everybody, five times a second at most and only what changed."""
        before: dict[str, object] = {}
        while True:
            await asyncio.sleep(0.2)
            self._drop_stalled()
            if not self._readers:
                before = {}
                continue
            now = self._desk.now()
            channels: dict[str, object] = {channel.name: channel for channel in now.channels}
            changed = {name for name, channel in channels.items() if before.get(name) != channel}
            part = _wall(now, changed)
            whole: bytes | None = None
            for reader in tuple(self._readers):
                if reader.seen is before and reader.wall is None:
                    reader.wall = part
                else:  # new here, or it missed one
                    whole = whole or _wall(now, None)
                    reader.wall = whole
                reader.seen = channels
                reader.something.set()
            before = channels

    def _drop_stalled(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for reader in tuple(self._readers):
            if now_s - reader.taken_s > self._settings.stream_stalled_s + PING_S and reader.task is not None:
                self.dropped += 1
                reader.task.cancel()
                self._readers.pop(reader, None)

    def open(self, who: str, after: int | None) -> Reader:
        """A new reader, with what it missed since ``after``. Raises Problem ``too-many-streams``."""
        of_this = [reader for reader in self._readers if reader.who == who]
        if len(of_this) >= self._settings.streams_each:
            of_this[0].end("replaced", "the same person opened too many streams")
            self._readers.pop(of_this[0])
        elif len(self._readers) >= self._settings.streams:
            raise Problem("too-many-streams", "too many pages read along", "close one, then try again", after_s=10.0)
        reader = Reader(who, self._settings.stream_events)
        reader.taken_s = asyncio.get_running_loop().time()
        reader.task = asyncio.current_task()
        if after is not None:
            missed = [line for seq, line in self._kept if seq > after]
            if (self._kept and self._kept[0][0] > after + 1) or len(missed) > reader.most:
                reader.waiting.append(_event("missed", {"after": after, "why": "older events are no longer kept here"}))
                missed = missed[-reader.most + 1 :]
            reader.waiting.extend(missed)
        self._readers[reader] = None
        reader.something.set()
        return reader

    async def stream(self, reader: Reader) -> AsyncIterator[bytes]:
        """What the reader is sent, until it goes or is dropped."""
        loop = asyncio.get_running_loop()
        reader.task = asyncio.current_task()
        try:
            yield format_sse_event(comment="cellbench", retry=1000)
            while True:
                reader.taken_s = loop.time()
                while reader.waiting or reader.wall is not None:
                    wall, reader.wall = reader.wall, None
                    if wall is not None:
                        yield wall
                    if reader.waiting:
                        yield reader.waiting.popleft()
                    reader.taken_s = loop.time()
                if reader.last_word is not None:
                    self.dropped += 1
                    yield reader.last_word
                    return
                reader.something.clear()
                try:
                    async with asyncio.timeout(PING_S):
                        await reader.something.wait()
                except TimeoutError:
                    yield KEEPALIVE_COMMENT
        finally:
            self._readers.pop(reader, None)


def _wall(now: BenchView, only: set[str] | None) -> bytes:
    """The bench now: whole (``bench``), or without the channels that are as they were (``channels``)."""
    shown = (
        now
        if only is None
        else now.model_copy(update={"channels": tuple(channel for channel in now.channels if channel.name in only)})
    )
    return format_sse_event(data_str=shown.model_dump_json(), event="bench" if only is None else "channels")


def _event(kind: str, data: dict[str, object]) -> bytes:
    return format_sse_event(data_str=orjson.dumps(data).decode(), event=kind)
