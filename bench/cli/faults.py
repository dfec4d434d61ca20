"""``cellbench faults``: what a fault script may strike."""

from __future__ import annotations

import typer
from rich.table import Table

from bench.cli.ending import examples_of, output, print_json, told
from bench.cli.options import JSON


def add_to(app: typer.Typer) -> None:
    app.command("faults", epilog=examples_of("cellbench faults", "cellbench run ... --simulate --faults faults.yaml"))(
        command
    )


def command(as_json: JSON = False) -> None:
    """List the faults that a script for `cellbench run --simulate --faults` may name."""
    with told(as_json=as_json):
        from bench.results import FaultKindList, FaultKindRow
        from bench.simulated import FAULTS

        rows = [
            FaultKindRow(
                name=kind.name,
                numbers=list(kind.numbers),
                where=kind.target,
                models=list(kind.models),
                lasting=kind.lasting,
                parameters={name: f"{it.default:g} {it.unit}".rstrip() for name, it in kind.params.items()},
                en=kind.en,
                zh=kind.zh,
            )
            for kind in FAULTS.values()
        ]
        if as_json:
            print_json(FaultKindList(exit_code=0, faults=rows))
            return
        table = Table("name", "number", "where", "parameters", "", title="Faults", title_justify="left")
        for row in rows:
            params = ", ".join(f"{name}: {value}" for name, value in row.parameters.items())
            table.add_row(row.name, " ".join(row.numbers), row.where or "-", params, f"{row.en}\n{row.zh}")
        output.print(table)
