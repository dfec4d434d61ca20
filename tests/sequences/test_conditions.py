"""Conditions: what holds, what never does, and every slip of a nested one at once."""

from __future__ import annotations

import math
import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequences.expressions import AllOf, AnyOf, ConditionError, When, as_condition, whens

OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def when(text: str) -> When:
    condition = as_condition(text)
    assert isinstance(condition, When)
    return condition


@given(st.sampled_from(sorted(OPERATORS)), st.sampled_from([2.9, 3.0, 3.1, -3.0, math.nan, math.inf]))
def test_a_comparison_holds_as_arithmetic_says(sign: str, value: float) -> None:
    wanted = OPERATORS[sign](value, 3.0) if math.isfinite(value) else False
    assert when(f"voltage {sign} 3 V").holds({"voltage": value}) is wanted


def test_a_missing_value_never_holds() -> None:
    assert not when("ambient < 30 degC").holds({})
    assert not when("ambient >= -100 degC").holds({"ambient": math.nan})
    assert not when("voltage / current > 1 ohm").holds({"voltage": 3.0, "current": 0.0})


def test_sustained_and_relative() -> None:
    condition = when("voltage <= start(voltage) - 10 mV for 1.5 min")
    assert condition.sustained is not None
    assert condition.sustained.evaluate({}) == 90.0
    assert condition.names == {"voltage", "start.voltage"}
    assert condition.holds({"voltage": 3.60, "start.voltage": 3.62})
    assert not condition.holds({"voltage": 3.615, "start.voltage": 3.62})


def test_nested_any_and_all() -> None:
    condition = as_condition(
        {"any": ["voltage >= 4.2 V", {"all": ["current <= 1 A", "duration >= 1 h", "temperature > 50 degC for 5 s"]}]}
    )
    assert isinstance(condition, AnyOf)
    assert isinstance(condition.parts[1], AllOf)
    assert condition.names == {"voltage", "current", "duration", "temperature"}
    assert [(path, part.text) for path, part in whens(condition)] == [
        (("any", 0), "voltage >= 4.2 V"),
        (("any", 1, "all", 0), "current <= 1 A"),
        (("any", 1, "all", 1), "duration >= 1 h"),
        (("any", 1, "all", 2), "temperature > 50 degC for 5 s"),
    ]


@pytest.mark.parametrize(
    ("text", "said", "fix"),
    [
        ("voltage", "compares two values", "voltage >= 4.2 V"),
        ("voltage = 4.2 V", "never equal", "<, <=, > or >="),
        ("voltage == 4.2 V", "never equal", "<, <=, > or >="),
        ("voltage > 3 V and current < 1 A", "one comparison each", "any: or all:"),
        ("2 V < voltage < 3 V", "out of place", "two comparisons under all:"),
        ("voltage > 3 A", "a voltage (V) is compared with a current (A)", "one kind"),
        ("voltage > 3", "compared with a number", "write '3 V'"),
        ("voltage > 3 V for", "stops too early", "4.2 V"),
        ({"none": []}, "keys none", "any: or all:"),
        ({"any": [], "all": []}, "keys any, all", "any: or all:"),
        ({"any": []}, "wants a list", "any: or all:"),
        ({"any": "voltage > 3 V"}, "wants a list", "any: or all:"),
        (["voltage > 3 V"], "a list where a value is wanted", "voltage >= 4.2 V"),
        (True, "True where a value is wanted", "voltage >= 4.2 V"),
    ],
)
def test_refusals(text: object, said: str, fix: str) -> None:
    with pytest.raises(ConditionError) as refused:
        as_condition(text)
    ((_, slip),) = refused.value.slips
    assert said in slip.error
    assert fix in slip.fix


def test_every_slip_of_a_condition_at_once() -> None:
    with pytest.raises(ConditionError) as refused:
        as_condition({"any": ["voltage >", {"all": ["current < 1 A", "x y"]}, 3]})
    assert [path for path, _ in refused.value.slips] == [("any", 0), ("any", 1, "all", 1), ("any", 2)]


ANYTHING = st.recursive(
    st.text(max_size=20) | st.none() | st.booleans() | st.floats() | st.sampled_from(["voltage > 3 V", "any", "all"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["any", "all", "x"]), inner, max_size=2)
        | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_anything_is_a_condition_or_refused(value: Any) -> None:
    try:
        condition = as_condition(value)
    except ConditionError:
        return
    for _, part in whens(condition):
        assert part.holds({}) is False or not part.names
