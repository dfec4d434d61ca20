"""``cellbench demo``: what a cell holds, then what becomes of it with a nail through it, with nothing to prepare."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from bench.cli.ending import examples_of, print_json, progress, told
from bench.cli.options import DATA, JSON, OUT, SEED, SIMULATED_START, SPEED, speed_of, start_of

if TYPE_CHECKING:
    from bench.results import RunResult

#: In this order; both are prepared before the first one runs.
DEMONSTRATED = ("gbt31486-2024/room-capacity", "gbt31485-2015/nail-penetration")


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
    """Prove the capacity of a 300 Wh/kg solid-state cell, then drive a nail through it, on a simulated bench of real
    drivers. Exit code 0: both tests came to a verdict, PASS or FAIL. A cell that burns is no fault of the program.
    """
    with told(as_json=as_json):
        from bench.answers import simulated_operator
        from bench.cli.run import perform
        from bench.results import DemoResult
        from bench.run import Order, prepare
        from bench.shipped import examples

        asked = [
            prepare(
                Order(
                    sequence=sequence,
                    bench=examples() / "benches" / "demo.toml",
                    cell=examples() / "cells" / f"{cell}.toml",
                    simulate=True,
                    seed=seed,
                    start_utc_s=start_of(SIMULATED_START),
                    speed=speed_of(speed),
                    data=data,
                    out=out,
                ),
                os.environ,
            )
            for sequence in DEMONSTRATED
        ]
        runs: list[RunResult] = []
        for prepared in asked:
            runs.append(perform(prepared, simulated_operator(prepared.plan.bench.simulation.operator)))
            progress.print()
        _show(runs)
        undecided = [run.exit_code for run in runs if run.verdict not in ("pass", "fail")]
        code = undecided[0] if undecided else 0
        if as_json:
            print_json(DemoResult(exit_code=code, runs=runs))
        raise typer.Exit(code)


def _show(runs: list[RunResult]) -> None:
    """Both verdicts, one under the other."""
    from bench.cli.view import STYLES, UNDECIDED
    from bench.report.words import VERDICTS

    for sequence, run in zip(DEMONSTRATED, runs, strict=True):
        verdict = Text(" ".join(VERDICTS[run.verdict]), style=STYLES.get(run.verdict, UNDECIDED))
        progress.print(Text.assemble(f"{sequence:<32} ", verdict))
