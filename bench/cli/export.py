"""``cellbench export``: a run's readings in a format that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.ending import examples_of, output, print_json, told
from bench.cli.options import JSON, RUN


def add_to(app: typer.Typer) -> None:
    app.command(
        "export",
        epilog=examples_of("cellbench export cellbench-data/runs/0001-gbt31486-2024-room-capacity --format parquet"),
    )(command)


def command(
    run: RUN,
    format_: Annotated[str, typer.Option("--format", help="bdf-csv or parquet.")] = "bdf-csv",
    out: Annotated[Path | None, typer.Option(help="File to write; default: beside the run.")] = None,
    as_json: JSON = False,
) -> None:
    """Write a run's stored readings as BDF (CSV) or Parquet, beside the bundle, never into it."""
    with told(as_json=as_json):
        from bench.export import export
        from bench.results import FileResult

        files = export(run, format_, out)
        if as_json:
            print_json(FileResult(exit_code=0, bundle=str(run), files=[str(path) for path in files]))
        else:
            for path in files:
                output.print(str(path), markup=False, soft_wrap=True)
