"""A broker inside the program, for demonstrations: an extra brings its library (``pip install 'cellbench[demo]'``)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from bench.daemon.serving import in_thread
from drivers.errors import ConfigError, Fault


@contextmanager
def broker() -> Iterator[int]:
    """A broker on a free port of 127.0.0.1, for anybody on this PC. Raises ConfigError."""
    try:
        from amqtt.broker import Broker  # type: ignore[import-untyped]
        from amqtt.contexts import BrokerConfig, ListenerConfig  # type: ignore[import-untyped]
    except ImportError:
        fix = "install it with `pip install 'cellbench[demo]'`, or leave --mqtt out"
        raise ConfigError(
            [Fault("the library of the demonstration's broker is not installed", "--mqtt", fix)]
        ) from None
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    logging.getLogger("transitions").setLevel(logging.ERROR)
    port = _free_port()
    config = BrokerConfig(
        listeners={"default": ListenerConfig(bind=f"127.0.0.1:{port}")},
        plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    )

    async def run(stop: asyncio.Event) -> None:
        serving = Broker(config)
        await serving.start()
        try:
            await stop.wait()
        finally:
            await serving.shutdown()

    with in_thread(run, "broker"):
        yield port


def _free_port() -> int:
    with socket.socket() as looked:
        looked.bind(("127.0.0.1", 0))
        return int(looked.getsockname()[1])
