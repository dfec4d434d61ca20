"""How a command ends: one exit code, and either words on stderr or one JSON object at the end of stdout."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from pydantic import BaseModel
from rich.console import Console
from typer.exceptions import TyperException

from drivers import BenchError, ConfigError, Fault, PreflightRefused

#: What an operator reads while a command works; stdout is kept for results.
progress = Console(stderr=True, highlight=False)
#: What a command was asked for.
output = Console(highlight=False)

CONFIGURATION = 2
ABORTED = 3
DEVICE = 4

STOPPED = BenchError("stopped by a person", "this command", "run it again")


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


def performed(command: Callable[[], object], *, as_json: bool) -> int:
    """Carry a command line out; gives its exit code. What the parser refuses is code 2, with its object as well.

    A person who leaves a prompt is code 3, as in :func:`told`.
    """
    try:
        code = command()
    except TyperException as error:
        if error.format_message():  # empty: the help page stands on the screen already
            _say(ConfigError([_usage(error)]), CONFIGURATION, as_json=as_json)
        return CONFIGURATION
    except typer.Abort:
        _say(STOPPED, ABORTED, as_json=as_json)
        return ABORTED
    return code if isinstance(code, int) else 0


def _usage(error: TyperException) -> Fault:
    context = getattr(error, "ctx", None)
    where = "cellbench" if context is None else context.command_path
    return Fault(error.format_message(), where, f"`{where} --help` lists what it takes, and ends with an example")


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
        _tell(STOPPED, ABORTED, as_json=as_json)
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception as error:  # noqa: BLE001 - the border to the shell: no exception may pass for a verdict
        traceback.print_exc(file=sys.stderr)
        slip = f"{type(error).__name__}: {error}"
        fix = "report this with the trace above; a run's folder, if there is one, stays as it is"
        _tell(BenchError(slip, "this program", fix), DEVICE, as_json=as_json)


def under_guardian(context: typer.Context, *, as_json: bool) -> None:
    """Go on only in a child of a guardian: any other process becomes the guardian of one with its own command line, and
    ends as that does."""
    from bench.guardian import guarded

    over = guarded(context.find_root().obj)
    if over is None:
        return
    if over.why is not None:
        fix = "find out why, then look at the bundle's guardian.jsonl; every device is confirmed safe"
        if over.code == DEVICE:
            fix = "isolate the sample by hand: not every device is confirmed safe; see the bundle's guardian.jsonl"
        _tell(BenchError(f"the guardian has ended the run: {over.why}", "guardian", fix), over.code, as_json=as_json)
    raise typer.Exit(over.code)


def _tell(error: BenchError, code: int, *, as_json: bool) -> NoReturn:
    _say(error, code, as_json=as_json)
    raise typer.Exit(code) from None


def _say(error: BenchError, code: int, *, as_json: bool) -> None:
    if as_json:
        from bench.results import error_result

        print_json(error_result(error, code))
    for fault in error.faults:
        progress.print(f"[bold]{_plain(fault.where)}[/bold]: {_plain(fault.error)}", soft_wrap=True)
        progress.print(f"    fix: {_plain(fault.fix)}", soft_wrap=True)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
