"""F73: the broker is down for a day. The run never notices; what waited is kept to the cap, in order, and marked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiomqtt
import pytest

from bench.answers import simulated_operator
from bench.observing import nobody
from bench.outbox import Outbox
from bench.outbox.listening import observer_to
from bench.run import prepare, run_simulated
from tests.outbox.desk import START_S, Wall, outbox
from tests.outbox.mosquitto import NEEDS_MOSQUITTO, Mosquitto, free_port, listener, remembered, until
from tests.outbox.test_json import BASE, said
from tests.scenarios.runs import SHORT, order

pytestmark = pytest.mark.scenario
DAY_S = 86_400
CHANNELS = [str(number) for number in range(1, 9)]
EVERY_S = 30.0


def on_disk(folder: Path) -> int:
    """What the outbox's files take."""
    return sum(path.stat().st_size for path in folder.glob("outbox.sqlite*"))


def number(heard: list[aiomqtt.Message]) -> float | None:
    """Of the newest reading that arrived."""
    found = said(heard[-1]).get("values") if heard else None
    return None if found is None else float(found["n"])


async def a_day(box: Outbox, wall: Wall, folder: Path) -> tuple[int, int]:
    """Eight channels' readings of 24 h, told in steps of half an hour; gives how many, and the most on the disk."""
    put, most = 0, 0
    for at in range(0, DAY_S, int(EVERY_S)):
        wall.utc_s = START_S + at
        for channel in CHANNELS:
            box.reading(channel, {"voltage_v": 3.6, "n": float(put)}, utc_s=wall.utc_s, mono_s=float(at))
            put += 1
        if at % 1800 == 0:
            await until(lambda told=put: box.status().counts["stored"] == told)  # type: ignore[misc]
            most = max(most, on_disk(folder))
    await until(lambda: box.status().counts["stored"] == put)
    return put, max(most, on_disk(folder))


@NEEDS_MOSQUITTO
@pytest.mark.fault("F73")
async def test_a_day_without_a_broker_comes_out_in_order_and_late(tmp_path: Path) -> None:
    wall, folder = Wall(), tmp_path / "data"
    broker = Mosquitto(tmp_path)
    await remembered(broker, "cellbench/#")
    async with outbox(folder, broker.port, wall, reading_every="30 s", cap_mib=64) as box:
        put, most = await a_day(box, wall, folder)
        assert put == len(CHANNELS) * 2880
        assert most <= 64 << 20
        assert box.status().counts["dropped_on_disk"] == 0
        await broker.start()
        try:
            async with listener(broker.port, "cellbench/#") as heard:
                await heard.until(lambda all_: len(all_) > put, within_s=120)
                await until(lambda: box.status().waiting == 0)
                box.reading("1", {"n": float(put)}, utc_s=wall.utc_s + 60.0, mono_s=DAY_S + 60.0)
                wall.utc_s += 60.0
                await heard.until(lambda all_: number(all_) == put, within_s=60)
            readings = [said(message) for message in heard.heard if str(message.topic).endswith("/reading")]
        finally:
            await broker.stop()
    first = list({body["id"]: body for body in readings}.values())
    assert [body["values"]["n"] for body in first] == list(range(put + 1))
    assert [body["historical"] for body in first] == [True] * put + [False]


@NEEDS_MOSQUITTO
@pytest.mark.fault("F73")
async def test_what_the_cap_does_not_hold_is_dropped_from_the_oldest_and_told(tmp_path: Path) -> None:
    wall, folder = Wall(), tmp_path / "data"
    broker = Mosquitto(tmp_path)
    await remembered(broker, "cellbench/#")
    async with outbox(folder, broker.port, wall, reading_every="30 s", cap_mib=1) as box:
        put, most = await a_day(box, wall, folder)
        assert most <= 1 << 20
        dropped = box.status().counts["dropped_on_disk"]
        assert 0 < dropped < put
        await broker.start()
        try:
            async with listener(broker.port, "cellbench/#") as heard:
                last = put - 1.0
                await heard.until(lambda all_: number(all_) == last, within_s=60)
        finally:
            await broker.stop()
    gaps = [said(message) for message in heard.heard if str(message.topic) == f"{BASE}/gap"]
    numbers = [said(message)["values"]["n"] for message in heard.heard if str(message.topic).endswith("/reading")]
    assert len(gaps) == 1
    assert gaps[0]["lost"] == dropped
    assert (gaps[0]["from_utc_s"], gaps[0]["why"]) == (START_S, "the outbox was full")
    assert list(dict.fromkeys(numbers)) == list(range(dropped, put)), "the newest were kept, in order"
    assert gaps[0]["to_utc_s"] == START_S + (dropped - 1) // len(CHANNELS) * EVERY_S


@pytest.mark.fault("F73")
async def test_a_run_is_the_same_with_no_broker_and_no_disk_for_the_outbox(tmp_path: Path) -> None:
    """The bundle's readings are the same bytes, whether nobody listens or an outbox that can do nothing right."""
    blocked = tmp_path / "data"
    blocked.write_text("a file where the folder should be")
    wall = Wall()

    def carried(name: str, box: Outbox | None) -> tuple[str, dict[str, bytes]]:
        folder = tmp_path / name
        folder.mkdir()
        prepared = prepare(order(folder, sequence=SHORT.with_name("brief.yaml")), {})
        answers = simulated_operator(prepared.plan.bench.simulation.operator)
        observer = nobody if box is None else observer_to(box, "1", lambda: wall.utc_s)
        result = run_simulated(prepared, answers, observer)
        bundle = Path(result.bundle)
        return result.verdict, {path.name: path.read_bytes() for path in sorted(bundle.glob("*.bdf.csv"))}

    alone = await asyncio.to_thread(carried, "alone", None)
    async with outbox(blocked, free_port(), wall, most_in_memory=5) as box:
        beside = await asyncio.to_thread(carried, "beside", box)
        await until(lambda: not box.status().connected["json"] and len(box.status().problems) == 2)
        counts = box.status().counts
    assert beside == alone
    assert alone[1]
    assert counts["put"] > 5
    assert counts["dropped_in_memory"] == counts["put"] - 5
