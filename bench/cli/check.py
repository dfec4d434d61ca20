"""``cellbench check``: everything that can be found wrong without touching a device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.ending import examples_of, output, print_json, progress, told

BENCH = Annotated[Path, typer.Option("--bench", help="The bench file (TOML).")]
CELL = Annotated[Path, typer.Option("--cell", help="The cell file (TOML).")]


def add_to(app: typer.Typer) -> None:
    app.command(
        "check",
        epilog=examples_of(
            "cellbench check gbt31486-2024/room-capacity --bench examples/benches/demo.toml "
            "--cell examples/cells/nmc-21700.toml"
        ),
    )(command)


def command(
    sequence: Annotated[str, typer.Argument(help="An id of the library, or the path of a sequence file.")],
    bench: BENCH,
    cell: CELL,
    channel: Annotated[str | None, typer.Option(help="The channel of the bench; needed if it has several.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of a parameter.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End stdout with one JSON object.")] = False,
) -> None:
    """Bind a sequence to a bench and a cell: every limit, range and role, all faults at once."""
    with told(as_json=as_json):
        from bench.cli.run import settings_of
        from bench.results import CheckResult
        from bench.run import Order, prepare

        order = Order(
            sequence=sequence,
            bench=bench,
            cell=cell,
            simulate=True,
            channel=channel,
            overrides=settings_of(overrides or []),
        )
        plan = prepare(order, os.environ).plan
        if as_json:
            print_json(
                CheckResult(
                    exit_code=0,
                    sequence=plan.sequence.id,
                    bench=plan.bench.name,
                    cell=plan.cell.type,
                    warnings=list(plan.warnings),
                    parameters={each.name: each.text for each in plan.parameters},
                    estimate_s=plan.estimate_s,
                )
            )
            return
        output.print(f"{plan.sequence.id} fits bench {plan.bench.name} and cell {plan.cell.type}", markup=False)
        output.print(f"about {plan.estimate_s / 3600:.1f} h on channel {plan.channel.name}", markup=False)
        for warning in plan.warnings:
            progress.print(f"[bold]warning[/bold]: {warning}", soft_wrap=True)
