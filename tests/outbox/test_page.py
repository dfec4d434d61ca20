"""docs/outbox.md is what happens: its listener runs, its payloads have the fields that arrive."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest

from bench.config.outbox_table import OutboxTable
from bench.observing import StepStarted
from bench.outbox.listening import observer_to, readings_to
from drivers import Quality, Reading
from tests.outbox.desk import START_S, Wall, outbox
from tests.outbox.mosquitto import NEEDS_MOSQUITTO, listener, mosquitto, until
from tests.outbox.test_json import said

PAGE = (Path(__file__).parents[2] / "docs" / "outbox.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_example_table_is_one() -> None:
    (text,) = blocks("toml")
    table = OutboxTable.model_validate(tomllib.loads(text)["outbox"])
    assert table.mqtt is not None
    assert table.sinks == ("json", "sparkplug")


@NEEDS_MOSQUITTO
async def test_the_listener_runs(tmp_path: Path) -> None:
    program = tmp_path / "listen.py"
    program.write_text(blocks("python")[0])
    async with mosquitto(tmp_path) as broker, outbox(tmp_path / "data", broker.port, Wall()) as box:
        process = await asyncio.create_subprocess_exec(
            sys.executable, program, "127.0.0.1", str(broker.port), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            await until(lambda: b"as archive" in broker.log.read_bytes())
            await asyncio.sleep(0.3)  # its subscription
            box.state("1", "running")
            box.reading("1", {"voltage_v": 3.7}, utc_s=START_S, mono_s=0.0)
            async with asyncio.timeout(10):
                lines = [(await process.stdout.readline()).decode().strip() for _ in range(2)]
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
    assert lines == [
        'cellbench/lab/bench-2/1/state now "running"',
        'cellbench/lab/bench-2/1/reading now {"voltage_v": 3.7}',
    ]


@NEEDS_MOSQUITTO
@pytest.mark.parametrize("kind", ["reading", "state", "step"])
async def test_each_payload_of_the_page_has_the_fields_that_arrive(tmp_path: Path, kind: str) -> None:
    topics = re.findall(r"^`(cellbench/[^`]*)`$", PAGE, flags=re.MULTILINE)
    pages = dict(zip((topic.rpartition("/")[2] for topic in topics), map(json.loads, blocks("json")), strict=True))
    names = {
        "psb.out.voltage_v": "voltage_v",
        "psb.out.current_a": "current_a",
        "th1.ai0.temperature_c": "temperature_c",
    }
    async with (
        mosquitto(tmp_path) as broker,
        listener(broker.port, f"cellbench/+/+/1/{kind}") as heard,
        outbox(tmp_path / "data", broker.port, Wall()) as box,
    ):
        box.state("1", "running", run="0007-room-capacity")
        readings_to(box, "1", names)(
            (
                Reading("psb.out.voltage_v", 3.7021, 0.0, START_S),
                Reading("psb.out.current_a", -2.5, 0.0, START_S),
                Reading("th1.ai0.temperature_c", float("nan"), 0.0, START_S, Quality.OPEN),
                Reading("of.another.on", 1.0, 0.0, START_S),
            )
        )
        observer_to(box, "1", lambda: START_S)(
            StepStarted(7, "3/2/1", 2, "charge", "Charge", "conditioning", "current <= 0.05 C")
        )
        await heard.until(lambda all_: bool(all_))
    arrived = said(heard.heard[-1])
    assert list(arrived) == list(pages[kind])
    varying = {"id", "at", "historical"}
    assert {name: arrived[name] for name in arrived if name not in varying} == {
        name: value for name, value in pages[kind].items() if name not in varying
    }
