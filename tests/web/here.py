"""The page served from the test's own process, with passwords that cost nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.daemon.desk import Desk
from bench.daemon.serving import Beside
from bench.web.passwords import Passwords
from bench.web.serving import answered, listened
from bench.web.settings import WebSettings


def web(data: Path, settings: WebSettings, passwords: Passwords | None = None) -> Beside:
    """As :func:`bench.web.apart.web_apart`, of which it is the inside."""
    return partial(_beside, data, settings, passwords)


@contextmanager
def _beside(data: Path, settings: WebSettings, passwords: Passwords | None, desk: Desk) -> Iterator[str]:
    with listened(data, settings) as entrance, answered(desk, data, settings, entrance, passwords):
        yield entrance.url
