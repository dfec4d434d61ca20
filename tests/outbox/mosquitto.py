"""A broker of the test's own, which can be taken away and brought back, and somebody who listens to it."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiomqtt
import pytest

#: Debian puts it where an account that is not root does not look.
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
NEEDS_MOSQUITTO = pytest.mark.skipif(
    MOSQUITTO is None,
    reason="mosquitto is not installed (as root, scripts/setup --dev installs it on Debian)",
)


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


class Mosquitto:
    """``lines`` are added to its configuration. Sessions and queues outlive a restart."""

    def __init__(self, folder: Path, *lines: str, anonymous: bool = True) -> None:
        self.port = free_port()
        self.folder = folder / f"mosquitto-{self.port}"
        self.folder.mkdir(parents=True)
        self.log = self.folder / "log"
        self._config = self.folder / "mosquitto.conf"
        text = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'true' if anonymous else 'false'}",
            "persistence true",
            f"persistence_location {self.folder}/",
            "max_queued_messages 0",
            "max_inflight_messages 0",
            "autosave_interval 0",
            f"user {getpass.getuser()}",
            "log_dest stderr",
            *lines,
        ]
        self._config.write_text("\n".join(text) + "\n")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        assert MOSQUITTO is not None
        quiet = asyncio.subprocess.DEVNULL
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                MOSQUITTO, "-c", str(self._config), stdin=quiet, stdout=quiet, stderr=log
            )
        async with asyncio.timeout(10):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Ask it to end, as its service does; it keeps what waits for sleeping clients. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            async with asyncio.timeout(10):
                await process.wait()


@asynccontextmanager
async def mosquitto(folder: Path, *lines: str, anonymous: bool = True) -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(folder, *lines, anonymous=anonymous)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


class Listener:
    """Somebody who never misses anything: a session of its own that the broker keeps for it, QoS 1."""

    def __init__(self, port: int, *topics: str) -> None:
        self.heard: list[aiomqtt.Message] = []
        self._port = port
        self._topics = topics
        self._news = asyncio.Event()
        self.subscribed = asyncio.Event()

    async def listen(self) -> None:
        while True:
            try:
                async with aiomqtt.Client(
                    "127.0.0.1", self._port, identifier="listener", clean_session=False, timeout=5
                ) as client:
                    for topic in self._topics:
                        await client.subscribe(topic, qos=1)
                    self.subscribed.set()
                    async for message in client.messages:
                        self.heard.append(message)
                        self._news.set()
            except aiomqtt.MqttError:
                await asyncio.sleep(0.05)

    async def until(self, enough: Callable[[list[aiomqtt.Message]], bool], *, within_s: float = 20.0) -> None:
        async with asyncio.timeout(within_s):
            while not self.heard or not enough(self.heard):
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def listener(port: int, *topics: str) -> AsyncIterator[Listener]:
    made = Listener(port, *topics)
    task = asyncio.create_task(made.listen())
    await made.subscribed.wait()
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def remembered(broker: Mosquitto, *topics: str) -> None:
    """The broker knows a listener before it goes down, and keeps for it what arrives before it is back."""
    await broker.start()
    async with listener(broker.port, *topics):
        pass
    await broker.stop()


async def until(so: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Wait until it is so. Real time: the broker is another process."""
    async with asyncio.timeout(within_s):
        while not so():  # noqa: ASYNC110 - what is waited for is not ours to set an event
            await asyncio.sleep(0.02)
