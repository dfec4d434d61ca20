"""A standing simulated bench in the test's own loop, in real time, and a live run on it in processes of its own.

The plant stands in the test: what is energised is told by its truth, not by what any driver was told.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.config import load_bench, load_cell
from bench.config.bench_file import standing_bench
from bench.shipped import examples
from bench.simulated import scene_spec
from simulators.scene import Scene

COMMAND = Path(sys.executable).with_name("cellbench")
CELL = examples() / "cells" / "nmc-21700.toml"
BENCH = examples() / "benches" / "demo.toml"
#: How often the plant is looked at, in seconds.
LOOK_S = 0.01

#: Minutes of discharge, so that whatever is to happen happens under current.
SEQUENCE = """\
schema: cellbench/sequence/1
id: test/guarded
title: {en: Guarded, zh: 守护}
summary: {en: A discharge., zh: 放电。}
log: {every: 1 s}
steps:
  - discharge:
      id: out
      mode: cc
      voltage: cell.v_min
      current: 0.5 I1
      end: duration >= SECONDS s
      timeout: 20 min
      results: {out_ah: charge}
results: {capacity_ah: result.out_ah}
criteria:
  - id: flowed
    kind: requirement
    title: {en: Charge flowed, zh: 有电荷流过}
    value: result.capacity_ah
    at_least: 1 mAh
    source: {standard: ours, edition: "1", grade: ours}
"""


@dataclass
class Standing:
    """The bench, its folder, and what became of the run."""

    folder: Path
    scene: Scene
    bench_file: Path
    data: Path = field(init=False)

    def __post_init__(self) -> None:
        self.data = self.folder / "cellbench-data"

    def new_data(self, name: str) -> None:
        """Another data folder with the same sample: what an earlier run has left there holds nobody up."""
        self.data = self.folder / name
        shutil.copytree(self.folder / "cellbench-data" / "samples", self.data / "samples")

    def energised(self) -> list[str]:
        """What the plant has on now."""
        plant = self.scene.plant
        plant.advance(asyncio.get_running_loop().time())
        terminal = plant.terminal("1")
        found = []
        if terminal.setting.on:
            found.append("output on")
        if abs(terminal.current_a) > 1e-9:
            found.append(f"{terminal.current_a:g} A")
        if terminal.closed:
            found.append("contactor closed")
        return found

    def sequence(self, seconds: int = 600) -> Path:
        path = self.folder / f"guarded-{seconds}.yaml"
        path.write_text(SEQUENCE.replace("SECONDS", str(seconds)))
        return path

    async def started(self, *, seconds: int = 600, **options: Any) -> asyncio.subprocess.Process:
        """A live run: the process is its guardian."""
        arguments = (
            "run", self.sequence(seconds), "--bench", self.bench_file, "--cell", CELL, "--live", "--sample", "S-1",
            "--operator", "t", "--json", "--data", self.data,
        )  # fmt: skip
        return await asyncio.create_subprocess_exec(
            COMMAND,
            *map(str, arguments),
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            **options,
        )

    async def until(self, what: str, wanted: Any, within_s: float = 20.0) -> float:
        """Wait for the plant; gives how long it took."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        while not wanted():
            assert loop.time() - begun_s < within_s, f"{what}: not within {within_s:g} s; energised: {self.energised()}"
            await asyncio.sleep(LOOK_S)
        return loop.time() - begun_s

    async def under_current(self) -> None:
        terminal = self.scene.plant.terminal("1")
        await self.until("a current flows", lambda: self.energised() and terminal.current_a < -1.0, 30.0)

    async def off(self, within_s: float) -> float:
        return await self.until("everything is off", lambda: not self.energised(), within_s)

    async def stays_off(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + seconds
        while loop.time() < end_s:
            assert not self.energised(), "it was energised again by itself"
            await asyncio.sleep(LOOK_S)

    @property
    def bundle(self) -> Path:
        """That of the latest run."""
        return sorted((self.data / "runs").iterdir())[-1]

    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.bundle / "guardian.jsonl").read_text().splitlines()]


@asynccontextmanager
async def standing(folder: Path) -> AsyncIterator[Standing]:
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240 - before the bench stands
    quick = folder / "quick.toml"
    quick.write_text(re.sub(r'(rest|energised) = "(2|5|10) s"', r'\1 = "1 s"', BENCH.read_text()))
    bench, cell = load_bench(quick), load_cell(CELL)
    scene = Scene(scene_spec(bench, cell, channel="1", mass_kg=cell.mass_kg, seed=1))
    urls = await scene.start()
    try:
        path = folder / "standing.toml"
        path.write_text(standing_bench(bench, urls))
        arguments = ("sample", "add", "S-1", "--cell", CELL, "--mass", "69.0 g", "--balance", "B-3")
        subprocess.run([COMMAND, *map(str, arguments)], cwd=folder, check=True, capture_output=True)  # noqa: ASYNC221
        yield Standing(folder, scene, path)
    finally:
        await scene.close()


def child_of(guardian: asyncio.subprocess.Process) -> int:
    """The process number of a guardian's child."""
    return int(Path(f"/proc/{guardian.pid}/task/{guardian.pid}/children").read_text().split()[0])


async def over(process: asyncio.subprocess.Process, within_s: float = 20.0) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    async with asyncio.timeout(within_s):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def kill(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)
