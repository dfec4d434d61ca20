"""Simulated instruments in a process of their own, in real time, so that their CPU is not counted as ours.

Run as ``python -m tests.benchmark.far_end``: prints the urls of its devices as one line of JSON and serves until its
standard input ends. They answer at once: a device's own delay and the slowness of a 9600 baud line are left out, since
only CPU is compared, and a processor that has slept for them would cost both sides the same on top.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.config import load_bench, load_cell
from bench.shipped import examples
from bench.simulated import scene_spec
from simulators.models import Reply
from simulators.scene import Scene

#: So many RTU lines, each with one module: while the others are read, each has its silence between two frames.
LINES = 80


@contextmanager
def far_end() -> Iterator[Mapping[str, str]]:
    """Start that process; gives the urls: ``psb``, and ``th1`` to ``thN``, each on a line of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def _at_once(answer: Callable[[bytes, float], Reply]) -> Callable[[bytes, float], Reply]:
    def answered(request: bytes, now_s: float) -> Reply:
        return [(0.0, part) for _, part in answer(request, now_s) or ()]

    return answered


async def _serve() -> None:
    bench = load_bench(examples() / "benches" / "demo.toml")
    cell = load_cell(examples() / "cells" / "nmc-21700.toml")
    spec = scene_spec(bench, cell, channel="1", mass_kg=cell.mass_kg, seed=1)
    psb, th1 = (next(device for device in spec.devices if device.name == name) for name in ("psb", "th1"))
    modules = [replace(th1, name=f"th{number}", line=f"line {number}") for number in range(1, LINES + 1)]
    scene = Scene(replace(spec, devices=(psb, *modules)))
    urls = await scene.start()
    for attached in scene._attached.values():
        attached.byte_s = 0.0
        personality: Any = attached.personality
        personality.answer = _at_once(personality.answer)
    print(json.dumps(urls), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await scene.close()


if __name__ == "__main__":
    asyncio.run(_serve())
