"""The guardian: the parent process of a live run, which makes the bench safe when the run no longer can.

It imports drivers and the safe state, and nothing else of the bench: what it does must not hang on what it guards.
docs/decisions/0015-the-guardian.md says why it is a process, and why it is the parent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.guardian.link import is_child

if TYPE_CHECKING:
    from bench.guardian.process import Guarded


def guarded(arguments: Sequence[str]) -> Guarded | None:
    """Become the guardian of a child that is started with the same command line, and say how that ended; None in that
    child itself, which then carries the command out."""
    if is_child(os.environ):
        return None
    from bench.guardian.process import guard

    return guard((sys.executable, "-P", "-m", "bench.cli", *arguments), os.environ)
