"""Opening a house: on simulators in this process, or on the bench's own devices."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from bench.claim import claim
from bench.config import BenchFile, load_bench
from bench.daemon import alarm_texts as texts
from bench.daemon.far_sides import LiveSide, SimulatedSide
from bench.daemon.floor import Floor
from bench.daemon.house import BenchHouse
from bench.daemon.settings import DeskSettings
from bench.daemon.supervision import Supervision
from bench.daemon.views import Words
from bench.data_folder import DataFolder
from bench.guardian.link import inherited_link
from bench.hands import BorrowedHands
from bench.simulated import empty_scene_spec, virtual_bench
from drivers.clock import system_clock


@asynccontextmanager
async def simulated_house(settings: DeskSettings) -> AsyncIterator[BenchHouse]:
    """A bench of simulators in the running virtual loop. It has no guardian: its devices end with the program. Raises
    ConfigError."""
    bench = load_bench(settings.bench)
    spec = empty_scene_spec(bench, seed=settings.seed)
    async with virtual_bench(spec, start_utc_s=settings.start_utc_s) as simulated:
        floor = Floor(bench, simulated.clock, urls=simulated.urls, flight=simulated.flight, simulated=True)
        async with floor, BenchHouse(floor, settings, SimulatedSide(simulated)) as house:
            yield house


@asynccontextmanager
async def live_house(settings: DeskSettings) -> AsyncIterator[BenchHouse]:
    """The bench's own devices, claimed for this program. It must be the child of a guardian, which owns the ports of
    the contactors' modules. Raises BenchHeld, ConfigError, DeviceError, RecordError.

    A latched bench is opened too: it is shown, and a person may acknowledge it here.
    """
    bench = load_bench(settings.bench)
    clock = system_clock(asyncio.get_running_loop().time)
    data = DataFolder(settings.data)
    with claim(
        data,
        bench,
        settings.bench,
        run="the bench PC's daemon",
        start_utc_s=clock.utc_s(),
        environment=os.environ,
        latched_too=True,
    ) as lock:
        async with inherited_link(os.environ) as link:
            link.holding(lock.handles)
            lent = link.lent(bench.devices[name].url for name in _contactor_modules(bench))
            floor = Floor(bench, clock, urls={}, simulated=False, lent=lent)
            url = bench.simulation.hands
            hands = BorrowedHands(url) if url is not None and bench.far_end == "simulated" else None
            side = LiveSide(clock, Supervision(link, data.path / "guardian"), hands)
            async with floor, BenchHouse(floor, settings, side) as house:
                link.gone.add_done_callback(partial(_lost, house))
                for fault in lock.warnings:
                    said = f"{fault.error}; {fault.fix}"
                    house.alarms.begin(f"unseen {fault.where}", texts.UNSEEN, Words(en=said, zh=said))
                yield house


def _lost(house: BenchHouse, gone: asyncio.Future[str]) -> None:
    """Without its guardian a live bench can start nothing, and nobody would make it safe for this process."""
    if not gone.cancelled() and not house.lost.done():
        house.lost.set_result(f"the guardian is gone: {gone.result()}")


def _contactor_modules(bench: BenchFile) -> tuple[str, ...]:
    """The modules that drive any contactor of the bench."""
    points: list[str] = []
    for channel in bench.channels.values():
        points.append(channel.contactor)
        for reach in channel.reaches.values():
            points += [point for point in (reach.contactor, reach.short_contactor) if point is not None]
    return tuple(dict.fromkeys(point.partition(".")[0] for point in points))
