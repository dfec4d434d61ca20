"""Throughput to a broker: the outbox, from telling to acknowledged, against bare aiomqtt with 64 publishes in flight.

Both say the same payloads with QoS 1 to the same mosquitto. Ours are put, written to the outbox's file, read from it,
said, acknowledged and deleted; the bare side has its payloads ready and only publishes them.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiomqtt

from tests.benchmark.pairs import Comparison, Measure, compare, take_pairs
from tests.benchmark.steps import Unmeasured
from tests.outbox.desk import Wall, outbox
from tests.outbox.mosquitto import MOSQUITTO, Mosquitto, until

#: At least 80 % of the throughput: at most 1/0.8 of the time.
GOAL = 1.25
IN_FLIGHT = 64
NAME, AGAINST, UNIT = "MQTT, one message", "bare aiomqtt, 64 publishes in flight", "us"
VALUES = {"voltage_v": 3.7021, "current_a": -2.4987, "temperature_c": 25.31}
PAYLOAD = (
    b'{"values":{"voltage_v":3.7021,"current_a":-2.4987,"temperature_c":25.31},"schema":"cellbench/mqtt/1",'
    b'"id":"0123456789ab-12345","at":"2026-05-28T20:26:40.000Z","historical":false}'
)


def mqtt(pairs: int, count: int) -> Comparison | Unmeasured:
    """Each pair with ``count`` messages a side."""
    if MOSQUITTO is None:
        return Unmeasured(NAME, AGAINST, UNIT, float("nan"), "mosquitto is not installed")
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        taken = take_pairs(pairs, _timed(_ours, at, count), _timed(_bare, at, count))
    notes = (f"{count} messages of {len(PAYLOAD)} bytes a side and pair, QoS 1", "the goal is 80 % of the throughput")
    return compare(NAME, AGAINST, UNIT, taken, goal=GOAL, notes=notes)


def _timed(side: Any, folder: Path, count: int) -> Measure:
    """Microseconds that a message takes."""

    async def main() -> float:
        broker = Mosquitto(folder)
        await broker.start()
        try:
            seconds: float = await side(broker.port, folder, count)
        finally:
            await broker.stop()
        return seconds / count * 1e6

    return lambda: _run(main())


def _run(work: Coroutine[Any, Any, float]) -> float:
    return asyncio.run(work)


async def _bare(port: int, folder: Path, count: int) -> float:
    loop = asyncio.get_running_loop()
    async with aiomqtt.Client("127.0.0.1", port, max_inflight_messages=IN_FLIGHT) as client:
        client.pending_calls_threshold = 2 * IN_FLIGHT
        numbers = iter(range(count))

        async def publish() -> None:
            for _ in numbers:
                await client.publish("cellbench/lab/bench-2/1/reading", PAYLOAD, 1)

        begun_s = loop.time()
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(publish())
        return loop.time() - begun_s


async def _ours(port: int, folder: Path, count: int) -> float:
    loop, wall = asyncio.get_running_loop(), Wall()
    with _fresh(folder) as data:
        async with outbox(data, port, wall, most_in_memory=count) as box:
            await until(lambda: box.status().connected["json"])
            begun_s = loop.time()
            for number in range(count):
                box.reading("1", VALUES, utc_s=wall.utc_s, mono_s=float(number))
                if number % 100 == 99:
                    await asyncio.sleep(0)
            await until(lambda: box.status().counts["stored"] == count and not box.status().waiting, within_s=600)
            return loop.time() - begun_s


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder) as made:
        yield Path(made)
