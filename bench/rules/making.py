"""From a rule's data to the rule."""

from __future__ import annotations

from bench.rules.ceiling import CeilingRule
from bench.rules.cross_check import CrossCheckRule
from bench.rules.detached import DetachedRule
from bench.rules.detector import DetectorRule
from bench.rules.rate import RateRule
from bench.rules.runaway import RunawayRule
from bench.rules.shapes import CrossCheck, Detached, Detector, Rate, Rule, RuleSpec, Runaway, Stuck
from bench.rules.stuck import StuckRule


def made(spec: RuleSpec) -> Rule:
    """A rule that has seen nothing yet."""
    match spec:
        case Rate():
            return RateRule(spec)
        case CrossCheck():
            return CrossCheckRule(spec)
        case Runaway():
            return RunawayRule(spec)
        case Detector():
            return DetectorRule(spec)
        case Stuck():
            return StuckRule(spec)
        case Detached():
            return DetachedRule(spec)
        case _:  # nothing else is left: a rule more is a type error here
            return CeilingRule(spec)
