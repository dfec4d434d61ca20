"""The strict reader: agrees with PyYAML where it accepts, and accepts nothing that readers disagree about."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sequences.document import MAX_BYTES, MAX_DEPTH, MAX_NODES, read_document

KEYS = st.text("abcdefgh_", min_size=1, max_size=6).filter(lambda key: key not in ("n", "y"))
TREES = st.recursive(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=15,
)


@given(st.dictionaries(KEYS, TREES, min_size=1, max_size=4), st.booleans())
def test_what_pyyaml_writes_is_read_back(tree: dict[str, Any], flow: bool) -> None:
    text = yaml.safe_dump(tree, default_style='"', allow_unicode=True, default_flow_style=flow)
    document = read_document(text)
    assert document.slips == []
    assert document.data == tree


@given(st.text(max_size=300))
def test_any_text_is_read_or_complained_of(text: str) -> None:
    document = read_document(text)
    try:
        wanted = yaml.load(text, Loader=yaml.CBaseLoader)
    except (yaml.YAMLError, ValueError):  # ValueError: half a surrogate
        assert document.slips
        return
    if not document.slips and document.data is not None:
        assert document.data == wanted


FRAGMENTS = st.sampled_from(
    [
        *[
            "a: ",
            "b: ",
            "- ",
            "{",
            "}",
            "[",
            "]",
            "&x ",
            "*x",
            "!!str ",
            "1",
            "no",
            "'q'",
            ", ",
            "? ",
            "<<: ",
            "# c",
            "---",
            "...",
            "1:30",
            "~",
            '"',
            "  ",
            "\n",
            "\t",
            "%YAML 1.1\n",
            "|\n",
        ]
    ]
)


@given(st.lists(FRAGMENTS, max_size=30).map("".join))
def test_any_heap_of_yaml_is_read_or_complained_of(text: str) -> None:
    document = read_document(text)
    for slip in document.slips:
        assert 1 <= slip.mark.line <= len(text.splitlines()) + 2
        assert slip.mark.column >= 1
        assert slip.error
        assert slip.fix


@pytest.mark.parametrize(
    ("scalar", "loaded"),
    [
        ("no", False), ("off", False), ("Yes", True), ("on", True), ("010", 8), ("1:30", 90), ("1_000", 1000),
        ("0x1F", 31), ("0b11", 3), ("~", None), ("null", None), (".inf", float("inf")), ("-.inf", float("-inf")),
        ("1e3", "1e3"), ("190:20:30", 685230), ("True", True),
    ],
)  # fmt: skip
def test_scalars_that_readers_disagree_about(scalar: str, loaded: object) -> None:
    assert yaml.safe_load(scalar) == loaded  # what PyYAML makes of it
    (slip,) = read_document(f"a: {scalar}").slips
    assert (slip.mark.line, slip.mark.column) == (1, 4)
    assert f'"{scalar}"' in slip.fix
    for quoted in (f"a: '{scalar}'", f'a: "{scalar}"'):
        document = read_document(quoted)
        assert document.slips == []
        assert document.data == {"a": scalar}


@pytest.mark.parametrize(
    "scalar", [".nan", ".NaN", "2025-04-01", "2025-04-01T10:00:00", "y", "N", "0o17", "=", "1.5e3"]
)
def test_more_such_scalars(scalar: str) -> None:
    assert read_document(f"a: {scalar}").slips
    assert read_document(f"{scalar}: a").slips


@pytest.mark.parametrize(
    "scalar", ["4.20", "0", "0.5", "-3", "25 degC", "true", "cell.v_min", "2025-04-01 start", "0.05 I1", "45 %", "none"]
)
def test_scalars_that_are_read_as_text(scalar: str) -> None:
    document = read_document(f"a: {scalar}")
    assert document.slips == []
    assert document.data == {"a": scalar}


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("a: &x [1]\n", (1, 4), "an anchor (&x)"),
        ("a: 1\nb: *x\n", (2, 4), "an alias (*x)"),
        ("a: !!python/object:os.system {}\n", (1, 4), "a tag"),
        ("a: !mine 3\n", (1, 4), "a tag (!mine)"),
        ("a: 1\nb: 2\na: 3\n", (3, 1), "duplicate key 'a', first on line 1"),
        ("x: {a: 1, b: {a: 1, a: 2}}\n", (1, 21), "duplicate key 'a'"),
        ("<<: {a: 1}\n", (1, 1), "merge key"),
        ("a:\nb: 1\n", (1, 3), "a has no value"),
        ("- 1\n-\n", (2, 2), "empty value"),
        ("? [1]\n: 2\n", (1, 3), "not a word"),
        ("a: 1\n---\nb: 2\n", (2, 1), "second document"),
        ("%YAML 1.1\n---\na: 1\n", (1, 1), "directive"),
        ("a: b: c\n", (1, 5), "not readable as YAML"),
        ("a:\n\t- 1\n", (2, 1), "not readable as YAML"),
        ("a: 'x\n", (2, 1), "not readable as YAML"),
        ("a: 1\nb: \x07\n", (2, 4), "not readable as YAML"),
        ("a: \ud800\n", (1, 1), "surrogate"),
        ("", (1, 1), "empty"),
        ("# only a comment\n", (1, 1), "empty"),
    ],
)
def test_refused(text: str, place: tuple[int, int], said: str) -> None:
    document = read_document(text)
    assert [(slip.mark.line, slip.mark.column) for slip in document.slips][:1] == [place]
    assert said in document.slips[0].error


def test_a_bomb_stays_small() -> None:
    """Nine levels of nine aliases: PyYAML's tree of it has 9^9 leaves."""
    lines = ['a: &a ["x","x","x","x","x","x","x","x","x"]']
    lines += [f"{n}: &{n} [{','.join([f'*{before}'] * 9)}]" for before, n in zip("abcdefgh", "bcdefghi", strict=True)]
    document = read_document("\n".join(lines))
    assert len(document.slips) == 9 + 8 * 9
    assert document.data is not None
    assert sum(len(value) for value in document.data.values()) == 81


def test_depth_nodes_and_size_are_bounded() -> None:
    deepest = "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert read_document(deepest).slips == []
    for deep in (f"a: [{deepest[3:]}]", "[" * 100_000, "{a: " * 50_000, "- " * 100_000, "a: " + "[" * 200_000):
        assert any("deeper" in slip.error for slip in read_document(deep).slips)
    fits = "a:\n" + "- 1\n" * (MAX_NODES - 3)
    assert read_document(fits).slips == []
    (many,) = read_document(fits + "- 1\n").slips
    assert "20000 values" in many.error
    (large,) = read_document("a: " + "x" * MAX_BYTES).slips
    assert str(MAX_BYTES) in large.error


def test_all_slips_of_a_text_at_once() -> None:
    document = read_document("a: &x 1\nb: *x\nc: no\nc: 1:30\nd: !t 010\n")
    assert [slip.mark.line for slip in document.slips] == [1, 2, 3, 4, 4, 5, 5]
