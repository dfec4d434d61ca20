"""``cellbench report``: the report of a bundle, written again beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.ending import examples_of, output, print_json, told
from bench.cli.options import JSON, RUN


def add_to(app: typer.Typer) -> None:
    app.command(
        "report",
        epilog=examples_of(
            "cellbench report cellbench-data/runs/0001-gbt31486-2024-room-capacity --out report.html",
            "cellbench report cellbench-data/runs/0001-gbt31486-2024-room-capacity --lang zh",
        ),
    )(command)


def command(
    run: RUN,
    out: Annotated[
        Path | None, typer.Option(help="Where to write it; default: RUN.report.html beside the run.")
    ] = None,
    lang: Annotated[
        str, typer.Option("--lang", help="en (Chinese beside the headings) or zh; what the record says stays as it is.")
    ] = "en",
    as_json: JSON = False,
) -> None:
    """Write the HTML report of a run, closed or interrupted. A closed bundle itself is never written again."""
    with told(as_json=as_json):
        from bench.export import check_beside, written_beside
        from bench.report import render
        from bench.report.wording import language_of
        from bench.results import FileResult

        language = language_of(lang)
        target = out or run.resolve().with_name(f"{run.resolve().name}.report.html")
        check_beside(run, target)
        path = written_beside(run, target, render(run, language))
        if as_json:
            print_json(FileResult(exit_code=0, bundle=str(run), files=[str(path)]))
        else:
            output.print(str(path), markup=False, soft_wrap=True)
