"""``cellbench handover``: the page that one shift hands to the next."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.ending import examples_of, output, print_json, told
from bench.cli.options import DATA, JSON
from drivers import ConfigError, Fault, RecordError, real_elapsed_s, system_clock

if TYPE_CHECKING:
    from bench.results import HandoverResult


def add_to(app: typer.Typer) -> None:
    app.command(
        "handover",
        epilog=examples_of(
            "cellbench handover --data cellbench-data --since 12h",
            "cellbench handover --data cellbench-data --bench bench.toml --lang zh --out handover.html",
        ),
    )(command)


def command(
    data: DATA = None,
    lang: Annotated[str, typer.Option("--lang", help="Language of the page: en or zh.")] = "en",
    since: Annotated[str, typer.Option("--since", help="Runs begun in the last so many hours or days: 12h, 3d.")] = (
        "12h"
    ),
    out: Annotated[Path | None, typer.Option("--out", help="Where to write it; default: handover.html here.")] = None,
    bench: Annotated[Path | None, typer.Option("--bench", help="A bench file: its overdue calibrations.")] = None,
    as_json: JSON = False,
) -> None:
    """Write the hand-over page of a data folder: trips, interrupted runs, judgements, samples, room for signatures.

    It reads the data folder (and a bench file, if given) and nothing else: no device is asked, nothing is acknowledged.
    """
    with told(as_json=as_json):
        result = written(data, lang, since, out or Path("handover.html"), bench)
        if as_json:
            print_json(result)
        else:
            output.print(result.file, markup=False, soft_wrap=True)


def written(data: Path | None, lang: str, since: str, out: Path, bench_path: Path | None) -> HandoverResult:
    """Gather and write the page. Raises ConfigError (an option, or no such folder), RecordError (it cannot be kept)."""
    from bench.config import load_bench
    from bench.data_folder import DataFolder
    from bench.report import handover
    from bench.report.wording import language_of
    from bench.results import HandoverResult
    from bench.samples import write_atomically

    language, back_s = language_of(lang), handover.span_s(since)
    folder = DataFolder.choose(data, os.environ).path
    if not folder.is_dir():
        raise ConfigError([Fault("there is no such data folder", str(folder), "give the one that the runs are in")])
    now_utc_s = system_clock(real_elapsed_s).utc_s()
    found = handover.gathered(folder, now_utc_s, back_s)
    if bench_path is not None:
        bench = load_bench(bench_path)
        found.bench = bench.name
        dates = {str(point): (it.certificate, it.due) for point, it in bench.calibration.items()}
        found.overdue = handover.overdue(dates, now_utc_s)
    try:
        write_atomically(out, handover.render(found, language).encode())
    except OSError as error:
        raise RecordError(f"the page cannot be written: {error.strerror}", str(out), "give another --out") from None
    return HandoverResult(
        exit_code=0,
        data=str(folder),
        file=str(out),
        language=language,
        since=handover.utc(found.since_utc_s),
        trips=[it.bench for it in found.trips],
        interrupted=[it.run_id for it in found.interrupted],
        awaiting=[it.run_id for it in found.awaiting],
        runs=[it.run_id for it in found.since],
        samples=[it.id for it in found.samples],
        overdue=None if found.overdue is None else [it.point for it in found.overdue],
        unreadable=found.unreadable,
    )
