"""One leg of the load: a simulated bench in a second process, a live daemon on it under its guardian, and people."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.config import load_bench
from bench.web.accounts import Accounts
from bench.web.address import address_of
from bench.web.passwords import Passwords
from bench.web.roles import Role
from drivers.clock import system_clock
from tests.benchmark.load.counts import Taken, events, of_bundle
from tests.daemon.live_line import Daemon
from tests.daemon.live_program import MODULE
from tests.daemon.many import bench_of

ROOT = Path(__file__).parents[3]
PARTS = "tests.benchmark.load.processes"
#: All runs are under current so long after the first was asked for, or the leg is given up.
STARTED_S = 240.0
READERS, ASKED_PER_S = 10, 100.0
TICKS = os.sysconf("SC_CLK_TCK")
PEOPLE = ("reader", "asker", "crowd")
PASSWORD = "of the load alone"


@dataclass
class Stretch:
    """What was measured while ``who`` looked on. CPU is that of daemon and guardian, of one sample taken."""

    who: str
    begin_s: float
    runs: dict[str, str] = field(default_factory=dict)
    end_s: float = 0.0
    cpu_s: float = 0.0
    guardian_cpu_s: float = 0.0
    taken: Taken = field(default_factory=Taken)
    timers: dict[str, float] = field(default_factory=dict)
    walls_per_s: list[float] = field(default_factory=list)
    api_s: list[float] = field(default_factory=list)
    api_by_path: dict[str, list[float]] = field(default_factory=dict)
    api_wrong: int = 0
    readers_cut: int = 0
    crowd_opened: int = 0
    stop_s: float | None = None
    gone: list[str] = field(default_factory=list)

    def met(self, said: Mapping[str, Any], seconds: float) -> None:
        """What a process of people says at the end of the stretch."""
        self.walls_per_s += [walls / seconds for walls in said.get("walls", ())]
        self.readers_cut += said.get("cut", 0)
        self.crowd_opened += said.get("opened", 0)
        self.api_by_path |= said.get("by_path", {})
        self.api_s = [took_s for took in self.api_by_path.values() for took_s in took]
        self.api_wrong += said.get("wrong", 0)

    @property
    def cpu_us(self) -> float:
        return (self.cpu_s + self.guardian_cpu_s) / max(1, len(self.taken.late_s)) * 1e6


@dataclass
class Leg:
    channels: int
    rate_hz: float
    started_s: float = 0.0
    ended_s: float = 0.0
    stretches: list[Stretch] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=dict)
    rss_mib: list[float] = field(default_factory=list)
    code: int | None = None
    said: str = ""


@dataclass
class Going:
    """A leg under way."""

    leg: Leg
    folder: Path
    daemon: Daemon
    channels: tuple[str, ...]
    tokens: dict[str, str]
    runs: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def port(self) -> int:
        return int(address_of(self.data).url.rstrip("/").rpartition(":")[2])

    async def start_all(self) -> None:
        """One after the other, as fast as the desk takes them; then wait until a current flows in all."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for channel in self.channels:
            self.runs[channel] = await self.daemon.start(channel, sequence="tests/steady")
        async with asyncio.timeout(STARTED_S):
            while True:
                shown = (await self.daemon.ask("now"))["channels"]
                states = {channel["name"]: channel["state"] for channel in shown}
                gone = [name for name, state in states.items() if state not in ("running", "preflight", "waiting")]
                if gone:
                    raise RuntimeError(f"channel {gone[0]} is {states[gone[0]]}: {await self.why(gone[0])}")
                if all(channel["step"] is not None for channel in shown):
                    break
                await asyncio.sleep(0.5)
        self.leg.started_s = loop.time() - begun_s

    async def why(self, channel: str) -> Any:
        return await self.daemon.ask("run", run_id=self.runs[channel])

    async def look(self, who: str, seconds: float, *, people: bool, crowd: int, stops: str) -> None:
        """One stretch of ``seconds``, in which these people look on; at its end the run of channel ``stops`` is
        stopped."""
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as held:
            timers = await held.enter_async_context(helper("timers", len(self.channels), 1.0 / self.leg.rate_hz))
            looking = [
                await held.enter_async_context(helper(part, *arguments, secret=secret))
                for part, arguments, secret in self._people(people=people, crowd=crowd)
            ]
            await asyncio.sleep(min(3.0, seconds))  # all have come in
            for person in looking:
                await person.told("begin")
            stretch = Stretch(who, loop.time(), dict(self.runs))
            cpu_s, guardian_s = self.cpu()
            await asyncio.sleep(seconds)
            stretch.end_s = loop.time()
            stretch.cpu_s, stretch.guardian_cpu_s = (
                now - was for now, was in zip(self.cpu(), (cpu_s, guardian_s), strict=True)
            )
            for person in looking:
                stretch.met(await person.told("end"), seconds)
            stretch.timers = await timers.told([stretch.begin_s, stretch.end_s])
            if stops in self.runs:
                stretch.stop_s = await self.stop(stops)
        stretch.gone = await self.gone()  # all have left by now, which is work as well
        self.leg.stretches.append(stretch)
        self.leg.rss_mib.append(self.rss_mib())

    def _people(self, *, people: bool, crowd: int) -> Iterator[tuple[str, tuple[object, ...], dict[str, str]]]:
        """Part, arguments and secrets of each process of people."""
        if people:
            yield "readers", (self.port, READERS - 1), {"TOKEN": self.tokens["reader"]}
            yield "browser", (f"http://127.0.0.1:{self.port}/", "reader"), {"PASSWORD": PASSWORD}
            yield "askers", (self.port, ASKED_PER_S, *self.channels), {"TOKEN": self.tokens["asker"]}
        if crowd:
            yield "crowd", (self.port, crowd), {"TOKEN": self.tokens["crowd"]}

    async def gone(self) -> list[str]:
        """Why runs are over that nobody stopped; each is told once."""
        said: list[str] = []
        for channel, run_id in list(self.runs.items()):
            run = await self.daemon.ask("run", run_id=run_id)
            if run["state"] == "closed":
                del self.runs[channel]
                said.append(f"channel {channel}: {run['verdict']} by {run['ended_by']}: {run['faults']}")
        return said

    async def stop(self, channel: str) -> float:
        """Stop a run; gives how long after that its record says that it is confirmed safe."""
        asked_s = asyncio.get_running_loop().time()
        await self.daemon.ask("stop", run_id=self.runs[channel], by="lin")
        await self.daemon.closed(self.runs[channel])
        bundle = self.data / "runs" / self.runs.pop(channel)
        safe_s = [float(event["mono_s"]) for event in events(bundle) if event["kind"] == "safe_state"]
        return safe_s[0] - asked_s

    def cpu(self) -> tuple[float, float]:
        """CPU of the daemon and of its guardian so far, in seconds."""
        return _cpu_s(self.daemon.child), _cpu_s(self.daemon.process.pid)

    def rss_mib(self) -> float:
        pages = int(Path(f"/proc/{self.daemon.child}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Helper:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def heard(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return dict(json.loads(await self._process.stdout.readline()))

    async def told(self, what: object) -> dict[str, Any]:
        """Tell it something; gives what it says to that."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        return await self.heard()


@asynccontextmanager
async def helper(
    part: str, *arguments: object, waits: bool = True, secret: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Helper]:
    """A process of :mod:`tests.benchmark.load.processes`; it is up inside, unless it says nothing before its end.
    ``secret`` goes into its environment."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", PARTS, part, *map(str, arguments)),
        cwd=ROOT,
        env={**os.environ, **secret},
        limit=1 << 24,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        made = Helper(process)
        if waits:
            assert await made.heard() == {"up": True}
        yield made
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def leg(folder: Path, channels: int, rate_hz: float) -> AsyncIterator[Going]:
    """Stand a bench up, start a daemon on it. It is ended by SIGTERM; ``said`` and ``code`` are there afterwards."""
    bench_file, standing, socket = folder / "bench.toml", folder / "standing.toml", folder / "desk"
    bench_file.write_text(bench_of(channels, period=f"{1000.0 / rate_hz:g} ms"))
    found = Leg(channels, rate_hz)
    tokens = _people(folder / "data")
    async with helper("far", bench_file, standing):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", MODULE, str(standing), str(folder / "data"), str(socket), "web"),
            cwd=ROOT,
            env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=(folder / "said").open("wb"),
        )
        daemon = Daemon(process, socket)
        try:
            await daemon.opened(60.0)
            yield Going(found, folder, daemon, tuple(load_bench(standing).channels), tokens)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await daemon.over(120.0)
            found.code = process.returncode
            found.said = (folder / "said").read_text()


def _people(data: Path) -> dict[str, str]:
    """Users of the interface, with a token each."""
    data.mkdir(parents=True)
    utc_s = system_clock(lambda: 0.0).utc_s()
    passwords, accounts = Passwords(), Accounts(data)
    try:
        for name in PEOPLE:
            accounts.add(name, Role.VIEWER, passwords.hash(PASSWORD), utc_s)
        return {
            name: accounts.give("token", name, label="load", role=None, utc_s=utc_s, lasts_s=86400.0)[0]
            for name in PEOPLE
        }
    finally:
        accounts.close()
        passwords.close()


def count(going: Going) -> None:
    """Count each stretch's samples off the bundles of all runs, which are closed."""
    bench = load_bench(going.folder / "standing.toml")
    places = {name: index for index, name in enumerate(bench.devices)}
    for stretch in going.leg.stretches:
        for channel, run_id in stretch.runs.items():
            cycler = bench.channels[channel].cycler.partition(".")[0]
            stretch.taken.add(
                of_bundle(
                    going.data / "runs" / run_id,
                    cycler=cycler,
                    index=places[cycler],
                    period_s=1.0 / going.leg.rate_hz,
                    begin_s=stretch.begin_s,
                    end_s=stretch.end_s,
                )
            )
