"""A daemon on a simulated line, in a process of its own, whose smoke detector obeys what is written to it.

``python -m tests.page.smoky_line DATA SPEED``: prints the page's address; then each line of its input, ``smoke`` or
``air``, sets the detector of the first chamber. SIGTERM ends it as it ends every daemon.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.daemon.desk import Desk
from bench.daemon.front_desk import FrontDesk
from bench.daemon.serving import serve
from bench.web.settings import WebSettings
from tests.daemon.houses import plant_of, settings
from tests.page.served import cheap_passwords
from tests.web.here import web

CHAMBER = "shelf1"


@contextmanager
def obeying(desk: Desk) -> Iterator[None]:
    """In the bench's thread; what is read, in another, comes back to it."""
    loop = asyncio.get_running_loop()
    assert isinstance(desk, FrontDesk)
    house = desk._house

    def detect(good: float) -> None:
        plant_of(house).set_input(CHAMBER, "smoke", good)

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(detect, 0.0 if line.strip() == "smoke" else 1.0)

    threading.Thread(target=read, daemon=True).start()
    yield


def main(data: Path, speed: float) -> None:
    @contextmanager
    def page(desk: Desk) -> Iterator[None]:
        with web(data, WebSettings(port=0), cheap_passwords())(desk) as link:
            print(link, flush=True)
            yield

    serve(settings(data, staffed=False), beside=(obeying, page), speed=speed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
