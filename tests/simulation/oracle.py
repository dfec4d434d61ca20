"""Judges a world by what was true on the bench and by what the program said. Knows limits by their written rules, not
from the program.

Two kinds of result: a *finding* is a promise that was broken; a *count* is a case that the promise leaves out, counted
apart (nothing was left that could act; the only instrument that could see it lied).
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from pathlib import Path

from bench import record
from drivers.errors import DeviceError
from simulators.strikes import Strike
from tests.simulation.every_oracle import durable, ends, kept_record, said
from tests.simulation.harness import Found
from tests.simulation.in_force import Faults, Judged
from tests.simulation.nail_oracle import judge_nail
from tests.simulation.truth import LOOK_S, Look

#: Of the nmc-21700 on the demonstration bench, by docs/cell-file.md: operating limit and margin, and what a reading may
#: be off by its own noise before it shows the truth.
HIGH_V, LOW_V = 4.2 + 0.06 + 0.02, 2.5 - 0.06 - 0.02
CHARGE_A, DISCHARGE_A = 5.0 * 1.01 + 0.2 + 0.05, 10.0 * 1.01 + 0.2 + 0.05
HIGH_C = 60.0 + 1.0 + 0.5
#: What the architecture promises: while the energy source answers, and through the contactor when it does not.
ANSWERS_S, CONTACTOR_S = 1.25, 1.75
#: Without a program: the devices' own watchdogs (4 s on this bench), and standing still.
KILLED_S, FROZEN_S = 5.0, 7.0
#: A stop may find a command on its way.
ON_ITS_WAY_S = 0.5
#: A row is stamped when the reply is here; what it shows was true at most so much earlier.
EXCHANGE_S = 0.8
#: Resolution, rounding and six sigma of noise of the cycler's readings.
V_TOLERANCE, A_TOLERANCE = 0.005 + 0.012 + 0.005, 0.005 + 0.018 + 0.005
#: The feedback of the contactor.
FEEDBACK = "io1.di0"
#: What the cycler's watchdog waits for (4 s on this bench), less what may have gone by since it was last fed.
SILENT_S = 2.5
#: Between the proof of the open contactor and the end of the run no more than this goes by.
PROVEN_S = 0.5

#: Faults that end a run when they strike it; the rest may.
FATAL = {
    "door_opens": "input",
    "estop": "input",
    "smoke": "input",
    "flame": "input",
    "person_stops": "stop",
    "cancelled": "stop",
}


def judge(found: Found) -> Judged:
    """Every invariant on one world."""
    if found.world.nailed:
        return judge_nail(found)
    judged = Judged()
    faults = Faults(found)
    judged.nothing_left = faults.nothing_left()
    ends(found, faults, judged)
    _over_limits(found, faults, judged)
    _after_stops(found, faults, judged)
    _after_death(found, faults, judged)
    _blind(found, faults, judged)
    durable(found, judged)
    _left_on(found, faults, judged)
    if found.result is not None:
        kept = kept_record(found, faults, judged)
        if kept is not None:
            _rows_are_true(found, faults, kept, judged)
        _verdict(found, faults, judged)
    _again(found, judged)
    return judged


def _over(look: Look) -> str | None:
    """Which limit the truth is beyond while energy flows."""
    if not look.energised:
        return None
    if not LOW_V <= look.voltage_v <= HIGH_V:
        return "voltage"
    if not -DISCHARGE_A <= look.current_a <= CHARGE_A:
        return "current"
    if look.surface_c > HIGH_C:
        return "temperature"
    return None if look.inputs_ok else "input"


_SEES = {"voltage": "psb", "current": "psb", "temperature": "th1", "input": "io1"}


def _over_limits(found: Found, faults: Faults, judged: Judged) -> None:
    """From plant truth over a limit to output off in truth."""
    looks, at = found.looks, 0
    while at < len(looks):
        which = _over(looks[at])
        if which is None:
            at += 1
            continue
        begin = at
        while at < len(looks) and _over(looks[at]) is not None:
            at += 1
        _judge_span(found, faults, judged, which, looks[begin].at_s, looks[min(at, len(looks) - 1)].at_s)


def _judge_span(found: Found, faults: Faults, judged: Judged, which: str, from_s: float, to_s: float) -> None:
    world, sees = found.world, _SEES[which]
    took_s = to_s - from_s
    lies = [it for it in faults.struck if it.strike.kind.lies and it.strike.where.partition(".")[0] == sees]
    if any(it.at_s <= to_s for it in lies):
        judged.unseen = True
        return
    if faults.source_fails(from_s, to_s) and faults.contactor_fails(from_s, to_s):
        judged.nothing_left = True
        return
    kind, allowed_s = "answers", 2.0 * world.period_s + ANSWERS_S
    blind = faults.during(from_s - world.age_s, to_s, where=sees, only_wire=True)
    if blind or faults.source_fails(from_s - world.age_s, to_s):
        kind, allowed_s = "contactor", world.age_s + CONTACTOR_S
    if faults.frozen(from_s, to_s):
        kind, allowed_s = "frozen", FROZEN_S
    judged.bounds.setdefault(kind, []).append((took_s, allowed_s))
    if took_s > allowed_s + 2.0 * LOOK_S:
        judged.find(
            "time bound", f"{which} from {from_s:.2f} s on for {took_s:.2f} s, allowed {allowed_s:.2f} s ({kind})"
        )


def _after_stops(found: Found, faults: Faults, judged: Judged) -> None:
    """A stop is obeyed in time, and nothing energises after it."""
    world = found.world
    for it in faults.struck:
        if FATAL.get(it.strike.fault) != "stop" or not found.ended_s or it.at_s > found.ended_s:
            continue
        if faults.frozen(it.at_s - 1.0, it.at_s + 1.0):
            continue
        at = bisect_left(found.looks, it.at_s, key=lambda look: look.at_s)
        later = [look for look in found.looks[at:] if look.at_s <= found.ended_s + 5.0]
        on = [look.at_s for look in later if look.energised]
        source, relay = (
            faults.source_fails(it.at_s - 1.0, it.at_s + 6.0),
            faults.contactor_fails(it.at_s - 1.0, it.at_s + 6.0),
        )
        if source and relay:
            judged.nothing_left = True
            continue
        allowed_s = ANSWERS_S if not source else world.age_s + CONTACTOR_S
        took_s = max(on) - it.at_s if on else 0.0
        judged.bounds.setdefault("stop", []).append((took_s, allowed_s))
        if took_s > allowed_s + 2.0 * LOOK_S:
            judged.find(
                "stop",
                f"{it.strike.fault} at {it.at_s:.2f} s, energised until {took_s:.2f} s later, allowed {allowed_s:.2f}",
            )
        edges = [b.at_s for a, b in itertools.pairwise(later) if b.energised and not a.energised]
        if any(edge > it.at_s + ON_ITS_WAY_S for edge in edges):
            judged.find("energises after a stop", f"{it.strike.fault} at {it.at_s:.2f} s, on again at {edges}")


def _after_death(found: Found, faults: Faults, judged: Judged) -> None:
    """A program that is gone leaves nothing on for longer than the devices' own watchdogs take."""
    for it in faults.any_of("killed"):
        if faults.source_fails(it.at_s - 8.0, it.at_s + 8.0) or faults.contactor_fails(it.at_s - 8.0, it.at_s + 8.0):
            continue
        on = [look.at_s for look in found.looks if it.at_s <= look.at_s <= found.ended_s + 8.0 and look.energised]
        took_s = max(on) - it.at_s if on else 0.0
        judged.bounds.setdefault("killed", []).append((took_s, KILLED_S))
        if took_s > KILLED_S + 2.0 * LOOK_S and not faults.any_of("found_on"):
            judged.find("killed", f"energised {took_s:.2f} s after the program died at {it.at_s:.2f} s")


def _blind(found: Found, faults: Faults, judged: Judged) -> None:
    """No energy while a safety channel's last good reading is older than A: energy begins only once each was heard."""
    world = found.world
    for it in faults.struck:
        if not _blinds(it.strike) or faults.frozen(it.at_s - 2.0, it.at_s + 12.0):
            continue
        until_s = min(it.at_s + (it.strike.for_s if it.strike.for_s is not None else 1e9), found.ended_s)
        from_s = it.at_s + world.age_s + CONTACTOR_S + EXCHANGE_S
        if faults.source_fails(it.at_s, until_s) and faults.contactor_fails(it.at_s, until_s):
            judged.nothing_left = True
            continue
        on = [look.at_s for look in found.looks if from_s < look.at_s < until_s and look.energised]
        if on:
            judged.find(
                "blind", f"{it.strike.fault} of {it.strike.where} at {it.at_s:.2f} s, energised at {on[-1]:.2f} s"
            )


def _blinds(strike: Strike) -> bool:
    """Whether nothing good comes from a safety channel while it lasts."""
    if strike.where in ("psb", "io1", "th1"):
        always = strike.fault in ("no_reply", "request_lost") and strike.params.get("count", 1.0) == 0.0
        return always or strike.fault in ("half_open", "wire_cut")
    return strike.fault == "sensor_open" and strike.where in ("th1.ai0", "th1.ai1", "th1.ai2")


def _left_on(found: Found, faults: Faults, judged: Judged) -> None:
    """When the run has ended nothing is on, or it says that this is not proven."""
    at = bisect_left(found.looks, found.ended_s, key=lambda look: look.at_s)
    if at >= len(found.looks) or faults.any_of("killed"):
        return
    unread_s = PROVEN_S + found.world.period_s  # feedbacks are read once a period
    if any(it.at_s > found.ended_s - unread_s for it in faults.any_of("contactor_welded")):
        judged.unseen = True  # it closed an open contactor by itself, after its feedback had proven it open
        return
    if any(it.strike.where == FEEDBACK and it.at_s < found.ended_s for it in faults.any_of("input_lies_off")):
        judged.unseen = True  # the only one that could tell lied
        return
    look = found.looks[at]
    if look.on and not look.closed and _timed_out_and_stays_on(faults):
        judged.unseen = True  # its own watchdog has put the output's word to off, and no current tells otherwise
        return
    said_unsafe = found.result is not None and found.result.exit_code == 4
    told = said_unsafe or isinstance(found.raised, DeviceError)
    shouted = ("SAFE STATE NOT CONFIRMED", "STILL NOT CONFIRMED SAFE")  # who cancels has no result
    told = told or any(each in alarm for alarm in found.alarms for each in shouted)
    if (look.energised or look.on or look.closed) and not told:
        judged.find(
            "left on",
            f"on={look.on} closed={look.closed} I={look.current_a:.2f} A when the run ended as {said(found)}",
        )
    if judged.nothing_left and not told and look.energised:
        judged.find("alarm", "nothing was left that could act, and nobody was told")
    later = [each for each in found.looks[at:] if each.at_s > found.ended_s + 6.0 and each.at_s < found.ended_s + 8.0]
    last = next((each for each in later if each.energised), None)
    if last is not None and not faults.any_of("contactor_welded", "output_stays_on", "found_on"):
        judged.find("left on", f"energised {last.at_s - found.ended_s:.1f} s after the run ended as {said(found)}")


def _timed_out_and_stays_on(faults: Faults) -> bool:
    return bool(faults.any_of("output_stays_on")) and any(
        (it.strike.for_s or 0.0) > SILENT_S for it in faults.any_of("frozen")
    )


def _rows_are_true(found: Found, faults: Faults, kept: record.Record, judged: Judged) -> None:
    """Each stored voltage and current was true within the exchange that brought it."""
    if any(it.strike.kind.lies and it.strike.where == "psb" for it in faults.struck):
        return
    longer_s = sum(it.strike.for_s or 0.0 for it in faults.any_of("frozen"))
    late_s = max((it.strike.params.get("by", 0.7) for it in faults.any_of("late_reply", "burst")), default=0.0)
    times = [look.at_s for look in found.looks]
    volts, amps = kept.rows.role("voltage"), kept.rows.role("current")
    for at_s, volt, amp in zip(kept.rows.mono_s, volts, amps, strict=True):
        from_s = at_s - EXCHANGE_S - longer_s - min(late_s, 0.5)
        window = found.looks[max(bisect_left(times, from_s) - 1, 0) : bisect_left(times, at_s) + 2]
        if not window or any(0.0 <= at_s - it.at_s < 4.0 * LOOK_S for it in faults.struck):
            continue  # a strike may come and be undone between two looks
        for value, true, tolerance, what in (
            (volt, [look.terminal_v for look in window], V_TOLERANCE, "V"),
            (amp, [look.current_a for look in window], A_TOLERANCE, "A"),
        ):
            if value is not None and not min(true) - tolerance <= value <= max(true) + tolerance:
                judged.find("row", f"{value} {what} at {at_s:.2f} s, true were {min(true):.3f} to {max(true):.3f}")
                return


def _verdict(found: Found, faults: Faults, judged: Judged) -> None:
    """A pass stands on the truth."""
    result = found.result
    assert result is not None
    if not found.struck and result.verdict != "pass":
        judged.find("verdict", f"{said(found)} on a good bench: {[fault.error for fault in result.faults]}")
    if result.verdict != "pass":
        return
    lies = any(it.strike.kind.lies and it.strike.where == "psb" for it in faults.struck)
    foreign = any(it.strike.fault in ("found_on", "current_drifts") for it in faults.struck)
    for name, true_ah in (("capacity_ah", found.discharged_ah), ("charged_ah", found.charged_ah)):
        shown = result.results[name].value
        if not lies and not foreign and abs(shown - true_ah) > 0.01 * true_ah + 6e-4 + _unseen_ah(found, faults):
            judged.find("verdict", f"pass with {name} {shown:.5f}, true {true_ah:.5f}")
    for it in faults.struck:
        if FATAL.get(it.strike.fault) == "stop" and it.at_s < found.ended_s - 8.0 and not faults.frozen(0.0, 1e9):
            judged.find("verdict", f"pass although {it.strike.fault} came at {it.at_s:.2f} s of {found.ended_s:.2f} s")


def _unseen_ah(found: Found, faults: Faults) -> float:
    """What may flow between two readings when some are lost: 5 A for A, and for what it stood still."""
    lost = faults.spans(where="psb", only_wire=True)
    still_s = sum(it.strike.for_s or 0.0 for it in faults.any_of("frozen"))
    return (5.0 * found.world.age_s * 2.0 * len(lost) + 5.0 * still_s) / 3600.0


def _again(found: Found, judged: Judged) -> None:
    """Once all is well the bench takes a new run, and that passes."""
    if not found.world.again or not found.healthy:
        return
    if found.again_raised is not None:
        judged.find("next run", f"raised {type(found.again_raised).__name__}: {found.again_raised}")
    elif found.again is not None and found.again.ended_by.rule == "preflight: at ambient":
        return  # what was heated in the run before is still warm, and rightly refused
    elif found.again is not None and found.again.verdict != "pass":
        faults = [fault.error for fault in found.again.faults]
        judged.find("next run", f"{found.again.verdict}, {found.again.ended_by}: {faults}")


__all__ = ["Judged", "Path", "Strike", "judge"]
