"""The command line: one module a command, each importing what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from bench.cli import (
    ack,
    attach,
    check,
    demo,
    devices,
    export,
    faults,
    handover,
    judge,
    report,
    resume,
    run,
    sample,
    sequences,
    serve,
    service,
    simulate,
    status,
    user,
    verify,
)
from bench.cli.ending import examples_of, performed

app = typer.Typer(
    name="cellbench",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Controller for battery production-line and certification test benches. Not a safety function: emergency "
    "stop, door lock, over-temperature cut-out and contactors are hardware.",
    epilog=examples_of("cellbench demo", "cellbench run --help"),
)
demo.add_to(app)
run.add_to(app)
check.add_to(app)
sequences.add_to(app)
faults.add_to(app)
devices.add_to(app)
sample.add_to(app)
report.add_to(app)
handover.add_to(app)
judge.add_to(app)
attach.add_to(app)
ack.add_to(app)
resume.add_to(app)
verify.add_to(app)
export.add_to(app)
simulate.add_to(app)
serve.add_to(app)
status.add_to(app)
user.add_to(app)
service.add_to(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the ``cellbench`` command; ``arguments`` are the command line's own unless given."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in (given[: given.index("--")] if "--" in given else given)
    sys.exit(performed(lambda: app(given, prog_name="cellbench", standalone_mode=False, obj=given), as_json=as_json))
