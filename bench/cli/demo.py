"""``cellbench demo``: a whole certification-like run on a simulated bench, with nothing to prepare."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from bench.cli.ending import examples_of, told
from bench.cli.options import DATA, JSON, OUT, SEED, SIMULATED_START, SPEED, speed_of, start_of

DEMONSTRATED = "gbt31486-2024/room-capacity"


def add_to(app: typer.Typer) -> None:
    app.command("demo", epilog=examples_of("cellbench demo", "cellbench demo --cell nmc-21700 --seed 7"))(command)


def command(
    cell: Annotated[str, typer.Option(help="An example cell, by name.")] = "solid-state-gen1",
    seed: SEED = 1,
    speed: SPEED = "max",
    out: OUT = None,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Prove the capacity and energy density of a 300 Wh/kg solid-state cell on a simulated bench of real drivers."""
    with told(as_json=as_json):
        from bench.answers import simulated_operator
        from bench.cli.run import perform
        from bench.run import Order, prepare
        from bench.shipped import examples

        order = Order(
            sequence=DEMONSTRATED,
            bench=examples() / "benches" / "demo.toml",
            cell=examples() / "cells" / f"{cell}.toml",
            simulate=True,
            seed=seed,
            start_utc_s=start_of(SIMULATED_START),
            speed=speed_of(speed),
            data=data,
            out=out,
        )
        prepared = prepare(order, os.environ)
        answers = simulated_operator(prepared.plan.bench.simulation.operator)
        raise typer.Exit(perform(prepared, answers, as_json=as_json))
