"""How fast a value beyond its limit becomes a stop on the wire, with the loop blocked now and then.

Both sides read 64 instruments ten times a second and stop the one whose voltage has crossed. Ours is the product's
wires, drivers, pollers, stream and guard; the bare side is 64 asyncio tasks that read a line and compare a number. Both
suffer the same blocks: pure CPU of 5 to 40 ms at random instants of one seed. The far end, a process of its own, lets a
voltage cross and notes when the first stop frame of that instrument arrives.

``stretch`` is the longest time of CPU that our side takes between two turns of its loop, without any block.
"""

from __future__ import annotations

import asyncio
import json
import random
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from bench.binding.shapes import GuardLimit, Poll
from bench.energy import Energy
from bench.guard import Guard
from bench.log import RunLog
from bench.poller import Poller
from bench.recorder import RecordedChannels, Recorder
from bench.stream import Stage, Stream
from drivers.capabilities import DeviceSettings
from drivers.clock import real_elapsed_s, system_clock
from drivers.models import driver_model
from drivers.wires.opening import make_wire
from tests.benchmark.pairs import Comparison, compare, take_pairs

CHANNELS = 64
PERIOD_S = 0.1
HIGH_V = 4.3
GOAL = 1.2
RATING = {"voltage_v": 60.0, "current_a": 170.0, "power_w": 5000.0}
#: Blocks of the loop: so long, and so far apart, in seconds.
BLOCK_S, APART_S = (0.005, 0.040), (0.05, 0.30)
#: Between two crossings, at random.
PAUSE_S = (0.05, 0.25)


def reaction(pairs: int, crossings: int) -> Comparison:
    """p99 of the reaction in ms, ours against the bare loop."""
    with _far_end() as ask:
        ours, bare = (lambda: _p99_ms(_ours, ask, crossings)), (lambda: _p99_ms(_bare, ask, crossings))
        taken = take_pairs(pairs, ours, bare)
    return compare(
        f"reaction to a crossed limit, p99 of {crossings}, {CHANNELS} channels at {1 / PERIOD_S:g} Hz",
        "a bare asyncio loop with the same blocks",
        "ms",
        taken,
        goal=GOAL,
        notes=(
            f"{crossings} crossings a side and pair; blocks of {BLOCK_S[0] * 1e3:g} to {BLOCK_S[1] * 1e3:g} ms",
            "from the crossing at the far end to the stop frame there, a poll's wait included",
        ),
    )


def stretch_ms(seconds: float) -> float:
    """The longest stretch of CPU between two turns of our loop, recording to a durable log, in ms."""
    timed = _TimedSelector()
    with _far_end() as ask:
        ports = ask({"ask": "ports"})["ports"]

        async def main() -> None:
            async with _ours(ports, asyncio.Event()):
                await asyncio.sleep(2.0)  # connecting is not what is measured
                timed.longest_s = 0.0
                await asyncio.sleep(seconds)

        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(timed)) as runner:
            runner.run(main())
    return timed.longest_s * 1e3


class _TimedSelector(selectors.DefaultSelector):
    """Knows how much CPU of this thread went by between two looks for events."""

    longest_s = 0.0
    _back_s: float | None = None

    def select(self, timeout: float | None = None) -> Any:
        if self._back_s is not None:
            self.longest_s = max(self.longest_s, time.thread_time() - self._back_s)
        found = super().select(timeout)
        self._back_s = time.thread_time()
        return found


Ask = Callable[[dict[str, Any]], dict[str, Any]]
Watching = Callable[[list[int], asyncio.Event], Any]


def _p99_ms(side: Watching, ask: Ask, crossings: int) -> float:
    ports = ask({"ask": "ports"})["ports"]

    async def main() -> None:
        over = asyncio.Event()
        async with side(ports, over):
            await asyncio.sleep(0.5)
            blocks = asyncio.get_running_loop().create_task(_block(), name="blocks")
            done = await asyncio.to_thread(ask, {"ask": "cross", "count": crossings})
            blocks.cancel()
            await asyncio.gather(blocks, return_exceptions=True)
            found.extend(done["reactions_s"])

    found: list[float] = []
    asyncio.run(main())
    return sorted(found)[min(len(found) - 1, int(0.99 * len(found)))] * 1e3


async def _block() -> None:
    chance = random.Random(7)
    while True:
        await asyncio.sleep(chance.uniform(*APART_S))
        until_s = real_elapsed_s() + chance.uniform(*BLOCK_S)
        while real_elapsed_s() < until_s:
            pass


@asynccontextmanager
async def _ours(ports: list[int], _over: asyncio.Event) -> AsyncIterator[None]:
    """The product's parts as a run puts them together, one guard an instrument so that each may trip again."""
    loop = asyncio.get_running_loop()
    clock = system_clock(loop.time)
    stream, energy = Stream(), Energy()
    devices, wires, pollers, tasks = [], [], [], []
    folder = tempfile.TemporaryDirectory()
    log = RunLog.create(Path(folder.name) / "run", clock, durable=True, header={"run_id": "1", "mode": "live"})
    for index, port in enumerate(ports):
        wire = make_wire(f"tcp://127.0.0.1:{port}")
        await wire.open()
        wires.append(wire)
        settings = DeviceSettings(name=f"psb{index}", wire=wire, clock=clock, rating=RATING)
        device = driver_model("ea-psb10000", frozenset()).create(settings)
        devices.append(device)
        poll = Poll(PERIOD_S, PERIOD_S)
        pollers.append(Poller(device, index=index, poll=poll, energy=energy, stream=stream, event=log.event))
    recorder = Recorder(
        log,
        RecordedChannels(
            "psb0.out.voltage_v",
            "psb0.out.current_a",
            others=tuple(name for device in devices for name in device.channels),
        ),
    )
    stopping: set[asyncio.Task[None]] = set()

    def watch(device: Any) -> None:
        guard: Guard

        def stop(_why: str, **_how: Any) -> None:
            task = loop.create_task(device.make_safe(), name="make safe")
            stopping.add(task)

            def over(done: asyncio.Task[None]) -> None:
                stopping.discard(done)
                done.cancelled() or done.exception()
                guard.close()
                if device in devices:
                    watch(device)

            task.add_done_callback(over)

        guard = Guard(
            channels={device.name: device.channels},
            period_s=lambda _: PERIOD_S,
            lost=lambda _: None,
            stream=stream,
            energy=Energy(),
            event=lambda *_, **__: None,
            take_energy_away=stop,
        )
        guard.hold_to([GuardLimit("bench.voltage", device.channels[0], None, HIGH_V, "bench", hard=True)])

    for device in devices:
        watch(device)
    stream.subscribe(Stage.RECORDER, recorder.deliver)
    tasks = [loop.create_task(poller.run(), name="poll") for poller in pollers]
    try:
        yield
    finally:
        devices.clear()
        for task in [*tasks, *stopping]:
            task.cancel()
        await asyncio.gather(*tasks, *stopping, return_exceptions=True)
        for wire in wires:
            await wire.close()
        log.abandon()
        folder.cleanup()


@asynccontextmanager
async def _bare(ports: list[int], _over: asyncio.Event) -> AsyncIterator[None]:
    tasks = [asyncio.get_running_loop().create_task(_bare_one(port, index)) for index, port in enumerate(ports)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _bare_one(port: int, index: int) -> None:
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due_s = loop.time() + 0.010 * (index % 10)
    try:
        while True:
            due_s += PERIOD_S
            await asyncio.sleep(due_s - loop.time())
            writer.write(b"MEAS:ARR?\n")
            line = await reader.readline()
            if float(line.split(b" ")[0]) > HIGH_V:
                writer.write(b"CURR 0\n")
    finally:
        writer.close()


# -- the far end ------------------------------------------------------------------------------------------------------


@contextmanager
def _far_end() -> Iterator[Ask]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmark.reaction"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        stdin.write(json.dumps(question).encode() + b"\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(stdout.readline())
        return answer

    try:
        yield ask
    finally:
        stdin.close()
        process.wait()
        stdout.close()


class _Instrument:
    """Answers ``MEAS:ARR?`` at once, and says when it was told to stop."""

    def __init__(self) -> None:
        self.crossed_s: float | None = None
        self.stopped = asyncio.Event()
        self.reaction_s = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while line := await reader.readline():
            command = line.strip()
            if command == b"MEAS:ARR?":
                volts = 3.7 if self.crossed_s is None else 9.0
                writer.write(f"{volts:.3f} V, 0.00 A, 0 W\r\n".encode())
            elif command == b"CURR 0":
                if self.crossed_s is not None:
                    self.reaction_s, self.crossed_s = loop.time() - self.crossed_s, None
                    self.stopped.set()
            elif command == b"OUTP?":
                writer.write(b"OFF\r\n")
            elif command == b"MEAS:CURR?":
                writer.write(b"0.00 A\r\n")
            elif command.endswith(b"?"):
                writer.write(b'0,"No error"\r\n')
        writer.close()


async def _cross(instruments: list[_Instrument], count: int, chance: random.Random) -> list[float]:
    loop, reactions = asyncio.get_running_loop(), []
    for _ in range(count):
        await asyncio.sleep(chance.uniform(*PAUSE_S))
        one = chance.choice(instruments)
        one.stopped.clear()
        one.crossed_s = loop.time()
        async with asyncio.timeout(10.0):
            await one.stopped.wait()
        reactions.append(one.reaction_s)
    return reactions


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    instruments = [_Instrument() for _ in range(CHANNELS)]
    servers = [await asyncio.start_server(one.serve, "127.0.0.1", 0) for one in instruments]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    chance = random.Random(11)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        if asked["ask"] == "ports":
            answer: dict[str, Any] = {"ports": ports}
        else:
            answer = {"reactions_s": await _cross(instruments, asked["count"], chance)}
        print(json.dumps(answer), flush=True)
    for server in servers:
        server.close()


def main() -> None:
    """``python -m tests.benchmark.reaction`` is the far end; with ``--stretch SECONDS`` it prints that figure."""
    if len(sys.argv) == 3 and sys.argv[1] == "--stretch":
        print(f"longest stretch of CPU between two turns: {stretch_ms(float(sys.argv[2])):.1f} ms in {sys.argv[2]} s")
        return
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
