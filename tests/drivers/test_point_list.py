"""Point lists: what a page means in bytes, and what is said about a faulty one."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.capabilities import PointKind
from drivers.errors import ConfigError
from drivers.point_list import Number, parse
from drivers.profiles import builtin
from drivers.registers import RegisterType, WordOrder

HEAD = 'schema = "cellbench/point-list/1"\nname = "n"\ntitle = "t"\nevidence = "e"\n'


def page(*lines: str) -> str:
    return HEAD + "[points]\n" + "\n".join(lines) + "\n"


def faults(text: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as refused:
        parse(text, "p.toml")
    return [(fault.where, fault.error) for fault in refused.value.faults]


def test_the_page_that_comes_with_the_program() -> None:
    listed = parse(builtin("rig1-points"), "rig1-points.toml")
    assert listed.watchdog is not None
    assert (listed.watchdog.address, listed.watchdog.max_s) == (100, 25.0)
    assert listed.watchdog.number.words(4.0) == (40,)
    assert {point.name: (point.address, point.safe) for point in listed.outputs} == {
        "sample": (0, False),
        "short": (1, False),
        "exhaust": (2, True),
    }
    smoke, gas, pressure = (listed.points[name] for name in ("smoke_clear", "gas_clear", "pressure"))
    assert [smoke.value([bit]) for bit in (0, 1)] == [1.0, 0.0]  # its contact closes on alarm
    assert [gas.value([raw]) for raw in (0, 99, 100, 65534)] == [1.0, 1.0, 0.0, 0.0]
    assert math.isnan(gas.value([65535]))
    assert pressure.value([10132]) == pytest.approx(101.32)
    assert (gas.timeout_s, pressure.timeout_s) == (0.3, 0.3)  # the page's, for none has one of its own


def test_a_point_may_have_a_timeout_of_its_own() -> None:
    gas_line = next(line for line in builtin("rig1-points").splitlines() if line.startswith("gas_clear"))
    slow = gas_line.replace("invalid = 65535 }", 'invalid = 65535, timeout = "0.5 s" }')
    listed = parse(builtin("rig1-points").replace(gas_line, slow), "slow.toml")
    assert (listed.points["gas_clear"].timeout_s, listed.points["pressure"].timeout_s) == (0.5, 0.3)


FORMATS = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "f32": ">f"}
RAW = st.one_of(
    st.tuples(st.just("u16"), st.integers(0, 2**16 - 1)),
    st.tuples(st.just("s16"), st.integers(-(2**15), 2**15 - 1)),
    st.tuples(st.just("u32"), st.integers(0, 2**32 - 1)),
    st.tuples(st.just("s32"), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just("f32"), st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)),
)


@pytest.mark.fault("T12")
@given(RAW, st.sampled_from(["ABCD", "CDAB"]), st.sampled_from([1.0, 0.5, -0.25]), st.sampled_from([0.0, -8.0]))
def test_a_number_is_what_struct_says_and_comes_back(
    raw: tuple[RegisterType, float], order: WordOrder, scale: float, offset: float
) -> None:
    kind, number = raw
    packed = struct.pack(FORMATS[kind], number)
    words = list(struct.unpack(f">{len(packed) // 2}H", packed))
    held = words if order == "ABCD" else words[::-1]
    entry = Number(kind, order, scale, offset)
    value = entry.value(held)
    assert value == number * scale + offset
    if kind != "f32":
        assert list(entry.words(value)) == held
    assert math.isnan(Number(kind, order, scale, offset, invalid=number).value(held))


@pytest.mark.fault("F26")
@pytest.mark.parametrize("word", [0x7FC0, 0x7F80, 0xFF80])
def test_a_float_that_is_no_number_is_no_value(word: int) -> None:
    point = parse(page('p = { kind = "pressure", table = "input", address = 0, type = "f32" }'), "p.toml").points["p"]
    assert math.isnan(point.value([word, 0]))


def test_bits_and_limits() -> None:
    listed = parse(
        page(
            'a = { kind = "input", table = "holding", address = 4, bit = 0 }',
            'b = { kind = "input", table = "holding", address = 4, bit = 15, invert = true }',
            'c = { kind = "input", table = "input", address = 9, above = 2.0, scale = 0.5 }',
        ),
        "p.toml",
    )
    a, b, c = listed.points.values()
    assert [(a.value([word]), b.value([word])) for word in (0, 1, 0x8000)] == [(0.0, 1.0), (1.0, 1.0), (0.0, 0.0)]
    assert [c.value([raw]) for raw in (3, 4, 5)] == [0.0, 0.0, 1.0]


def test_spans_leave_out_what_is_no_value() -> None:
    assert Number("u16", scale=0.01, invalid=65535).span().high == pytest.approx(655.34)
    falling = Number("s16", scale=-0.1, offset=1.0).span()
    assert (falling.low, falling.high, falling.resolution) == pytest.approx((-3275.7, 3277.8 - 0.0, 0.1), abs=0.2)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('p = { kind = "output", table = "coil", address = 0 }', "`safe` is missing"),
        ('p = { kind = "output", table = "discrete", address = 0, safe = false }', "none of coil, holding"),
        ('p = { kind = "output", table = "holding", address = 0, safe = false }', "`bit` is missing"),
        ('p = { kind = "input", table = "input", address = 0 }', "`bit` is missing"),
        ('p = { kind = "input", table = "coil", address = 0, bit = 1 }', "unknown key `bit`"),
        ('p = { kind = "input", table = "input", address = 0, below = 1, invert = true }', "unknown key `invert`"),
        ('p = { kind = "input", table = "input", address = 0, below = 1, above = 2 }', "together"),
        ('p = { kind = "mass", table = "discrete", address = 0 }', "none of holding, input"),
        ('p = { kind = "mass", table = "input", address = 65535, type = "u32" }', "0 to 65534"),
        ('p = { kind = "mass", table = "input", address = 0, scale = 0 }', "`scale` is 0"),
        ('p = { kind = "mass", table = "input", address = 0, invalid = 65536 }', "does not fit into u16"),
        ('p = { kind = "mass", table = "input", address = 0, timeout = "6 s" }', "up to 5 s"),
        ('p = { kind = "mass", table = "input", address = true }', "not a whole number"),
        ('p = { kind = "mass", table = "input", adress = 0 }', "unknown key `adress`"),
        ('P = { kind = "mass", table = "input", address = 0 }', "no name for a point"),
        ("p = 3", "not a table"),
        ('p = { kind = ["mass"], table = "input", address = 0 }', "none of"),
    ],
)
def test_a_faulty_line_is_named(line: str, told: str) -> None:
    found = faults(page(line))
    assert any(told in error and where == "p.toml:6" for where, error in found), found


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ('kind = "output", table = "coil", address = 0, safe = false', 'kind = "input", table = "coil", address = 0'),
        (
            'kind = "level", table = "input", address = 0, type = "u32"',
            'kind = "level", table = "input", address = 1',
        ),
        (
            'kind = "level", table = "input", address = 0',
            'kind = "input", table = "input", address = 0, bit = 2',
        ),
    ],
)
def test_two_points_in_one_place_are_refused(one: str, two: str) -> None:
    assert "lies where `a` does" in faults(page(f"a = {{ {one} }}", f"b = {{ {two} }}"))[0][1]


def test_a_limit_and_a_level_may_read_one_register() -> None:
    gas = 'table = "input", address = 0, scale = 0.1'
    listed = parse(
        page(f'gas = {{ kind = "level", {gas} }}', f'clear = {{ kind = "input", below = 10, {gas} }}'), "p.toml"
    )
    assert listed.points["gas"].kind is PointKind.LEVEL


def test_every_fault_at_once_in_the_order_of_the_page() -> None:
    text = (
        'schema = "cellbench/point-list/1"\ntimeout = "soon"\n[watchdog]\nmax = "9 h"\n'
        'timeout = { address = 1, scale = -1.0 }\n[points]\na = { kind = "lamp" }\n'
    )
    places = [int(where.partition(":")[2] or 0) for where, _ in faults(text)]
    assert places == sorted(places)
    assert {0, 2, 4, 5, 7} <= set(places)


def test_the_watchdogs_register_is_nobody_elses() -> None:
    text = HEAD + (
        '[watchdog]\nmax = "9 s"\ntimeout = { address = 1, type = "u32", scale = 0.001 }\n[points]\n'
        'a = { kind = "output", table = "holding", address = 2, bit = 0, safe = false }\n'
    )
    assert "watchdog's register" in faults(text)[0][1]
    assert "does not fit" in faults(text.replace('"u32"', '"u16"').replace('"9 s"', '"90 s"'))[0][1]


@pytest.mark.parametrize("schema", ["cellbench/point-list/2", "cellbench/rig-profile/1"])
def test_another_kind_of_page(schema: str) -> None:
    assert "is not a point list" in faults(HEAD.replace("cellbench/point-list/1", schema))[0][1]


@given(st.text(max_size=200))
def test_any_text_is_a_page_or_faults(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text, "p.toml")
