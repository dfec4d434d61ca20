"""A report made by a program of its own: plots take seconds of CPU, which the bench's loop must not wait for."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from bench.web.problems import Problem

#: So many are made at once, so many wait, and one may take so long.
AT_ONCE, WAITING, WITHIN_S = 1, 8, 60.0
_turns: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}
_waiting = 0


async def report_beside(bundle: Path, lang: str) -> str:
    """The HTML. Raises Problem ``busy``, ``record``."""
    global _waiting
    if _waiting >= WAITING:
        raise Problem("busy", "many reports are being made", "try again in a minute", after_s=20.0)
    turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
    _waiting += 1
    try:
        async with turn:
            return await _made(bundle, lang)
    finally:
        _waiting -= 1


async def _made(bundle: Path, lang: str) -> str:
    with tempfile.TemporaryDirectory(prefix="cellbench-report-") as folder:
        out = Path(folder) / "report.html"
        made = await asyncio.create_subprocess_exec(
            *("nice", "-n", "10", sys.executable, "-m", "bench.cli", "report", str(bundle)),
            *("--lang", lang, "--out", str(out)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(WITHIN_S):
                _, errors = await made.communicate()
        except TimeoutError:
            said = f"the report was not made within {WITHIN_S:g} s"
            raise Problem("record", said, "make it with `cellbench report`") from None
        finally:
            if made.returncode is None:
                with suppress(ProcessLookupError):
                    made.kill()
        if made.returncode != 0:
            lines = errors.decode(errors="replace").strip().splitlines()
            raise Problem("record", f"no report: {lines[0][:300] if lines else 'it failed'}", "see `cellbench verify`")
        return out.read_text()
