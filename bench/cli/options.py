"""The options that several commands share, each said once, and the text of three of them as values."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from drivers import ConfigError, Fault

SEQUENCE = Annotated[str, typer.Argument(help="An id of the library, or the path of a sequence file.")]
BENCH = Annotated[Path, typer.Option("--bench", help="The bench file (TOML).")]
CELL = Annotated[Path, typer.Option("--cell", help="The cell file (TOML).")]
CHANNEL = Annotated[str | None, typer.Option("--channel", help="The channel of the bench; needed if it has several.")]
SETTINGS = Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of a parameter.")]
SEED = Annotated[int, typer.Option("--seed", help="Seed of every simulated noise.")]
SPEED = Annotated[str, typer.Option("--speed", help="Simulated time: max, real, or how many times faster than real.")]
OUT = Annotated[Path | None, typer.Option("--out", help="Folder for the bundle; default: runs/ in the data folder.")]
DATA = Annotated[Path | None, typer.Option("--data", help="Data folder; default $CELLBENCH_DATA or ./cellbench-data.")]
RUN = Annotated[Path, typer.Argument(help="The bundle: a run's folder, anywhere.")]
JSON = Annotated[bool, typer.Option("--json", help="End stdout with one JSON object.")]

#: A simulated run's wall clock starts here unless --start says otherwise, so that runs can be compared.
SIMULATED_START = "2026-01-05T08:00:00+00:00"


def settings_of(texts: list[str]) -> dict[str, str]:
    """``NAME=VALUE`` each. Raises ConfigError with every one that is not."""
    faults = [
        Fault(f"{text!r} is not NAME=VALUE", "--set", "write for example --set current='1 I3'")
        for text in texts
        if not text.partition("=")[0].strip() or "=" not in text
    ]
    if faults:
        raise ConfigError(faults)
    return {name.strip(): value.strip() for name, _, value in (text.partition("=") for text in texts)}


def speed_of(text: str) -> float | None:
    """How many times faster than real; None is as fast as the machine can. Raises ConfigError."""
    if text == "max":
        return None
    if text == "real":
        return 1.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.0 < speed < 1e9:
        fault = Fault(f"{text!r} is no speed", "--speed", "write max, real, or a number such as 60")
        raise ConfigError([fault])
    return speed


def start_of(text: str) -> float:
    """Unix seconds of an ISO 8601 time, UTC unless it says otherwise. Raises ConfigError."""
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        fault = Fault(f"{text!r} is no time", "--start", f"write for example {SIMULATED_START}")
        raise ConfigError([fault]) from None
    return (start if start.tzinfo is not None else start.replace(tzinfo=UTC)).timestamp()
