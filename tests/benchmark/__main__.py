"""``scripts/benchmark``: medians of adjacent, order-swapped pairs, with their spread."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path

from tests.benchmark.mqtt import mqtt
from tests.benchmark.pairs import Comparison
from tests.benchmark.reaction import reaction
from tests.benchmark.reads import reads
from tests.benchmark.steps import Unmeasured, steps
from tests.benchmark.virtual_run import virtual_run

SCHEMA = "cellbench/benchmark/1"
ROOT = Path(__file__).parents[2]
OPENHTF = ROOT / ".venv-benchmark" / "bin" / "python"
PAIRS, QUICK_PAIRS = 7, 3
READS, STEPS, CROSSINGS, MESSAGES = 2000, 1500, 60, 10_000

Row = Comparison | Unmeasured

_EXAMPLES = """examples:
  ./scripts/benchmark                  all of it, in about six minutes
  ./scripts/benchmark --quick          fewer pairs, to see that it works
  ./scripts/benchmark --json >now.json
"""


def main() -> None:
    """Measure, say what came out. A goal that is missed is said, and is no error."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark",
        description="Compare what the product costs with what its bare libraries cost: medians of adjacent, "
        "order-swapped pairs with their spread. See docs/benchmark.md.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PAIRS} pairs instead of {PAIRS}")
    parser.add_argument("--json", action="store_true", help="print one JSON object; progress goes to stderr")
    asked = parser.parse_args()
    pairs = QUICK_PAIRS if asked.quick else PAIRS
    rows = _measured(pairs)
    if asked.json:
        print(json.dumps(_document(rows, pairs, quick=asked.quick), indent=1))
        return
    print(f"{_machine()}; medians of {pairs} adjacent, order-swapped pairs")
    if asked.quick:
        print(f"QUICK: {pairs} pairs say little; the goals are for {PAIRS}")
    for row in rows:
        print(f"\n{_text(row)}")


def _measured(pairs: int) -> list[Row]:
    _say(f"virtual-time run, {pairs} pairs ...")
    rows: list[Row] = [virtual_run(pairs)]
    _say(f"CPU per read, {pairs} pairs each ...")
    rows += reads(pairs, READS)
    _say(f"reaction, {pairs} pairs ...")
    rows.append(reaction(pairs, CROSSINGS))
    _say(f"MQTT, {pairs} pairs ...")
    rows.append(mqtt(pairs, MESSAGES))
    _say(f"engine steps, {pairs} pairs each ...")
    return [*rows, *steps(pairs, STEPS, OPENHTF if OPENHTF.exists() else None)]


def _text(row: Row) -> str:
    if isinstance(row, Unmeasured):
        return f"{row.name} against {row.against}: NOT MEASURED, {row.why}\n  ours {row.ours:.3g} {row.unit}"
    goal = "no goal" if row.goal is None else f"goal at most {row.goal:g}: {'met' if row.met else 'MISSED'}"
    lines = [
        f"{row.name} against {row.against}",
        f"  ratio {row.ratio:.3g} ({row.lowest:.3g}..{row.highest:.3g}, n = {row.pairs}), {goal}",
        f"  ours {row.ours:.3g} {row.unit}, reference {row.reference:.3g} {row.unit}",
        *(f"  {note}" for note in row.notes),
    ]
    return "\n".join(lines)


def _document(rows: list[Row], pairs: int, *, quick: bool) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "machine": _machine(),
        "pairs": pairs,
        "quick": quick,
        "rows": [row.document() for row in rows],
        "exit_code": 0,
    }


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
