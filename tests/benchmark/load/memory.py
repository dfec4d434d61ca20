"""``python -m tests.benchmark.load.memory``: what hours of a load add to the memory of a daemon, in virtual time.

The daemon and its simulated bench are one process here. What it has taken when the second virtual hour is over is what
the rest is compared with: by then every run is under way, every ring in memory is full, and the first rows have been
put away by a library that is loaded for it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
from pathlib import Path

from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from drivers.clock import real_elapsed_s
from tests.daemon.houses import asked, in_house, started
from tests.daemon.many import bench_of

HOUR_S = 3600.0
#: So many channels at 10 Hz for so many hours are asked for.
CHANNELS, RATE_HZ, HOURS, MOST_MIB = 64, 10.0, 72, 5.0
#: Ends with this when the budget ended first.
UNFINISHED = 3
WARM_HOURS = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.load.memory", description=__doc__)
    parser.add_argument("--channels", type=int, default=CHANNELS)
    parser.add_argument("--rate", type=float, default=RATE_HZ, help="samples of a channel in a second")
    parser.add_argument("--hours", type=int, default=HOURS, help="virtual hours")
    parser.add_argument("--budget", type=float, default=3600.0, help="seconds of real time at most")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memory-") as name:
        bench = Path(name) / "bench.toml"
        bench.write_text(bench_of(given.channels, period=f"{1000.0 / given.rate:g} ms"))

        async def visit(house: BenchHouse, desk: FrontDesk) -> list[float]:
            return await hours_of(house, desk, given.channels, given.hours, given.budget)

        mib = in_house(Path(name) / "data", visit, bench=bench)
    done = max(0, len(mib) - 1)
    samples = given.channels * given.rate * HOUR_S * done
    print(
        f"{given.channels} channels at {given.rate:g} Hz, {done} of {given.hours} virtual hours after the second, "
        f"{samples:.3g} samples: RSS {mib[0]:.1f} MiB, then {max(mib) - mib[0]:+.1f} MiB at most, "
        f"{mib[-1] - mib[0]:+.1f} MiB at the end (aim {MOST_MIB:g} MiB in {HOURS} h)"
    )
    return 0 if done >= given.hours else UNFINISHED


async def hours_of(house: BenchHouse, desk: FrontDesk, channels: int, hours: int, budget_s: float) -> list[float]:
    """RSS in MiB at the end of every virtual hour from the second on."""
    begun_s, mib = real_elapsed_s(), list[float]()
    requests = [asked(str(at), sequence="tests/months") for at in range(channels)]
    runs = [await started(desk, request, key=request.channel) for request in requests]
    for hour in range(1, hours + WARM_HOURS + 1):
        for _ in range(60):
            await asyncio.sleep(HOUR_S / 60)
            if real_elapsed_s() - begun_s > budget_s and mib:
                break
            house.refresh()
        else:
            if hour < WARM_HOURS:
                continue
            mib.append(rss_mib())
            print(f"hour {hour}: {mib[-1]:.1f} MiB", file=sys.stderr, flush=True)
            continue
        break
    for run in runs:
        tenancy = house.runs.of(run.run_id)
        assert tenancy is not None
        assert not tenancy.over, tenancy.view()
    await house.runs.stop_all("the end")
    return mib


def rss_mib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


if __name__ == "__main__":
    sys.exit(main())
