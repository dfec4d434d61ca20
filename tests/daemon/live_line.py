"""A bench standing in the test's own loop, in real time, and a live daemon on it in processes of its own.

The plant stands in the test: what is energised is told by its truth, not by what any driver was told.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bench.config import load_bench, load_cell
from bench.config.bench_file import standing_bench
from bench.shipped import examples
from bench.simulated import SceneHands, empty_scene_spec
from simulators.scene import Scene
from tests.daemon.live_program import MODULE

ROOT = Path(__file__).parents[2]
CELL = "nmc-21700"
#: How often is looked, in seconds.
LOOK_S = 0.02


@dataclass
class Daemon:
    """A started daemon: ``process`` is its guardian."""

    process: asyncio.subprocess.Process
    socket: Path
    _line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, call: str, **asked: Any) -> Any:
        """What the desk answers; raises AssertionError for what it refuses."""
        reply = await self.asks(call, **asked)
        assert "ok" in reply, reply
        return reply["ok"]

    async def asks(self, call: str, **asked: Any) -> dict[str, Any]:
        """The whole reply."""
        if self._line is None:
            self._line = await asyncio.open_unix_connection(self.socket, limit=1 << 22)
        reader, writer = self._line
        writer.write(orjson.dumps({"call": call, **asked}) + b"\n")
        return dict(orjson.loads(await reader.readline()))

    async def opened(self, within_s: float = 25.0) -> None:
        async with asyncio.timeout(within_s):
            while not self.socket.exists():
                assert self.process.returncode is None, await self.over()
                await asyncio.sleep(LOOK_S)

    async def start(self, channel: str, *, by: str = "lin", **asked: Any) -> str:
        """Start a brief run; gives its id."""
        asked = {"sequence": "tests/brief", "cell": CELL, **asked}
        run = await self.ask("start", channel=channel, key=f"{channel} {asked}", by=by, **asked)
        assert "run_id" in run, run
        return str(run["run_id"])

    async def closed(self, run_id: str, within_s: float = 60.0) -> dict[str, Any]:
        async with asyncio.timeout(within_s):
            while (run := await self.ask("run", run_id=run_id))["state"] != "closed":  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        return dict(run)

    @property
    def child(self) -> int:
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    async def over(self, within_s: float = 30.0) -> tuple[int, str]:
        """Exit code of the guardian, and what was said."""
        if self._line is not None:
            self._line[1].close()
            self._line = None
        async with asyncio.timeout(within_s):
            _, said = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, (said or b"").decode()


@dataclass
class Line:
    folder: Path
    scene: Scene
    bench_file: Path
    channels: tuple[str, ...]
    starts: int = 0
    daemons: list[Daemon] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    async def daemon(self) -> Daemon:
        """Another one, on the same data; it is up when this returns."""
        self.starts += 1
        socket = self.folder / f"desk{self.starts}"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", MODULE, str(self.bench_file), str(self.data), str(socket),
            cwd=ROOT,
            env={**os.environ, "XDG_STATE_HOME": str(self.folder / "state")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        daemon = Daemon(process, socket)
        self.daemons.append(daemon)
        await daemon.opened()
        return daemon

    def energised(self) -> dict[str, list[str]]:
        """By channel what the plant has on now; empty: nothing."""
        plant = self.scene.plant
        plant.advance(asyncio.get_running_loop().time())
        found: dict[str, list[str]] = {}
        for name in self.channels:
            terminal = plant.terminal(name)
            told = [
                *(["output on"] if terminal.setting.on else []),
                *([f"{terminal.current_a:g} A"] if abs(terminal.current_a) > 1e-9 else []),
                *(["contactor closed"] if terminal.closed else []),
            ]
            if told:
                found[name] = told
        return found

    def carries(self, *channels: str) -> bool:
        """Whether a current flows in each of these channels."""
        plant = self.scene.plant
        plant.advance(asyncio.get_running_loop().time())
        return all(abs(plant.terminal(name).current_a) > 1.0 for name in channels)

    async def until(self, what: str, wanted: Callable[[], bool], within_s: float = 20.0) -> float:
        """Wait for the plant; gives how long it took."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        while not wanted():
            assert loop.time() - begun_s < within_s, f"{what}: not within {within_s:g} s; {self.energised()}"
            await asyncio.sleep(LOOK_S)
        return loop.time() - begun_s

    async def stays_off(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + seconds
        while loop.time() < end_s:
            assert not self.energised(), "it was energised by itself"
            await asyncio.sleep(LOOK_S)

    def bundle(self, run_id: str) -> Path:
        return self.data / "runs" / run_id


@asynccontextmanager
async def standing_line(folder: Path, text: str | None = None) -> AsyncIterator[Line]:
    """A bench of four channels (by default the line), each with a cell in it; every daemon ends with it."""
    quick = folder / "quick.toml"
    text = text or (examples() / "benches" / "line.toml").read_text()
    quick.write_text(re.sub(r'\b(rest|energised) = "(2|5|10) s"', r'\1 = "1 s"', text))
    bench, cell = load_bench(quick), load_cell(examples() / "cells" / f"{CELL}.toml")
    scene = Scene(empty_scene_spec(bench, seed=1))
    for at, channel in enumerate(bench.channels):
        SceneHands(scene).insert(channel, cell, mass_kg=cell.mass_kg, seed=at)
    urls = await scene.start()
    line = Line(folder, scene, folder / "standing.toml", tuple(bench.channels))
    line.bench_file.write_text(standing_bench(bench, urls))
    try:
        yield line
    finally:
        for daemon in line.daemons:
            if daemon.process.returncode is None:
                daemon.process.terminate()
                await daemon.over()
        await scene.close()
