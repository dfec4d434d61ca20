"""What the load needs beside the daemon, each in a process of its own.

``python -m tests.benchmark.load.processes far BENCH STANDING`` is the simulated bench, with a cell in each channel;
``... timers COUNT PERIOD`` are bare timers, ``... bare COUNT PERIOD SECONDS`` bare pymodbus clients and ``... server``
what they ask; ``... readers``, ``... askers``, ``... browser`` and ``... crowd`` are people at the page, whose tokens
and password come in the environment. Each says one line of JSON on stdout when it is up or done, and ends when its
standard input does; people are told twice, where what counts begins and where it ends, and answer with what they met.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import async_playwright
from pymodbus.client import AsyncModbusTcpClient

from bench.config import load_bench, load_cell
from bench.config.bench_file import standing_bench
from bench.shipped import examples
from bench.simulated import SceneHands, empty_scene_spec
from simulators.scene import Scene
from tests.benchmark.load.clients import Askers, Crowd, Reader
from tests.benchmark.load.counts import ON_TIME_S, PHASE_STEP_S, slots

CELL = "nmc-21700"
REGISTERS = 10
CHROMIUM = "/usr/bin/chromium"
#: Counts the wall's refreshes where the page's own stream brings them in.
COUNTING = """window.walls = 0;
const Stream = EventSource;
window.EventSource = class extends Stream {
  constructor(...what) {
    super(...what);
    for (const kind of ["channels", "bench"]) this.addEventListener(kind, () => { window.walls += 1; });
  }
};"""


async def far(bench_file: str, standing: str) -> None:
    bench, cell = load_bench(bench_file), load_cell(examples() / "cells" / f"{CELL}.toml")
    scene = Scene(empty_scene_spec(bench, seed=1))
    for at, channel in enumerate(bench.channels):
        SceneHands(scene).insert(channel, cell, mass_kg=cell.mass_kg, seed=at)
    urls = await scene.start()
    Path(standing).write_text(standing_bench(bench, urls))  # noqa: ASYNC240 - before anybody asks
    _say({"up": True})
    await _till_told()
    await scene.close()


async def timers(count: str, period: str) -> None:
    """Timers on the grid of as many devices. What they came to is said at the end."""
    loop, period_s = asyncio.get_running_loop(), float(period)
    late_s: list[tuple[float, float]] = []

    def arm(at: int, slot: int) -> None:
        due_s = at * PHASE_STEP_S + slot * period_s

        def fire() -> None:
            now_s = loop.time()
            late_s.append((due_s, now_s - due_s))
            arm(at, max(slot + 1, int((now_s - at * PHASE_STEP_S) / period_s) + 1))

        loop.call_at(due_s, fire)

    for at in range(int(count)):
        arm(at, int((loop.time() - at * PHASE_STEP_S) / period_s) + 1)
    _say({"up": True})
    begin_s, end_s = json.loads(await _till_told())
    inside = [late for due_s, late in late_s if begin_s <= due_s < end_s]
    due = sum(slots(at * PHASE_STEP_S, period_s, begin_s, end_s)[1] for at in range(int(count)))
    inside.sort()
    _say(
        {
            "due": due,
            "taken": len(inside),
            "on_time": sum(late <= ON_TIME_S for late in inside) / max(1, due),
            "p50_s": inside[len(inside) // 2] if inside else None,
            "p999_s": inside[int(0.999 * len(inside))] if inside else None,
            "most_s": inside[-1] if inside else None,
        }
    )


async def server() -> None:
    """Answers every request to read registers with as many zeros."""

    class Answers(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.WriteTransport)
            self._transport = transport
            self._held = b""

        def data_received(self, data: bytes) -> None:
            self._held += data
            while len(self._held) >= 12:
                asked, self._held = self._held[:12], self._held[12:]
                body = bytes([asked[6], asked[7], 2 * REGISTERS]) + bytes(2 * REGISTERS)
                self._transport.write(asked[:4] + len(body).to_bytes(2, "big") + body)

    listening = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0)
    _say({"port": listening.sockets[0].getsockname()[1]})
    await _till_told()
    listening.close()


async def bare(count: str, period: str, seconds: str, port: str) -> None:
    """Bare pymodbus on that many connections, each polled on the grid of a device: CPU of one read, in us."""
    loop, period_s, reads = asyncio.get_running_loop(), float(period), [0]
    clients = [AsyncModbusTcpClient("127.0.0.1", port=int(port)) for _ in range(int(count))]
    for client in clients:
        await client.connect()
    end_s = loop.time() + float(seconds)

    async def poll(at: int, client: AsyncModbusTcpClient) -> None:
        phase_s = at * PHASE_STEP_S
        while loop.time() < end_s:
            slot = int((loop.time() - phase_s) / period_s) + 1
            await asyncio.sleep(phase_s + slot * period_s - loop.time())
            await client.read_holding_registers(0, count=REGISTERS)
            reads[0] += 1

    gc.collect()
    begun_s = time.process_time()
    await asyncio.gather(*(poll(at, client) for at, client in enumerate(clients)))
    _say({"us": (time.process_time() - begun_s) / reads[0] * 1e6, "reads": reads[0]})
    for client in clients:
        client.close()


async def readers(port: str, count: str) -> None:
    """So many readers of the event stream."""
    all_ = [Reader(int(port), os.environ["TOKEN"]) for _ in range(int(count))]
    async with _under_way(*(reader.run() for reader in all_)):
        _say({"up": True})
        await _till_told()
        was = [reader.walls for reader in all_]
        _say({})
        await _till_told()
        walls = [reader.walls - before for reader, before in zip(all_, was, strict=True)]
        _say({"walls": walls, "cut": sum(reader.cut for reader in all_)})
        await _till_told()


async def askers(port: str, rate: str, *channels: str) -> None:
    """So many requests of the API a second."""
    people = Askers(int(port), os.environ["TOKEN"], channels)
    async with _under_way(people.run(float(rate))):
        _say({"up": True})
        await _till_told()
        people.forget()
        _say({})
        await _till_told()
        _say({"by_path": people.by_path, "wrong": people.wrong})
        await _till_told()


async def browser(link: str, name: str) -> None:
    """Chromium with the wall in front, signed in; it counts what comes on the page's own stream of events."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await chromium.new_page(locale="en-GB", viewport={"width": 1280, "height": 900})
        await page.add_init_script(COUNTING)
        await page.goto(link)
        await page.get_by_label("Name", exact=True).fill(name)
        await page.get_by_label("Password", exact=True).fill(os.environ["PASSWORD"])
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("button", name="Stop all runs").wait_for()
        _say({"up": True})
        await _till_told()
        was = await page.evaluate("walls")
        _say({})
        await _till_told()
        _say({"walls": [await page.evaluate("walls") - was], "cut": 0})
        await _till_told()
        await chromium.close()


async def crowd(port: str, count: str) -> None:
    """Slow and dead readers of the event stream."""
    throng = Crowd(int(port), os.environ["TOKEN"], int(count))
    async with _under_way(throng.run()):
        _say({"up": True})
        await _till_told()
        _say({})
        await _till_told()
        _say({"opened": throng.opened})
        await _till_told()


@asynccontextmanager
async def _under_way(*what: Coroutine[object, object, object]) -> AsyncIterator[None]:
    """Until the end of the block; what failed by then fails here."""
    tasks = [asyncio.get_running_loop().create_task(one) for one in what]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for left in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(left, Exception):
                raise left


def _say(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)


async def _till_told() -> str:
    """Until standard input says something, or ends."""
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


_PARTS: dict[str, Callable[..., object]] = {
    it.__name__: it for it in (far, timers, server, bare, readers, askers, browser, crowd)
}

if __name__ == "__main__":
    part: Callable[..., object] = _PARTS[sys.argv[1]]
    asyncio.run(part(*sys.argv[2:]))  # type: ignore[arg-type] # each is a coroutine function
