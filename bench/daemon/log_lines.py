"""What a daemon says on stderr: one line an event, JSON unless a person sits at a terminal. A reader who is slow costs
lines, never the bench: they wait in a queue of their own and are written by a thread."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn

import structlog

from bench.daemon.bulletin import Bulletin
from bench.daemon.settings import DeskSettings
from bench.daemon.views import EventView
from drivers.clock import real_elapsed_s, system_clock

#: Lines that wait; more are dropped, and their number is told.
WAITING = 2000
LEAVE_S = 2.0
#: Not worth a line each.
_QUIET = frozenset({"progress"})


@contextmanager
def logged(bulletin: Bulletin, settings: DeskSettings) -> Iterator[None]:
    """Every event of the bulletin becomes a line while inside, and so does what the program logs by structlog."""
    guardian = "none: the simulated devices end with this process" if settings.mode == "simulated" else "yes"
    with lines_written() as lines:
        lines.put(
            {
                "event": "open",
                "bench": str(settings.bench),
                "data": str(settings.data),
                "mode": settings.mode,
                "guardian": guardian,
            }
        )
        end = bulletin.listen(lines.hear)
        try:
            yield
        finally:
            end()


@contextmanager
def lines_written() -> Iterator[Lines]:
    """What the program logs by structlog becomes a line while inside."""
    lines = Lines()
    structlog.configure(processors=[structlog.processors.add_log_level, lines.take])
    try:
        yield lines
    finally:
        structlog.reset_defaults()
        lines.close()


class Lines:
    def __init__(self) -> None:
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(WAITING)
        self._dropped = 0
        self._render = _renderer()
        self._thread = threading.Thread(target=self._write, name="log lines", daemon=True)
        self._thread.start()

    def hear(self, event: EventView) -> None:
        if event.kind in _QUIET:
            return
        when = datetime.fromtimestamp(event.utc_s, UTC).isoformat(timespec="milliseconds")
        facts = {"channel": event.channel, "run": event.run_id, **event.data}
        self.put({"timestamp": when, "event": event.kind, **{key: it for key, it in facts.items() if it is not None}})

    def take(self, _: object, __: str, facts: MutableMapping[str, Any]) -> NoReturn:
        """As structlog's last processor, in any thread: stdout is kept for results, and nobody waits for stderr."""
        when = datetime.fromtimestamp(system_clock(real_elapsed_s).utc_s(), UTC).isoformat(timespec="milliseconds")
        self.put({"timestamp": when, **facts})
        raise structlog.DropEvent

    def put(self, line: dict[str, Any]) -> None:
        try:
            if self._dropped:
                line = {**line, "lines_dropped": self._dropped}
            self._waiting.put_nowait(line)
            self._dropped = 0
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        try:
            self._waiting.put(None, timeout=LEAVE_S)
        except queue.Full:
            return
        self._thread.join(LEAVE_S)

    def _write(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                sys.stderr.write(f"{self._render(None, '', line)}\n")
                sys.stderr.flush()
            except (OSError, ValueError):
                return  # there is nobody to read it any more


def _renderer() -> Any:
    if sys.stderr.isatty():
        return structlog.dev.ConsoleRenderer(colors=True)
    return structlog.processors.JSONRenderer(ensure_ascii=False)
