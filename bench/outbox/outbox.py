"""What a bench tells the house: put here, kept on the disk, said to a broker when there is one.

Nothing in the control path waits for it. Whoever tells never waits and is never told off; a broker that is down, a disk
that is full and a sink that fails end nothing but the copy that leaves the house.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.config.outbox_table import OutboxTable, SinkName
from bench.outbox.broker import Broker, broker_of
from bench.outbox.connection import Connection, Sink
from bench.outbox.fact import Fact, Kind
from bench.outbox.latest import Latest
from bench.outbox.mqtt_json import JsonSink
from bench.outbox.sparkplug import SparkplugSink
from bench.outbox.spool import MOST_IN_MEMORY, Spool
from drivers.clock import Clock

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """How things stand. ``connected`` by sink; ``waiting`` facts some sink has not; ``problems`` in words."""

    connected: Mapping[str, bool]
    waiting: int
    bytes_on_disk: int
    counts: Mapping[str, int]
    problems: tuple[str, ...]


def _silent(_: str) -> None:
    """Nobody is told."""


class Outbox:
    """``async with Outbox(...)``; in real time only. Every method that tells something may be called from any thread.

    ``tell`` hears, in the loop's thread, of connections made and lost and of a broker without passwords.
    """

    def __init__(
        self,
        table: OutboxTable,
        broker: Broker,
        folder: Path,
        *,
        bench: str,
        clock: Clock,
        tell: Callable[[str], object] = _silent,
        most_in_memory: int = MOST_IN_MEMORY,
    ) -> None:
        self._latest = Latest(clock.utc_s)
        self._spool = Spool(folder, table.cap_mib * MIB, table.sinks, clock.utc_s, most=most_in_memory)
        self._every_s = table.reading_every_s
        self._read_s: dict[str, float] = {}
        self._table = table
        self._broker = broker
        self._bench = bench
        self._clock = clock
        self._tell = tell
        self._connections: dict[str, Connection] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def of(
        cls,
        table: OutboxTable,
        environment: Mapping[str, str],
        folder: Path,
        *,
        bench: str,
        clock: Clock,
        tell: Callable[[str], object] = _silent,
    ) -> Outbox | None:
        """The outbox that a bench file asks for, None where it asks for none. Raises ConfigError."""
        if table.mqtt is None:
            return None
        return cls(table, broker_of(table.mqtt, environment), folder, bench=bench, clock=clock, tell=tell)

    def reading(self, channel: str, values: Mapping[str, float | None], *, utc_s: float, mono_s: float) -> None:
        """The newest values of a channel, by quantity (``voltage_v``); at most one in ``reading_every`` goes out."""
        last_s = self._read_s.get(channel)
        if last_s is not None and 0.0 <= mono_s - last_s < self._every_s:
            return
        self._read_s[channel] = mono_s
        self.put(Fact(Kind.READING, channel, utc_s, {"values": dict(values)}))

    def state(self, channel: str, state: str, *, utc_s: float | None = None, **more: Any) -> None:
        """What a channel is doing now, in one word, and what belongs to it (``run``, ``sequence``, ``sample``)."""
        self._say(Kind.STATE, channel, utc_s, {"state": state, **more})

    def step(self, channel: str, path: str, *, utc_s: float | None = None, **more: Any) -> None:
        """A step begins or ends: ``change``, ``kind``, ``name``, ``phase``, ``reason``, ``duration_s``."""
        self._say(Kind.STEP, channel, utc_s, {"path": path, **more})

    def event(self, channel: str, event: str, *, utc_s: float | None = None, **more: Any) -> None:
        """Something happened."""
        self._say(Kind.EVENT, channel, utc_s, {"event": event, **more})

    def alarm(self, channel: str, alarm: str, *, utc_s: float | None = None, **more: Any) -> None:
        """An alarm came, was acknowledged or went: ``change``, ``priority``, ``cause``, ``action``."""
        self._say(Kind.ALARM, channel, utc_s, {"alarm": alarm, **more})

    def verdict(self, channel: str, verdict: str, *, utc_s: float | None = None, **more: Any) -> None:
        """A run ended: ``run``, ``sequence``, ``sample``."""
        self._say(Kind.VERDICT, channel, utc_s, {"verdict": verdict, **more})

    def gone(self, channel: str, *, utc_s: float | None = None) -> None:
        """A channel is not there any more."""
        self._say(Kind.GONE, channel, utc_s, {"state": "gone"})

    def put(self, fact: Fact) -> None:
        """Any fact. Never waits, never raises."""
        self._latest.note(fact)
        self._spool.put(fact)

    def status(self) -> OutboxStatus:
        counts = asdict(self._spool.counts)
        problems = [connection.problem for connection in self._connections.values() if connection.problem]
        if self._spool.failing is not None:
            problems.append(f"the outbox's file: {self._spool.failing}")
        connected = {name: connection.connected for name, connection in self._connections.items()}
        return OutboxStatus(connected, self._spool.waiting, self._spool.live_bytes, counts, tuple(problems))

    async def __aenter__(self) -> Self:
        self._spool.start()
        for sink in self._sinks():
            connection = self._connections[sink.name] = Connection(self._broker, sink, self._tell)
            self._tasks.append(asyncio.create_task(connection.keep(), name=f"outbox {sink.name}"))
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Say farewell where there is somebody to hear it; what was not said stays on the disk."""
        for connection in self._connections.values():
            connection.end()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._spool.stop()

    def _sinks(self) -> list[Sink]:
        names = self._table.sparkplug
        edge = names.edge or self._bench
        made: dict[SinkName, Callable[[], Sink]] = {
            "json": lambda: JsonSink(self._spool, self._latest, site=self._table.site, bench=self._bench),
            "sparkplug": lambda: SparkplugSink(self._spool, self._latest, group=names.group, edge=edge),
        }
        return [made[name]() for name in self._table.sinks]

    def _say(self, kind: Kind, channel: str, utc_s: float | None, body: Mapping[str, Any]) -> None:
        self.put(Fact(kind, channel, self._clock.utc_s() if utc_s is None else utc_s, body))
