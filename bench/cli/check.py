"""``cellbench check``: everything that can be found wrong without touching a device."""

from __future__ import annotations

import os

import typer

from bench.cli.ending import examples_of, output, print_json, progress, told
from bench.cli.options import BENCH, CELL, CHANNEL, JSON, SEQUENCE, SETTINGS, settings_of


def add_to(app: typer.Typer) -> None:
    app.command(
        "check",
        epilog=examples_of(
            "cellbench check gbt31486-2024/room-capacity --bench examples/benches/demo.toml "
            "--cell examples/cells/nmc-21700.toml"
        ),
    )(command)


def command(
    sequence: SEQUENCE,
    bench: BENCH,
    cell: CELL,
    channel: CHANNEL = None,
    overrides: SETTINGS = None,
    as_json: JSON = False,
) -> None:
    """Bind a sequence to a bench and a cell: every limit, range and role, all faults at once."""
    with told(as_json=as_json):
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
                    takes_away=list(plan.takes_away),
                )
            )
            return
        output.print(f"{plan.sequence.id} fits bench {plan.bench.name} and cell {plan.cell.type}", markup=False)
        output.print(f"about {plan.estimate_s / 3600:.1f} h on channel {plan.channel.name}", markup=False)
        if plan.takes_away:
            output.print("what takes energy away, and by when:", markup=False)
        for text in plan.takes_away:
            output.print(f"  {text}", markup=False, soft_wrap=True)
        for warning in plan.warnings:
            progress.print(f"[bold]warning[/bold]: {warning}", soft_wrap=True)
