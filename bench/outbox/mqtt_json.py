"""Plain JSON topics: ``cellbench/<site>/<bench>/<channel>/<kind>``. docs/outbox.md tells them whole.

Output only: nothing is subscribed to. Every fact is published with QoS 1 and acknowledged to the spool when the broker
has acknowledged it; the order of publishing is that of the facts. A fact that waited is marked ``historical``, and is
not retained: the retained state of a channel is the newest one from the first moment of a connection.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import aiomqtt
import orjson

from bench.config.outbox_table import topic_level
from bench.outbox.connection import IN_FLIGHT, TIMEOUT_S
from bench.outbox.fact import Fact, Kind
from bench.outbox.lateness import Lateness
from bench.outbox.latest import Latest
from bench.outbox.spool import Spool
from bench.outbox.window import Window

SCHEMA = "cellbench/mqtt/1"
#: Rows that are read ahead of the broker's acknowledgements.
AHEAD = 256


class JsonSink:
    """See the module. ``latest`` holds what was put last, for a new connection's retained states."""

    name = "json"

    def __init__(self, spool: Spool, latest: Latest, *, site: str, bench: str) -> None:
        self.client_id = f"cellbench-{topic_level(site)}-{topic_level(bench)}-json"
        self.sent = 0
        self._spool = spool
        self._latest = latest
        self._base = f"cellbench/{topic_level(site)}/{topic_level(bench)}"
        self._news = spool.news()
        self._topics: dict[tuple[str, Kind], str] = {}

    async def will(self) -> aiomqtt.Will:
        return aiomqtt.Will(f"{self._base}/online", _online(on=False), qos=1, retain=True)

    async def serve(self, client: aiomqtt.Client, ready: Callable[[], object]) -> None:
        window = Window(self._spool, self.name)
        late = Lateness(self._spool)
        await late.begin()
        await client.publish(f"{self._base}/online", _online(on=True), qos=1, retain=True)
        for fact in self._latest.states():
            body = {**fact.body, "schema": SCHEMA, "id": None, "at": _at(fact.utc_s), "historical": False}
            await client.publish(self._topic(fact), orjson.dumps(body), qos=1, retain=True)
        ready()
        rows: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(AHEAD)
        async with asyncio.TaskGroup() as group:
            group.create_task(_watched(client), name="mqtt watch")
            group.create_task(self._read(window, rows), name="mqtt read")
            group.create_task(self._stall(window), name="mqtt stall")
            group.create_task(late.watch(), name="mqtt lateness")
            for _ in range(IN_FLIGHT):
                group.create_task(self._publish(client, window, late, rows), name="mqtt publish")

    async def farewell(self, client: aiomqtt.Client) -> None:
        await client.publish(f"{self._base}/online", _online(on=False), qos=1, retain=True)

    async def _read(self, window: Window, rows: asyncio.Queue[tuple[int, bytes]]) -> None:
        async for row in window.rows(self._news):
            await rows.put(row)

    async def _stall(self, window: Window) -> None:
        """One clock for all that is in flight, where the library would start one for each. Raises MqttError."""
        while True:
            oldest = window.oldest
            await asyncio.sleep(TIMEOUT_S)
            if oldest is not None and window.oldest == oldest:
                raise aiomqtt.MqttError(f"no acknowledgement within {TIMEOUT_S:g} s")

    async def _publish(
        self, client: aiomqtt.Client, window: Window, late: Lateness, rows: asyncio.Queue[tuple[int, bytes]]
    ) -> None:
        """One publish at a time. No other row is taken between a row and the call that puts it on the wire."""
        while True:
            number, data = await rows.get()
            window.sent(number)
            topic, payload, retained = self._said(number, data, late=late(number))
            await client.publish(topic, payload, 1, retained, timeout=math.inf)
            window.acknowledged(number)
            self.sent += 1

    def _said(self, number: int, data: bytes, *, late: bool) -> tuple[str, bytes, bool]:
        fact = Fact.unpacked(data)
        body = {
            **fact.body,
            "schema": SCHEMA,
            "id": f"{self._spool.token}-{number}",
            "at": _at(fact.utc_s),
            "historical": late,
        }
        return self._topic(fact), orjson.dumps(body), fact.kind is Kind.STATE and not late

    def _topic(self, fact: Fact) -> str:
        """Channels and kinds are few: each topic is made once."""
        key = (fact.channel, fact.kind)
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = self._made_topic(fact)
        return topic

    def _made_topic(self, fact: Fact) -> str:
        if fact.kind is Kind.GONE:
            return f"{self._base}/{topic_level(fact.channel)}/{Kind.STATE}"
        if not fact.channel:
            return f"{self._base}/{fact.kind}"
        return f"{self._base}/{topic_level(fact.channel)}/{fact.kind}"


def _online(*, on: bool) -> bytes:
    said: Mapping[str, object] = {"schema": SCHEMA, "online": on}
    return orjson.dumps(said)


def _at(utc_s: float) -> str:
    """RFC 3339, UTC, milliseconds. A time that no calendar has is the first."""
    try:
        return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return "1970-01-01T00:00:00.000Z"


async def _watched(client: aiomqtt.Client) -> None:
    """Raises MqttError when the connection is lost. What a broker sends unasked is thrown away."""
    async for _ in client.messages:
        pass
