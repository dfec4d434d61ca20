"""``python -m tests.benchmark.load``: many channels at their rate in real time, and what it costs."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.benchmark.load.counts import quantile
from tests.benchmark.load.live import Going, Leg, Stretch, count, helper, leg

QUIET_S, CROWD_S, BARE_S = 20.0, 60.0, 10.0
CROWD = 1000
FEW = 8

_EXAMPLES = """examples:
  python -m tests.benchmark.load                              64 channels at 10 Hz for 5 minutes, and 8 beside them
  python -m tests.benchmark.load --channels 8 --for 10
"""


def main() -> None:
    """Measure, say what came out. A goal that is missed is said, and is no error."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.load",
        description="Load a live daemon under its guardian with runs on a simulated bench that another process stands "
        "up, in real time; count what its bundles hold of what was due.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--rate", type=float, default=10.0, help="samples of a channel in a second")
    parser.add_argument("--for", dest="seconds", type=float, default=300.0, help="seconds that are counted")
    asked = parser.parse_args()
    asyncio.run(_real_time(asked.channels, asked.rate, asked.seconds))


async def _real_time(channels: int, rate_hz: float, seconds: float) -> None:
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f} before")
    legs = []
    for number in dict.fromkeys((min(FEW, channels), channels)):
        full = number == channels
        legs.append(await _leg(number, rate_hz, seconds, full=full))
        bare_us = await _bare(number, rate_hz)
        _tell_leg(legs[-1])
        quiet = legs[-1].stretches[0]
        print(
            f"  CPU of a sample {quiet.cpu_us:.0f} us, of a read by bare pymodbus {bare_us:.0f} us: "
            f"{quiet.cpu_us / bare_us:.2f} times"
        )
    if len(legs) == 2:
        few, many = (it.stretches[0].cpu_us for it in legs)
        print(f"CPU of a sample from {legs[0].channels} to {legs[1].channels} channels: {many / few:.2f} times")


async def _leg(channels: int, rate_hz: float, seconds: float, *, full: bool) -> Leg:
    with tempfile.TemporaryDirectory(prefix="load-") as name:
        async with leg(Path(name), channels, rate_hz) as going:
            _say(f"{channels} channels: starting the runs ...")
            await going.start_all()
            await _stretches(going, seconds, full=full)
            begun_s = asyncio.get_running_loop().time()
            ended = await going.daemon.ask("abort_all", by="lin")
            going.leg.ended_s = asyncio.get_running_loop().time() - begun_s
            for view in ended:
                verdict = str(view["verdict"])
                going.leg.verdicts[verdict] = going.leg.verdicts.get(verdict, 0) + 1
            count(going)
    return going.leg


async def _stretches(going: Going, seconds: float, *, full: bool) -> None:
    stops = list(going.channels)
    _say("nobody looks on ...")
    await going.look("nobody", min(QUIET_S, seconds), people=False, crowd=0, stops=stops.pop())
    if not full:
        return
    _say("people look on ...")
    await going.look("10 readers, 100 requests/s", seconds, people=True, crowd=0, stops=stops.pop())
    _say("a crowd comes ...")
    who = f"the same and {CROWD} slow or dead readers"
    await going.look(who, min(CROWD_S, seconds), people=True, crowd=CROWD, stops=stops.pop())


async def _bare(count: int, rate_hz: float) -> float:
    async with helper("server", waits=False) as server:
        port = (await server.heard())["port"]
        async with helper("bare", count, 1.0 / rate_hz, BARE_S, port, waits=False) as bare:
            return float((await bare.heard())["us"])


def _tell_leg(found: Leg) -> None:
    print(
        f"\n{found.channels} channels at {found.rate_hz:g} Hz: under current {found.started_s:.1f} s after the first "
        f"was asked for; {found.verdicts} {found.ended_s:.1f} s after the abort; exit code {found.code}; "
        f"RSS {', '.join(f'{mib:.0f}' for mib in found.rss_mib)} MiB"
    )
    for stretch in found.stretches:
        _tell(stretch)


def _tell(stretch: Stretch) -> None:
    taken, timers = stretch.taken, stretch.timers
    seconds = stretch.end_s - stretch.begin_s
    cores = (stretch.cpu_s + stretch.guardian_cpu_s) / seconds
    print(f"  {stretch.who}, {seconds:.0f} s:")
    print(
        f"    n = {taken.due} due, {len(taken.late_s)} recorded, {taken.missing} missing, {taken.told} of them told, "
        f"{taken.untold} neither"
    )
    print(
        f"    within 50 ms {100 * taken.on_time:.3f} %, late p50 {1e3 * taken.late(0.5):.1f} ms, "
        f"p99.9 {1e3 * taken.late(0.999):.1f} ms, most {1e3 * taken.late(1.0):.1f} ms"
    )
    print(
        f"    bare timers beside: n = {timers['due']}, within 50 ms {100 * timers['on_time']:.3f} %, "
        f"p99.9 {1e3 * timers['p999_s']:.1f} ms, most {1e3 * timers['most_s']:.1f} ms"
    )
    print(
        f"    CPU {cores:.2f} cores, {stretch.cpu_us:.0f} us a sample "
        f"({1e6 * stretch.guardian_cpu_s / max(1, len(taken.late_s)):.0f} us of it the guardian's); "
        f"a stop was confirmed safe in {1e3 * (stretch.stop_s or 0.0):.0f} ms (n = 1)"
    )
    for why in stretch.gone:
        print(f"    ENDED BY ITSELF: {why[:300]}")
    if stretch.walls_per_s:
        print(
            f"    readers: {min(stretch.walls_per_s):.2f} to {max(stretch.walls_per_s):.2f} refreshes/s "
            f"(n = {len(stretch.walls_per_s)}, {stretch.readers_cut} cut off); crowd: {stretch.crowd_opened} opened"
        )
    if stretch.api_s:
        by_path = ", ".join(f"{path} {1e3 * quantile(took, 0.99):.1f}" for path, took in stretch.api_by_path.items())
        print(
            f"    API: n = {len(stretch.api_s)}, p50 {1e3 * quantile(stretch.api_s, 0.5):.1f} ms, "
            f"p99 {1e3 * quantile(stretch.api_s, 0.99):.1f} ms ({by_path}), {stretch.api_wrong} not 200"
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
