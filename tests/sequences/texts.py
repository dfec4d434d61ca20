"""A small sequence that tests change one thing of."""

from __future__ import annotations

from sequences import Sequence, parse

SMALL = """\
schema: cellbench/sequence/1
id: lab/small
title: {en: Small, zh: 小}
summary: {en: Small., zh: 小。}
parameters:
  rate: {default: 1 I3, at_least: 0.1 I1, at_most: 1 I1}
log: {every: 10 s, voltage: 20 mV}
steps:
  - charge:
      id: up
      mode: cccv
      voltage: cell.charge_voltage
      current: param.rate
      end: current <= 0.05 I1
      timeout: 8 h
  - repeat_until_stable:
      id: again
      stable: {result: capacity, last: 3, within: 3 % * cell.rated_capacity}
      at_most: 5
      steps:
        - discharge:
            id: down
            mode: cc
            voltage: cell.v_min
            current: param.rate
            timeout: 5 h
            results: {capacity: charge, energy: energy}
  - rest: {duration: 1 h}
watch:
  - {name: hottest, of: temperature, take: max, during: [again]}
results:
  capacity_ah: mean(last(result.capacity, 3))
  density_wh_kg: mean(last(result.energy, 3)) / run.sample_mass
  hottest_c: watch.hottest
criteria:
  - id: capacity
    kind: requirement
    title: {en: Capacity, zh: 容量}
    value: result.capacity_ah
    at_least: 100 % * cell.rated_capacity
    source: {standard: lab, edition: "1", grade: ours}
"""

JUDGE = """\
  - judge:
      phase: observation
      questions:
        - name: fire
          text: {en: Fire?, zh: 起火？}
          definition: {en: Burning for longer than 1 s., zh: 持续燃烧大于 1 s。}
          source: {standard: lab, edition: "1", grade: ours}
          detectors: [flame]
"""

#: An abuse test in which everything is where it belongs.
ABUSE = (
    """\
schema: cellbench/sequence/1
id: lab/needle
title: {en: Needle, zh: 针刺}
summary: {en: Needle., zh: 针刺。}
class: abuse
log: {every: 1 s}
steps:
  - transfer:
      id: carried
      to: rig
      ocv_within: 10 mV
      charge_age: 24 h
      results: {ocv_before: voltage, age: transfer.charge_age}
  - penetrate:
      id: needle
      phase: stimulus
      speed: 1 mm/s
      depth: 90 % * cell.thickness
      force: 20 kN
      end: {all: [temperature >= 60 degC, temperature_rate >= 1 K/s for 3 s]}
      timeout: 10 min
      results: {speed: stroke.speed, deep: stroke.depth}
  - observe: {id: observation, phase: observation, duration: 1 h, until: 60 degC, rate: 1 K/min, at_most: 6 h}
"""
    + JUDGE
    + """\
  - quarantine: {phase: observation}
results:
  fire: judgement.fire
  speed_mm_s: result.speed
"""
)


def changed(old: str, new: str) -> str:
    """The small sequence with one piece of text replaced; it must be there once."""
    assert SMALL.count(old) == 1, f"{old!r} stands {SMALL.count(old)} times in the small sequence"
    return SMALL.replace(old, new)


def small() -> Sequence:
    return parse(SMALL, "small.yaml")
