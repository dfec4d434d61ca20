"""Whether the guard is fast enough: between its limit and the one behind it there is time to see, command and confirm.

For voltage and temperature in conditioning, with P the period of the channel that shows it:

    2 P + (k - 1) P + delay + t_command + t_confirm   <=   (hard - soft) / worst rate

2 P: it passes the limit right after a reading and the next one takes its time on the wire; k and delay are what the
limit waits for beyond that. ``soft`` is the guard's own limit; ``hard`` the bench's, or the cell's abuse ceiling where
that is nearer. The worst rate is ``max_rate_v_s`` or ``max_rate_k_s`` of the cell file, else 1.2 times the steepest of
the preset that stands in for it: its voltage at its steepest at the largest current, and for the temperature no more
heat than that current makes if the whole operating window of the voltage were lost in the cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bench.binding.faults import Findings
from bench.binding.shapes import BoundChannel, GuardLimit, Poll
from bench.config import BenchFile, CellFile
from bench.config.slopes import STEEPEST, Slopes

#: The stop frame is on the wire, and I about 0 is confirmed, this long after the reading.
COMMAND_S, CONFIRM_S = 0.25, 1.0
STEEPER = 1.2


@dataclass(frozen=True, slots=True)
class _Rate:
    """A worst rate per second and where it is from."""

    per_s: float
    source: str
    key: str


def reaction_s(period_s: float, limit: GuardLimit | None = None) -> float:
    """From a passed limit to no current, by a channel that is read every ``period_s``."""
    hits, delay_s = (1, 0.0) if limit is None else (limit.hits, limit.delay_s)
    return (1 + hits) * period_s + delay_s + COMMAND_S + CONFIRM_S


def check_reaction(
    bench: BenchFile,
    cell: CellFile,
    channel: BoundChannel,
    limits: Iterable[GuardLimit],
    periods: Mapping[str, Poll],
    findings: Findings,
    *,
    live: bool,
) -> None:
    """A fault for each limit that is too near the one behind it. ``limits`` are those of conditioning."""
    slopes = None if cell.simulation is None else STEEPEST.get(cell.simulation.preset)
    known = tuple(limits)
    for soft in known:
        if soft.tier != "trip" or soft.rule not in ("sample.voltage", "sample.temperature"):
            continue
        for upper, bound in ((True, soft.high), (False, soft.low)):
            hard = None if bound is None else _hard(soft, cell, known, upper=upper)
            poll = periods.get(soft.channel.partition(".")[0])
            if bound is None or hard is None or poll is None:
                continue
            rate = _worst(soft.rule, cell, slopes, upper=upper)
            if rate is None:
                if live:
                    _unknown(soft.rule, cell, findings)
                continue
            _fits(bench, cell, channel, soft, bound, hard, rate, poll.energised_s, findings, upper=upper)


def _fits(
    bench: BenchFile,
    cell: CellFile,
    channel: BoundChannel,
    soft: GuardLimit,
    bound: float,
    hard: tuple[float, str],
    rate: _Rate,
    period_s: float,
    findings: Findings,
    *,
    upper: bool,
) -> None:
    device = soft.channel.partition(".")[0]
    unit, step = ("V", "V") if soft.rule == "sample.voltage" else ("degC", "K")
    needs_s, room = reaction_s(period_s, soft), (hard[0] - bound) * (1.0 if upper else -1.0)
    patient = "" if soft.hits == 1 and soft.delay_s == 0.0 else f", after {soft.hits} readings and {soft.delay_s:g} s"
    findings.need(
        needs_s * rate.per_s <= room,
        f"{soft.rule} of channel {channel.name}: past {bound:g} {unit} it is seen, switched off and confirmed within "
        f"{needs_s:.3g} s ({device} is read every {period_s:g} s{patient}); at {rate.per_s:.3g} {step}/s "
        f"({rate.source}) that is {needs_s * rate.per_s:.3g} {step}, but {room:.3g} {step} are left to {hard[1]} "
        f"{hard[0]:g} {unit}",
        cell.where(rate.key) if rate.source.startswith(rate.key) else bench.where("devices", device, "poll"),
        "read that device more often, set the operating limit further from the hard one, or correct the rate",
    )


def _unknown(rule: str, cell: CellFile, findings: Findings) -> None:
    key, example = ("max_rate_v_s", "20 mV/s") if rule == "sample.voltage" else ("max_rate_k_s", "0.5 K/s")
    findings.fault(
        f"nobody says how fast the cell's {rule.partition('.')[2]} can change, so whether the guard is fast enough is "
        "unknown",
        cell.where(),
        f'add {key} = "{example}" to the cell file, by its maker\'s data',
    )


def _hard(soft: GuardLimit, cell: CellFile, limits: tuple[GuardLimit, ...], *, upper: bool) -> tuple[float, str] | None:
    """The nearest bound behind a sample limit, and whose it is."""
    return (min if upper else max)(_behind(soft, cell, limits, upper=upper), default=None)


def _behind(
    soft: GuardLimit, cell: CellFile, limits: tuple[GuardLimit, ...], *, upper: bool
) -> Iterator[tuple[float, str]]:
    for limit in limits:
        bound = limit.high if upper else limit.low
        if limit.subject == "bench" and limit.tier == "trip" and limit.channel == soft.channel and bound is not None:
            yield bound, f"the bench limit {limit.rule}"
    outer = cell.abuse
    if outer is None:
        return
    if soft.rule == "sample.voltage":
        yield (outer.voltage.high_v if upper else outer.voltage.low_v), "the cell's abuse ceiling"
    elif upper:
        yield outer.temperature.high_c, "the cell's abuse ceiling"


def _worst(rule: str, cell: CellFile, slopes: Slopes | None, *, upper: bool) -> _Rate | None:
    inner = cell.operating
    preset = "" if cell.simulation is None else cell.simulation.preset
    if rule == "sample.voltage":
        if cell.max_rate_v_s is not None:
            return _Rate(cell.max_rate_v_s, "max_rate_v_s of the cell file", "max_rate_v_s")
        if slopes is None:
            return None
        current_a = inner.charge_current_a if upper else inner.discharge_current_a
        per_s = STEEPER * slopes.volts_per_soc * current_a / (3600.0 * cell.rated_capacity_ah)
        return _Rate(per_s, f"{STEEPER} x the steepest slope of preset {preset} at {current_a:g} A", "max_rate_v_s")
    if cell.max_rate_k_s is not None:
        return _Rate(cell.max_rate_k_s, "max_rate_k_s of the cell file", "max_rate_k_s")
    if slopes is None:
        return None
    current_a = max(inner.charge_current_a, inner.discharge_current_a)
    heat_w = current_a * (inner.voltage.high_v - inner.voltage.low_v)
    per_s = STEEPER * heat_w / (cell.mass_kg * slopes.heat_capacity_j_kg_k)
    return _Rate(per_s, f"{STEEPER} x the steepest warming of preset {preset} at {current_a:g} A", "max_rate_k_s")
