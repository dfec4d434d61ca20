"""``sequences`` needs no device: importing and using it loads no event loop and no wire library."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import sequences, sequences.verdict, sequences.check
assert len(sequences.catalogue()) >= 2
print(sorted({"asyncio", "pymodbus", "pyvisa", "serial"} & set(sys.modules)))
"""


def test_no_event_loop_and_no_wire_library_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"
