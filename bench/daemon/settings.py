"""What a daemon is started with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.answers import Answers
from bench.plan import Plan
from bench.shipped import examples

#: Who answers what a run asks; None, for all or for one plan: people at the desk.
Answering = Callable[[Plan], Answers | None]


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """``cells`` are the cell files that may be asked for, by name, ``sequences`` those of the lab's own by id: nobody
    at a desk names a path. ``answering`` stands in for people, on simulated benches alone. ``seed`` is that of the
    simulated bench, ``start_utc_s`` where its wall clock begins."""

    bench: Path
    data: Path
    mode: Literal["simulated", "live"]
    cells: Mapping[str, Path] = field(default_factory=lambda: cells_in(examples() / "cells"))
    sequences: Mapping[str, Path] = field(default_factory=dict)
    answering: Answering | None = None
    seed: int = 1
    start_utc_s: float = 0.0


def cells_in(folder: Path) -> dict[str, Path]:
    """The cell files of a folder, by their names without ``.toml``."""
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}
