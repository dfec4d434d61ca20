"""One world, carried out: the program's own run against a bench on which a script strikes, watched by the plant."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from bench.answers import Answers, simulated_operator
from bench.observing import Message, Observation, StepStarted
from bench.results import RunResult
from bench.run import Prepared, carry_out, far_end_of, prepare
from bench.run_record import sample_id
from bench.shipped import examples
from bench.simulated import SimulatedBench, in_virtual_time, scene_spec, virtual_bench
from drivers.errors import BenchError
from simulators.spec import SceneSpec
from simulators.strikes import Host, Strike, Strikes, Struck
from simulators.turns import BENCH, OnTurn, Turns
from tests.scenarios.runs import order
from tests.simulation.failing_disk import FailingDisk, disk_of
from tests.simulation.nail_truth import NailLook, NailWatch
from tests.simulation.people import People, Said
from tests.simulation.truth import Look, Watch
from tests.simulation.worlds import CHANNEL, CYCLED, World

SEQUENCE = Path(__file__).parent / "sequence.yaml"
NAIL = Path(__file__).parent / "nail.yaml"
#: A run that has not ended by then hangs; a minute of it is the recording after a trip.
LONGEST_S = 600.0
#: A world that has not ended by then hangs by the harness's own fault: it fails, and says so.
NEVER_S = 20_000.0
#: The bench is watched so much longer: more than every watchdog of its devices.
AFTER_S = 8.0
#: From healed to a bench that is to take a new run: reconnects and watchdogs.
HEALED_S = 15.0


@dataclass
class Found:
    """What a world came to. ``raised`` is what came out of the run instead of a result, ``callbacks`` what callbacks of
    the loop raised, ``alarms`` what was told in loud words. Of a nail world there are ``strokes`` instead of ``looks``,
    what people ``said``, and what somebody has ``seen`` the sample do in truth."""

    world: World
    looks: list[Look] = field(default_factory=list)
    strokes: list[NailLook] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    seen: Mapping[str, bool] = field(default_factory=dict)
    struck: list[Struck] = field(default_factory=list)
    result: RunResult | None = None
    again: RunResult | None = None
    raised: BaseException | None = None
    again_raised: BaseException | None = None
    ended_s: float = 0.0
    hung: bool = False
    left_tasks: list[str] = field(default_factory=list)
    callbacks: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    folder: Path = Path()
    moved_ah: float = 0.0
    charged_ah: float = 0.0
    discharged_ah: float = 0.0
    healthy: bool = False
    unsynced: int = 0
    forced_jumps: int = 0
    strike: Callable[[str], object] = lambda _: None


@cache
def _prepared(folder: Path, period_s: float, start_soc: float, nailed: str) -> Prepared:
    bench = folder / f"bench-{period_s:g}.toml"
    text = (examples() / "benches" / "demo.toml").read_text()
    bench.write_text(text.replace('energised = "1 s"\nrest = "2 s"', f'energised = "{period_s:g} s"\nrest = "2 s"', 1))
    cells = folder / f"{period_s:g}-{start_soc:g}"
    cells.mkdir(exist_ok=True)
    sequence, cell = (NAIL, nailed) if nailed else (SEQUENCE, CYCLED)
    edits = {"start_soc": f'"{start_soc:.0%}"'.replace("%", " %")}
    return prepare(order(cells, sequence=sequence, cell=cell, bench=bench, edits=edits), {})


def scene_of(folder: Path) -> SceneSpec:
    """The devices that every world has."""
    plan = _prepared(folder, 1.0, 0.3, "").plan
    return scene_spec(plan.bench, plan.cell, channel=plan.channel.name, mass_kg=plan.cell.mass_kg, seed=1)


def simulate(
    world: World,
    folder: Path,
    *,
    on_turn: OnTurn | None = None,
    on_begin: Callable[[Found], object] = lambda _: None,
) -> Found:
    """Carry a world out in virtual time. ``folder`` keeps the bundles; give the same one to every world. ``on_begin``
    is handed what will be found, whose ``strike`` strikes at once."""
    prepared = _prepared(folder, world.period_s, world.start_soc, world.nailed)
    prepared = replace(prepared, order=replace(prepared.order, out=Path(tempfile.mkdtemp(dir=folder)) / "run"))
    found = Found(world)
    draws = Random(f"turns {world.seed}")
    turns = Turns(on_turn=on_turn)
    if world.most_turns:
        turns.extra = lambda: draws.randint(0, world.most_turns) if draws.random() < 0.3 else 0
    on_begin(found)

    async def bounded() -> Found:
        async with asyncio.timeout(NEVER_S):
            return await _carried_out(world, prepared, found, turns)

    return in_virtual_time(bounded(), speed=None)


async def _carried_out(world: World, prepared: Prepared, found: Found, turns: Turns) -> Found:
    plan = prepared.plan
    loop = asyncio.get_running_loop()
    spec = scene_spec(plan.bench, plan.cell, channel=plan.channel.name, mass_kg=plan.cell.mass_kg, seed=world.seed)
    failing = FailingDisk()
    async with virtual_bench(spec, start_utc_s=prepared.order.start_utc_s) as bench:
        watch: Watch | NailWatch = NailWatch(bench, found.strokes) if world.nailed else Watch(bench, found.looks)
        watch.also = lambda: _note_unsynced(failing, found)
        watching = loop.create_task(watch.run(), name=f"{BENCH}watch")
        me = asyncio.current_task()
        running: list[asyncio.Task[RunResult]] = []
        killed: asyncio.Future[None] = loop.create_future()
        host = Host(
            stop=lambda: signal.raise_signal(signal.SIGINT) if _listens(loop) else None,
            cancel=lambda: running[0].cancel() if running else None,
            freeze=turns.freeze,
            thaw=turns.thaw,
            kill=lambda: _kill(turns, killed),
            step_clock=bench.step_clock,
            fill_disk=lambda: setattr(failing, "full", True),
            break_sync=lambda: setattr(failing, "broken", True),
        )
        strikes = Strikes(bench.scene, world.strikes, host, seed=world.seed)
        found.struck = strikes.struck
        found.strike = lambda fault: strikes.strike_now(Strike(fault))
        strikes.arm()

        def told(observation: Observation) -> None:
            if isinstance(observation, Message) and observation.loud:
                found.alarms.append(observation.text)
            if isinstance(observation, StepStarted):
                strikes.step(observation.kind, observation.name, observation.path)

        loop.set_exception_handler(lambda _, context: _raised(context, found))
        turns.install(loop)
        answers = _people(world, prepared, bench, strikes, found)
        with disk_of(failing):
            running.append(loop.create_task(carry_out(prepared, far_end_of(bench), answers, told), name="the run"))
            ends: list[asyncio.Future[Any]] = [*running, killed]
            await asyncio.wait(ends, timeout=LONGEST_S, return_when=asyncio.FIRST_COMPLETED)
            found.ended_s = loop.time()
            if not killed.done():
                found.hung = not running[0].done()
                await _ended(running[0], found, turns)
        found.folder = _bundle(prepared, found)
        found.seen = bench.truth.seen(CHANNEL)
        totals = bench.truth.totals("1")
        found.charged_ah, found.discharged_ah = totals.charged_ah, totals.discharged_ah
        await asyncio.sleep(AFTER_S)
        await strikes.heal()
        found.forced_jumps = bench.forced_jumps()
        turns.thaw()
        if not running[0].done():
            await _ended(running[0], found, turns)
        ours = {me, watching}
        found.left_tasks = [task.get_name() for task in asyncio.all_tasks() if task not in ours and not task.done()]
        if world.again:
            failing.full = failing.broken = False
            await _again(prepared, bench, found, turns)
        loop.set_task_factory(None)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return found


def _people(world: World, prepared: Prepared, bench: SimulatedBench, strikes: Strikes, found: Found) -> Answers:
    """Who is at the bench. Strikes may name their ``arm`` and ``start`` as if they were steps."""
    operator = simulated_operator(prepared.plan.bench.simulation.operator)
    if not world.nailed:
        return operator
    others = operator.at_bench(sample=sample_id(prepared), seen=lambda: bench.truth.seen(CHANNEL))
    people = People(others, world.seed, awkward=world.awkward, told=strikes.step)
    found.said = people.said
    return people


def _raised(context: dict[str, Any], found: Found) -> None:
    """A callback that raised; what a task raised and nobody asked for is told when it happens to be collected."""
    if "handle" in context:
        found.callbacks.append(repr(context.get("exception")))


def _note_unsynced(failing: FailingDisk, found: Found) -> None:
    """Between two turns of the program nothing may be written that a power cut takes away."""
    found.unsynced = max(found.unsynced, sum(failing.unsynced.values()) if not failing.broken else 0)


def _kill(turns: Turns, killed: asyncio.Future[None]) -> None:
    """No task of the program takes a turn any more. It is thawed, only to be ended, once the bench was watched."""
    turns.freeze()
    if not killed.done():
        killed.set_result(None)


def _bundle(prepared: Prepared, found: Found) -> Path:
    """Where the run's record is; the folder for it if there is none."""
    out = prepared.order.out or Path()
    if found.result is not None:
        return Path(found.result.bundle)
    return next((path.parent for path in sorted(out.rglob("events.jsonl"))), out)


async def _ended(running: asyncio.Task[RunResult], found: Found, turns: Turns) -> None:
    """Take up what the run came to; one that hangs is cancelled."""
    if not running.done():
        turns.thaw()
        running.cancel()
        await asyncio.wait([running], timeout=LONGEST_S)  # what was touched is watched, and people take their time
    if not running.done():
        found.hung = True
        return
    try:
        found.result = running.result()
    except asyncio.CancelledError as error:
        found.raised = error
    except Exception as error:  # noqa: BLE001 - whatever it is, the oracle judges it
        found.raised = error


async def _again(prepared: Prepared, bench: SimulatedBench, found: Found, turns: Turns) -> None:
    """Everything is well again: the bench must take a new run, if the cell is one that can be run."""
    await asyncio.sleep(HEALED_S)
    await _cooled(bench)
    last = found.looks[-1]
    found.healthy = 18.0 < last.surface_c < 40.0 and 3.0 < last.voltage_v < 4.19 and not found.left_tasks
    if not found.healthy:
        return
    folder = Path(tempfile.mkdtemp(dir=(prepared.order.out or Path()).parent)) / "again"
    second = replace(prepared, order=replace(prepared.order, out=folder))
    answers = simulated_operator(prepared.plan.bench.simulation.operator)
    task = asyncio.get_running_loop().create_task(carry_out(second, far_end_of(bench), answers), name="the next run")
    await asyncio.wait([task], timeout=LONGEST_S)
    task.cancel()
    await asyncio.wait([task])
    try:
        found.again = task.result()
    except (BenchError, asyncio.CancelledError) as error:
        found.again_raised = error


async def _cooled(bench: SimulatedBench) -> None:
    """Give the chamber back as it was found."""
    chamber = bench.scene.plant.chamber("chamber1")
    chamber.running = False
    with suppress(KeyError):
        bench.scene.personality("ch1").clear_alarms()


def _listens(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the run hears a person's stop: before it begins and after it has ended it does not."""
    return signal.SIGINT in loop._signal_handlers  # type: ignore[attr-defined]  # there is no public question
