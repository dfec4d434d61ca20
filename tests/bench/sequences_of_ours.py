"""Small sequences for tests of binding."""

from __future__ import annotations

import sequences

_HEAD = """\
schema: cellbench/sequence/1
id: test/{name}
title: {{en: Test, zh: 测试}}
summary: {{en: For a test, zh: 用于测试}}
"""

CAPACITY_TEXT = (
    _HEAD.format(name="capacity")
    + """\
parameters:
  rate: {default: 1 I3, at_least: 0.1 I1, at_most: 1 I1}
log: {every: 10 s}
steps:
  - chamber: {temperature: 25 degC}
  - soak: {temperature: 25 degC, tolerance: 2 K, duration: 30 min, timeout: 6 h}
  - confirm:
      text: {en: Enter the humidity, zh: 请输入湿度}
      entries:
        - {name: humidity, prompt: {en: Humidity, zh: 湿度}, example: 45 %}
  - repeat:
      count: 2
      steps:
        - charge:
            id: fill
            mode: cccv
            voltage: cell.charge_voltage
            current: cell.charge_current
            end: "current <= cell.charge_end_current"
            timeout: 6 h
        - rest: {duration: 1 h}
        - discharge:
            id: empty
            mode: cc
            voltage: cell.v_min
            current: param.rate
            timeout: 6 h
            results: {capacity: charge}
watch:
  - {name: air, of: ambient, take: max}
results:
  capacity_ah: mean(result.capacity)
"""
)
CAPACITY = sequences.parse(CAPACITY_TEXT, "capacity.yaml")

REST = sequences.parse(
    _HEAD.format(name="rest") + "log: {every: 10 s}\nsteps:\n  - rest: {duration: 1 h}\n", "rest.yaml"
)


def one_step(step: str) -> sequences.Sequence:
    """A sequence of one step, written as a YAML mapping in one line."""
    text = _HEAD.format(name="one") + f"log: {{every: 10 s}}\nsteps:\n  - {step}\n"
    return sequences.parse(text, "one.yaml")


AFTER = """\
  - observe: {phase: observation, duration: 1 h, until: 60 degC, rate: 1 K/min, at_most: 6 h}
  - judge:
      phase: observation
      questions:
        - name: fire
          text: {en: Was there a fire?, zh: 是否起火？}
          definition: {en: A flame lasting more than one second., zh: 持续燃烧超过一秒。}
          source: {standard: tests, edition: '1', grade: ours}
          detectors: [flame]
  - quarantine: {phase: observation}
"""


def abuse(*steps: str, after: str = AFTER, more: str = "") -> sequences.Sequence:
    """An abuse test: these steps, each a YAML mapping in one line, then observation, judgement and quarantine."""
    written = "".join(f"  - {step}\n" for step in steps)
    text = _HEAD.format(name="abuse") + f"class: abuse\n{more}log: {{every: 10 s}}\nsteps:\n{written}{after}"
    return sequences.parse(text, "abuse.yaml")


TRANSFER = "transfer: {to: rig, ocv_within: 10 mV, charge_age: 24 h}"
NAIL = "penetrate: {phase: stimulus, speed: 25 mm/s, depth: cell.thickness + 10 mm, force: 20 kN, timeout: 60 s}"
