"""What arrives on plain JSON topics, at a real broker."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from tests.outbox.desk import START_S, Wall, outbox
from tests.outbox.mosquitto import NEEDS_MOSQUITTO, Mosquitto, listener, mosquitto, until

pytestmark = NEEDS_MOSQUITTO
BASE = "cellbench/lab/bench-2"


def said(message: aiomqtt.Message) -> dict[str, Any]:
    assert isinstance(message.payload, bytes)
    found: dict[str, Any] = json.loads(message.payload)
    return found


async def test_each_fact_on_its_topic(tmp_path: Path) -> None:
    wall = Wall()
    async with mosquitto(tmp_path) as broker, listener(broker.port, "#") as heard:
        async with outbox(tmp_path / "data", broker.port, wall) as box:
            await until(lambda: box.status().connected == {"json": True})
            box.state("1", "running", run="0007-x")
            box.reading("1", {"voltage_v": 3.7, "current_a": float("nan")}, utc_s=START_S, mono_s=0.0)
            box.step("1", "3/2/1", change="started")
            box.event("1", "setpoint", value_a=2.5)
            box.alarm("1", "bench.pressure", change="raised")
            box.verdict("1", "pass", run="0007-x")
            await heard.until(lambda all_: len(all_) >= 7)
        await heard.until(lambda all_: len(all_) >= 8)
    topics = [(str(message.topic), said(message)) for message in heard.heard]
    assert [topic for topic, _ in topics] == [
        f"{BASE}/online", f"{BASE}/1/state", f"{BASE}/1/reading", f"{BASE}/1/step", f"{BASE}/1/event",
        f"{BASE}/1/alarm", f"{BASE}/1/verdict", f"{BASE}/online",
    ]  # fmt: skip
    assert [body["online"] for topic, body in topics if topic.endswith("online")] == [True, False]
    reading = topics[2][1]
    assert reading["values"] == {"voltage_v": 3.7, "current_a": None}
    assert (reading["schema"], reading["at"], reading["historical"]) == (
        "cellbench/mqtt/1",
        "2026-05-28T20:26:40.000Z",
        False,
    )
    numbers = [int(body["id"].rpartition("-")[2]) for _, body in topics[1:7]]
    assert numbers == [1, 2, 3, 4, 5, 6]


async def test_readings_go_out_at_the_rate_that_was_asked_for(tmp_path: Path) -> None:
    wall = Wall()
    async with (
        mosquitto(tmp_path) as broker,
        listener(broker.port, "cellbench/+/+/+/reading") as heard,
        outbox(tmp_path / "data", broker.port, wall, reading_every="2 s") as box,
    ):
        for tenth in range(100):  # 10 Hz for ten seconds
            for channel in ("1", "2"):
                box.reading(channel, {"voltage_v": tenth / 10}, utc_s=START_S + tenth / 10, mono_s=tenth / 10)
        await heard.until(lambda all_: len(all_) >= 10)
        await until(lambda: box.status().waiting == 0)
    ours = [said(message)["values"]["voltage_v"] for message in heard.heard if "/1/" in str(message.topic)]
    assert ours == [0.0, 2.0, 4.0, 6.0, 8.0]


async def test_a_killed_bench_is_offline_by_its_will(tmp_path: Path) -> None:
    async with (
        mosquitto(tmp_path) as broker,
        listener(broker.port, f"{BASE}/online") as heard,
        outbox(tmp_path / "data", broker.port, Wall()) as box,
    ):
        await heard.until(lambda all_: len(all_) == 1)
        # Another client of the same name: the broker cuts ours off, which says no farewell.
        async with aiomqtt.Client("127.0.0.1", broker.port, identifier="cellbench-lab-bench-2-json"):
            await heard.until(lambda all_: len(all_) == 2)
        await heard.until(lambda all_: len(all_) >= 3)
        await until(lambda: box.status().connected["json"])  # told before it is written down
    assert [said(message)["online"] for message in heard.heard[:3]] == [True, False, True]


async def test_the_retained_state_is_the_newest_and_late_ones_do_not_replace_it(tmp_path: Path) -> None:
    wall = Wall()
    broker = Mosquitto(tmp_path)
    async with outbox(tmp_path / "data", broker.port, wall) as box:
        for word in ("idle", "running", "ending"):
            box.state("1", word)
            wall.utc_s += 60.0
        await until(lambda: box.status().counts["stored"] == 3)
        await broker.start()
        try:
            await until(lambda: box.status().waiting == 0)
            async with listener(broker.port, f"{BASE}/1/state") as late:
                await late.until(lambda all_: len(all_) == 1)
            assert late.heard[0].retain
            assert (said(late.heard[0])["state"], said(late.heard[0])["historical"]) == ("ending", False)
        finally:
            await broker.stop()


async def test_nothing_is_subscribed_to(tmp_path: Path) -> None:
    """The broker's own log names every subscription."""
    async with mosquitto(tmp_path, "log_type all") as broker, outbox(tmp_path / "data", broker.port, Wall()) as box:
        box.event("1", "x")
        await until(lambda: box.status().counts["stored"] == 1 and box.status().waiting == 0)
    text = broker.log.read_text()
    assert "Received PUBLISH from cellbench-lab-bench-2-json" in text
    assert "SUBSCRIBE" not in text


@pytest.mark.scenario
async def test_no_message_is_lost_over_broker_restarts(tmp_path: Path) -> None:
    restarts = 100 if os.environ.get("CELLBENCH_ALL") else 20
    wall, put = Wall(), 0
    broker = Mosquitto(tmp_path)
    await broker.start()
    try:
        async with listener(broker.port, f"{BASE}/1/event") as heard, outbox(tmp_path / "d", broker.port, wall) as box:
            for _ in range(restarts):
                arrived = len(heard.heard)
                for _ in range(300):
                    box.event("1", "tick", n=put)
                    put += 1
                await heard.until(lambda all_, at=arrived: len(all_) > at + 50)  # type: ignore[misc]
                await broker.stop()
                for _ in range(100):
                    box.event("1", "tick", n=put)
                    put += 1
                await asyncio.sleep(0.05)
                await broker.start()
            await until(lambda: box.status().counts["stored"] == put and box.status().waiting == 0, within_s=60)
            await heard.until(lambda all_: said(all_[-1])["n"] == put - 1, within_s=60)
            seen: dict[str, int] = {}
            for message in heard.heard:
                seen.setdefault(said(message)["id"], said(message)["n"])
            print(f"{restarts} restarts, {put} put, {len(heard.heard)} arrived, {len(seen)} of them new")
            assert list(seen.values()) == list(range(put))
    finally:
        await broker.stop()
