"""Judges a world in which a nail was driven into a cell: by where the nail was, what flowed, what ran, what was said.

The rig's own PLC stops for doors and finishes a stroke in contact by itself; what the program owes is that nobody
starts it who may not, that a stop reaches it, that nothing pulls the nail out, and that the sample is watched.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Sequence
from math import inf

from bench.record import Record
from simulators.strikes import Struck
from tests.simulation.every_oracle import durable, ends, kept_record, said
from tests.simulation.harness import Found
from tests.simulation.in_force import Faults, Judged
from tests.simulation.nail_truth import NailLook
from tests.simulation.people import Said, two_people
from tests.simulation.truth import LOOK_S

#: Two decisions hold so long; the start is on the wire soon after.
ARMED_S, START_S = 30.0, 2.0
#: From a person's stop to the tool standing: until it is on the wire at the latest, and the rig's own time.
STOP_S = 0.75 + 0.1
#: The rig stops for its own interlocks, and before contact for a link that is gone (the watchdog that it was given).
INTERLOCK_S, LINK_S = 0.1, 0.75
#: A sample is watched so long from contact on.
OBSERVED_S = 60.0
#: What was at a place is not said to have been there any nearer than this.
BACK_MM, DEPTH_MM, PEAK_K = 0.05, 0.5, 2.0
#: The rig's own interlock stops a stroke before contact, and the rig knows of contact by the next scan of its force.
SCAN_MM = 0.25
#: Of the cells' thickness, what a nail goes further, and what it takes to be through.
BEYOND_MM = 10.0

#: What stops the rig at once.
_HARD = ("door_opens", "lock_opens", "estop")
#: What may end a stroke short of its target once it is in contact.
_MAY_STOP = (*_HARD, "person_stops", "tool_jams", "overtravel", "power_lost", "sensor_wild", "scale_changes",
             "sensor_noisy", "input_lies_off", "frozen", "cancelled", "killed")  # fmt: skip
#: What takes the rig's permit away until contact.
_INTERLOCKS = ("gas", "smoke", "flame")
#: The rig, or the line to it, does not do what it is told.
_RIG = ("power_lost", "tool_jams", "overtravel")


def judge_nail(found: Found) -> Judged:
    """Every invariant of a nail world."""
    judged, faults = Judged(), Faults(found)
    looks = found.strokes
    ends(found, faults, judged)
    durable(found, judged)
    _by_two(looks, found.said, judged)
    _guarded(looks, judged)
    _stops(found, faults, judged)
    _left_alone(looks, faults, judged)
    _no_current(looks, faults, judged)
    _short_of_it(looks, faults, judged)
    _left(found, faults, judged)
    _observed(found, faults, judged)
    if found.result is not None:
        kept = kept_record(found, faults, judged)
        if kept is not None:
            _stopped_before_contact(found, faults, kept, judged)
        _passes(found, faults, judged)
    return judged


def _begun(looks: Sequence[NailLook]) -> list[NailLook]:
    """The first look of each movement towards the sample."""
    return [b for a, b in itertools.pairwise(looks) if b.moving and not a.moving]


def _contact_s(looks: Sequence[NailLook]) -> float | None:
    return next((look.at_s for look in looks if look.deepest_mm > 0.0), None)


def _after(looks: Sequence[NailLook], at_s: float) -> Sequence[NailLook]:
    return looks[bisect_left(looks, at_s, key=lambda look: look.at_s) :]


def _by_two(looks: Sequence[NailLook], said_: Sequence[Said], judged: Judged) -> None:
    """Nothing moves but by two people's word, of which the first is not old."""
    for look in _begun(looks):
        before = [it for it in said_ if it.at_s <= look.at_s and it.what in ("arm", "start")]
        words = [it.what for it in before[-2:]]
        names = [it.name for it in before[-2:]]
        if words != ["arm", "start"] or None in names or not two_people(str(names[0]), str(names[1])):
            judged.find("two people", f"it moves at {look.at_s:.2f} s by {list(zip(words, names, strict=True))}")
        elif look.at_s - before[-2].at_s > ARMED_S + START_S:
            judged.find("two people", f"it moves at {look.at_s:.2f} s, armed at {before[-2].at_s:.2f} s")


def _guarded(looks: Sequence[NailLook], judged: Judged) -> None:
    """Nothing begins to move with a door, its lock or the emergency stop open, nor goes on for long."""
    for look in _begun(looks):
        if not look.guarded:
            judged.find("interlocks", f"it moves at {look.at_s:.2f} s")
    open_s = None
    for look in looks:
        open_s = None if look.guarded or not look.moving else look.at_s if open_s is None else open_s
        if open_s is not None and look.at_s - open_s > INTERLOCK_S + 2.0 * LOOK_S:
            judged.find("interlocks", f"it still moves at {look.at_s:.2f} s, open since {open_s:.2f} s")
            return


def _stops(found: Found, faults: Faults, judged: Judged) -> None:
    """A person's stop stops the tool, and nothing starts after it; without a program the rig does not make contact."""
    for it in faults.any_of("person_stops", "killed", "frozen", "cancelled"):
        if not found.ended_s or it.at_s > found.ended_s or _rig_fails(faults, it.at_s - 3.0, it.at_s + 3.0):
            continue
        name = it.strike.fault
        if name == "person_stops" and faults.frozen(it.at_s - 8.0, it.at_s + STOP_S):
            continue
        until_s = found.ended_s if name != "killed" else inf  # a dead program's rig goes on by itself
        if name == "frozen":
            until_s = it.at_s + (it.strike.for_s or 0.0)
        _stopped(found.strokes, it, until_s, judged)


def _stopped(looks: Sequence[NailLook], it: Struck, until_s: float, judged: Judged) -> None:
    name, later = it.strike.fault, _after(looks, it.at_s)
    allowed_s = STOP_S if name in ("person_stops", "cancelled") else LINK_S
    if not later or (name != "person_stops" and _touches(later, it.at_s + allowed_s)):
        return  # in contact the rig finishes by itself, as it was told to
    moved = [look.at_s for look in later if look.moving and look.at_s <= until_s]
    took_s = max(moved) - it.at_s if moved else 0.0
    judged.bounds.setdefault("tool", []).append((took_s, allowed_s))
    if took_s > allowed_s + 2.0 * LOOK_S:
        judged.find("tool", f"{name} at {it.at_s:.2f} s, it moves until {took_s:.2f} s later, allowed {allowed_s:.2f}")


def _touches(later: Sequence[NailLook], until_s: float) -> bool:
    return any(look.deepest_mm > 0.0 for look in later if look.at_s <= until_s)


def _stopped_before_contact(found: Found, faults: Faults, kept: Record, judged: Judged) -> None:
    """A safe state that begins before contact stops the tool before contact."""
    for event in kept.of("safe_state_begun"):
        later = _after(found.strokes, event.mono_s)
        fails = _rig_fails(faults, event.mono_s - 5.0, event.mono_s + 3.0) or faults.frozen(
            event.mono_s - 8.0, event.mono_s + 2.0
        )
        if not later or fails or _touches(later, event.mono_s + STOP_S):
            continue
        moved = [look.at_s for look in later if look.moving and look.at_s > event.mono_s + STOP_S + 2.0 * LOOK_S]
        if moved:
            judged.find("tool", f"the safe state begins at {event.mono_s:.2f} s, it moves at {moved[0]:.2f} s")


def _rig_fails(faults: Faults, from_s: float, to_s: float) -> bool:
    return faults.during(from_s, to_s, where="rig", only_wire=True) or faults.during(from_s, to_s, *_RIG)


def _left_alone(looks: Sequence[NailLook], faults: Faults, judged: Judged) -> None:
    """Once the nail has made contact nothing pulls it out."""
    held = [look for look in looks if look.deepest_mm > 0.0]
    back = next((b for a, b in itertools.pairwise(held) if b.position_mm < a.position_mm - BACK_MM), None)
    if back is not None:
        judged.find("pulled out", f"the nail goes back at {back.at_s:.2f} s, {back.position_mm:.2f} mm")


def _no_current(looks: Sequence[NailLook], faults: Faults, judged: Judged) -> None:
    """Where it is pierced no current flows through its leads, and no contactor closes."""
    stuck = faults.any_of("contactor_welded", "short_welded")
    for look in looks:
        if not look.there or (stuck and look.at_s >= stuck[0].at_s - LOOK_S):
            continue
        if look.energised or look.closed or look.shorted:
            judged.find("isolated", f"{look.current_a:.2f} A, closed={look.closed} at {look.at_s:.2f} s")
            return


def _short_of_it(looks: Sequence[NailLook], faults: Faults, judged: Judged) -> None:
    """A stroke in contact goes through, unless something stops it that is meant to."""
    last = looks[-1]
    if last.deepest_mm <= 0.0 or faults.any_of(*_MAY_STOP):
        return
    interlocked = faults.spans(*_INTERLOCKS) and not last.moving and last.deepest_mm <= SCAN_MM
    if not interlocked and (last.moving or last.deepest_mm < BEYOND_MM):
        judged.find("half driven", f"{last.deepest_mm:.1f} mm deep, moving={last.moving}, and nothing stopped it")


def _left(found: Found, faults: Faults, judged: Judged) -> None:
    """At the end nothing moves, nothing is closed and the exhaust blows, or it is said that this is not proven."""
    later = _after(found.strokes, found.ended_s)
    if not later or faults.any_of("killed"):
        return
    look = later[0]
    told = found.result is None or any("safe state not confirmed" in fault.error for fault in found.result.faults)
    if look.moving and not told:
        judged.find("left", f"it moves when the run ended as {said(found)}")
    unread_s = 1.0 + found.world.period_s  # what closes so late, after the proof, is not read any more
    new = any(it.at_s > found.ended_s - unread_s for it in faults.any_of("contactor_welded", "short_welded"))
    if (look.closed or look.shorted) and not told and not new:
        judged.find("left", f"closed={look.closed} shorted={look.shorted} when the run ended as {said(found)}")
    if _contact_s(found.strokes) is None or look.exhaust:
        return
    if not faults.any_of("exhaust_fails", "frozen") and not faults.spans(where="io2"):
        judged.find("left", f"the exhaust does not blow when the run ended as {said(found)}")


def _observed(found: Found, faults: Faults, judged: Judged) -> None:
    """What was touched is watched for as long as the sequence says, whatever went wrong meanwhile."""
    contact_s = _contact_s(found.strokes)
    if contact_s is None or contact_s > found.ended_s or faults.any_of("killed", "disk_full", "disk_fails"):
        return
    if found.hung or found.ended_s - contact_s >= OBSERVED_S:
        return
    judged.find("observed", f"{found.ended_s - contact_s:.1f} s from contact to the end, {said(found)}")


def _passes(found: Found, faults: Faults, judged: Judged) -> None:
    """A pass stands on the truth."""
    result = found.result
    assert result is not None
    if result.verdict != "pass":
        if not found.struck and not found.world.awkward and not _burnt(found):
            judged.find("verdict", f"{said(found)} on a good bench: {[fault.error for fault in result.faults]}")
        return
    looks, shown = found.strokes, {name: it.value for name, it in result.results.items()}
    contact_s = _contact_s(looks)
    if contact_s is None:
        judged.find("verdict", "pass, and the nail never touched it")
        return
    # What burns once the clause's time is over, before anybody took it away, is told; the verdict is of that time only.
    if any(look.burnt for look in _after(looks, contact_s) if look.at_s <= contact_s + shown["observation_s"]):
        judged.find("verdict", f"pass, and in truth {dict(found.seen)}")
    deepest_mm = looks[-1].deepest_mm
    if abs(shown["penetration_depth_mm"] - deepest_mm) > DEPTH_MM:
        judged.find("verdict", f"pass with {shown['penetration_depth_mm']:.2f} mm, true {deepest_mm:.2f} mm")
    longest_s = found.ended_s - contact_s + 1.0
    if not OBSERVED_S - LOOK_S <= shown["observation_s"] <= longest_s:
        judged.find("verdict", f"pass with {shown['observation_s']:.1f} s observed, true at most {longest_s:.1f} s")
    for it in faults.any_of("person_stops", *_HARD):
        begun_s = min((look.at_s for look in _begun(looks)), default=0.0)
        standing = next((look.at_s for look in _after(looks, contact_s) if not look.moving), contact_s)
        if begun_s <= it.at_s < standing - LOOK_S and (it.strike.for_s or 1.0) > 0.5:
            judged.find("verdict", f"pass although {it.strike.fault} came at {it.at_s:.2f} s, in the stroke")


def _burnt(found: Found) -> bool:
    return bool(found.seen.get("fire") or found.seen.get("explosion"))
