"""Plain JSON topics: ``cellbench/<site>/<bench>/<channel>/<kind>``. docs/outbox.md tells them whole.

Output only: nothing is subscribed to. Every fact is published with QoS 1 and acknowledged to the spool when the broker
has acknowledged it; the order of publishing is that of the facts. A fact that waited is marked ``historical``, and is
not retained: the retained state of a channel is the newest one from the first moment of a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import aiomqtt
import orjson

from bench.config.outbox_table import topic_level
from bench.outbox.connection import IN_FLIGHT
from bench.outbox.fact import Fact, Kind
from bench.outbox.latest import Latest
from bench.outbox.spool import Spool
from bench.outbox.window import Window

SCHEMA = "cellbench/mqtt/1"
#: A fact that is older when it goes out is late, even on a connection that was never lost.
LATE_AFTER_S = 10.0
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

    async def will(self) -> aiomqtt.Will:
        return aiomqtt.Will(f"{self._base}/online", _online(on=False), qos=1, retain=True)

    async def serve(self, client: aiomqtt.Client) -> None:
        window = Window(self._spool, self.name)
        await window.begin()
        await client.publish(f"{self._base}/online", _online(on=True), qos=1, retain=True)
        for fact in self._latest.states():
            body = {**fact.body, "schema": SCHEMA, "id": None, "at": _at(fact.utc_s), "historical": False}
            await client.publish(self._topic(fact), orjson.dumps(body), qos=1, retain=True)
        rows: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(AHEAD)
        async with asyncio.TaskGroup() as group:
            group.create_task(_watched(client), name="mqtt watch")
            group.create_task(self._read(window, rows), name="mqtt read")
            for _ in range(IN_FLIGHT):
                group.create_task(self._publish(client, window, rows), name="mqtt publish")

    async def farewell(self, client: aiomqtt.Client) -> None:
        await client.publish(f"{self._base}/online", _online(on=False), qos=1, retain=True)

    async def _read(self, window: Window, rows: asyncio.Queue[tuple[int, bytes]]) -> None:
        async for row in window.rows(self._news):
            await rows.put(row)

    async def _publish(self, client: aiomqtt.Client, window: Window, rows: asyncio.Queue[tuple[int, bytes]]) -> None:
        """One publish at a time. No other row is taken between a row and the call that puts it on the wire."""
        me = asyncio.current_task()
        assert me is not None
        while not me.cancelling():  # the library swallows a cancellation that meets an acknowledgement
            number, data = await rows.get()
            window.sent(number)
            topic, payload, retained = self._said(number, data, window.newest_before)
            await client.publish(topic, payload, 1, retained)
            window.acknowledged(number)
            self.sent += 1

    def _said(self, number: int, data: bytes, newest_before: int) -> tuple[str, bytes, bool]:
        fact = Fact.unpacked(data)
        late = number <= newest_before or self._latest.now_utc_s() - fact.utc_s > LATE_AFTER_S
        body = {
            **fact.body,
            "schema": SCHEMA,
            "id": f"{self._spool.token}-{number}",
            "at": _at(fact.utc_s),
            "historical": late,
        }
        return self._topic(fact), orjson.dumps(body), fact.kind is Kind.STATE and not late

    def _topic(self, fact: Fact) -> str:
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
