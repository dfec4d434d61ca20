"""``cellbench sequences``: what the library holds."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from bench.cli.ending import examples_of, output, print_json, told
from bench.cli.options import JSON


def add_to(app: typer.Typer) -> None:
    app.command(
        "sequences", epilog=examples_of("cellbench sequences", "cellbench sequences gbt31486-2024/room-capacity")
    )(command)


def command(
    sequence: Annotated[str | None, typer.Argument(help="Show one sequence whole: an id of the library.")] = None,
    as_json: JSON = False,
) -> None:
    """List the sequences of the library, or print one."""
    with told(as_json=as_json):
        import sequences
        from bench.results import SequenceList, SequenceRow

        if sequence is not None:
            text = sequences.source(sequence).text
            if not as_json:
                output.print(text, markup=False, soft_wrap=True)
                return
        rows = [
            SequenceRow(
                id=entry.id,
                title=entry.title.en,
                standard=f"{entry.standard.source}-{entry.standard.edition} {entry.standard.clause}"
                if entry.standard
                else None,
                status=entry.standard.status.en if entry.standard else None,
                class_=entry.class_.value,
                summary=entry.summary.en,
            )
            for entry in sequences.catalogue()
            if sequence is None or entry.id == sequence
        ]
        if as_json:
            print_json(SequenceList(exit_code=0, sequences=rows))
            return
        table = Table("id", "title", "standard", "status", title="Sequences", title_justify="left")
        for row in rows:
            table.add_row(row.id, row.title, row.standard or "-", row.status or "-")
        output.print(table)
