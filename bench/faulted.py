"""A simulated run in which things go wrong as a fault script says."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.faults_file import load_faults
from bench.observing import Message, Observation, Observer, StepStarted
from bench.simulated import Host, SceneSpec, SimulatedBench, Strike, Strikes, Turns
from drivers.errors import ConfigError, Fault

#: What happens to the program itself is the simulation harness's to do; a person's own run ends by its own keys.
_HERE = Host(stop=lambda: None, freeze=lambda: None, thaw=lambda: None, step_clock=lambda _: None)


def load(path: Path, scene: SceneSpec) -> tuple[Strike, ...]:
    """Read a script of what can be struck in a run of one's own. Raises ConfigError."""
    strikes = load_faults(path, scene)
    wrong = sorted({strike.fault for strike in strikes if not _HERE.can(strike.fault)})
    if wrong:
        fix = "take it out: it ends or cripples the program itself, which the simulation harness of the tests does"
        raise ConfigError([Fault(f"{name} cannot be struck in a run of your own", str(path), fix) for name in wrong])
    return strikes


@contextmanager
def struck(strikes: tuple[Strike, ...], bench: SimulatedBench, observer: Observer, *, seed: int) -> Iterator[Observer]:
    """Within it the faults come at their times. Gives the observer to run with, by which steps are known; every fault
    that strikes is told as a message."""
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

    try:
        yield told
    finally:
        turns.thaw()
        script.stop()
        asyncio.get_running_loop().set_task_factory(None)
