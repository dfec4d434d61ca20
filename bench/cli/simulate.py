"""``cellbench simulate``: one simulated device, or a whole standing bench, in real time for other programs."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from bench.cli.ending import examples_of, progress, told
from bench.cli.options import SEED
from drivers import ConfigError, Fault

T = TypeVar("T")


def add_to(app: typer.Typer) -> None:
    app.command(
        "simulate",
        epilog=examples_of(
            "cellbench simulate ea-psb10000 --listen tcp://127.0.0.1:5025 --cell examples/cells/nmc-25ah.toml",
            "cellbench simulate icpdas-m-7018 --listen pty:/tmp/th1",
            "cellbench simulate penetration-rig --listen tcp://127.0.0.1:5020",
            "cellbench simulate modbus-points --profile my-points.toml --listen tcp://127.0.0.1:5021",
            "cellbench simulate --bench examples/benches/demo.toml --cell examples/cells/nmc-21700.toml "
            "--write-bench /tmp/standing.toml",
        ),
    )(command)


def command(
    model: Annotated[str | None, typer.Argument(help="A device model, or nothing for a whole bench.")] = None,
    listen: Annotated[str | None, typer.Option(help="tcp://HOST:PORT or pty:PATH, for one device.")] = None,
    profile: Annotated[
        str | None,
        typer.Option(help="For penetration-rig and modbus-points: a profile that comes with Cellbench, or a file."),
    ] = None,
    bench: Annotated[Path | None, typer.Option("--bench", help="The bench file to stand in for.")] = None,
    cell: Annotated[Path | None, typer.Option("--cell", help="The cell that is connected.")] = None,
    channel: Annotated[str | None, typer.Option(help="The channel that holds the cell.")] = None,
    seed: SEED = 1,
    write_bench: Annotated[
        Path | None, typer.Option(help="Where to write the standing bench's own bench file.")
    ] = None,
) -> None:
    """Run simulated devices until Ctrl-C, in real time, for clients that others wrote or for `run --live`."""
    with told(as_json=False):
        if model is not None:
            asyncio.run(_one_device(model, _needed(listen, "--listen"), cell, seed, profile))
        else:
            bench_path, cell_path = _needed(bench, "--bench"), _needed(cell, "--cell")
            target = _needed(write_bench, "--write-bench")
            asyncio.run(_standing_bench(bench_path, cell_path, channel, seed, target))


def _needed(value: T | None, option: str) -> T:
    if value is None:
        fix = "give a model and --listen, or --bench, --cell and --write-bench; see `cellbench simulate --help`"
        raise ConfigError([Fault(f"{option} is missing", "command line", fix)])
    return value


async def _one_device(model: str, listen: str, cell_path: Path | None, seed: int, profile: str | None) -> None:
    from bench.config import load_cell
    from bench.shipped import examples
    from bench.simulated import lone_device

    cell = load_cell(cell_path or examples() / "cells" / "nmc-25ah.toml")
    async with lone_device(model, listen, cell, seed=seed, profile=profile) as url:
        progress.print(f"simulated {model} on {url}; Ctrl-C ends it", markup=False, soft_wrap=True)
        await _until_stopped()


async def _standing_bench(bench_path: Path, cell_path: Path, channel: str | None, seed: int, target: Path) -> None:
    from bench.config import load_bench, load_cell
    from bench.config.bench_file import standing_bench
    from bench.samples import write_atomically
    from bench.simulated import scene_spec, standing_scene

    bench, cell = load_bench(bench_path), load_cell(cell_path)
    spec = scene_spec(bench, cell, channel=bench.chosen_channel(channel), mass_kg=cell.mass_kg, seed=seed)
    async with standing_scene(spec) as standing:
        write_atomically(target, standing_bench(bench, standing.urls, hands=standing.hands).encode())
        for device, url in standing.urls.items():
            progress.print(f"{device:<8} {url}", markup=False, soft_wrap=True)
        progress.print(f"bench file {target}; Ctrl-C ends it", markup=False, soft_wrap=True)
        await _until_stopped()


async def _until_stopped() -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
