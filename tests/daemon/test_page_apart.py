"""The page's own process may die, hang or be left behind: the bench goes on, and nobody keeps calling a dead daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from bench.web.address import address_of
from tests.daemon.test_command_line import LINE, Shell

pytestmark = pytest.mark.scenario
SOON_S = 30.0


def page_of(daemon: int) -> int | None:
    """The process that answers for a daemon."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == daemon and b"bench.web.apart" in (entry / "cmdline").read_bytes():
                    return int(entry.name)
    return None


def alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


async def page_after(daemon: int, before: int | None = None) -> int:
    async with asyncio.timeout(SOON_S):
        while (found := page_of(daemon)) is None or found == before:  # noqa: ASYNC110 - /proc tells nobody
            await asyncio.sleep(0.05)
    return found


STARTED = ("--bench", str(LINE), "--simulate", "--speed", "20", "--sequences", "tests/daemon")


async def test_a_page_that_dies_is_there_again_at_the_same_address_for_the_same_console(tmp_path: Path) -> None:
    shell, said = Shell(tmp_path), list[str]()
    async with shell.serving(*STARTED, told=said.append) as url:
        await shell.said("status")
        daemon = address_of(tmp_path).pid
        first = page_of(daemon)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        second = await page_after(daemon, first)
        assert (await shell.json("status"))["bench"]["mode"] == "simulated"
        assert address_of(tmp_path).url == url
        async with httpx.AsyncClient() as client:
            figures = (await client.get(f"{url}metrics")).text
        assert "\nprocess_resident_memory_bytes" in figures  # the bench's, whoever answers
        assert "\ncellbench_page_process_resident_memory_bytes" in figures
    assert any("page has died" in line for line in said)
    assert not alive(second)


async def test_a_page_that_hangs_keeps_no_daemon_from_its_end(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    async with shell.serving(*STARTED):
        await shell.said("status")
        page = await page_after(address_of(tmp_path).pid)
        os.kill(page, signal.SIGSTOP)
    assert not alive(page)


async def test_the_page_of_a_daemon_that_was_killed_frees_its_address(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    process = await shell.spawn("serve", "--listen", "127.0.0.1:0", *STARTED)
    assert process.stdout is not None
    port = int((await process.stdout.readline()).decode().strip().rstrip("/").rpartition(":")[2])
    await shell.said("status")
    page = await page_after(process.pid)
    with socket.create_connection(("127.0.0.1", port)):  # somebody reads along
        process.kill()
        await process.communicate()
        async with asyncio.timeout(SOON_S):
            while alive(page):  # noqa: ASYNC110 - /proc tells nobody
                await asyncio.sleep(0.05)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
