"""Several processes that begin one piece of work at the same moment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence


def together(code: str, arguments: Sequence[Sequence[str]]) -> list[str]:
    """Run ``code`` once for each list of arguments (``sys.argv[1:]``); gives the lines that all of them printed.

    The code defines ``work()``; every process has imported and is waiting before the first of them begins.
    """
    whole = f"import sys\n{code}\nprint('ready', flush=True)\nsys.stdin.readline()\nwork()\n"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", whole, *given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for given in arguments
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    lines = [line for worker in workers for line in worker.communicate(timeout=120)[0].splitlines()]
    assert [worker.returncode for worker in workers] == [0] * len(workers)
    return lines
