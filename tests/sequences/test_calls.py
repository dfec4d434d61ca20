"""Calls: what comes along, under which names, and what may not be called."""

from __future__ import annotations

import pytest

from drivers import ConfigError, Dimension, Fault
from sequences import Sequence, expand
from sequences.language import Call, Charge, Discharge, Repeat, RepeatUntilStable, Rest
from sequences.loader import parse
from sequences.tree import walk_steps
from tests.sequences.texts import SMALL

HEAD = """\
schema: cellbench/sequence/1
id: lab/{name}
title: {{en: a, zh: 甲}}
summary: {{en: a, zh: 甲}}
class: {kind}
log: {{every: 1 s}}
"""


def head(name: str, kind: str = "performance") -> str:
    return HEAD.format(name=name, kind=kind)


TWICE = (
    head("twice")
    + """\
parameters:
  slow: {default: 0.2 I1}
steps:
  - call: {id: first, sequence: lab/small, parameters: {rate: param.slow * 2}}
  - rest:
      duration: mean(last(result.first_capacity, 3)) / 1 I1
  - call: {id: second, sequence: lab/small}
results:
  kept: result.second_capacity / result.first_capacity
"""
)


class Shelf:
    """A library of texts."""

    def __init__(self, **texts: str) -> None:
        self.texts = {f"lab/{name}": text for name, text in texts.items()}

    def __call__(self, wanted: str, inside: tuple[str, ...] = ()) -> Sequence:
        if wanted not in self.texts:
            raise ConfigError([Fault(f"there is no sequence {wanted!r}", wanted, "look again")])
        return parse(self.texts[wanted], f"{wanted}.yaml", self, inside=inside)


def faults_of(text: str, **texts: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse(text, "x.yaml", Shelf(**texts))
    return [f"{fault.where.removeprefix('x.yaml:')} {fault.error}; {fault.fix}" for fault in refused.value.faults]


def test_a_call_becomes_a_repeat_of_one_turn_with_its_own_names() -> None:
    shelf = Shelf(small=SMALL, twice=TWICE)
    sequence = expand(shelf("lab/twice"), shelf)
    assert not any(isinstance(step, Call) for _, step in walk_steps(sequence.steps))
    first, rest, second = sequence.steps
    assert isinstance(first, Repeat)
    assert isinstance(second, Repeat)
    assert isinstance(rest, Rest)
    assert first.count == second.count == 1
    charge, again, pause = first.steps
    assert isinstance(charge, Charge)
    assert isinstance(again, RepeatUntilStable)
    assert isinstance(pause, Rest)
    assert (charge.id, again.id, again.stable.result) == ("first_up", "first_again", "first_capacity")
    (down,) = again.steps
    assert isinstance(down, Discharge)
    assert set(down.results) == {"first_capacity", "first_energy"}
    assert sequence.results["kept"].kind is Dimension.NUMBER


def test_parameters_are_written_in() -> None:
    shelf = Shelf(small=SMALL, twice=TWICE)
    first, _, second = expand(shelf("lab/twice"), shelf).steps
    assert isinstance(first, Repeat)
    assert isinstance(second, Repeat)
    up, again = first.steps[0], second.steps[0]
    assert isinstance(up, Charge)
    assert isinstance(again, Charge)
    assert up.current is not None
    assert again.current is not None
    # 0.2 I1 of 60 Ah is 12 A, twice that 24 A; the default of the called sequence is 1 I3, 20 A
    assert up.current.evaluate({"cell.rated_capacity": 60.0, "param.slow": 12.0}) == pytest.approx(24.0)
    assert again.current.evaluate({"cell.rated_capacity": 60.0}) == pytest.approx(20.0)
    assert up.log is not None
    assert up.log.every.evaluate({}) == 10.0  # the called sequence's, not the caller's 1 s


def test_results_are_settled_after_the_expansion() -> None:
    shelf = Shelf(small=SMALL, twice=TWICE)
    rest = expand(shelf("lab/twice"), shelf).steps[1]
    assert isinstance(rest, Rest)
    values: dict[str, float | tuple[float, ...]] = {"result.first_capacity": (59.0, 60.0, 61.0)}
    values["cell.rated_capacity"] = 60.0
    assert rest.duration.evaluate(values) == pytest.approx(3600.0)  # 60 Ah at 60 A


def test_without_an_id_names_come_as_they_are() -> None:
    once = head("once") + "steps:\n  - call: {sequence: lab/small}\nresults:\n  capacity_ah: result.capacity\n"
    shelf = Shelf(small=SMALL, once=once)
    assert expand(shelf("lab/once"), shelf).results["capacity_ah"].kind is Dimension.CHARGE
    again = once.replace("results:", "  - call: {sequence: lab/small}\nresults:")
    assert any("result.capacity is already taken" in fault for fault in faults_of(again, small=SMALL))


def test_a_sequence_without_calls_comes_back_as_it_is() -> None:
    sequence = Shelf(small=SMALL)("lab/small")
    assert expand(sequence, Shelf()) is sequence


def test_calls_in_calls() -> None:
    outer = head("outer") + "steps:\n  - repeat: {count: 2, steps: [{call: {id: deep, sequence: lab/twice}}]}\n"
    outer += "results: {kept: min(result.deep_second_capacity) / cell.rated_capacity}\n"
    shelf = Shelf(small=SMALL, twice=TWICE, outer=outer)
    sequence = expand(shelf("lab/outer"), shelf)
    ids = {step.id for _, step in walk_steps(sequence.steps)}
    assert {"deep", "deep_first", "deep_first_up", "deep_second_again"} <= ids


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("call: {sequence: lab/smal}", "8:22 there is no sequence 'lab/smal'; look again"),
        ("call: {sequence: lab/small, parameters: {rat: 1 A}}", "no parameter 'rat'; did you mean rate?"),
        ("call: {sequence: lab/small, parameters: {rate: 1 V}}", "is a voltage (V), but rate wants a current (A)"),
        ("call: {sequence: lab/mine}", "the calls go round in a circle: lab/mine -> lab/mine"),
        ("call: {sequence: lab/burn}", "lab/burn is of class abuse"),
        ("call: {sequence: lab/broken}", "unknown kind of step 'rset'"),
        ("call: {sequence: lab/small, id: a-b}", "not a name"),
        ("call: {sequence: lab/small, results: {a: 1}}", "takes no results of its own"),
    ],
)
def test_calls_that_are_refused(step: str, said: str) -> None:
    mine = head("mine") + f"steps:\n  - {step}\n"
    burn = head("burn", "abuse") + "steps:\n  - rest: {duration: 1 s}\n"
    broken = head("broken") + "steps:\n  - rset: {duration: 1 s}\n"
    found = faults_of(mine, small=SMALL, burn=burn, broken=broken, mine=mine)
    assert len(found) == 1
    assert said in found[0]


def test_a_circle_over_several_files() -> None:
    texts = {name: head(name) + f"steps:\n  - call: {{sequence: lab/{to}}}\n" for name, to in ("ab", "bc", "ca")}
    for name in texts:
        with pytest.raises(ConfigError, match="round in a circle"):
            Shelf(**texts)(f"lab/{name}")
