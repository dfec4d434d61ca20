"""How a command ends: one exit code, and either words on stderr or one JSON object at the end of stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
    """Turn a BenchError into every fault with its fix, and the exit code that belongs to it."""
    try:
        yield
    except BenchError as error:
        code = exit_code_of(error)
        if as_json:
            from bench.results import error_result

            print_json(error_result(error, code))
        for fault in error.faults:
            progress.print(f"[bold]{_plain(fault.where)}[/bold]: {_plain(fault.error)}", soft_wrap=True)
            progress.print(f"    fix: {_plain(fault.fix)}", soft_wrap=True)
        raise typer.Exit(code) from None


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
