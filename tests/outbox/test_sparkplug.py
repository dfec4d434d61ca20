"""Sparkplug B at a real broker, read by another implementation in an environment of its own."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from bench.outbox import Outbox
from tests.outbox.desk import START_S, Wall, outbox
from tests.outbox.mosquitto import NEEDS_MOSQUITTO, Mosquitto, listener, mosquitto, until

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-sparkplug" / "bin" / "python"
ORACLE = Path(__file__).with_name("sparkplug_oracle.py")
pytestmark = [
    NEEDS_MOSQUITTO,
    pytest.mark.skipif(
        not (ROOT / ".venv-sparkplug" / ".pysparkplug==0.6.1").exists(),
        reason="pysparkplug 0.6.1 is not installed in .venv-sparkplug (scripts/setup --dev does it)",
    ),
]
ALL = "spBv1.0/#"
NODE = "spBv1.0/lab/{}/bench-2"


def read_by_another(messages: list[aiomqtt.Message]) -> list[dict[str, Any]]:
    """What pysparkplug reads in them. It fails on an alias that no birth named."""
    lines = []
    for message in messages:
        assert isinstance(message.payload, bytes)
        if "/NCMD/" not in str(message.topic):
            lines.append(json.dumps({"topic": str(message.topic), "payload": message.payload.hex()}))
    done = subprocess.run(
        [PYTHON, ORACLE, "decode"], input="\n".join(lines), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def rebirth_command() -> bytes:
    done = subprocess.run([PYTHON, ORACLE, "rebirth"], capture_output=True, text=True, check=True)
    return bytes.fromhex(done.stdout)


def box_of(folder: Path, broker: Mosquitto, wall: Wall, **more: Any) -> Outbox:
    return outbox(folder, broker.port, wall, sinks=["sparkplug"], sparkplug={"group": "lab"}, **more)


def value(row: dict[str, Any], name: str) -> Any:
    return row["metrics"][name][0]


async def connected(box: Outbox) -> None:
    await until(lambda: box.status().connected == {"sparkplug": True})


async def test_births_data_and_deaths(tmp_path: Path) -> None:
    wall = Wall()
    async with mosquitto(tmp_path) as broker, listener(broker.port, ALL) as heard:
        async with box_of(tmp_path / "data", broker, wall) as box:
            await connected(box)
            await heard.until(lambda all_: len(all_) >= 1)
            box.state("1", "running", run="0007-x")
            box.reading("1", {"voltage_v": 3.7, "current_a": -2.5}, utc_s=START_S, mono_s=0.0)
            box.reading("1", {"voltage_v": 3.6, "current_a": None}, utc_s=START_S + 1, mono_s=1.0)
            box.event("1", "quality", good=True, text="空调")
            box.gone("1")
            await heard.until(lambda all_: any("/DDEATH/" in str(message.topic) for message in all_))
        await heard.until(lambda all_: "/NDEATH/" in str(all_[-1].topic))
    assert not any(message.retain for message in heard.heard)
    rows = read_by_another(heard.heard)
    assert (rows[0]["kind"], rows[0]["group"], rows[0]["edge"], rows[0]["seq"]) == ("NBIRTH", "lab", "bench-2", 0)
    assert rows[0]["metrics"]["Node Control/Rebirth"][:2] == [False, "BOOLEAN"]
    assert rows[0]["metrics"]["bdSeq"][:2] == [0, "INT64"]
    assert rows[-1]["kind"] == "NDEATH"
    assert value(rows[-1], "bdSeq") == value(rows[0], "bdSeq")
    assert [row["seq"] for row in rows[:-1]] == list(range(len(rows) - 1))
    readings = [row for row in rows if row["kind"] == "DDATA" and "Readings/voltage_v" in row["metrics"]]
    first, second = readings
    ms = round(START_S * 1000)
    assert first["metrics"]["Readings/current_a"] == [-2.5, "DOUBLE", False, ms]
    assert second["metrics"]["Readings/voltage_v"] == [3.6, "DOUBLE", False, ms + 1000]
    assert second["metrics"]["Readings/current_a"][:2] == [None, "DOUBLE"]
    events = [row for row in rows if row["kind"] == "DDATA" and "Event/event" in row["metrics"]]
    assert [events[0]["metrics"][name][:2] for name in ("Event/text", "Event/good")] == [
        ["空调", "STRING"],
        [True, "BOOLEAN"],
    ]
    assert [row["kind"] for row in rows[-2:]] == ["DDEATH", "NDEATH"]


async def test_the_sequence_number_goes_round(tmp_path: Path) -> None:
    async with (
        mosquitto(tmp_path) as broker,
        listener(broker.port, ALL) as heard,
        box_of(tmp_path / "data", broker, Wall()) as box,
    ):
        await connected(box)
        for number in range(600):
            box.event("1", "tick", n=number)
        await heard.until(lambda all_: len(all_) >= 602)
    rows = read_by_another(heard.heard[:602])
    assert [row["seq"] for row in rows] == [at % 256 for at in range(len(rows))]
    told = [value(row, "Event/n") for row in rows if row["kind"] == "DDATA"]
    assert told == [float(number) for number in range(600)]


async def test_reborn_on_command_and_on_no_other(tmp_path: Path) -> None:
    topic, asked = NODE.format("NCMD"), rebirth_command()
    async with (
        mosquitto(tmp_path) as broker,
        listener(broker.port, ALL) as heard,
        aiomqtt.Client("127.0.0.1", broker.port) as host,
    ):
        await host.publish(topic, asked, retain=True)  # stands there before we come, and is not obeyed
        async with box_of(tmp_path / "data", broker, Wall()) as box:
            await connected(box)
            box.state("1", "idle")
            await heard.until(lambda all_: "/DDATA/" in str(all_[-1].topic))
            await host.publish(topic, b"\xff\xff\xff")
            await host.publish(topic, b"")
            await host.publish(NODE.format("DCMD") + "/1", asked)
            await host.publish(topic, asked[:-1] + b"\x00")  # Rebirth = false
            await host.publish(topic, asked)
            await heard.until(lambda all_: sum("/NBIRTH/" in str(message.topic) for message in all_) == 2)
            await heard.until(lambda all_: "/DBIRTH/" in str(all_[-1].topic))
            await asyncio.sleep(0.2)
    rows = read_by_another([message for message in heard.heard if "CMD/" not in str(message.topic)])
    assert [row["kind"] for row in rows] == ["NBIRTH", "DBIRTH", "DDATA", "NBIRTH", "DBIRTH", "NDEATH"]
    assert [row["seq"] for row in rows[:-1]] == [0, 1, 2, 0, 1]
    assert [value(rows[at], "bdSeq") for at in (0, 3, 5)] == [0, 0, 0]
    assert value(rows[4], "State/state") == "idle"


async def test_what_waited_is_historical_and_the_birth_is_not(tmp_path: Path) -> None:
    wall = Wall()
    async with mosquitto(tmp_path) as broker, listener(broker.port, ALL) as heard:
        async with box_of(tmp_path / "data", broker, wall) as box:
            await connected(box)
            box.reading("1", {"voltage_v": 3.0}, utc_s=START_S, mono_s=0.0)
            await until(lambda: box.status().counts["stored"] == 1 and box.status().waiting == 0)
        # Between two lives of the program nothing is connected; what the next one is told before it is, is late.
        nowhere = box_of(tmp_path / "data", Mosquitto(tmp_path), wall)
        async with nowhere as box:
            for number in range(1, 51):
                wall.utc_s = START_S + number
                box.reading("1", {"voltage_v": 3.0 + number / 100}, utc_s=wall.utc_s, mono_s=float(number))
        heard.heard.clear()
        async with box_of(tmp_path / "data", broker, wall) as box:
            await until(lambda: box.status().counts["put"] == 0 and box.status().connected == {"sparkplug": True})
            await heard.until(lambda all_: sum("/DDATA/" in str(message.topic) for message in all_) == 50)
            box.reading("1", {"voltage_v": 4.1}, utc_s=wall.utc_s, mono_s=51.0)
            await heard.until(lambda all_: sum("/DDATA/" in str(message.topic) for message in all_) == 51)
    rows = read_by_another(heard.heard)
    told = [row["metrics"]["Readings/voltage_v"] for row in rows if row["kind"] == "DDATA"]
    assert [(row[0], row[2]) for row in told] == [
        *((3.0 + number / 100, True) for number in range(1, 51)),
        (4.1, False),
    ]
    births = [metric for row in rows if "BIRTH" in row["kind"] for metric in row["metrics"].values()]
    assert not any(metric[2] for metric in births)


async def test_the_will_names_the_births_number_and_it_counts_up(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as broker, listener(broker.port, ALL) as heard:
        async with box_of(tmp_path / "data", broker, Wall()) as box:
            await connected(box)
            await heard.until(lambda all_: len(all_) == 1)
            async with aiomqtt.Client("127.0.0.1", broker.port, identifier="cellbench-lab-bench-2-sparkplug"):
                await heard.until(lambda all_: len(all_) == 2)
            await heard.until(lambda all_: len(all_) >= 3)
        await heard.until(lambda all_: len(all_) >= 4)
        async with box_of(tmp_path / "data", broker, Wall()) as box:
            await heard.until(lambda all_: len(all_) >= 5)
    rows = read_by_another(heard.heard)
    assert [(row["kind"], value(row, "bdSeq")) for row in rows] == [
        ("NBIRTH", 0), ("NDEATH", 0), ("NBIRTH", 1), ("NDEATH", 1), ("NBIRTH", 2), ("NDEATH", 2),
    ]  # fmt: skip


@pytest.mark.scenario
async def test_nothing_is_lost_over_broker_restarts(tmp_path: Path) -> None:
    """The dedupe id stands in each payload as text. Mosquitto keeps what it was told for a listener that is away."""
    put, broker = 0, Mosquitto(tmp_path, "queue_qos0_messages true")
    await broker.start()
    try:
        async with box_of(tmp_path / "data", broker, Wall()) as box, listener(broker.port, ALL) as heard:

            def numbers(messages: list[aiomqtt.Message]) -> list[int]:
                found = (re.search(rb"[0-9a-f]{12}-([0-9]+)", bytes(message.payload)) for message in messages)
                return list(dict.fromkeys(int(match[1]) for match in found if match is not None))

            for _ in range(20):
                for _ in range(200):
                    box.event("1", "tick", n=put)
                    put += 1
                await asyncio.sleep(0.05)
                await broker.stop()
                await broker.start()
            await until(lambda: box.status().counts["stored"] == put and box.status().waiting == 0, within_s=60)
            await heard.until(lambda all_: numbers(all_[-1:]) == [put], within_s=60)
            assert numbers(heard.heard) == list(range(1, put + 1))
    finally:
        await broker.stop()
