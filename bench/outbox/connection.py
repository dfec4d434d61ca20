"""One connection to the broker, kept: made anew whenever it is lost, ever more slowly, until it is told to end.

The MQTT library connects in a thread and does not connect again by itself. Connecting cannot be broken off there: an
end is waited for as long as one attempt may take.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol
from zlib import crc32

import aiomqtt

from bench.outbox.broker import Broker

FIRST_S = 0.2
LONGEST_S = 10.0
VARIED_BY = 0.25
#: A connection that lasted so long was good: the next attempt after it begins with the shortest wait.
GOOD_AFTER_S = 5.0
KEEPALIVE_S = 15
#: For connecting, for an acknowledgement, for the farewell.
TIMEOUT_S = 5.0
IN_FLIGHT = 64

#: The library tells its own story there; ours is told by whoever owns the outbox.
_LOGGER = logging.getLogger("cellbench.mqtt")
_LOGGER.setLevel(logging.CRITICAL)


class Sink(Protocol):
    """One way of saying facts to a broker."""

    @property
    def name(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    async def will(self) -> aiomqtt.Will | None:
        """What the broker says when we are lost. Asked before each connection; None while it cannot be made."""
        ...

    async def serve(self, client: aiomqtt.Client, ready: Callable[[], object]) -> None:
        """Say facts while connected; ``ready`` is called once the first words are said. Raises MqttError when the
        connection is lost, and never returns."""
        ...

    async def farewell(self, client: aiomqtt.Client) -> None:
        """The last words of a graceful end."""
        ...


def wait_s(who: str, attempt: int) -> float:
    """How long after the failed attempt (counted from 1) the next is made: 0.2 s, doubled to 10 s, varied by a quarter.

    The chance is drawn from the name, so that benches that lost a broker together do not all come back together.
    """
    base_s = min(FIRST_S * 2.0 ** min(attempt - 1, 10), LONGEST_S)
    share = crc32(f"{who} {attempt}".encode()) / 0xFFFF_FFFF
    return min(max(base_s * (1.0 - VARIED_BY + 2.0 * VARIED_BY * share), FIRST_S), LONGEST_S)


class Connection:
    """``keep`` runs until ``end`` is called. ``connected`` and ``problem`` say how things stand; ``tell`` is told when
    that changes, and of a broker that lets anybody in."""

    def __init__(self, broker: Broker, sink: Sink, tell: Callable[[str], object]) -> None:
        self.connected = False
        self.problem: str | None = None
        self.connections = 0
        self._broker = broker
        self._sink = sink
        self._tell = tell
        self._ended = asyncio.Event()
        self._probed = False

    def end(self) -> None:
        """Say farewell and let ``keep`` return."""
        self._ended.set()

    async def keep(self) -> None:
        """Connect, serve, and again."""
        loop, attempt = asyncio.get_running_loop(), 0
        while not self._ended.is_set():
            begun_s = loop.time()
            try:
                await self._once()
            except (aiomqtt.MqttError, OSError) as error:
                self._lost(error)
                if self.connected and loop.time() - begun_s > GOOD_AFTER_S:
                    attempt = 0
            self.connected = False
            attempt += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s(self._sink.client_id, attempt)):
                    await self._ended.wait()

    async def _once(self) -> None:
        will = await self._sink.will()
        if will is None:
            self.problem = "the outbox's file cannot be used"
            return
        client = self._client(self._sink.client_id, self._broker.user, self._broker.password, will)
        await _entered(client)
        try:
            await self._look_for_open_door()
            await self._serve(client)
        finally:
            await _left(client)

    def _ready(self) -> None:
        self.connected, self.problem = True, None
        self.connections += 1
        self._tell(f"connected to {self._broker} ({self._sink.name})")

    async def _serve(self, client: aiomqtt.Client) -> None:
        """Until the connection is lost (raises MqttError) or the end; then the farewell."""
        serving = asyncio.ensure_future(self._sink.serve(client, self._ready))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((serving, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            serving.cancel()
            done = (await asyncio.gather(serving, ended, return_exceptions=True))[0]
        if isinstance(done, BaseExceptionGroup):
            done = _first(done)
        if isinstance(done, (aiomqtt.MqttError, OSError)) and not self._ended.is_set():
            raise done
        if isinstance(done, Exception) and not isinstance(done, aiomqtt.MqttError):
            self._tell(f"the sink {self._sink.name} failed: {type(done).__name__}: {done}")
            raise aiomqtt.MqttError(str(done))
        if self._ended.is_set():
            async with asyncio.timeout(TIMEOUT_S):
                await self._sink.farewell(client)

    async def _look_for_open_door(self) -> None:
        """Once: whether the broker lets in who names nobody."""
        if self._probed:
            return
        self._probed = True
        if self._broker.user is not None:
            stranger = self._client(f"{self._sink.client_id}-anybody", None, None, None)
            try:
                await _entered(stranger)
            except (aiomqtt.MqttError, OSError):
                return
            await _left(stranger)
        self._tell(f"WARNING: the broker {self._broker} lets anybody in without a password: anybody can read and forge")

    def _client(self, name: str, user: str | None, password: str | None, will: aiomqtt.Will | None) -> aiomqtt.Client:
        client = aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=user,
            password=password,
            identifier=name,
            will=will,
            clean_session=True,
            keepalive=KEEPALIVE_S,
            timeout=TIMEOUT_S,
            tls_context=self._broker.tls,
            max_inflight_messages=IN_FLIGHT,
            max_queued_incoming_messages=64,
            logger=_LOGGER,
        )
        client.pending_calls_threshold = 2 * IN_FLIGHT
        return client

    def _lost(self, error: Exception) -> None:
        problem = str(error) or type(error).__name__
        if self.problem != problem:
            self._tell(f"no connection to {self._broker} ({self._sink.name}): {problem}")
        self.problem = problem


async def _entered(client: aiomqtt.Client) -> None:
    """Connect. Whoever is cancelled meanwhile waits until the library's thread is through, and leaves nothing open."""
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        with suppress(aiomqtt.MqttError, OSError):
            await entering
            await _left(client)
        raise
    except aiomqtt.MqttError:
        _shut(client)
        raise


async def _left(client: aiomqtt.Client) -> None:
    with suppress(aiomqtt.MqttError, OSError):
        await client.__aexit__(None, None, None)
    _shut(client)


def _shut(client: aiomqtt.Client) -> None:
    """Close what the library leaves open when a broker says nothing or goes away: its socket, its reader, its task."""
    inner = client._client  # noqa: SLF001 - it has no public way
    inner._reset_sockets()  # noqa: SLF001
    task = client._misc_task  # noqa: SLF001
    if task is not None:
        task.cancel()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
