"""Whole runs in this process: files from the examples, edited, against simulators that a test may break."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.answers import simulated_operator
from bench.observing import Observation
from bench.results import RunResult
from bench.run import Order, prepare, run_simulated
from bench.shipped import examples
from bench.simulated import SimulatedBench

SHORT = Path(__file__).parent / "short.yaml"
START_UTC_S = 1767600000.0


@dataclass
class Watched:
    """What the plant looked like when the run had ended, and what an observer was told."""

    bench: SimulatedBench | None = None
    seen: list[Observation] = field(default_factory=list)

    def made_safe(self, channel: str = "1") -> bool:
        """The oracle is the plant, not the controller: no current, contactor open."""
        assert self.bench is not None
        terminal = self.bench.scene.plant.terminal(channel)
        return terminal.current_a == 0.0 and not terminal.closed

    def moved_ah(self, channel: str = "1") -> float:
        """All charge that went through the cell, either way."""
        assert self.bench is not None
        totals = self.bench.scene.plant.totals(channel)
        return totals.charged_ah + totals.discharged_ah


def edited(folder: Path, kind: str, name: str, edits: Mapping[str, str]) -> Path:
    """A copy of an example file with lines replaced; a key that is not there is put first into [simulation]."""
    text = (examples() / kind / f"{name}.toml").read_text()
    for key, value in edits.items():
        changed, count = re.subn(rf"(?m)^(\s*{key}\s*=).*$", rf"\g<1> {value}", text)
        text = changed if count else text.replace("[simulation]\n", f"[simulation]\n{key} = {value}\n", 1)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def order(
    folder: Path,
    *,
    sequence: str | Path = SHORT,
    cell: str = "nmc-21700",
    edits: Mapping[str, str] | None = None,
    bench: Path | None = None,
    seed: int = 1,
    overrides: Mapping[str, str] | None = None,
) -> Order:
    return Order(
        sequence=str(sequence),
        bench=bench or examples() / "benches" / "demo.toml",
        cell=edited(folder, "cells", cell, edits or {}),
        simulate=True,
        seed=seed,
        overrides=overrides or {},
        start_utc_s=START_UTC_S,
        data=folder / "data",
    )


def run(asked: Order, *, arrange: Callable[[SimulatedBench], None] | None = None) -> tuple[RunResult, Watched]:
    """Prepare and run. ``arrange`` gets the bench when it is up, before the first byte."""
    watched = Watched()

    def arranged(bench: SimulatedBench) -> None:
        watched.bench = bench
        if arrange is not None:
            arrange(bench)

    prepared = prepare(asked, {})
    answers = simulated_operator(prepared.plan.bench.simulation.operator)
    return run_simulated(prepared, answers, watched.seen.append, arrange=arranged), watched
