"""Expressions: arithmetic from physics and from Python's own, refusals, and a parser that only ever says no."""

from __future__ import annotations

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import UNITS, Dimension
from sequences.expressions import ExpressionError, MissingValueError, UnknownNameError, as_expression
from sequences.names import CELL, FIXED, LIVE
from sequences.syntax import MAX_DEPTH, MAX_LENGTH

CELL_60AH = {"cell.rated_capacity": 60.0, "cell.mass": 0.8, "cell.v_min": 2.5, "cell.charge_voltage": 4.3}


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("4.2 V", 4.2, Dimension.VOLTAGE),
        ("4200mV", 4.2, Dimension.VOLTAGE),
        ("45 min", 2700.0, Dimension.TIME),
        ("1 d", 86400.0, Dimension.TIME),
        ("3 %", 0.03, Dimension.NUMBER),
        (".5", 0.5, Dimension.NUMBER),
        ("1e3 s", 1000.0, Dimension.TIME),
        ("-20 degC", -20.0, Dimension.TEMPERATURE),
        ("1.7 m/s", 1700.0, Dimension.SPEED),
        ("6 K/min", 0.1, Dimension.TEMPERATURE_RATE),
        # I1 empties the rated capacity in 1 h, I3 in 3 h (GB 38031-2025, 4.1)
        ("1 I1", 60.0, Dimension.CURRENT),
        ("1 I3", 20.0, Dimension.CURRENT),
        ("0.05 I1", 3.0, Dimension.CURRENT),
        ("2 C", 120.0, Dimension.CURRENT),
        # 4 V * 5 A = 20 W; for 30 min 10 Wh; from 0.1 kg 100 Wh/kg
        ("4 V * 5 A", 20.0, Dimension.POWER),
        ("4 V * 5 A * 30 min", 10.0, Dimension.ENERGY),
        ("4 V * (5 A * 30 min)", 10.0, Dimension.ENERGY),
        ("10 Wh / 100 g", 100.0, Dimension.ENERGY_DENSITY),
        ("100 Wh/kg * 0.1 kg / 2.5 Ah", 4.0, Dimension.VOLTAGE),
        ("36 A * 100 s", 1.0, Dimension.CHARGE),
        ("1 Ah / 36 A", 100.0, Dimension.TIME),
        ("1 Ah / 100 s", 36.0, Dimension.CURRENT),
        ("1 Wh / 1 h", 1.0, Dimension.POWER),
        ("1 V / 10 A", 0.1, Dimension.RESISTANCE),
        ("5 K / 10 s", 0.5, Dimension.TEMPERATURE_RATE),
        ("25 mm/s * 2 s", 50.0, Dimension.LENGTH),
        ("25 degC + 2 K", 27.0, Dimension.TEMPERATURE),
        ("2 K + 25 degC", 27.0, Dimension.TEMPERATURE),
        ("25 degC - 2 K", 23.0, Dimension.TEMPERATURE),
        ("25 degC - 20 degC", 5.0, Dimension.TEMPERATURE_CHANGE),
        ("3 % * cell.rated_capacity", 1.8, Dimension.CHARGE),
        ("cell.rated_capacity / 1 I3", 10800.0, Dimension.TIME),
        ("(cell.charge_voltage + cell.v_min) / 2", 3.4, Dimension.VOLTAGE),
        ("2 V - 1 V - 0.5 V", 0.5, Dimension.VOLTAGE),
        ("8 V / 2 / 2", 2.0, Dimension.VOLTAGE),
        ("-(2 V) + 5 V", 3.0, Dimension.VOLTAGE),
        ("--2 V", 2.0, Dimension.VOLTAGE),
        ("max(1 V, 3 V, 2 V)", 3.0, Dimension.VOLTAGE),
        ("min(0.02 I1, 0.5 A)", 0.5, Dimension.CURRENT),
        ("mean(20 degC, 30 degC)", 25.0, Dimension.TEMPERATURE),
        ("abs(-3 A)", 3.0, Dimension.CURRENT),
    ],
)
def test_worth_and_kind(text: str, value: float, kind: Dimension) -> None:
    expression = as_expression(text)
    assert expression.kind is kind
    assert expression.dimension(FIXED) is kind
    assert expression.evaluate(CELL_60AH) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("symbol", sorted(UNITS))
def test_every_unit_is_read_in_an_expression(symbol: str) -> None:
    unit = UNITS[symbol]
    current = unit.dimension is Dimension.CURRENT_PER_RATED
    worth = as_expression(f"2 {symbol}").evaluate({"cell.rated_capacity": 1.0})
    assert worth == pytest.approx(2 * unit.scale)
    assert as_expression(f"(2 {symbol})").kind is (Dimension.CURRENT if current else unit.dimension)


@pytest.mark.parametrize(
    ("text", "at", "said", "fix"),
    [
        ("3 V + 1 A", 4, "cannot be added", "units on both sides"),
        ("voltage + 1", 8, "cannot be added", "give the number a unit"),
        ("25 degC * 2", 8, "cannot be scaled", "units"),
        ("25 degC / 5 degC", 8, "cannot be scaled", "units"),
        ("25 degC + 25 degC", 8, "cannot be added", "units"),
        ("-(25 degC)", 0, "no sign", "difference"),
        ("1 V * 1 V", 4, "no quantity known here", "units"),
        ("min(1 V, 1 A)", 0, "min of a current (A) and a voltage (V)", "one kind"),
        ("4 mv", 2, "unknown unit 'mv'", "did you mean 'mV'"),
        ("4 volts", 2, "unknown unit", "known units"),
        ("3 voltage", 2, "unknown unit", "operator"),
        ("010 V", 0, "begins with a zero", "write 10"),
        ("25 °C", 3, "no meaning", "degC"),
        ("3 Ω", 2, "no meaning", "ohm"),
        ("4 V 3 A", 4, "out of place", "operator"),
        ("sqrt(4 V)", 0, "unknown function", "known functions"),
        ("maxx(1 V, 2 V)", 0, "unknown function", "did you mean max"),
        ("(1 V", 4, "')' is missing", "write ')'"),
        ("", 0, "stops too early", "4.2 V"),
        ("1 V +", 5, "stops too early", "4.2 V"),
        ("1e999 V", 0, "too large", "finite"),
        ("last(result.x, 3)", 0, "gives a list", "mean(last("),
        ("mean(last(voltage, 3))", 5, "takes a result", "last(result.capacity, 3)"),
        ("mean(last(result.x, 0))", 20, "wants a count", "last(result.capacity, 3)"),
        ("start(charge)", 6, "live quantity", "voltage"),
        ("abs(1 V, 2 V)", 0, "one value", "abs(current)"),
        ("voltage >= 3 V", 8, "out of place", "not a comparison"),
        ("cell.", 5, "name after the dot", "cell.something"),
    ],
)
def test_refusals_say_where_and_what_instead(text: str, at: int, said: str, fix: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        as_expression(text)
    assert refused.value.at == at
    assert said in refused.value.error
    assert fix in refused.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('id')",
        "().__class__.__bases__[0]",
        "cell.__class__.__mro__",
        "lambda: 0",
        "9**9**9",
        "1 if voltage else 2",
        "[1 for x in y]",
        "f'{voltage}'",
        "{{voltage}}",
        "%(voltage)s",
        "voltage; voltage",
        "voltage := 3",
        "voltage\x00",
        "result['x']",
        "min(*result.x)",
        "exec(voltage)",
    ],
)
def test_what_a_language_with_eval_would_run_is_no_expression(text: str) -> None:
    with pytest.raises(ExpressionError):
        as_expression(text)


def test_names_are_what_evaluate_asks_for() -> None:
    assert as_expression("1 I3").names == {"cell.rated_capacity"}
    assert as_expression("start(voltage) - 10 mV").names == {"start.voltage"}
    assert as_expression("mean(last(result.capacity, 3)) / run.sample_mass").names == {
        "result.capacity",
        "run.sample_mass",
    }


def test_only_the_names_given_may_be_used() -> None:
    with pytest.raises(UnknownNameError) as refused:
        as_expression("cell.rated_capcity * 2").dimension(CELL)
    assert refused.value.fix == "did you mean cell.rated_capacity?"
    with pytest.raises(UnknownNameError, match="has no value here"):
        as_expression("voltage").dimension(CELL)
    with pytest.raises(UnknownNameError):
        as_expression("start(voltage)").dimension(CELL)
    assert as_expression("start(voltage)").dimension(LIVE) is Dimension.VOLTAGE


def test_a_result_over_its_turns() -> None:
    values = {"result.x": (1.0, 2.0, 4.0, 9.0)}
    for text, worth in [
        ("result.x", 9.0),
        ("min(result.x)", 1.0),
        ("mean(result.x)", 4.0),
        ("mean(last(result.x, 3))", 5.0),
        ("max(last(result.x, 2), 3)", 9.0),
        ("max(result.x - 2, 3)", 7.0),
    ]:
        assert as_expression(text).evaluate(values) == worth


@pytest.mark.parametrize("values", [{}, {"result.x": ()}, {"result.x": (1.0, 2.0)}, {"result.x": 1.0}])
def test_fewer_turns_than_asked_for_are_no_value(values: dict[str, float | tuple[float, ...]]) -> None:
    with pytest.raises(MissingValueError, match=r"result\.x has no value"):
        as_expression("mean(last(result.x, 3))").evaluate(values)


@pytest.mark.parametrize(
    "text", ["voltage / current", "voltage + 1 V", "max(voltage, 1 V)", "1e300 * 1e300", "mean(1e308, 1e308)"]
)
def test_what_is_not_finite_is_nan(text: str) -> None:
    voltage = 1.0 if "/" in text else math.nan
    assert math.isnan(as_expression(text).evaluate({"voltage": voltage, "current": 0.0}))


def test_units_that_depend_on_the_sequences_own_names_are_settled_later() -> None:
    product = as_expression("result.power * 30 min")
    assert product.kind is None
    with pytest.raises(ExpressionError, match="not settled"):
        product.evaluate({"result.power": 20.0})
    settled = product.settled({"result.power": Dimension.POWER})
    assert settled.kind is Dimension.ENERGY
    assert settled.evaluate({"result.power": 20.0}) == pytest.approx(10.0)
    speed = product.settled({"result.power": Dimension.SPEED})
    assert speed.evaluate({"result.power": 2.0}) == pytest.approx(3600.0)
    ratio = as_expression("result.power / 2")  # a plain factor needs no settling
    assert ratio.evaluate({"result.power": 20.0}) == 10.0


def test_replacing_names_keeps_the_meaning() -> None:
    expression = as_expression("2 * param.a - result.b / param.a").replaced(
        {"param.a": "1 A + 3 A", "result.b": "result.first_b"}
    )
    assert expression.text == "2 * (1 A + 3 A) - result.first_b / (1 A + 3 A)"
    assert expression.replaced({"param.c": "1 V"}) is expression


def test_length_and_depth_are_bounded() -> None:
    fits = "(" * (MAX_DEPTH - 1) + "1 V" + ")" * (MAX_DEPTH - 1)
    assert as_expression(fits).evaluate({}) == 1.0
    for deep in (f"({fits})", "-" * MAX_DEPTH + "(1 V)", "abs(" * 30 + "1" + ")" * 30):
        with pytest.raises(ExpressionError, match="deeper"):
            as_expression(deep)
    longest = "1" + "+1" * ((MAX_LENGTH - 1) // 2)
    assert as_expression(longest).evaluate({}) == longest.count("1")
    with pytest.raises(ExpressionError, match="characters"):
        as_expression(longest + "+1")


@given(st.text(max_size=250))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    refused = refusal_of(text)
    if refused is not None:
        assert 0 <= refused.at <= len(text)
        assert refused.error
        assert refused.fix


def refusal_of(text: str) -> ExpressionError | None:
    try:
        as_expression(text)
    except ExpressionError as refused:
        return refused
    return None


WORDS = "1;2.5 V;3 A;10 s;25 degC;1 I3;2 K;%;(;);,;+;-;*;/;>=;for;.;and;=;V;h"
NAMES = "voltage;result.x;cell.mass;min(;mean(;last(;start(;abs("
PIECES = st.sampled_from(WORDS.split(";")) | st.sampled_from(NAMES.split(";"))


@given(st.lists(PIECES, max_size=25))
def test_any_heap_of_pieces_is_an_expression_or_refused(pieces: list[str]) -> None:
    symbols = {**FIXED, "result.x": Dimension.CHARGE}
    try:
        expression = as_expression(" ".join(pieces)).settled(symbols)
    except ExpressionError:
        return
    try:
        worth = expression.evaluate({"voltage": 3.7, "result.x": (1.0, 2.0), "cell.rated_capacity": 60.0})
    except MissingValueError:
        return
    assert math.isfinite(worth) or math.isnan(worth)


NUMBERS = st.integers(0, 10**6).map(str) | st.decimals(0, 1000, places=3).map(str)
SUMS = st.recursive(
    NUMBERS,
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda part: f"({part[0]} {part[1]} {part[2]})")
        | inner.map(lambda part: f"-{part}" if part[0] == "(" else f"(-{part})")
    ),
    max_leaves=10,
)


@given(SUMS)
def test_plain_arithmetic_agrees_with_python(text: str) -> None:
    if len(text) > MAX_LENGTH or max_nesting(text) >= MAX_DEPTH // 2:
        return
    assert set(text) <= set(string.digits + "+-*/(). ")
    try:
        wanted = eval(text, {"__builtins__": {}})
    except ZeroDivisionError:
        wanted = math.nan
    worth = as_expression(text).evaluate({})
    assert worth == pytest.approx(float(wanted), rel=1e-9, nan_ok=True)


def max_nesting(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest
