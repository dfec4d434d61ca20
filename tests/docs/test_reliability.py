"""docs/reliability.md lists every fault with the tests that name it, and no test that does not."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
FAULTS = [f"F{number}" for number in range(1, 80)]


def _marked() -> dict[str, set[str]]:
    """Fault to the modules with a test that carries its number."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                for name in node.args:
                    if isinstance(name, ast.Constant):
                        found[str(name.value)].add(path.relative_to(ROOT / "tests").as_posix())
    return found


def _rows() -> dict[str, set[str]]:
    """Fault to the modules that its row of the page names."""
    rows = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"F\d+", cells[0]):
            rows[cells[0]] = set(re.findall(r"`([\w/]+\.py)`", cells[-1]))
    return rows


def test_every_fault_has_its_row() -> None:
    assert list(_rows()) == FAULTS


def test_every_row_names_the_modules_whose_tests_carry_its_number() -> None:
    marked = _marked()
    assert _rows() == {name: marked.get(name, set()) for name in FAULTS}


def test_every_fault_has_a_test_but_those_that_the_page_names() -> None:
    marked = _marked()
    said = re.search(r"Without a test: ([^.]*)\.", PAGE.read_text())
    assert said is not None
    assert {name for name in FAULTS if name not in marked} == set(re.findall(r"F\d+", said[1]))


def test_no_test_names_a_fault_that_there_is_not() -> None:
    known = re.compile(r"F([1-9]|[1-7][0-9])|T([1-9]|1[0-9]|2[0-7])|H([1-9]|1[0-7])|I[1-7]|S([1-9]|1[0-9]|20)")
    assert [name for name in _marked() if not known.fullmatch(name)] == []
