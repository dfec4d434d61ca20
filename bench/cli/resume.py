"""``cellbench resume`` and ``cellbench close``: what becomes of a run whose program died."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.ending import examples_of, print_json, progress, told, under_guardian
from bench.cli.options import DATA, JSON, RUN

if TYPE_CHECKING:
    from bench.run import Order

ANSWERS = Annotated[Path | None, typer.Option(help="Answers file instead of the one that the run began with.")]


def add_to(app: typer.Typer) -> None:
    app.command(
        "resume",
        epilog=examples_of(
            'cellbench resume cellbench-data/runs/0007-room-capacity --by "Wang Fang"',
            'cellbench resume cellbench-data/runs/0007-room-capacity --by "Wang Fang" --scan C25-0007 --json',
            "cellbench resume cellbench-data/runs/0007-room-capacity --auto",
        ),
    )(resume)
    app.command("close", epilog=examples_of('cellbench close cellbench-data/runs/0007-room-capacity --by "Wang Fang"'))(
        close
    )


def resume(
    context: typer.Context,
    run: RUN,
    by: Annotated[str | None, typer.Option("--by", help="Who resumes it; default: the run's operator.")] = None,
    scan: Annotated[
        str | None, typer.Option("--scan", help="The id of the sample in the bench, scanned again; else it is asked.")
    ] = None,
    auto: Annotated[
        bool,
        typer.Option("--auto", help="Nobody is here: only where step, bench file and a safety permit all allow it."),
    ] = False,
    answers: ANSWERS = None,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Go on with an interrupted run. The hardware is read first, made safe and compared with the record.

    Every check is printed with its value and limit; one that does not hold refuses (code 3), and the bench stays safe.
    Otherwise exit codes as of `run`. An abuse test is never resumed.
    """
    with told(as_json=as_json):
        under_guardian(context, as_json=as_json)
        from bench.answers import AnswersInTurn
        from bench.cli.asking import Terminal
        from bench.cli.run import perform
        from bench.run import prepare

        order = order_of_run(run, by=by, scan=scan, auto=auto, answers=answers, data=data)
        latch_what_is_owed(run, data)
        prepared = prepare(order, os.environ)
        person = Terminal(prepared.order.operator or "operator", progress, confirms_harmless=False)
        said = person if prepared.answers is None else AnswersInTurn(prepared.answers, person)
        result = perform(prepared, said, person)
        if as_json:
            print_json(result)
        raise typer.Exit(result.exit_code)


def close(
    run: RUN,
    by: Annotated[str, typer.Option("--by", help="Who gives it up.")],
    note: Annotated[str, typer.Option("--note", help="Why, and what was found.")] = "",
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Give an interrupted run up: its bench is made safe, its bundle closed and sealed with what it has found.

    It ends by this person: ABORTED (code 3), or FAIL (code 1) where a requirement had failed already.
    """
    with told(as_json=as_json):
        from bench.closing import close_run

        result = close_run(run, by=by, note=note, data=data, environment=os.environ)
        for fault in result.faults:
            progress.print(f"{fault.where}: {fault.error}", markup=False, soft_wrap=True)
            progress.print(f"    fix: {fault.fix}", markup=False, soft_wrap=True)
        progress.print(
            f"{result.verdict.upper()}, closed by {by}; bundle {result.bundle}", markup=False, soft_wrap=True
        )
        if as_json:
            print_json(result)
        raise typer.Exit(result.exit_code)


def latch_what_is_owed(run: Path, data: Path | None) -> None:
    """A run that tripped and died before that was latched is not resumed; its bench is latched now, if nobody writes
    the run. Raises RecordError."""
    from bench.claim import note_use
    from bench.data_folder import DataFolder
    from bench.latch import Latches
    from bench.latch_owed import put_owed, told
    from bench.open_runs import is_owned

    if (run / "manifest.json").exists() or is_owned(run):
        return
    where = DataFolder.choose(data, os.environ)
    note_use(run, where, os.environ)
    latch = put_owed(run, Latches(where.path))
    if latch is not None:
        fault = told(latch)
        progress.print(f"{fault.error}; {fault.fix}", markup=False, soft_wrap=True)


def order_of_run(
    run: Path,
    *,
    by: str | None = None,
    scan: str | None = None,
    auto: bool = False,
    answers: Path | None = None,
    data: Path | None = None,
) -> Order:
    """The order that a bundle was begun with, to be made ready again. Raises ConfigError."""
    from bench.open_runs import order_of
    from bench.run import Order

    was = order_of(run)
    old = was.get("answers")
    return Order(
        sequence=str(run / "sequence.yaml"),
        bench=Path(was["bench"]),
        cell=Path(was["cell"]),
        simulate=False,
        channel=was.get("channel"),
        sample=was.get("sample"),
        operator=by or was.get("operator"),
        overrides=was.get("overrides") or {},
        data=data,
        answers=answers or (None if old is None else Path(old)),
        resume=run.resolve(),
        scan=scan,
        auto=auto,
    )
