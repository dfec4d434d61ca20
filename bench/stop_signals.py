"""What asks a run to stop from outside the program: Ctrl-C, SIGTERM, a closed terminal."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """Ctrl-C, SIGTERM and a closed terminal set the event; a second one sets it again, which changes nothing."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    handled = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if _handle(loop, number, stop)]
    try:
        yield stop
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def _handle(loop: asyncio.AbstractEventLoop, number: signal.Signals, stop: asyncio.Event) -> bool:
    if threading.current_thread() is not threading.main_thread():
        return False  # an embedding program's thread: only its main thread may take signals
    loop.add_signal_handler(number, stop.set)
    return True
