"""``cellbench verify``: is a bundle what it was when it was closed?"""

from __future__ import annotations

import typer

from bench.cli.ending import examples_of, output, print_json, told
from bench.cli.options import JSON, RUN


def add_to(app: typer.Typer) -> None:
    app.command("verify", epilog=examples_of("cellbench verify cellbench-data/runs/0001-gbt31486-2024-room-capacity"))(
        command
    )


def command(
    run: RUN,
    as_json: JSON = False,
) -> None:
    """Check every file, both log chains, the seal and what came after it.

    0 intact, 1 altered, 2 not a bundle, 5 not closed.
    """
    with told(as_json=as_json):
        from bench.verify import verify, verify_result

        result = verify_result(verify(run))
        if as_json:
            print_json(result)
        else:
            added = f", {result.amendments} amendments" if result.amendments else ""
            output.print(f"{run}: {result.status.value}{added}", markup=False, soft_wrap=True)
            for problem in result.problems:
                output.print(f"  {problem}", markup=False, soft_wrap=True)
        raise typer.Exit(result.exit_code)
