"""``cellbench run``: one sequence, on one channel, with one sample, to a verdict and a sealed bundle."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from bench.cli.ending import examples_of, print_json, progress, told, under_guardian
from bench.cli.options import (
    BENCH,
    CELL,
    CHANNEL,
    DATA,
    JSON,
    OUT,
    SEED,
    SEQUENCE,
    SETTINGS,
    SIMULATED_START,
    SPEED,
    settings_of,
    speed_of,
    start_of,
)
from drivers import ConfigError, Fault

if TYPE_CHECKING:
    from bench.answers import Answers
    from bench.cli.asking import Terminal
    from bench.results import RunResult
    from bench.run import Prepared

T = TypeVar("T")


def add_to(app: typer.Typer) -> None:
    app.command(
        "run",
        epilog=examples_of(
            "cellbench run gbt31486-2024/room-capacity --bench examples/benches/demo.toml "
            "--cell examples/cells/solid-state-gen1.toml --simulate --yes",
            "cellbench run gbt31486-2024/room-capacity --bench bench.toml --cell cell.toml --live --sample S-0001 "
            "--operator lin",
        ),
    )(command)


def command(
    context: typer.Context,
    sequence: SEQUENCE,
    bench: BENCH,
    cell: CELL,
    simulate: Annotated[bool, typer.Option("--simulate", help="Put a simulator behind every device.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Use the bench file's own addresses.")] = False,
    channel: CHANNEL = None,
    sample: Annotated[
        str | None, typer.Option(help="The sample's id (see `cellbench sample add`); a live run asks for it.")
    ] = None,
    operator: Annotated[str | None, typer.Option(help="Who runs it; printed in the report.")] = None,
    speed: SPEED = "max",
    seed: SEED = 1,
    start: Annotated[
        str, typer.Option(help="Wall clock at which a simulated run begins (ISO 8601).")
    ] = SIMULATED_START,
    overrides: SETTINGS = None,
    out: OUT = None,
    data: DATA = None,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            help="With --simulate: simulated people answer, arm, start and judge. With --live: only confirmations that "
            "are harmless and ask for nothing.",
        ),
    ] = False,
    answers: Annotated[
        Path | None,
        typer.Option(help="YAML file with entries, judgements and leave by name; docs/operator.md shows one."),
    ] = None,
    faults_script: Annotated[
        Path | None,
        typer.Option("--faults", help="With --simulate: a YAML script of what goes wrong; see `cellbench faults`."),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Run a sequence. Exit code 0 pass, 1 fail, 2 usage, 3 aborted, 4 device, 5 inconclusive."""
    with told(as_json=as_json):
        if live and not simulate:
            under_guardian(context, as_json=as_json)
        from bench.cli.asking import Terminal, asked_sample
        from bench.run import Order, prepare

        faults: list[Fault] = []
        if simulate == live:
            said = "both --simulate and --live were given" if simulate else "neither --simulate nor --live was given"
            fix = "say --simulate to run against simulators, or --live to run on the bench"
            faults.append(Fault(said, "command line", fix))
        if live and not simulate:
            faults += _simulated_only(context)
            if sample is None and not faults:
                sample = asked_sample(progress)
        order = Order(
            sequence=sequence,
            bench=bench,
            cell=cell,
            simulate=simulate or not live,
            channel=channel,
            sample=sample,
            operator=operator,
            overrides=_collected(lambda: settings_of(overrides or []), {}, faults),
            seed=seed,
            speed=_collected(lambda: speed_of(speed), None, faults),
            start_utc_s=_collected(lambda: start_of(start), 0.0, faults),
            data=data,
            out=out,
            answers=answers,
            faults=faults_script,
        )
        try:
            prepared = prepare(order, os.environ)
        except ConfigError as error:
            raise ConfigError([*faults, *error.faults]) from None
        if faults:
            raise ConfigError(faults)
        person = Terminal(operator or "operator", progress, confirms_harmless=yes)
        result = perform(prepared, _answers(prepared, person, yes=yes), person)
        if as_json:
            print_json(result)
        raise typer.Exit(result.exit_code)


def perform(prepared: Prepared, answers: Answers, person: Terminal | None = None) -> RunResult:
    """Carry a prepared run out before people's eyes, and show what came of it. ``person`` may be asked meanwhile."""
    from bench.cli.view import RunView, show_result
    from bench.run import run_live, run_simulated
    from bench.simulated import clock_held

    with RunView(prepared, progress) as view:
        if person is not None:
            person.during = [view.paused, *([clock_held] if prepared.order.simulate else [])]
        carry_out = run_simulated if prepared.order.simulate else run_live
        result = carry_out(prepared, answers, view.observe)
    show_result(result, prepared, progress)
    return result


def _collected(read: Callable[[], T], instead: T, faults: list[Fault]) -> T:
    try:
        return read()
    except ConfigError as error:
        faults.extend(error.faults)
        return instead


def _simulated_only(context: typer.Context) -> list[Fault]:
    """What was written on the command line and says nothing on a bench."""
    written = [name for name in ("speed", "seed", "start") if _is_written(context, name)]
    fix = "leave it out: a bench runs in real time, with its own noise; or say --simulate"
    if _is_written(context, "faults_script"):
        written.append("faults")
    return [Fault(f"--{name} is for simulated runs only", f"--{name}", fix) for name in written]


def _is_written(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _answers(prepared: Prepared, person: Terminal, *, yes: bool) -> Answers:
    """A file's, with a person for what it leaves open; simulated people's, where every device is; or a person's."""
    from bench.answers import AnswersInTurn, simulated_operator

    if prepared.answers is not None:
        return AnswersInTurn(prepared.answers, person)
    if yes and prepared.order.simulate:
        return simulated_operator(prepared.plan.bench.simulation.operator)
    return person
