"""A simulated run in which things go wrong as a fault script says."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.faults_file import StepNames, load_faults, when
from bench.observing import Message, Observation, Observer, StepStarted
from bench.simulated import Host, SceneSpec, SimulatedBench, Strike, Strikes, Turns
from drivers.errors import ConfigError, Fault
from sequences.language import Sequence

#: What happens to the program itself is the simulation harness's to do; a person's own run ends by its own keys.
_HERE = Host(stop=lambda: None, freeze=lambda: None, thaw=lambda: None, step_clock=lambda _: None)


@dataclass(frozen=True, slots=True)
class Struck:
    """``observer`` is the one to run with, by which steps are known; ``missed`` says what has never struck so far."""

    observer: Observer
    missed: Callable[[], list[Fault]]


def load(path: Path, scene: SceneSpec, sequence: Sequence) -> tuple[Strike, ...]:
    """Read a script of what can be struck in a run of one's own of this sequence. Raises ConfigError."""
    strikes = load_faults(path, scene, StepNames(sequence.steps))
    wrong = sorted({strike.fault for strike in strikes if not _HERE.can(strike.fault)})
    if wrong:
        fix = "take it out: it ends or cripples the program itself, which the simulation harness of the tests does"
        raise ConfigError([Fault(f"{name} cannot be struck in a run of your own", str(path), fix) for name in wrong])
    return strikes


@contextmanager
def struck(strikes: tuple[Strike, ...], bench: SimulatedBench, observer: Observer, *, seed: int) -> Iterator[Struck]:
    """Within it the faults come at their times; every one that strikes is told as a message."""
    turns = Turns()
    turns.install(asyncio.get_running_loop())
    host = Host(
        stop=lambda: signal.raise_signal(signal.SIGINT),
        freeze=turns.freeze,
        thaw=turns.thaw,
        step_clock=bench.step_clock,
    )
    script = Strikes(bench.scene, strikes, host, seed=seed)
    script.on_strike = lambda strike: observer(Message(f"FAULT {strike.fault} {strike.where}".rstrip()))
    script.arm()

    def told(observation: Observation) -> None:
        if isinstance(observation, StepStarted):
            script.step(observation.kind, observation.name, observation.path)
        observer(observation)

    def missed() -> list[Fault]:
        done = [it.strike for it in script.struck]
        fix = "the run ended before, or never came there: correct `when`"
        return [
            Fault(f"the fault {it.fault} of the script never struck", " ".join(filter(None, (it.where, when(it)))), fix)
            for it in strikes
            if it not in done
        ]

    try:
        yield Struck(told, missed)
    finally:
        turns.thaw()
        script.stop()
        asyncio.get_running_loop().set_task_factory(None)
