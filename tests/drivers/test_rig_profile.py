"""Register profiles of rigs: what the page says is what is read, and every fault is named with its line."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.capabilities import PointKind
from drivers.errors import ConfigError, Fault
from drivers.profiles import builtin, names
from drivers.registers import RANGE, WORDS, blocks, number_of, words_of
from drivers.rig_profile import RigProfile, parse

REFERENCE = builtin("reference")


def faults_of(text: str) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as refused:
        parse(text, "rig.toml")
    return refused.value.faults


def changed(old: str, new: str) -> str:
    assert REFERENCE.count(old) == 1
    return REFERENCE.replace(old, new)


def line_of(text: str, beginning: str) -> int:
    return next(at for at, line in enumerate(text.splitlines(), 1) if line.startswith(beginning))


@pytest.mark.parametrize("name", ["reference", "siemens-s7", "mitsubishi-fx5"])
def test_the_profiles_that_come_with_the_program_are_good(name: str) -> None:
    assert name in names()
    assert parse(builtin(name), name).name == name


def test_an_unknown_profile_is_no_profile() -> None:
    with pytest.raises(KeyError):
        builtin("../reference")


def test_the_reference_page_says_what_it_says() -> None:
    profile = parse(REFERENCE, "reference.toml")
    assert profile.heartbeat_s == pytest.approx(0.08)
    assert profile.timeout_s == pytest.approx(0.25)
    force = profile.signals["force_n"]
    assert (force.address, force.type, force.order, force.scale) == (14, "s32", "CDAB", 0.1)
    # 200 kN in tenths of a newton is 2 000 000 = 0x001E8480, low word first.
    assert force.value((0x8480, 0x001E)) == pytest.approx(200e3)
    assert force.words(200e3) == (0x8480, 0x001E)
    smoke = profile.points["smoke_clear"]
    assert (smoke.value(0b01), smoke.value(0b10)) == (0.0, 1.0)
    assert profile.points["door_locked"].value(0b10) == 1.0
    t1 = profile.points["t1"]
    assert t1.kind is PointKind.TEMPERATURE
    assert t1.value(0xFFF6) == pytest.approx(-1.0)
    assert math.isnan(t1.value(0x7FFF))
    assert (profile.command, profile.key, profile.codes["start"]) == (200, 0xA55A, 3)
    assert profile.ring.row_registers == 8


@pytest.mark.fault("F28", "T12")
def test_word_orders() -> None:
    """1.0 in IEEE 754 is 0x3F800000; 0x00012345 is 74565."""
    assert number_of((0x3F80, 0), "f32", "ABCD") == 1.0
    assert number_of((0, 0x3F80), "f32", "CDAB") == 1.0
    assert number_of((0x0001, 0x2345), "u32", "ABCD") == 74565
    assert number_of((0x2345, 0x0001), "s32", "CDAB") == 74565
    assert number_of((0xFFFE, 0xFFFF), "s32", "CDAB") == -2
    assert words_of(-2, "s32", "CDAB") == (0xFFFE, 0xFFFF)
    assert words_of(-1, "s16", "ABCD") == (0xFFFF,)


@pytest.mark.fault("T12")
@given(kind=st.sampled_from(["u16", "s16", "u32", "s32"]), order=st.sampled_from(["ABCD", "CDAB"]), data=st.data())
def test_every_whole_number_survives(kind: str, order: str, data: st.DataObject) -> None:
    number = data.draw(st.integers(*RANGE[kind]))
    words = words_of(number, kind, order)  # type: ignore[arg-type] # hypothesis gives plain text
    assert len(words) == WORDS[kind]
    assert all(0 <= word <= 0xFFFF for word in words)
    assert number_of(words, kind, order) == number  # type: ignore[arg-type]
    high_first = words if order == "ABCD" else words[::-1]
    raw = b"".join(word.to_bytes(2, "big") for word in high_first)
    assert int.from_bytes(raw, "big", signed=kind[0] == "s") == number


@pytest.mark.fault("T12")
@given(
    number=st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False),
    order=st.sampled_from(["ABCD", "CDAB"]),
)
def test_every_float_survives(number: float, order: str) -> None:
    words = words_of(number, "f32", order)  # type: ignore[arg-type]
    high_first = words if order == "ABCD" else words[::-1]
    assert struct.unpack(">f", struct.pack(">HH", *high_first))[0] == number
    assert number_of(words, "f32", order) == number  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "kind"), [(65536, "u16"), (-1, "u16"), (32768, "s16"), (2**31, "s32"), (1e39, "f32"), (math.nan, "u16")]
)
def test_what_does_not_fit_is_refused(number: float, kind: str) -> None:
    with pytest.raises(ValueError, match=kind):
        words_of(number, kind, "ABCD")  # type: ignore[arg-type]


@given(
    spans=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 2)), min_size=1),
    longest=st.integers(2, 64),
    gap=st.integers(0, 8),
)
def test_blocks_cover_every_register_and_none_is_too_long(spans: list[tuple[int, int]], longest: int, gap: int) -> None:
    found = blocks(spans, longest=longest, gap=gap)
    assert all(count <= longest for _, count in found)
    for address, count in spans:
        assert any(start <= address and address + count <= start + length for start, length in found)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("plc_heartbeat      =", "plc_hartbeat      =", "plc_hartbeat", "plc_heartbeat"),
        ('state              = { address = 3, type = "u16" }', 'state = { address = 3, type = "u8" }', "state", "u8"),
        ("force_n            = { address = 14,", "force_n            = { address = 13,", "force_n", "speed_mm_s"),
        ("speed_mm_s         = { address = 12, ", "speed_mm_s         = { ", "speed_mm_s", "address"),
        ('heartbeat = "80 ms"', 'heartbeat = "120 ms"', "heartbeat", "0.1 s"),
        ('heartbeat = "80 ms"', "heartbeat = 80", "heartbeat", "unit"),
        ('word_order = "CDAB"', 'word_order = "BADC"', "word_order", "BADC"),
        ("address = 8, bit = 1 }", "address = 8, bit = 16 }", "door_locked", "15"),
        ("address = 8, bit = 1 }", "address = 8, bit = 0 }", "door_locked", "door_closed"),
        ("retract = 5", "retract = 4", "retract =", "stop"),
        ("capacity = 3000", "capacity = 9000", "capacity", "65535"),
        (", off = -2147483648 }", " }", "voltage_stop_v", "off"),
        ("scale = 0.0001, off = 0 }", "scale = 0, off = 0 }", "deformation_stop", "scale"),
        ("max_registers = 64", "max_registers = 6", "max_registers", "8"),
        ('t1 = { kind = "temperature"', 't1 = { kind = "temperatur"', "t1", "temperatur"),
    ],
)
def test_a_slip_is_named_with_its_line(old: str, new: str, line: str, words: str) -> None:
    text = changed(old, new)
    found = faults_of(text)
    assert any(fault.where == f"rig.toml:{line_of(text, line)}" for fault in found)
    assert words in " ".join(f"{fault.error} {fault.fix}" for fault in found)


def test_every_fault_is_reported_at_once() -> None:
    text = changed("stop = 4\n", "").replace("depth_mm          =", "dept_mm =").replace("bit = 12", "bit = -1")
    text = text.replace('timeout = "0.25 s"', 'timeout = "soon"')
    errors = " ".join(f"{fault.error} {fault.fix}" for fault in faults_of(text))
    for word in ("`stop` is missing", "dept_mm", "`depth_mm` is missing", "bit", "soon"):
        assert word in errors


@pytest.mark.parametrize("text", ["", 'schema = "cellbench/point-list/1"', 'schema = "cellbench/rig-profile/2"'])
def test_another_page_is_refused_by_name(text: str) -> None:
    assert "rig-profile/1" in faults_of(text)[0].fix


@given(line=st.integers(0, 120), text=st.text(max_size=30))
def test_any_broken_page_is_a_profile_or_a_config_error(line: int, text: str) -> None:
    lines = REFERENCE.splitlines()
    lines[line % len(lines)] = text.replace("\n", " ")
    found: RigProfile | tuple[Fault, ...]
    try:
        found = parse("\n".join(lines), "rig.toml")
    except ConfigError as error:
        found = error.faults
    assert isinstance(found, RigProfile) or found
