"""The page about the bundle names every event that the program writes, and none that it does not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
WRITERS = {"event", "_event", "_note", "_put", "_record"}
#: It sends events of its own to browsers; they are in no bundle.
ELSEWHERE = ROOT / "bench" / "web"


def kinds_written() -> set[str]:
    """The first argument of every call that writes an event, where it is a text."""
    found: set[str] = set()
    for path in (ROOT / "bench").rglob("*.py"):
        if path.is_relative_to(ELSEWHERE):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            kind = node.args[0]
            kinds = (kind.body, kind.orelse) if isinstance(kind, ast.IfExp) else (kind,)
            if name in WRITERS:
                found |= {it.value for it in kinds if isinstance(it, ast.Constant) and isinstance(it.value, str)}
    return found


def kinds_told() -> set[str]:
    page = (ROOT / "docs" / "bundle.md").read_text("utf-8")
    table = page[page.index("| event | data |") : page.index("The same seed gives")]
    return {
        kind
        for line in table.splitlines()[2:]
        for kind in re.findall(r"`(\w+)`", line.split("|")[1:2][0] if "|" in line else "")
    }


def test_the_page_names_the_events_that_are_written() -> None:
    assert kinds_written() == kinds_told()
