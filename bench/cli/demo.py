"""``cellbench demo``: a whole certification-like run on a simulated bench, with nothing to prepare."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.ending import examples_of, told

SEQUENCE = "gbt31486-2024/room-capacity"


def add_to(app: typer.Typer) -> None:
    app.command("demo", epilog=examples_of("cellbench demo", "cellbench demo --cell nmc-21700 --seed 7"))(command)


def command(
    cell: Annotated[str, typer.Option(help="An example cell, by name.")] = "solid-state-gen1",
    seed: Annotated[int, typer.Option(help="Seed of every simulated noise.")] = 1,
    speed: Annotated[str, typer.Option(help="max, real, or how many times faster than real.")] = "max",
    out: Annotated[Path | None, typer.Option(help="Folder for the bundle; default: runs/ in the data folder.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder; default $CELLBENCH_DATA or ./cellbench-data.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End stdout with one JSON object.")] = False,
) -> None:
    """Prove the capacity and energy density of a 300 Wh/kg solid-state cell on a simulated bench of real drivers."""
    with told(as_json=as_json):
        from bench.answers import simulated_operator
        from bench.cli.run import SIMULATED_START, perform, speed_of, start_of
        from bench.run import Order, prepare
        from bench.shipped import examples

        order = Order(
            sequence=SEQUENCE,
            bench=examples() / "benches" / "demo.toml",
            cell=examples() / "cells" / f"{cell}.toml",
            simulate=True,
            seed=seed,
            start_utc_s=start_of(SIMULATED_START),
            data=data,
            out=out,
        )
        prepared = prepare(replace(order, speed=speed_of(speed)), os.environ)
        answers = simulated_operator(prepared.plan.bench.simulation.operator)
        raise typer.Exit(perform(prepared, answers, as_json=as_json))
