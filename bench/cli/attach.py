"""``cellbench attach``: a file that belongs to a closed run, such as its video."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.ending import examples_of, output, print_json, told
from bench.cli.options import DATA, JSON, RUN
from drivers import ConfigError, Dimension, Fault, UnitError, parse_as, real_elapsed_s, system_clock


class What(StrEnum):
    VIDEO = "video"
    PHOTO = "photo"
    BALANCE = "balance"
    OTHER = "other"


def add_to(app: typer.Typer) -> None:
    app.command(
        "attach",
        epilog=examples_of(
            "cellbench attach cellbench-data/runs/0002-gbt31485-2015-nail-penetration nail.mp4 --what video "
            '--by "Wang Fang" --clock-offset "1.2 s"'
        ),
    )(command)


def command(
    run: RUN,
    file: Annotated[Path, typer.Argument(help="The file; it is copied into the run's folder.")],
    what: Annotated[What, typer.Option("--what", help="What it is; balance: a balance's print-out.")],
    by: Annotated[str, typer.Option("--by", help="Who adds it.")],
    note: Annotated[str, typer.Option("--note", help="What it shows.")] = "",
    clock_offset: Annotated[
        str | None, typer.Option("--clock-offset", help="The file's clock less the run's, such as '1.2 s'.")
    ] = None,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Copy a video, photo or print-out into a closed run, named by its sha256. Nothing that is sealed changes."""
    with told(as_json=as_json):
        from bench.data_folder import DataFolder
        from bench.later_evidence import attach

        offset_s = _offset_s(clock_offset)
        result = attach(
            run,
            file,
            what=what.value,
            by=by,
            note=note,
            clock_offset_s=offset_s,
            utc_s=system_clock(real_elapsed_s).utc_s(),
            key=DataFolder.choose(data, os.environ).seal_key(),
        )
        if as_json:
            print_json(result)
        else:
            output.print(f"{result.bundle}/{result.file}", markup=False, soft_wrap=True)
            output.print(f"added {result.bundle}/{result.amendment}", markup=False, soft_wrap=True)


def _offset_s(text: str | None) -> float | None:
    """Raises ConfigError."""
    try:
        return None if text is None else parse_as(text, Dimension.TIME)
    except UnitError as error:
        raise ConfigError([Fault(str(error), "--clock-offset", "write for example '1.2 s' or '-0.3 s'")]) from None
