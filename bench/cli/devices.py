"""``cellbench devices``: which models there are, and how far each claim goes."""

from __future__ import annotations

import typer
from rich.table import Table

from bench.cli.ending import examples_of, output, print_json, told
from bench.cli.options import JSON


def add_to(app: typer.Typer) -> None:
    app.command("devices", epilog=examples_of("cellbench devices", "cellbench devices --json"))(command)


def command(
    as_json: JSON = False,
) -> None:
    """List the device models: the kind, the wires they speak on, and the evidence behind the driver."""
    with told(as_json=as_json):
        from bench.results import DeviceList, DeviceRow
        from drivers.models import driver_model, model_names

        models = [driver_model(name) for name in model_names()]
        if as_json:
            rows = [
                DeviceRow(
                    model=model.name,
                    title=model.title,
                    kind=model.kind.value,
                    schemes=list(model.schemes),
                    points={name: kind.value for name, kind in model.points.items()},
                    on_comm_loss=model.on_comm_loss.value,
                    evidence=model.evidence,
                )
                for model in models
            ]
            print_json(DeviceList(exit_code=0, devices=rows))
            return
        table = Table("model", "title", "kind", "url", "evidence", title="Device models", title_justify="left")
        for model in models:
            table.add_row(model.name, model.title, model.kind.value, ", ".join(model.schemes), model.evidence)
        output.print(table)
