"""A bench that tripped stays locked until a person has acknowledged it and the cause is gone.

The latch is one file of the data folder, named after the bench. It outlives the run, the program and the PC; nothing
but :func:`acknowledge` takes it away, and only for a named person, after the hardware was read and found healthy. What
was acknowledged is kept in a history beside it. A run in virtual time has a bench of its own and latches nothing.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.cause import STOPPED, Cause, EndKind, is_fire
from bench.safe_state import SafeResult
from bench.samples import write_atomically
from drivers import BenchHeld, ConfigError, Fault, RecordError
from sequences.language import Phase

SCHEMA: Literal["cellbench/latch/1"] = "cellbench/latch/1"
FOLDER = "latches"
#: Rules whose limit can still be passed when the sample is isolated. A terminal's voltage and current are gone by then.
_PERSISTENT = (
    "bench.place_temperature",
    "bench.chamber_temperature",
    "bench.surface_temperature",
    "bench.pressure",
    "sample.temperature",
)
#: Rules that a hot sample trips by something else than its temperature: it must have cooled down as well.
_HOT = ("rate.", "detached")


class LatchedLimit(BaseModel):
    """What must hold again before the bench may be used: a channel inside its limits, None being no bound."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rule: str
    channel: str
    low: float | None = None
    high: float | None = None


class Latch(BaseModel):
    """The first cause of a trip, as it was latched. ``value`` and ``limit`` are in the unit of the rule's channel."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    schema_: Literal["cellbench/latch/1"] = Field(default=SCHEMA, alias="schema")
    bench: str
    run_id: str
    bundle: str
    utc_s: float
    kind: str
    rule: str | None = None
    device: str | None = None
    value: float | None = None
    limit: float | None = None
    safe: bool = Field(description="whether the safe state was confirmed")
    unsafe: tuple[str, ...] = Field(default=(), description="what was not confirmed, in words")
    devices: tuple[str, ...] = Field(default=(), description="what must answer again")
    limits: tuple[LatchedLimit, ...] = ()
    points: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="the points to read, by device")

    def text(self) -> str:
        """What happened, in one line."""
        when = datetime.fromtimestamp(self.utc_s, UTC).isoformat(timespec="seconds")
        limit = "" if self.limit is None else f", limit {self.limit:.6g}"
        seen = "" if self.value is None else f" ({self.value:.6g}{limit})"
        unsafe = "" if self.safe else "; SAFE STATE NOT CONFIRMED: " + "; ".join(self.unsafe)
        where = self.device or "the bench"
        return f"{self.kind}: {self.rule or 'no rule'}{seen} on {where}, {when}, {self.run_id}{unsafe}"


class Acknowledged(BaseModel):
    """Who took a latch away, when, and what the hardware said then."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    latch: Latch
    by: str
    note: str = ""
    utc_s: float
    seen: dict[str, float | None]


class Latches:
    """The latches of one data folder."""

    def __init__(self, data: Path) -> None:
        self.folder = data / FOLDER

    def path(self, bench: str) -> Path:
        return self.folder / f"{bench}.json"

    def history(self, bench: str) -> Path:
        return self.folder / f"{bench}.history.jsonl"

    def of(self, bench: str) -> Latch | None:
        """The latch of a bench, None if it is free. A file that cannot be read is a latch all the same: raises
        RecordError."""
        path = self.path(bench)
        try:
            return Latch.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            fix = "look at the bench, then move the file away by hand; until then the bench counts as latched"
            raise RecordError(f"the latch cannot be read: {_first_line(error)}", str(path), fix) from None

    def acknowledged_s(self, bench: str, run_id: str) -> float:
        """When the latest trip of this run was latched that a person has acknowledged, s UTC; -inf where nobody has.
        A line that cannot be read acknowledges nothing."""
        try:
            lines = self.history(bench).read_bytes().splitlines()
        except OSError:
            return -math.inf
        latches = (latch for latch in map(_latch_of_line, lines) if latch is not None and latch.run_id == run_id)
        return max((latch.utc_s for latch in latches), default=-math.inf)

    def put(self, latch: Latch) -> None:
        """Latch a bench; one that is latched keeps its first cause. On disk when it returns. Raises RecordError."""
        path = self.path(latch.bench)
        if path.exists():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, (latch.model_dump_json(by_alias=True, indent=1) + "\n").encode())
        except OSError as error:
            fix = "mend the disk; write down the cause: the bench is not latched"
            raise RecordError(f"the trip cannot be latched: {error.strerror}", str(path), fix) from None

    def refuse(self, bench: str) -> None:
        """Raises BenchHeld if the bench is latched, RecordError if that cannot be told."""
        latch = self.of(bench)
        if latch is None:
            return
        raise BenchHeld(
            f"the bench tripped and nobody has acknowledged it: {latch.text()}",
            str(self.path(bench)),
            'mend the cause, then `cellbench ack --bench FILE --by "your name"`',
        )

    def release(self, acknowledged: Acknowledged) -> None:
        """Take the latch away, after the history has it on disk. Raises RecordError."""
        bench = acknowledged.latch.bench
        line = json.dumps(acknowledged.model_dump(mode="json", by_alias=True), ensure_ascii=False) + "\n"
        try:
            handle = os.open(self.history(bench), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                os.write(handle, line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
            self.path(bench).unlink()
        except OSError as error:
            fix = "mend the disk; the bench stays latched"
            raise RecordError(f"it cannot be kept: {error.strerror}", str(self.history(bench)), fix) from None


def _latch_of_line(line: bytes) -> Latch | None:
    """What a line of the history acknowledges, None where it cannot be read."""
    try:
        return Acknowledged.model_validate_json(line).latch
    except ValidationError:
        return None


def still_there(latch: Latch, seen: dict[str, float | None]) -> list[Fault]:
    """What of the cause is present in these values (None: no good reading), each with what to do."""
    found = []
    for limit in latch.limits:
        value = seen.get(limit.channel)
        if value is None:
            found.append(Fault(f"{limit.rule}: no good reading", limit.channel, "mend the sensor or its device first"))
        elif (limit.low is not None and value < limit.low) or (limit.high is not None and value > limit.high):
            low = "" if limit.low is None else f"at least {limit.low:g}"
            high = "" if limit.high is None else f"at most {limit.high:g}"
            bounds = " and ".join(filter(None, (low, high)))
            fix = "make the place safe and wait until it is; nothing can be acknowledged before"
            found.append(Fault(f"{limit.rule} is still there: {value:.6g}, wanted {bounds}", limit.channel, fix))
    return found


def latching(
    cause: Cause | None, later: Cause | None, spoke: Cause | None, safe: SafeResult, *, of_test: bool
) -> Cause | None:
    """What a bench is latched for, None if it is free: its trip, the first thing of the bench after it, a detector of
    fire or gas that spoke at any time, a safe state that was not confirmed. ``of_test``: the trip is what the sample
    did in its stimulus, which latches only as a fire, or where the bench was not proven safe after it."""
    if cause is not None and (not of_test or is_fire(cause.rule) or not safe.confirmed):
        return cause
    if later is not None or spoke is not None:
        return later or spoke
    if safe.confirmed:
        return None
    return Cause(EndKind.DEVICE, f"safe state: {safe.failures[0].what}", safe.failures[0].device)


def latch_of(
    plan: Mapping[str, Any], cause: Cause, safe: SafeResult, *, bench: str, run_id: str, bundle: str, utc_s: float
) -> Latch:
    """The latch of a trip. The bench is free again only when every interlock and detector of the run's places reads
    healthy, every contactor reads open, and the limit that was passed holds; after fire, gas, runaway or a steep rise
    every limit of temperature and pressure. ``plan`` is the run's, as in its bundle; an empty one gives a latch that
    asks for a person and for nothing of the hardware."""
    places = plan.get("places", {}).values()
    limits = [
        LatchedLimit(rule=f"interlock.{name}", channel=channel, low=0.5)
        for place in places
        for name, channel in place["channel"]["interlocks"].items()
    ]
    feedbacks = [place["channel"].get(key) for place in places for key in ("contactor_feedback", "short_feedback")]
    limits += [LatchedLimit(rule="contactor open", channel=name, high=0.5) for name in feedbacks if name is not None]
    rule = (cause.rule or "").removesuffix(STOPPED)
    tiers = ("trip", "stop") if rule != cause.rule else ("trip",)
    held = _PERSISTENT if is_fire(rule) or rule.startswith(_HOT) else (rule,) if rule.startswith(_PERSISTENT) else ()
    limits += [
        LatchedLimit(rule=limit["rule"], channel=limit["channel"], low=limit["low"], high=limit["high"])
        for place in places
        for limit in place["limits"][Phase.CONDITIONING.value]
        if limit["rule"] in held and limit["tier"] in tiers
    ]
    points = plan.get("points", {})
    devices = devices_of(limits, [] if cause.device not in points else [str(cause.device)])
    return Latch(
        bench=bench,
        run_id=run_id,
        bundle=bundle,
        utc_s=utc_s,
        kind=cause.kind.value,
        rule=cause.rule,
        device=cause.device,
        value=_finite(cause.value),
        limit=_finite(cause.limit),
        safe=safe.confirmed,
        unsafe=tuple(f"{part.device}: {part.error}" for part in safe.failures),
        devices=devices,
        limits=tuple(dict.fromkeys(limits)),
        points={name: tuple(points[name]) for name in devices if name in points},
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def acknowledgeable(latch: Latch | None, bench: str, by: str) -> Latch:
    """The latch that this person may look into. Raises ConfigError: nothing to acknowledge, or no name."""
    faults: list[Fault] = []
    if not by.strip():
        faults.append(Fault("an acknowledgement needs a name", "--by", 'write for example --by "Wang Fang"'))
    if latch is None:
        faults.append(Fault(f"bench {bench} is not latched", "--bench", "nothing to do: it may be used"))
    if faults or latch is None:
        raise ConfigError(faults)
    return latch


def devices_of(limits: Iterable[LatchedLimit], more: Sequence[str] = ()) -> tuple[str, ...]:
    """The devices behind these limits, and ``more``, each once."""
    return tuple(dict.fromkeys((*(limit.channel.partition(".")[0] for limit in limits), *more)))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
