"""Bugs that are put into the safety core on purpose: if the harness does not find them, the harness is at fault.

Each is a change to the text of one function, made in memory while it is planted. A bug whose place in the text is gone
does not apply any more, which is an error: it must be planted anew, not skipped.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Bug:
    """``where`` is ``module:Class.function``, in whose text ``old`` becomes ``new``; without ``old`` all of it becomes
    ``new``. Or ``module:NAME``, whose value becomes ``new``. ``nailed``: what is changed runs in nail worlds alone, so
    that any other world does the same with it as without it, and need not be tried."""

    name: str
    where: str
    old: str
    new: str
    nailed: bool = False


_GUARD = "bench.guard:Guard."
_HELD = "bench.rules.held_limit:HeldLimit."
_IO = "drivers.icpdas_m7002:M7002."
_SAFE = "bench.safe_state:"
_PSB = "drivers.ea_psb10000:EaPsb10000."

BUGS = (
    Bug("limits are not looked at", f"{_GUARD}_judge", "", "def _judge(self, check, reading): return None"),
    Bug("an upper limit is reversed", f"{_HELD}_is_outside", "value > limit.high", "value < limit.high"),
    Bug("limits are ten times as wide", f"{_HELD}_is_outside", "self.limit, ", "_wide(self.limit), "),
    Bug("NaN counts as a reading", f"{_GUARD}_deliver", "quality is not Quality.GOOD or not is_number(value)", "False"),
    Bug(
        "silence is not noticed", f"{_GUARD}_trip_if_silent", "", "def _trip_if_silent(self, now_s): return now_s + 1.0"
    ),
    Bug("silence is noticed late", "bench.guard:STALE_PERIODS", "", "30.0"),
    Bug("the safe state begins late", f"{_SAFE}SafeState.begin", "self._make(", "_late(self, "),
    Bug(
        "interlocks are not looked at",
        f"{_GUARD}_judge",
        "for held in check.held:",
        "for held in _no_interlocks(check):",
    ),
    Bug("the cycler's output is left on", f"{_PSB}_make_safe", '"OUTP OFF"', '"OUTP?"'),
    Bug("the cycler is not made safe", f"{_PSB}_make_safe", "", "async def _make_safe(self, doing): return None"),
    Bug("the cycler's stop is not read back", f"{_PSB}_rests", "", "async def _rests(self, doing): return True"),
    Bug("the cycler's watchdog is not armed", f"{_PSB}_arm", '"SYST:COMM:MON:ACT ON"', '"*CLS"'),
    Bug(
        "the cycler's limits are not read back",
        f"{_PSB}_set",
        "",
        "async def _set(self, command, value, unit, doing): return None",
    ),
    Bug("the contactor is not opened", f"{_IO}_off", "", "async def _off(self, numbers, doing): return None"),
    Bug(
        "the contactor's feedback is not read",
        f"{_SAFE}_open_by",
        "",
        "async def _open_by(device, feedback, until_s): return None",
    ),
    Bug("an unproven safe state counts as proven", f"{_SAFE}SafeResult.confirmed", "return ", "return True or "),
    Bug(
        "the contactor waits for the cycler",
        f"{_SAFE}SafeState._step",
        "timeout=step.latest_s)",
        "timeout=step.latest_s); await asyncio.sleep(4.0)",
    ),
    Bug("a safe state is not waited for", f"{_SAFE}SafeState.begin", "self._make(", "_nothing(self, "),
    Bug("a person's stop is not heard", "bench.engine:_Run.go", "stopped, ", ""),
    Bug(
        "a late line is taken for an answer",
        "drivers.wires.lines:Lines._ask",
        "",
        """
async def _ask(self, line, device, doing, deadline_s, pause_s, *, urgent):
    stream = self._stream
    if stream is None or stream.lost is not None:
        stream = await self._opened(device, doing, free=urgent)
    try:
        return await self._exchange(stream, line, deadline_s)
    except ExchangeError as failed:
        raise failed.of(device, doing) from None
""",
    ),
    Bug("a device is polled too seldom", "bench.poller:Poller._due", "self.period_s", "(8.0 * self.period_s)"),
    Bug(
        "charge is counted twice",
        "bench.totals:StepTotals.end",
        "self._open = False",
        "self._open = False; self.charge_as *= 2.0",
    ),
    Bug("a row has the wrong sign", "bench.recorder:Recorder.deliver", "values[at] = value", "values[at] = -value"),
    Bug("a record is not made lasting", "bench.append_file:AppendFile.put", "self._disk.sync(self.handle)", "None"),
    Bug(
        "a stop waits for the step to end",
        "bench.engine:_Run.go",
        "self._way_out.take_energy_away(",
        "await asyncio.wait([work], timeout=10.0); self._way_out.take_energy_away(",
    ),
    Bug(
        "one person starts the nail",
        "bench.answers:Permission.open_to",
        "",
        "def open_to(self, name): return True",
        nailed=True,
    ),
    Bug("a no counts as leave", "bench.arming:permitted", "if by is None:", "if False:", nailed=True),
    Bug("an arming never expires", "bench.arming:ARMED_FOR_S", "", "1e9", nailed=True),
    Bug("a stop leaves the tool to the rig", f"{_SAFE}insist", "if stop and", "if False and", nailed=True),
    Bug(
        "what has not made contact is not stopped",
        "drivers.penetration_rig:PenetrationRig.make_safe",
        "",
        "async def make_safe(self, *, fire=False): return None",
        nailed=True,
    ),
    Bug("the rig does not miss its host", "bench.stimulus:LINK_WATCHDOG_S", "", "3.0", nailed=True),
    Bug(
        "making safe pulls the nail out",
        f"{_SAFE}insist",
        "await device.make_safe(fire=fire)",
        "await (device.retract() if isinstance(device, Rig) else device.make_safe(fire=fire))",
        nailed=True,
    ),
    Bug(
        "a trip ends the observation",
        "bench.engine:_Run._owed",
        "",
        "async def _owed(self, cause): return False",
        nailed=True,
    ),
    Bug(
        "the exhaust is switched off with the rest",
        "drivers.modbus_points:ModbusPoints._safe",
        "lost: WireError | DeviceRefused | None = None",
        "left = _all_off(left)",
        nailed=True,
    ),
    Bug("the chain forgets its last record", "bench.event_writer:EventWriter.put", "self.head = digest(line)", "pass"),
)


class DoesNotApplyError(Exception):
    """The text to be changed is not there (once)."""


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Within it the bug is in the program. Raises DoesNotApplyError."""
    module_name, _, path = bug.where.partition(":")
    try:
        module = importlib.import_module(module_name)
        owner, name = _owner(module, path)
        before = vars(owner)[name]
    except (ImportError, AttributeError, KeyError) as error:
        raise DoesNotApplyError(f"{bug.name}: no {bug.where} ({error})") from None
    setattr(owner, name, _changed(bug, module, before))
    try:
        yield
    finally:
        setattr(owner, name, before)


def _owner(module: ModuleType, path: str) -> tuple[Any, str]:
    *outer, name = path.split(".")
    owner: Any = module
    for each in outer:
        owner = getattr(owner, each)
    return owner, name


def _changed(bug: Bug, module: ModuleType, before: Any) -> Any:
    if not callable(before) and not isinstance(before, property):
        return type(before)(bug.new)
    function: Any = before.fget if isinstance(before, property) else before
    text = bug.new
    if bug.old:
        text = textwrap.dedent(inspect.getsource(function))
        if bug.old not in text:
            raise DoesNotApplyError(f"{bug.name}: {bug.where} has no {bug.old!r}")
        text = re.sub(r"^@\w+\n", "", text).replace(bug.old, bug.new, 1)
    names: dict[str, Any] = {}
    given = {**vars(module), **{each.__name__: each for each in (_wide, _no_interlocks, _nothing, _late, _all_off)}}
    exec(compile(text, f"<planted: {bug.name}>", "exec"), given, names)
    made = names[function.__name__]
    return property(made) if isinstance(before, property) else made


def _wide(limit: Any) -> Any:
    """A limit of the sample ten times as far from zero."""
    if limit.subject != "sample":
        return limit
    return replace(limit, low=limit.low and limit.low * 10.0, high=limit.high and limit.high * 10.0)


def _all_off(outputs: Any) -> Any:
    """Outputs of which none is safe while it is on."""
    return tuple(replace(output, safe=False) for output in outputs)


def _no_interlocks(check: Any) -> Any:
    return [held for held in check.held if held.limit.subject not in ("interlock", "detector")]


async def _late(safe: Any, why: str, *, fire: bool, stop_motion: bool) -> Any:
    """A safe state that begins when it suits it."""
    await asyncio.sleep(4.0)
    return await safe._make(why, fire=fire, stop_motion=stop_motion)


async def _nothing(safe: Any, why: str, *, fire: bool, stop_motion: bool) -> Any:
    """A safe state that says what it always says."""
    from bench.safe_state import SafeResult

    return SafeResult(why, (), isolated=True, took_s=0.0)
