"""Runs in the environment that has OpenHTF: for every line read, prints the seconds that a test of so many phases took.

A phase takes one measurement and checks it against one range. What OpenHTF prints itself goes to standard error.
"""

from __future__ import annotations

import importlib
import os
import sys
from timeit import default_timer
from typing import Any

htf: Any = importlib.import_module("openhtf")  # not installed where types are checked


def _measure(test: Any) -> None:
    test.measurements.voltage = 3.7


def seconds(phases: int) -> float:
    """How long a test of so many phases takes. Raises RuntimeError if it does not pass."""
    phase = htf.measures(htf.Measurement("voltage").in_range(0.0, 5.0))(_measure)
    test = htf.Test(*[phase] * phases)
    begun_s = default_timer()
    passed = test.execute(test_start=lambda: "sample")
    took_s = default_timer() - begun_s
    if not passed:
        raise RuntimeError("the test of phases did not pass")
    return took_s


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            print(seconds(int(line)), file=answers, flush=True)
