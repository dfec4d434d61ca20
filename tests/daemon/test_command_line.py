"""The daemon from a shell: real processes, as whoever keeps the bench PC starts and asks them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import pytest

from bench import verify
from bench.results import VerifyStatus
from bench.shipped import examples

pytestmark = pytest.mark.scenario

LINE = examples() / "benches" / "line.toml"
PASSWORD = "four plain words"
UP_S = 60.0


class Shell:
    """A data folder, and commands on it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.environment = {**os.environ, "XDG_STATE_HOME": str(data.parent / "state"), "COLUMNS": "200"}

    async def spawn(self, *words: str, stdin: int = asyncio.subprocess.DEVNULL) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.cli", *words, "--data", str(self.data)),
            env=self.environment,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def said(self, *words: str, given: str = "", code: int = 0) -> str:
        """What a command puts out; on stderr if it fails."""
        process = await self.spawn(*words, stdin=asyncio.subprocess.PIPE)
        async with asyncio.timeout(UP_S):
            out, err = await process.communicate(given.encode())
        assert process.returncode == code, (words, process.returncode, out.decode(), err.decode())
        return out.decode() if code == 0 else err.decode()

    async def json(self, *words: str) -> dict[str, Any]:
        return dict(json.loads(await self.said(*words, "--json")))

    async def user(self, name: str, role: str) -> None:
        await self.said("user", "add", name, "--role", role, "--password-stdin", given=f"{PASSWORD}\n")

    @asynccontextmanager
    async def serving(self, *words: str, told: Callable[[str], object] = lambda _: None) -> AsyncIterator[str]:
        """A daemon; gives its address, which is the first line that it puts out. SIGTERM ends it, with 0. ``told``
        hears each line of stderr."""
        process = await self.spawn("serve", "--listen", "127.0.0.1:0", *words)
        assert process.stdout is not None
        assert process.stderr is not None
        heard = asyncio.create_task(_read(process.stderr, told))  # nobody is to be held up by a full pipe
        try:
            async with asyncio.timeout(UP_S):
                url = (await process.stdout.readline()).decode().strip()
            assert url.startswith(("http://127.0.0.1:", "https://127.0.0.1:")), await heard
            yield url
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(UP_S):
                code = await process.wait()
            log = await heard
        assert code == 0, log


async def _read(stream: asyncio.StreamReader, told: Callable[[str], object]) -> str:
    lines: list[str] = []
    while line := (await stream.readline()).decode():
        told(line)
        lines.append(line)
    return "".join(lines)


async def until_running(shell: Shell, count: int) -> list[str]:
    async with asyncio.timeout(UP_S):
        while True:
            channels = (await shell.json("status"))["bench"]["channels"]
            running = [channel["run_id"] for channel in channels if channel["state"] == "running"]
            if len(running) >= count:
                return running
            await asyncio.sleep(0.2)


async def test_the_demonstration_has_runs_going_that_a_shell_sees_stops_and_aborts(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "data")
    async with shell.serving("--demo", "--speed", "20") as url:
        first, second, *_ = await until_running(shell, 2)
        async with httpx.AsyncClient(base_url=url) as asking:
            assert (await asking.get("/healthz")).json() == {"status": "ok"}
            assert (await asking.get("/")).status_code == 200
        shown = await shell.said("status")
        assert first in shown
        assert url in shown
        watching = await shell.spawn("watch", "--json")
        assert watching.stdout is not None
        await asyncio.sleep(2.0)  # it has come in
        (stopped,) = (await shell.json("stop", first))["runs"]
        assert stopped["run_id"] == first
        async with asyncio.timeout(UP_S):
            while True:
                event = json.loads(await watching.stdout.readline())
                if event["run_id"] == first and event["data"].get("state") == "closed":
                    break
        watching.send_signal(signal.SIGINT)
        assert await watching.wait() == 0
        over = {run["run_id"]: run for run in (await shell.json("abort", "--all"))["runs"]}
        assert over[second]["verdict"] == "aborted"
        for run_id in (first, second):
            bundle = shell.data / "runs" / run_id
            assert verify.verify(bundle).status is VerifyStatus.INTACT
            assert json.loads((bundle / "result.json").read_bytes())["verdict"] == "aborted"
        assert "no run nothing" in await shell.said("stop", "nothing", code=2)
        assert "abort --all" in await shell.said("abort", code=2)
    assert "no daemon" in await shell.said("status", code=2)
    assert not (shell.data / "daemon.json").exists()


async def test_the_demonstrations_own_broker_is_told_in_both_ways(tmp_path: Path) -> None:
    pytest.importorskip("amqtt", reason="the extra `demo` is not installed")
    shell, said = Shell(tmp_path / "data"), list[str]()
    async with shell.serving("--demo", "--mqtt", "--speed", "20", told=said.append):
        (port,) = {int(found[1]) for line in said if (found := re.search(r"broker on 127\.0\.0\.1:(\d+)", line))}
        async with asyncio.timeout(UP_S), aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe("cellbench/#")
            await client.subscribe("spBv1.0/#")
            wanted = {"reading", "DDATA"}
            async for message in client.messages:
                topic = str(message.topic)
                wanted -= {topic.rpartition("/")[2], *topic.split("/")[2:3]}
                if topic.endswith("/reading"):
                    assert isinstance(message.payload, bytes)
                    assert "voltage_v" in json.loads(message.payload)["values"]
                if not wanted:
                    break


async def test_users_are_kept_while_the_daemon_serves_and_every_change_stands_in_its_trail(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "data")
    await shell.user("Wang Fang", "admin")
    assert "last admin" in await shell.said("user", "role", "Wang Fang", "viewer", code=2)
    async with shell.serving("--bench", str(LINE), "--simulate") as url:
        await shell.user("lin", "viewer")
        async with httpx.AsyncClient(base_url=f"{url}api/v1/") as asking:
            asked = {"name": "lin", "password": PASSWORD, "cookie": False}
            token = (await asking.post("login", json=asked)).json()["token"]
            me = {"Authorization": f"Bearer {token}"}
            assert (await asking.get("me", headers=me)).json()["role"] == "viewer"
            await shell.said("user", "role", "lin", "operator")
            assert (await asking.get("me", headers=me)).status_code == 401
            token = (await asking.post("login", json=asked)).json()["token"]
            assert (await asking.get("me", headers={"Authorization": f"Bearer {token}"})).json()["role"] == "operator"
            await shell.said("user", "disable", "lin")
            assert (await asking.post("login", json=asked)).status_code == 401
    users = (await shell.json("user", "list"))["users"]
    assert users == [
        {"name": "lin", "role": "operator", "disabled": True},
        {"name": "Wang Fang", "role": "admin", "disabled": False},
    ]
    trail = [json.loads(line) for line in (shell.data / "audit.jsonl").read_text().splitlines()]
    ours = [(it["act"], it["on"]) for it in trail if it["act"].startswith("user.")]
    assert ours == [("user.add", "Wang Fang"), ("user.add", "lin"), ("user.change", "lin"), ("user.change", "lin")]
    assert PASSWORD not in (shell.data / "audit.jsonl").read_text()


@pytest.mark.parametrize(
    ("words", "error", "fix"),
    [
        ((), "no bench file was given", "--demo"),
        (("--bench", str(LINE)), "neither --simulate nor --live", "--simulate"),
        (("--bench", str(LINE), "--simulate", "--live"), "both --simulate and --live", "--live"),
        (("--bench", str(LINE), "--demo"), "a bench of its own", "leave --bench"),
        (("--bench", "nowhere.toml", "--simulate"), "nowhere.toml", ""),
        (("--bench", str(LINE), "--simulate", "--listen", "8686"), "no address to listen on", "HOST:PORT"),
        (("--bench", str(LINE), "--simulate", "--listen", "0.0.0.0:0"), "without TLS", "--tls-cert"),
        (("--demo", "--listen", "0.0.0.0:0"), "for this PC alone", "leave --listen out"),
        (("--bench", str(LINE), "--live", "--speed", "3"), "simulated benches only", "real time"),
    ],
)
async def test_what_does_not_go_together_is_said_with_its_fix_before_anything_is_opened(
    tmp_path: Path, words: tuple[str, ...], error: str, fix: str
) -> None:
    shell = Shell(tmp_path / "data")
    said = await shell.said("serve", *words, code=2)
    assert error in said
    assert fix in said
    assert not (shell.data / "daemon.json").exists()


async def test_a_second_daemon_on_the_same_data_folder_or_port_is_refused(tmp_path: Path) -> None:
    shell, other = Shell(tmp_path / "data"), Shell(tmp_path / "other")
    async with shell.serving("--bench", str(LINE), "--simulate") as url:
        port = url.rstrip("/").rpartition(":")[2]
        said = await other.said("serve", "--bench", str(LINE), "--simulate", "--listen", f"127.0.0.1:{port}", code=2)
        assert "cannot be listened on" in said
        process = await shell.spawn("serve", "--bench", str(LINE), "--simulate", "--listen", "127.0.0.1:0")
        async with asyncio.timeout(UP_S):
            _, error = await process.communicate()
        assert process.returncode == 4, error.decode()
        assert url in await shell.said("status")
