"""The hardware against the journal: what must be so before an interrupted run may go on, each with value and limit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.plan import Plan
from bench.resumption import Resumption
from drivers.capabilities import Identity
from drivers.errors import Fault, PreflightRefused
from drivers.reading import Quality, Reading

#: Below this a sample counts as at rest.
AT_REST_A = 0.05
#: A resting cell's voltage may have moved by so much: the input's accuracy twice over, and self-discharge. Our choice.
DRIFT_V, DRIFT_V_PER_H, MOST_DRIFT_V = 0.02, 0.002, 0.1
#: When current stops, a cell goes on relaxing after the first step: three times that step bounds both. Our choice.
RELAXES = 3.0
#: Where the record does not show the step: a generous one.
ONSET_V = 0.05
#: A sample warmer than it was and than its air heats itself.
WARMER_K = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison, as a person reads it. ``fix`` says what to do where it does not hold."""

    name: str
    value: str
    limit: str
    ok: bool
    where: str
    fix: str

    def __str__(self) -> str:
        return f"{'ok ' if self.ok else 'NO '} {self.name}: {self.value}  ({self.limit})"

    def data(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self)


def compared(
    plan: Plan,
    found: Resumption,
    heard: Mapping[str, Reading],
    identities: Mapping[str, Identity],
    *,
    longest_gap_s: float,
) -> tuple[Check, ...]:
    """Every check but the scan of the sample, which a person makes. ``heard`` was read with everything made safe."""
    return (
        _gap(found, longest_gap_s),
        *_devices(found, identities),
        *_contactors(plan, heard),
        _voltage(plan, found, heard),
        _temperature(plan, found, heard),
    )


def scanned(sample: str, given: str | None) -> Check:
    """The sample in the bench is the run's."""
    said = "not scanned" if given is None else given
    fix = "put the run's own sample back, or close the run"
    return Check("sample scanned", said, f"wanted {sample}", given == sample, "sample", fix)


def refused(checks: tuple[Check, ...]) -> PreflightRefused | None:
    """Every check that does not hold, as one refusal; None if all do."""
    faults = [Fault(f"{it.name}: {it.value}, {it.limit}", it.where, it.fix) for it in checks if not it.ok]
    if not faults:
        return None
    error = PreflightRefused(faults[0].error, faults[0].where, faults[0].fix)
    error.faults = tuple(faults)
    return error


def _gap(found: Resumption, longest_s: float) -> Check:
    fix = "close the run and begin anew; [resume] longest_gap of the bench file is what is allowed"
    if found.gap_s < 0.0:
        fix = "set the computer's clock right first: how long the run was dead cannot be told"
    ok = 0.0 <= found.gap_s <= longest_s
    return Check("gap", span(found.gap_s), f"at most {span(longest_s)}", ok, "record", fix)


def _devices(found: Resumption, identities: Mapping[str, Identity]) -> Iterator[Check]:
    for name, was in found.identities.items():
        now = identities.get(name)
        said = {} if now is None else asdict(now)
        other = [key for key, value in was.items() if said.get(key) != value]
        value = "the same" if not other else ", ".join(f"{key} {said.get(key, 'none')!r}" for key in other)
        wanted = ", ".join(filter(None, (was.get("model"), was.get("serial"), was.get("firmware"))))
        yield Check(f"device {name}", value, wanted, not other, name, "a run does not go on with another instrument")


def _contactors(plan: Plan, heard: Mapping[str, Reading]) -> Iterator[Check]:
    for name in plan.feedbacks:
        reading = heard.get(name)
        is_open = reading is not None and reading.quality is Quality.GOOD and reading.value == 0.0
        said = "open" if is_open else "not proven open"
        fix = "isolate the sample by hand; mend the contactor or its feedback"
        yield Check(f"contactor {name}", said, "open", is_open, name.partition(".")[0], fix)


def _voltage(plan: Plan, found: Resumption, heard: Mapping[str, Reading]) -> Check:
    channel = plan.channel.cell_voltage
    now_v = _good(heard.get(channel))
    was_v = found.instants.get("cell_voltage", found.instants.get("voltage", math.nan))
    low_v, high_v = voltage_band(found, was_v)
    value = f"{now_v:.4f} V, was {was_v:.4f} V"
    fix = "find out what drew on the sample or charged it, or whether it is another one; else close the run"
    return Check("voltage", value, f"{low_v:.4f} to {high_v:.4f} V", low_v <= now_v <= high_v, channel, fix)


def voltage_band(found: Resumption, was_v: float) -> tuple[float, float]:
    """Where a sample may be found that was left at ``was_v``: drift both ways, and what it relaxes by, away from the
    current that flowed (both ways where none did: what relaxed then had not ended)."""
    hours = max(0.0, found.gap_s) / 3600.0
    drift_v = min(MOST_DRIFT_V, DRIFT_V + DRIFT_V_PER_H * hours)
    onset_v = ONSET_V if found.onset_v is None else found.onset_v
    current_a = found.instants.get("current", 0.0)
    down_v = RELAXES * onset_v if current_a > AT_REST_A else onset_v if current_a >= -AT_REST_A else 0.0
    up_v = RELAXES * onset_v if current_a < -AT_REST_A else onset_v if current_a <= AT_REST_A else 0.0
    return was_v - drift_v - down_v, was_v + drift_v + up_v


def _temperature(plan: Plan, found: Resumption, heard: Mapping[str, Reading]) -> Check:
    surface = [_good(heard.get(name)) for name in plan.channel.surface]
    air_c = _good(heard.get(plan.channel.ambient or ""))
    now_c = math.nan if any(math.isnan(value) for value in surface) else max(surface, default=math.nan)
    known = [value for value in (found.instants.get("temperature", math.nan), air_c) if not math.isnan(value)]
    most_c = max(known, default=math.nan) + WARMER_K
    value = f"{now_c:.1f} degC, air {air_c:.1f} degC"
    fix = "leave it alone until it has cooled; a sample that heats itself is not charged again"
    where = plan.channel.surface[0] if plan.channel.surface else "sample"
    return Check("temperature", value, f"at most {most_c:.1f} degC", now_c <= most_c, where, fix)


def _good(reading: Reading | None) -> float:
    return reading.value if reading is not None and reading.quality is Quality.GOOD else math.nan


def span(time_s: float) -> str:
    """A time as a person reads it."""
    if abs(time_s) >= 5400.0:
        return f"{time_s / 3600.0:.3g} h"
    return f"{time_s / 60.0:.3g} min" if abs(time_s) >= 90.0 else f"{time_s:.3g} s"
