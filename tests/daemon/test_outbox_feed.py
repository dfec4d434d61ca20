"""A daemon's runs told to the outbox, at a real broker that goes away in the middle."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from bench.outbox import Outbox
from bench.outbox.run_feed import OutboxFeed
from tests.daemon.houses import asked, ended, in_house, in_step, started
from tests.outbox.desk import Wall, outbox
from tests.outbox.mosquitto import NEEDS_MOSQUITTO, Mosquitto, listener, until
from tests.outbox.test_json import BASE, said

pytestmark = [pytest.mark.scenario, NEEDS_MOSQUITTO]
CHANNELS = ("1", "3")


class Halfway:
    """Where two worlds meet: the bench's virtual time stands still until the broker is gone."""

    def __init__(self) -> None:
        self.reached, self.gone = threading.Event(), threading.Event()


def two_runs(data: Path, box: Outbox, halfway: Halfway) -> dict[str, str]:
    """Both run at once and are told to the box; gives run by channel."""

    async def visit(house: BenchHouse, desk: FrontDesk) -> dict[str, str]:
        house.runs.feeds.add(OutboxFeed(box, house.floor.clock.utc_s))
        runs = [await started(desk, asked(channel), key=channel) for channel in CHANNELS]
        for run in runs:
            await in_step(house, run.run_id, "out")
        await asyncio.sleep(30.0)
        halfway.reached.set()
        assert halfway.gone.wait(60.0)
        for run in runs:
            assert (await ended(house, run.run_id)).verdict == "pass"
        return {run.channel: run.run_id for run in runs}

    return in_house(data, visit)


def numbered(heard: Sequence[aiomqtt.Message]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """What was put, each once, by its id; the retained states that a new connection begins with have none."""
    bodies = [(str(message.topic), said(message)) for message in heard]
    return {body["id"]: (topic, body) for topic, body in bodies if body["id"] is not None}


async def test_two_runs_at_once_arrive_whole_and_in_order_over_a_restart_of_the_broker(tmp_path: Path) -> None:
    wall, halfway, broker = Wall(), Halfway(), Mosquitto(tmp_path)
    await broker.start()
    try:
        async with listener(broker.port, f"{BASE}/+/+") as heard, outbox(tmp_path / "box", broker.port, wall) as box:
            await until(lambda: box.status().connected["json"])
            bench = asyncio.create_task(asyncio.to_thread(two_runs, tmp_path / "data", box, halfway))
            assert await asyncio.to_thread(halfway.reached.wait, 60.0)
            early = box.status().counts["put"]
            await until(lambda: box.status().counts["stored"] == early and box.status().waiting == 0)
            await broker.stop()
            await until(lambda: not box.status().connected["json"])
            halfway.gone.set()
            async with asyncio.timeout(120.0):
                runs = await bench
            put = box.status().counts["put"]
            assert put > early > 50
            await broker.start()
            await heard.until(lambda all_: len(numbered(all_)) >= put, within_s=60.0)
    finally:
        await broker.stop()
    first = list(numbered(heard.heard).values())
    numbers = [int(body["id"].rpartition("-")[2]) for _, body in first]
    print(f"{put} put, {len(heard.heard)} arrived, {len(first)} of them new, {early} before the broker went")
    assert numbers == list(range(1, put + 1)), "none is lost, and they come in their order"
    assert [body["historical"] for _, body in first] == [number > early for number in numbers]
    for channel in CHANNELS:
        own = [(topic.rpartition("/")[2], body) for topic, body in first if topic.startswith(f"{BASE}/{channel}/")]
        states = [body["state"] for kind, body in own if kind == "state"]
        assert (states[0], states[-1]) == ("running", "closed")
        (verdict,) = [body for kind, body in own if kind == "verdict"]
        assert (verdict["verdict"], verdict["run"]) == ("pass", runs[channel])
        currents = [body["values"].get("current_a") for kind, body in own if kind == "reading"]
        assert any(current is not None and current < -2.0 for current in currents)  # 0.5 I1 of 5 Ah, both ways
        assert any(current is not None and current > 2.0 for current in currents)
        instants = [body["at"] for kind, body in own if kind == "reading"]
        assert instants == sorted(instants)
