"""The loader: every slip of a file at once, each at its place with what to write instead."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import ConfigError, Dimension, Fault
from sequences import parse
from sequences.language import Charge, Grade, Phase, Repeat, RepeatUntilStable, SequenceClass
from tests.sequences.texts import SMALL, changed, small


def faults_of(text: str) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as refused:
        parse(text, "x.yaml")
    return refused.value.faults


def the_fault(text: str) -> Fault:
    (fault,) = faults_of(text)
    return fault


def test_a_sound_file_becomes_models() -> None:
    sequence = small()
    assert sequence.id == "lab/small"
    assert sequence.class_ is SequenceClass.PERFORMANCE
    assert sequence.title.zh == "小"
    charge, repeat, _ = sequence.steps
    assert isinstance(charge, Charge)
    assert charge.phase is Phase.CONDITIONING
    assert charge.timeout.evaluate({}) == 8 * 3600
    assert isinstance(repeat, RepeatUntilStable)
    assert (repeat.at_most, repeat.stable.last) == (5, 3)
    assert repeat.stable.within.evaluate({"cell.rated_capacity": 60.0}) == pytest.approx(1.8)
    assert sequence.criteria[0].source.grade is Grade.OURS
    assert sequence.criteria[0].source.edition == "1"
    assert sequence.results["density_wh_kg"].kind is Dimension.ENERGY_DENSITY


def test_every_expression_is_settled() -> None:
    sequence = small()
    values: dict[str, float | tuple[float, ...]] = {"result.energy": (280.0, 284.0, 285.0, 286.0)}
    values["run.sample_mass"] = 0.95
    assert sequence.results["density_wh_kg"].evaluate(values) == pytest.approx(285 / 0.95)


def test_a_final_result_is_written_out_in_the_criteria() -> None:
    (criterion,) = small().criteria
    assert criterion.value.text == "mean(last(result.capacity, 3))"
    assert criterion.value.kind is Dimension.CHARGE


@pytest.mark.parametrize(
    ("schema", "said", "fix"),
    [
        ("cellbench/sequence/2", "cellbench/sequence/2 is newer than this Cellbench can read", "newer Cellbench"),
        ("cellbench/sequence/99", "cellbench/sequence/99 is newer", "newer Cellbench"),
        ("cellbench/bench/1", "this is a bench file", "sequence file"),
        ("cellbench/sequence/0", "unknown schema", "cellbench/sequence/1"),
        ("unicycler/1", "unknown schema", "cellbench/sequence/1"),
    ],
)
def test_the_schema_line_is_looked_at_first(schema: str, said: str, fix: str) -> None:
    broken = changed("cellbench/sequence/1", schema).replace("mode: cccv", "mood: cccv")
    fault = the_fault(broken)
    assert said in fault.error
    assert fix in fault.fix
    assert fault.where == "x.yaml:1:9"


def test_without_a_schema_line() -> None:
    assert "no schema line" in the_fault(SMALL.removeprefix("schema: cellbench/sequence/1\n")).error
    assert "not the first" in the_fault(SMALL.removeprefix("schema: cellbench/sequence/1\n") + SMALL[:29]).error
    assert "write schema instead of shema" in the_fault(changed("schema:", "shema:")).fix
    assert "mapping of keys" in the_fault("- 1\n").error
    assert "empty" in the_fault("").error
    bomb = faults_of("a: &a [1]\nb: [*a, *a]\n")
    assert [fault.where for fault in bomb] == ["x.yaml:1:1", "x.yaml:1:4", "x.yaml:2:5", "x.yaml:2:9"]


AGAIN = "{duration: 1 h, results: {energy: energy}}"
NINETY = "90 % * cell.rated_capacity"
SLIPS = [
    # keys and words
    ("mode: cccv", "mood: cccv", "mood", "unknown key 'mood'", "did you mean mode"),
    ("summary:", "sumary:", "sumary", "unknown key 'sumary'", "did you mean summary"),
    ("criteria:", "extra: 1\ncriteria:", "extra", "unknown key 'extra'", "known keys here: schema, id"),
    ("mode: cccv", "mode: ccv", "ccv", "'ccv' is not a mode", "did you mean"),
    ("kind: requirement", "kind: requirment", "requirment", "not a kind", "did you mean requirement"),
    ("grade: ours", "grade: C", "C}", "'C' is not a grade", "A, B, U, ours"),
    ("take: max", "take: most", "most", "not a take", "min, max, mean"),
    ("id: lab/small", "id: small", "small", "not an id", "family/name"),
    ("id: up", "id: Up!", "Up!", "not a name", "small letter"),
    ("{capacity: charge,", "{Capacity: charge, capacity: charge,", "Capacity", "not a name", "small letter"),
    ("at_most: 5", "at_most: 5 s", "5 s", "not a count", "whole number"),
    ("at_most: 5", "at_most: 2000", "2000", "at_most is 2000", "1000 or less"),
    ("last: 3", "last: three", "three", "not a count", "whole number"),
    # steps
    ("- rest: {duration: 1 h}", "- rset: {duration: 1 h}", "rset", "unknown kind of step 'rset'", "did you mean rest"),
    ("- rest: {duration: 1 h}", "- rest: 1 h", "rest: 1", "wants a mapping", "- rest: {duration: ...}"),
    ("- rest: {duration: 1 h}", "- rest", "rest\n", "one key, its kind", "- rest: {duration: 1 h}"),
    ("- rest: {duration: 1 h}", "- {rest: {duration: 1 h}, id: x}", "{rest", "found rest, id", "- rest:"),
    ("- rest: {duration: 1 h}", "- {kind: rest, duration: 1 h}", "{kind", "found kind, duration", "- charge:"),
    ("- rest: {duration: 1 h}", "- rest: {kind: rest, duration: 1 h}", "rest: {k", "unknown key 'kind'", "remove"),
    ("- rest: {duration: 1 h}", "- []", "[]", "one key, its kind", "- rest:"),
    # units
    ("timeout: 8 h", "timeout: 8", "8\n", "8 has no unit; timeout wants a time (s)", "write '8 s'"),
    ("voltage: cell.v_min", "voltage: 4.2", "4.2", "4.2 has no unit", "write '4.2 V'"),
    ("voltage: cell.v_min", "voltage: 4.2 A", "4.2 A", "is a current (A), but voltage wants a voltage (V)", "'1 V'"),
    ("timeout: 8 h", "timeout: cell.rated_capacity", "cell.rated", "is a charge (Ah), but timeout", "in s"),
    ("current <= 0.05 I1", "current <= 0.05", "0.05\n", "compared with a number", "write '0.05 A'"),
    ("within: 3 % * cell.rated_capacity", "within: 3 %", "3 %", "is a number, but within wants a charge", "in Ah"),
    ("voltage: 20 mV", "voltage: 20 mA", "20 mA", "but voltage wants a voltage", "in V"),
    ("at_least: 100 % * cell.rated_capacity", "at_least: 100 %", "100 %", "wants a charge (Ah)", "in Ah"),
    ("at_least: 0.1 I1", "at_least: 10 %", "10 %", "wants a current (A)", "in A"),
    # names
    ("voltage: cell.v_min", "voltage: cell.vmin", "cell.vmin", "unknown name 'cell.vmin'", "did you mean cell.v_min"),
    ("voltage: cell.v_min", "voltage: voltage", "voltage\n", "reading 'voltage' means nothing here", "end condition"),
    ("voltage: cell.v_min", "voltage: 1 V + foo.bar", "foo.bar", "unknown name 'foo.bar'", "cell.*, param.rate"),
    ("duration: 1 h}", "duration: result.nothing / 1 A}", "result.nothing", "unknown name", "result.capacity"),
    ("timeout: 8 h", "timeout: result.capacity / 1 A", "result.cap", "no value yet here", "later step"),
    ("duration: 1 h}", "duration: run.longest_log_interval}", "run.", "only when the run has ended", "criteria"),
    ("duration: 1 h}", "duration: 1 h * (watch.hottest / 1 K)}", "watch.", "only when the run has ended", "criteria"),
    ("value: result.capacity_ah", "value: voltage", "voltage\n", "the reading 'voltage'", "end condition"),
    ("result: capacity,", "result: capcity,", "capcity", "not taken once a turn", "did you mean capacity"),
    ("during: [again]", "during: [agian]", "agian", "no step has the id 'agian'", "did you mean again"),
    ("id: down", "id: up", "up\n        ", "the id 'up' is already taken", "its own"),
    ("- rest: {duration: 1 h}", f"- rest: {AGAIN}", "energy: energy}}", "already taken", "its own"),
    ("hottest_c: watch", "hottest: watch", "hottest: watch", "its name says without unit", "_c"),
    ("hottest_c: watch", "hottest_k: watch", "hottest_k", "is a temperature (degC), but its name says in K", "_c"),
    ("name: hottest,", "name: coldest,", "watch.hottest", "unknown name 'watch.hottest'", "watch.coldest"),
    # sense
    ("timeout: 8 h", "timeout: 0 h", "0 h", "not more than zero", "1 s"),
    ("timeout: 8 h", "timeout: -8 h", "-8 h", "not more than zero", "without sign"),
    ("current: param.rate\n      end", "current: -1 I3\n      end", "-1 I3", "not more than zero", "without sign"),
    ("every: 10 s", "every: 0 s", "0 s", "not more than zero", "1 s"),
    ("default: 1 I3", "default: 2 I1", "2 I1", "outside at_most 1 I1", "move"),
    ("      end: current <= 0.05 I1\n", "", "charge:\n      id: up", "charge in mode cccv needs end", "end: current"),
    ("            current: param.rate\n", "", "discharge:\n", "discharge in mode cc needs current", "current: ..."),
    ("mode: cc\n", "mode: cc\n            power: 3 W\n", "power", "power has no meaning in mode cc", "mode cp"),
    ("last: 3", "last: 6", "5\n", "6 turns are to agree, but there are at most 5", "turns"),
    ("    at_least: 100 % * cell.rated_capacity\n", "", "id: capacity", "criterion capacity has no limit", "at_least"),
    ("timeout: 8 h", "timeout: 1 h / 0", "1 h / 0", "no finite value", "divide by zero"),
    ("at_least: 100 % *", f"at_most: {NINETY}\n    at_least: 100 % *", NINETY, "nothing is at least", "exchange"),
    # shape
    ("      timeout: 8 h\n", "", "charge:\n      id: up", "timeout is missing in charge", "timeout: ..."),
    ("log: {every: 10 s, voltage: 20 mV}\n", "", "schema", "log is missing in the sequence", "log: ..."),
    ("title: {en: Small, zh: 小}", "title: {en: Small}", "title", "zh is missing in title", "zh: ..."),
    ("title: {en: Small, zh: 小}", "title: Small", "Small", "title wants a mapping", "indent"),
    ("during: [again]", "during: again", "again}", "during wants a list", "- "),
    ("title: {en: Small, zh: 小}", "title: {en: [Small], zh: 小}", "[Small]", "en wants a text", "text"),
    ("last: 3", "last: 1", "1,", "last is 1", "2 or more"),
    ("timeout: 8 h", "timeout: [8 h]", "[8 h]", "a list where a value is wanted", "4.2 V"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "piece", "said", "fix"), SLIPS)
def test_each_slip_has_its_place_and_its_cure(old: str, new: str, piece: str, said: str, fix: str) -> None:
    text = changed(old, new)
    fault = the_fault(text)
    assert said in fault.error
    assert fix in fault.fix
    around = text.index(new.split("\n")[0]) if new else 0
    at = text.index(piece, max(0, around - 1)) if piece in text[max(0, around - 1) :] else text.index(piece)
    before = text[:at]
    assert fault.where == f"x.yaml:{before.count(chr(10)) + 1}:{at - before.rfind(chr(10))}"


MANY = """\
schema: cellbench/sequence/1
id: lab/many
title: {en: Many, zh: 多}
summary: {en: Many slips., zh: 多。}
clas: abuse
log: {every: 10}
steps:
  - chage: {mode: cc}
  - charge:
      mode: cccv
      voltage: 4.2
      current: cell.charge_curent
      timeout: 1e3
      end:
        any:
          - current <= 0.05 I1 and voltage > 1 V
          - voltage >= 4.2 A
  - rest: {duration: 1 h, duratoin: 2 h}
  - soak: {temperature: 25 degC, tolerance: 2 degC, duration: 1 h, timeout: 30 min}
  - rest: {duration: 1 h, results: {a: result.b}}
  - rest: {duration: 1 h, results: {b: duration}}
criteria:
  - {id: a, kind: requiremnt, title: {en: a, zh: a}, value: result.b, source: {standard: x, edition: "1", grade: Z}}
  - {id: b, kind: condition, title: {en: a, zh: a}, value: result.b, source: {standard: x, edition: "1", grade: A}}
"""


def test_every_slip_at_once_in_the_order_of_the_file() -> None:
    found = [(fault.where.removeprefix("x.yaml:"), fault.error) for fault in faults_of(MANY)]
    wanted = [
        ("5:1", "unknown key 'clas'"),
        ("6:14", "10 has no unit"),
        ("8:5", "unknown kind of step 'chage'"),
        ("11:16", "4.2 has no unit"),
        ("12:16", "unknown name 'cell.charge_curent'"),
        ("13:16", "1e3: some readers take it for text"),
        ("16:32", "one comparison each"),
        ("17:24", "a voltage (V) is compared with a current (A)"),
        ("18:27", "unknown key 'duratoin'"),
        ("19:45", "2 degC is a temperature (degC)"),
        ("19:77", "a soak of 1 h can never end within 30 min"),
        ("20:40", "result.b has no value yet here"),
        ("23:19", "'requiremnt' is not a kind"),
        ("23:114", "'Z' is not a grade"),
        ("24:5", "criterion b has no limit"),
    ]
    assert [place for place, _ in found] == [place for place, _ in wanted]
    assert all(said.startswith(start) for (_, said), (_, start) in zip(found, wanted, strict=True))


def test_names_of_a_part_at_fault_go_unquestioned() -> None:
    """The result of a step that cannot be read is not called unknown where it is used."""
    fault = the_fault(changed("mode: cc\n", "mode: xx\n"))
    assert "'xx' is not a mode" in fault.error


def test_repeats_nest_and_results_of_the_turn_before_are_no_way_to_begin() -> None:
    inner = "- repeat: {count: 3, steps: [{rest: {duration: 1 h, results: {pause: duration}}}]}"
    sequence = parse(changed("- rest: {duration: 1 h}", inner), "x.yaml")
    repeat = sequence.steps[-1]
    assert isinstance(repeat, Repeat)
    assert repeat.count == 3
    early = inner.replace("duration: 1 h,", "duration: 1 h + result.pause,")
    assert "no value yet" in the_fault(changed("- rest: {duration: 1 h}", early)).error


def test_a_repeat_takes_no_results_of_its_own() -> None:
    text = changed("at_most: 5", "at_most: 5\n      results: {worst: min(result.capacity)}")
    fault = the_fault(text)
    assert "takes no results of its own" in fault.error


def test_entries_are_values_or_words() -> None:
    entry = "- confirm: {{text: {{en: a, zh: a}}, entries: [{{name: humidity, prompt: {{en: a, zh: a}}{}}}]}}"
    fine = changed("- rest: {duration: 1 h}", entry.format(", example: 45 %"))
    text = fine.replace("value: result.capacity_ah", "value: entry.humidity * cell.rated_capacity")
    assert parse(text, "x.yaml").criteria[0].value.kind is Dimension.CHARGE
    words = changed("- rest: {duration: 1 h}", entry.format(', text: "true"'))
    assert parse(words, "x.yaml")
    for more in ("", ", text: true, example: 45 %"):
        text = changed("- rest: {duration: 1 h}", entry.format(more))
        assert "either an example or text: true" in the_fault(text).error
    asked = words.replace("value: result.capacity_ah", "value: entry.humidity")
    assert "unknown name 'entry.humidity'" in the_fault(asked).error
    assert "neither true nor false" in the_fault(words.replace('"true"', "maybe")).error


def test_what_an_entry_can_be_is_a_fixed_quantity_of_its_kind_that_holds_the_example() -> None:
    entry = "- confirm: {{text: {{en: a, zh: a}}, entries: [{{name: humidity, prompt: {{en: a, zh: a}}, {}}}]}}"

    def of(more: str) -> str:
        return changed("- rest: {duration: 1 h}", entry.format(more))

    assert parse(of("example: 45 %, at_least: 0 %, at_most: 100 %"), "x.yaml")
    assert parse(of("example: 45 %, at_most: 100 %"), "x.yaml")
    for more, error in {
        "example: 45 %, at_most: 5 V": "wants a number",
        "example: 45 %, at_most: 40 %": "outside at_most",
        "example: 45 %, at_least: 50 %": "outside at_least",
        "example: 5 V, at_most: cell.v_max": "no fixed quantity",
        "example: 45 %, at_most: 1 / 0": "no finite value",
        'text: "true", at_most: 5': "is words",
    }.items():
        assert error in the_fault(of(more)).error, more


def test_a_syntax_error_is_one_fault_with_its_place() -> None:
    fault = the_fault(changed("  - rest: {duration: 1 h}", "  - rest: {duration: 1 h"))
    assert fault.where.startswith("x.yaml:2")
    assert "not readable as YAML" in fault.error


LINES = SMALL.splitlines(keepends=True)


@given(st.data())
def test_a_damaged_file_loads_or_is_refused(data: st.DataObject) -> None:
    """Lines left out, doubled, exchanged, cut or cut apart: a sequence or a ConfigError, nothing else."""
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "double", "swap", "cut", "indent", "junk"])):
            case "drop" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "cut":
                lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
            case "indent":
                lines[at] = "  " + lines[at]
            case _:
                key, colon, _ = lines[at].partition(":")
                junk = ["1", "x", "[]", "{}", "[a, {b: c}]", "'", "1 V", "result.capacity", "-1 s", '""', "{any: []}"]
                lines[at] = f"{key}{colon} {data.draw(st.sampled_from(junk))}\n"
    check_loads_or_refuses("".join(lines))


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    check_loads_or_refuses(text)
    check_loads_or_refuses("schema: cellbench/sequence/1\n" + text)


VALUES = st.recursive(
    st.sampled_from(["1", "a", "1 V", "1 h", "cc", "true", "lab/x", "voltage > 3 V", "result.a", "", "25 degC"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["charge", "rest", "repeat", "steps", "count", "mode", "voltage", "duration", "results", "a"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
TOP = ["id", "title", "summary", "class", "standard", "parameters", "log", "steps", "watch", "results", "criteria"]


def quoted(value: object) -> str:
    """Any tree as flow YAML that every reader agrees on."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {quoted(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(quoted, value)) + "]"
    return f'"{value}"'


@given(st.dictionaries(st.sampled_from(TOP), VALUES, max_size=6), st.integers())
def test_any_tree_is_refused_in_words(tree: dict[str, object], seed: int) -> None:
    """A tree of strange parts over a sound sequence, its keys in any order."""
    kept = {key: block for key, block in BLOCKS.items() if key not in tree}
    parts = [*kept.values(), *(f"{key}: {quoted(value)}\n" for key, value in tree.items())]
    random.Random(seed).shuffle(parts)
    check_loads_or_refuses("schema: cellbench/sequence/1\n" + "".join(parts))


def blocks() -> dict[str, str]:
    found: dict[str, str] = {}
    key = ""
    for line in LINES[1:]:
        if not line.startswith(" "):
            key = line.partition(":")[0]
        found[key] = found.get(key, "") + line
    return found


BLOCKS = blocks()


def check_loads_or_refuses(text: str) -> None:
    try:
        sequence = parse(text, "x.yaml")
    except ConfigError as refused:
        for fault in refused.faults:
            path, line, column = fault.where.split(":")
            assert path == "x.yaml"
            assert 1 <= int(line) <= len(text.splitlines()) + 2
            assert int(column) >= 1
            assert fault.error
            assert fault.fix
            assert "pydantic" not in fault.error
            assert "Input should" not in fault.error
    else:
        assert sequence.steps
