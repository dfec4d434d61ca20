"""How a command ends: one exit code, and either words on stderr or one JSON object at the end of stdout."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from pydantic import BaseModel
from rich.console import Console

from drivers import BenchError, ConfigError, PreflightRefused

#: What an operator reads while a command works; stdout is kept for results.
progress = Console(stderr=True, highlight=False)
#: What a command was asked for.
output = Console(highlight=False)

CONFIGURATION = 2
ABORTED = 3
DEVICE = 4


def examples_of(*commands: str) -> str:
    """The epilogue of a ``--help`` page. Blank lines keep each example on a line of its own."""
    return "\n\n".join(("Examples:", *(f"  {command}" for command in commands)))


def exit_code_of(error: BenchError) -> int:
    """2 for what is found on data, 3 for the sample's side, 4 for devices, wires, locks and the record."""
    if isinstance(error, ConfigError):
        return CONFIGURATION
    if isinstance(error, PreflightRefused):
        return ABORTED
    return DEVICE


def print_json(model: BaseModel) -> None:
    """The one object that ends stdout under ``--json``."""
    sys.stdout.write(model.model_dump_json(by_alias=True) + "\n")
    sys.stdout.flush()


@contextmanager
def told(*, as_json: bool) -> Iterator[None]:
    """Turn a BenchError into every fault with its fix, and the exit code that belongs to it.

    A slip of the program is code 4 with its trace, a Ctrl-C before or after a run code 3: the code 1 that Python and
    the shell give to either would say that the sample has failed.
    """
    try:
        yield
    except BenchError as error:
        _tell(error, exit_code_of(error), as_json=as_json)
    except KeyboardInterrupt:
        _tell(BenchError("stopped by a person", "this command", "run it again"), ABORTED, as_json=as_json)
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception as error:  # noqa: BLE001 - the border to the shell: no exception may pass for a verdict
        traceback.print_exc(file=sys.stderr)
        slip = f"{type(error).__name__}: {error}"
        fix = "report this with the trace above; a run's folder, if there is one, stays as it is"
        _tell(BenchError(slip, "this program", fix), DEVICE, as_json=as_json)


def _tell(error: BenchError, code: int, *, as_json: bool) -> NoReturn:
    if as_json:
        from bench.results import error_result

        print_json(error_result(error, code))
    for fault in error.faults:
        progress.print(f"[bold]{_plain(fault.where)}[/bold]: {_plain(fault.error)}", soft_wrap=True)
        progress.print(f"    fix: {_plain(fault.fix)}", soft_wrap=True)
    raise typer.Exit(code) from None


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
