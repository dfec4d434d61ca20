"""Sparkplug B 3.0.0 (Eclipse Sparkplug specification of 2022-11-16): the bench is an edge node, each channel a device.

Births and data go out with QoS 0 and are never retained, as the specification asks; the broker acknowledges none of
them. So after each page of data the command topic is subscribed to once more: a broker answers one client's packets in
their order, and its answer says that everything before has arrived. What was not confirmed so is said again.

One command is obeyed, ``Node Control/Rebirth``, and only one that is not retained. Nothing else that arrives does
anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiomqtt

from bench.config.outbox_table import topic_level
from bench.outbox.fact import Fact, Kind
from bench.outbox.lateness import Lateness
from bench.outbox.latest import Latest
from bench.outbox.sparkplug_metrics import Births, milliseconds, values_of
from bench.outbox.sparkplug_payload import DataType, Metric, PayloadError, decoded_names, encoded
from bench.outbox.spool import Spool

NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
#: What concerns the bench and no channel is a device of its own.
WHOLE_BENCH = "_bench"
PAGE_ROWS = 256
#: Commands that come faster are one.
REBIRTH_EVERY_S = 1.0


class SparkplugSink:
    """See the module. ``births`` counts those of the node, ``rebirths`` those that were commanded."""

    name = "sparkplug"

    def __init__(self, spool: Spool, latest: Latest, *, group: str, edge: str) -> None:
        self.client_id = f"cellbench-{topic_level(group)}-{topic_level(edge)}-sparkplug"
        self.births = 0
        self.rebirths = 0
        self._spool = spool
        self._latest = latest
        self._group = topic_level(group)
        self._edge = topic_level(edge)
        self._news = spool.news()
        self._metrics = Births()
        self._born: set[str] = set()
        self._seq = 0
        self._bd_seq = 0
        self._rebirth = False
        self._late = Lateness(spool)

    async def will(self) -> aiomqtt.Will | None:
        number = await self._spool.next_note(f"bdSeq {self._group}/{self._edge}", 255)
        if number is None:
            return None
        self._bd_seq = number
        return aiomqtt.Will(self._node("NDEATH"), self._death(), qos=1, retain=False)

    async def serve(self, client: aiomqtt.Client, ready: Callable[[], object]) -> None:
        await self._late.begin()
        await client.subscribe(self._node("NCMD"), qos=1)
        await self._be_born(client)
        ready()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(client), name="sparkplug commands")
            group.create_task(self._say(client), name="sparkplug data")
            group.create_task(self._late.watch(), name="sparkplug lateness")

    async def farewell(self, client: aiomqtt.Client) -> None:
        await client.publish(self._node("NDEATH"), self._death(), qos=0)

    async def _say(self, client: aiomqtt.Client) -> None:
        me, at = asyncio.current_task(), None
        assert me is not None
        while not me.cancelling():  # the library swallows a cancellation that meets an acknowledgement
            self._news.clear()
            page = await self._spool.after(self.name, at, PAGE_ROWS)
            for number, data in page:
                await self._rebirth_if_asked(client)
                await self._say_fact(client, number, Fact.unpacked(data))
                at = number
            await self._rebirth_if_asked(client)
            if at is not None and page:
                await client.subscribe(self._node("NCMD"), qos=1)  # everything before it has arrived
                self._spool.acknowledge(self.name, at)
            if len(page) < PAGE_ROWS:
                await self._news.wait()

    async def _say_fact(self, client: aiomqtt.Client, number: int, fact: Fact) -> None:
        device = topic_level(fact.channel) if fact.channel else WHOLE_BENCH
        if fact.kind is Kind.GONE:
            if device in self._born and fact.channel not in self._latest.channels():
                self._born.discard(device)
                await self._publish(client, "DDEATH", device, [])
            return
        if self._metrics.learn(device, values_of(fact)) or device not in self._born:
            await self._device_born(client, device, fact.channel)
        metrics = self._metrics.data(device, fact, f"{self._spool.token}-{number}", historical=self._late(number))
        await self._publish(client, "DDATA", device, metrics)

    async def _be_born(self, client: aiomqtt.Client) -> None:
        """The node and every channel, with what is known of them now."""
        self._seq, self._rebirth = 0, False
        self._born.clear()
        self.births += 1
        now_ms = milliseconds(self._latest.now_utc_s())
        metrics = [
            Metric("bdSeq", self._bd_seq, DataType.INT64, timestamp_ms=now_ms),
            Metric(REBIRTH, value=False, datatype=DataType.BOOLEAN, timestamp_ms=now_ms),
            Metric("Properties/software", "cellbench", DataType.STRING, timestamp_ms=now_ms),
        ]
        await self._publish(client, "NBIRTH", None, metrics)
        for channel in self._latest.channels():
            await self._device_born(client, topic_level(channel) if channel else WHOLE_BENCH, channel)

    async def _device_born(self, client: aiomqtt.Client, device: str, channel: str) -> None:
        now_ms = milliseconds(self._latest.now_utc_s())
        self._born.add(device)
        await self._publish(client, "DBIRTH", device, self._metrics.birth(device, self._latest.of(channel), now_ms))

    async def _rebirth_if_asked(self, client: aiomqtt.Client) -> None:
        if self._rebirth:
            self.rebirths += 1
            await self._be_born(client)

    async def _publish(self, client: aiomqtt.Client, kind: str, device: str | None, metrics: list[Metric]) -> None:
        seq, self._seq = self._seq, (self._seq + 1) % 256
        data = encoded(metrics, timestamp_ms=milliseconds(self._latest.now_utc_s()), seq=seq)
        topic = self._node(kind) if device is None else f"{self._node(kind)}/{device}"
        await client.publish(topic, data, qos=0)

    async def _listen(self, client: aiomqtt.Client) -> None:
        """Commands, and the loss of the connection, which raises MqttError."""
        async for message in client.messages:
            if message.retain or not isinstance(message.payload, bytes):
                continue
            try:
                wanted = (REBIRTH, True) in decoded_names(message.payload)
            except PayloadError:
                continue
            if wanted:
                self._rebirth = True
                self._news.set()
                await asyncio.sleep(REBIRTH_EVERY_S)

    def _death(self) -> bytes:
        now_ms = milliseconds(self._latest.now_utc_s())
        metric = Metric("bdSeq", self._bd_seq, DataType.INT64, timestamp_ms=now_ms)
        return encoded([metric], timestamp_ms=now_ms, seq=None)

    def _node(self, kind: str) -> str:
        return f"{NAMESPACE}/{self._group}/{kind}/{self._edge}"
