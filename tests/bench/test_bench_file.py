"""The bench file: what is read, what is refused, and that every fault names its line."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.config import load_bench, load_cell, read_bench, standing_bench, wire_keys
from bench.plan import bind
from drivers import ConfigError
from drivers.toml_text import key_lines
from tests.bench.sequences_of_ours import CAPACITY, REST
from tests.bench.stand_ins import CELLS, DEMO, edited, models

DOCS = Path(__file__).parents[2] / "docs"


def refused(text: str) -> list[tuple[int, str]]:
    """Line and words of every fault of a bench file."""
    with pytest.raises(ConfigError) as caught:
        read_bench(text, "bench.toml")
    found = []
    for fault in caught.value.faults:
        assert fault.fix
        name, _, line = fault.where.partition(":")
        assert name == "bench.toml"
        found.append((int(line or 0), fault.error + " | " + fault.fix))
    return found


def line_with(text: str, what: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if what in line)


def test_the_demonstration_bench_is_read_in_base_units() -> None:
    bench = load_bench(DEMO)
    psb = bench.devices["psb"]
    assert psb.rating == {"voltage_v": 60.0, "current_a": 170.0, "power_w": 5000.0}
    assert (psb.watchdog_s, bench.polling.energised_s, bench.polling.rest_s) == (4.0, 1.0, 2.0)
    assert bench.devices["ch1"].rating == {"high_c": 150.0, "low_c": -40.0}
    assert bench.devices["ch1"].poll.energised_s == 5.0
    assert bench.places["chamber1"].surface == ("th1.ai0", "th1.ai1", "th1.ai2")
    assert bench.limits.cell_voltage.low_v == -0.5
    assert bench.calibration["psb.out"].due == date(2027, 4, 17)
    assert bench.calibration["psb.out"].accuracy.voltage_v == pytest.approx(0.03)
    assert bench.simulation.operator["air_speed"] == "0.5 m/s"
    assert (bench.mains_hz, bench.far_end, bench.channels["1"].abuse) == (50, "hardware", True)


def test_polling_is_a_fifth_of_a_second_unless_the_file_says_so() -> None:
    bench = read_bench(edited(DEMO, ('energised = "1 s"\n', "")), "bench.toml")
    assert bench.polling.energised_s == 0.2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('watchdog = "4 s"', 'watchdg = "4 s"', "did you mean `watchdog`"),
        ('current = "170 A"\n', "current = 170\n", "bare number"),
        ('current = "170 A"\n', 'current = "170 V"\n', "wanted a current"),
        ('current = "170 A"\n', 'current = "0 A"\n', "greater than 0"),
        ('current = "170 A"\n', "current = nan\n", "bare number"),
        ('watchdog = "4 s"', "watchdog = true", "not a time"),
        ('kind = "rig"', 'kind = "rug"', "did you mean `rig`"),
        ("door_closed", "dor_closed", "did you mean `door_closed`"),
        ("unit = 2", "unit = 2.0", "integer"),
        ("unit = 2", "unit = 248", "less than or equal to 247"),
        ('"th1.ai3"\nsurface', '"th1-ai3"\nsurface', "device.point"),
        ("[devices.io1]", "[devices.IO-1]", "device's name"),
        ("[channels.1]", '[places."../shelf"]\nkind = "position"\nzone = "a"\n\n[channels.1]', "place's name"),
        ('url = "tcp://192.168.10.20:5025"', 'url = "tpc://192.168.10.20:5025"', "begin with one of"),
        ('url = "tcp://192.168.10.20:5025"', 'url = "tcp://192.168.10.20"', "no port"),
        ('mains = "50 Hz"', 'mains = "55 Hz"', "50 Hz"),
        ("due = 2027-04-17", 'due = "2027-04-17"', "date"),
        ('humidity = "45 %"', "humidity = 45", "string"),
        ("gas_clear", "gas_clera", "did you mean `gas_clear`"),
        ('pressure = { high = "150 kPa" }', 'pressure = { high = "150 degC" }', "wanted a pressure"),
        ('pressure = { high = "150 kPa" }', 'presure = { high = "150 kPa" }', "did you mean `pressure`"),
        ('short_contactor = "io2.short"', 'short_contactr = "io2.short"', "did you mean `short_contactor`"),
        ('speed = "50 mm/s"', "speed = 50", "has no unit"),
        ('poll = { stimulus = "0.8 s" }', "poll = { stimulus = 1 }", "bare number"),
    ],
)
def test_a_slip_is_refused_with_its_line(old: str, new: str, words: str) -> None:
    text = edited(DEMO, (old, new))
    faults = refused(text)
    assert [line for line, _ in faults] == [line_with(text, new.splitlines()[0])]
    assert words in faults[0][1]


def test_every_slip_is_told_at_once_in_the_order_of_the_file() -> None:
    text = edited(DEMO, ('mains = "50 Hz"', "mains = 50"), ('model = "espec-p300"\n', ""), ('rest = "2 s"', "rest = 2"))
    text += "\n[extra]\nkey = 1\n"
    wanted = [line_with(text, what) for what in ("mains = 50", "rest = 2", "[devices.ch1]", "[extra]")]
    assert [line for line, _ in refused(text)] == wanted


def test_a_missing_key_says_what_to_add_and_where() -> None:
    text = edited(DEMO, ('contactor_feedback = "io1.di0"\n', ""))
    ((line, words),) = refused(text)
    assert line == line_with(text, "[channels.1]")
    assert "contactor_feedback" in words
    assert "[channels.1]" in words


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ("", "no schema"),
        ('schema = "cellbench/bench/2"\n', "cellbench/bench/2 is newer"),
        ('schema = "cellbench/cell/1"\n', "cell file"),
        ('schema = "cellbench/bench/one"\n', "not one of ours"),
        ("schema = 1\n", "not one of ours"),
    ],
)
def test_the_schema_is_looked_at_before_anything_else(first: str, words: str) -> None:
    text = edited(DEMO, ('schema = "cellbench/bench/1"\n', first), ('mains = "50 Hz"', "mains = 50"))
    ((_, found),) = refused(text)
    assert words in found


def test_text_that_is_no_toml_names_its_line() -> None:
    assert refused('schema = "cellbench/bench/1"\nname = bench\n')[0][0] == 2
    ((line, words),) = refused('schema = "cellbench/bench/1"\nname = "a"\nname = "b"\n')
    assert line == 3
    assert "once" in words


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'schema = "cellbench/bench/1"\ntitle = "M\xfcnchen"\n')
    for path, words in ((tmp_path / "none.toml", "does not exist"), (tmp_path, "cannot be read"), (latin, "UTF-8")):
        with pytest.raises(ConfigError) as caught:
            load_bench(path)
        assert str(path) in caught.value.faults[0].where
        assert words in caught.value.faults[0].error
    with pytest.raises(ConfigError) as caught:
        load_bench(latin)
    assert caught.value.faults[0].where.endswith(":2")


def test_a_wire_is_locked_once_however_many_devices_hang_on_it() -> None:
    bench = load_bench(DEMO)
    keys = wire_keys(bench)
    assert len(keys) == 6  # seven devices, two of them on one RS-485 line
    assert "192.168.10.20:5025" in keys
    assert wire_keys(bench, ["th1", "v1"]) == ("/dev/serial/by-id/usb-ICPDAS-line2",)


def test_a_standing_bench_differs_in_its_urls_and_says_what_it_is() -> None:
    bench = load_bench(DEMO)
    urls = {name: f"tcp://127.0.0.1:{7000 + number}" for number, name in enumerate(bench.devices)}
    standing = read_bench(standing_bench(bench, urls), "standing.toml")
    assert standing.far_end == "simulated"
    assert {name: device.url for name, device in standing.devices.items()} == urls
    back = {name: bench.devices[name].url for name in urls}
    original = read_bench(standing_bench(standing, back), "back.toml").model_copy(update={"far_end": "hardware"})
    assert original.model_dump() == bench.model_dump()


def test_a_standing_bench_finds_its_profiles_from_any_folder_and_says_who_carries_samples(tmp_path: Path) -> None:
    (tmp_path / "bench.toml").write_text(edited(DEMO, ('profile = "rig1-points"', 'profile = "lists/io2.toml"')))
    bench = load_bench(tmp_path / "bench.toml")
    standing = read_bench(standing_bench(bench, {}, hands="127.0.0.1:7100"), "elsewhere.toml")
    assert standing.devices["io2"].profile == str((tmp_path / "lists" / "io2.toml").resolve())
    assert standing.devices["rig"].profile == "reference"  # comes with Cellbench, so it has no path
    assert standing.simulation.hands == "127.0.0.1:7100"
    assert standing.simulation.operator == bench.simulation.operator
    again = read_bench(standing_bench(standing, {}, hands="127.0.0.1:7200"), "elsewhere.toml")
    assert (again.simulation.hands, again.devices) == ("127.0.0.1:7200", standing.devices)


def test_hands_go_into_a_simulation_table_that_is_there_already() -> None:
    text = edited(
        DEMO, ("[simulation.operator]", "[simulation]   # only a simulated run reads this\n\n[simulation.operator]")
    )
    standing = read_bench(standing_bench(read_bench(text, "bench.toml"), {}, hands='a "b" \\ c'), "standing.toml")
    assert standing.simulation.hands == 'a "b" \\ c'
    assert standing.simulation.operator["humidity"] == "45 %"


def test_a_bench_without_hands_is_left_without() -> None:
    assert "hands" not in standing_bench(load_bench(DEMO), {})


def test_the_rig_and_its_place_are_read_in_base_units() -> None:
    bench = load_bench(DEMO)
    assert bench.devices["rig"].rating == {"stroke_mm": 300.0, "speed_mm_s": 50.0, "force_n": 150e3}
    rig = bench.places["rig1"]
    assert (rig.rig, rig.exhaust, rig.pressure, rig.heater) == ("rig.nail", "io2.exhaust", "io2.pressure", None)
    assert rig.limits.pressure is not None
    assert rig.limits.pressure.high_kpa == 150.0
    assert rig.limits.surface_temperature is not None
    assert (rig.limits.surface_temperature.low_c, rig.limits.surface_temperature.high_c) == (None, 1200.0)
    reach = bench.channels["1"].reaches["rig1"]
    assert (reach.contactor, reach.short_contactor) == ("io2.sample", "io2.short")


def test_the_documents_examples_are_benches_that_bind() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (DOCS / "bench-file.md").read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        bench = read_bench(block, "bench-file.md")
        plan = bind(REST, bench, load_cell(CELLS / "nmc-25ah.toml"), mode="simulated", models=models())
        assert plan.channel.name == "1"


def test_the_document_states_the_numbers_that_binding_gives() -> None:
    text = (DOCS / "bench-file.md").read_text()
    cell = load_cell(CELLS / "solid-state-gen1.toml")
    plan = bind(CAPACITY, load_bench(DEMO), cell, mode="simulated", models=models())
    guard = {limit.rule: limit for limit in plan.limits}
    assert f"{guard['sample.voltage'].high:.3f} V, {guard['sample.current'].high:g} A" in text
    assert f"{plan.device_limits.over_voltage_v:.3f} V, {plan.device_limits.over_current_a:g} A" in text


# Where a key stands, against a text whose lines were counted while it was written.

BARE = st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True)
TEXTS = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), max_size=8)


@st.composite
def written_toml(draw: st.DrawFn) -> tuple[str, dict[tuple[str, ...], int]]:
    lines: list[str] = []
    wanted: dict[tuple[str, ...], int] = {}
    for table in draw(st.lists(BARE, min_size=1, max_size=4, unique=True)):
        lines += ["# comment = 1 [x]"] * draw(st.integers(0, 2))
        lines.append(f"[{table}]")
        wanted[table,] = len(lines)
        for key in draw(st.lists(BARE, max_size=4, unique=True)):
            kind = draw(st.sampled_from(["text", "multi", "list", "inline", "number"]))
            wanted[table, key] = len(lines) + 1
            quoted = '"' + draw(TEXTS) + '"'
            if kind == "text":
                lines.append(f"{key} = {quoted} # a = 1")
            elif kind == "multi":
                lines += [f'"{key}" = """', "inside = 1", '[not.a.table] """']
            elif kind == "list":
                lines += [f"{key} = [", f"  {quoted},", "]"]
            elif kind == "inline":
                lines.append(f"{key} = {{ one = {quoted}, 'two' = [1, 2] }}")
                wanted[table, key, "two"] = len(lines)
            else:
                lines.append(f"{key} = -1.5e3")
    return "\n".join(lines) + "\n", wanted


@given(written_toml())
def test_every_key_is_found_on_its_line(case: tuple[str, dict[tuple[str, ...], int]]) -> None:
    text, wanted = case
    tomllib.loads(text)  # the generator writes valid TOML
    found = key_lines(text)
    assert {path: found.get(path) for path in wanted} == wanted


def test_lists_of_tables_and_dotted_keys_are_counted() -> None:
    text = '[[a]]\nb = 1\n[[a]]\nc.d = 2\n[a.e]\nf = 3\n[x]\n"y.z".w = """\n\\"""\n"""\nv = 1\n'
    tomllib.loads(text)
    found = key_lines(text)
    assert found["a", 0, "b"] == 2
    assert found["a", 1, "c", "d"] == 4
    assert found["a", 1, "e", "f"] == 6
    assert found["x", "y.z", "w"] == 8
    assert found["x", "v"] == 11
