"""One bench with all that a daemon knows of it: its floor, its runs, its wall, its alarms and its old runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bench.closing import close_run
from bench.daemon import alarm_texts as texts
from bench.daemon.alarming import Alarming
from bench.daemon.alarms import Alarms
from bench.daemon.bulletin import Bulletin
from bench.daemon.desk import DeskRefused
from bench.daemon.feed import Quiet
from bench.daemon.floor import Floor
from bench.daemon.holds import Hold, by_channel, holds
from bench.daemon.index import RunIndex, number_of
from bench.daemon.lately import Lately
from bench.daemon.runs import FarSide, Runs
from bench.daemon.settings import DeskSettings
from bench.daemon.views import AlarmView, BenchView, RunView, StartRequest, Words
from bench.daemon.wall import Wall
from bench.daemon.zone_fires import ZoneFires
from bench.latch import Acknowledged, acknowledgeable, still_there
from bench.open_runs import order_of
from bench.plan import Plan
from bench.run import Order, Prepared, prepare
from bench.stream import Stream
from drivers.errors import DeviceError, Fault, PreflightRefused, RecordError
from drivers.reading import Quality

T = TypeVar("T")


class BenchHouse:
    """Belongs to the bench's loop. ``view`` may be read from any thread; ``series`` of what was heard lately too.
    ``async with`` it inside its floor; leaving it stops every run and waits for their ends. ``lost`` resolves to why it
    can carry nothing out any more: it is to be left."""

    def __init__(self, floor: Floor, settings: DeskSettings, far_side: FarSide) -> None:
        self.settings = settings
        self.floor = floor
        self.far_side = far_side
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.bulletin = Bulletin(floor.clock)
        self.alarms = Alarms(floor.clock.utc_s, self._alarm_changed)
        self.lately = Lately()
        self.runs = Runs(floor, settings, far_side, self.bulletin, held=self._held_why, changed=self.look)
        self._alarming = Alarming(self.alarms)
        self._index = RunIndex(settings.data)
        self._lane = ThreadPoolExecutor(1, "index")
        self._wall = Wall(floor, self.runs, settings.mode)
        self._held: Mapping[str, Hold] = {}
        self._due: asyncio.Handle | None = None
        for feed in (ZoneFires(self.runs), self._alarming, self.lately, _Indexing(self)):
            self.runs.feeds.add(feed)
        self.view: BenchView = self.refresh()

    async def __aenter__(self) -> BenchHouse:
        await self.beside(self._index.sync)
        await self.look_for_holds()
        if self._held:
            await self.floor.make_all_safe("interrupted run")
        if self.runs.latched():
            self._alarming.latched("see the latch")
        for at, fault in enumerate(self.floor.found):
            said = Words(en=f"{fault.where}: {fault.error}", zh=f"{fault.where}：{fault.error}")
            self.alarms.begin(f"found {at}", texts.UNSAFE, said)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runs.stop_all("the end of the program")
        await self.beside(self._index.close)
        self._lane.shutdown()

    # The wall

    def look(self) -> None:
        """Something is another: the wall follows within a turn of the loop."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_soon(self.refresh)

    def refresh(self) -> BenchView:
        """The wall as it is now."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        counts, total = self.alarms.counts()
        held = {channel: hold.why for channel, hold in self._held.items()}
        self.view = self._wall.view(seq=self.bulletin.seq, held=held, alarms=counts, open_alarms=total)
        return self.view

    # Old runs

    async def beside(self, act: Callable[[], T]) -> T:
        """In the one thread that the index is used in."""
        return await asyncio.get_running_loop().run_in_executor(self._lane, act)

    def keep(self, run: RunView) -> None:
        """Note a run in the index, in its turn; what goes wrong is an alarm."""
        tenancy = self.runs.of(run.run_id)
        if tenancy is None or (tenancy.log is None and run.state == "closed"):
            return
        noting = asyncio.get_running_loop().run_in_executor(self._lane, self._index.put, run, tenancy.folder)
        noting.add_done_callback(self._kept)

    async def all_runs(self, *, search: str, limit: int, before: str | None) -> Sequence[RunView]:
        """The newest first; those that are under way as they are now."""
        found = await self.beside(partial(self._index.find, search=search, limit=limit, before=before))
        views = {view.run_id: view for view in found}
        for tenancy in self.runs.all:
            view = tenancy.view()
            if view.run_id in views or (not tenancy.over and not search and before is None):
                views[view.run_id] = view
        return sorted(views.values(), key=lambda view: number_of(view.run_id), reverse=True)[:limit]

    async def one_run(self, run_id: str) -> RunView:
        tenancy = self.runs.of(run_id)
        return (await self._old(run_id))[0] if tenancy is None else tenancy.view()

    async def bundle(self, run_id: str) -> Path:
        tenancy = self.runs.of(run_id)
        return (await self._old(run_id))[1] if tenancy is None else tenancy.folder

    async def _old(self, run_id: str) -> tuple[RunView, Path]:
        found = await self.beside(partial(self._index.one, run_id))
        if found is None:
            raise DeskRefused("unknown", f"no run is called {run_id!r}", "look at the list of runs")
        return found

    def _kept(self, noting: asyncio.Future[Any]) -> None:
        error = None if noting.cancelled() else noting.exception()
        if error is not None:
            self.alarms.begin("index", texts.PROGRAM, Words(en=f"the index: {error}", zh=f"索引：{error}"))

    # Holds and latches

    async def look_for_holds(self) -> None:
        """Look again which runs are interrupted. An open run that cannot be read holds the whole bench."""
        before, bench = self._held, self.floor.bench
        channels = tuple(bench.channels)
        try:
            found = await self.beside(partial(holds, self.settings.data, bench.name))
        except RecordError as error:
            unread = Hold("unknown", self.settings.data, None, str(error.faults[0].error))
            found = (unread,)
        self._held = by_channel(found, channels)
        for channel, hold in self._held.items():
            if before.get(channel) != hold:
                self._alarming.held(channel, hold.why, hold.run_id)
        for channel, hold in before.items():
            if self._held.get(channel) != hold:
                self._alarming.released(channel, hold.run_id)
        if before != self._held:
            self.look()

    async def resume_interrupted(self, run_id: str, *, by: str) -> RunView:
        """A person goes on with an interrupted run. Raises DeskRefused, ConfigError."""
        hold = await self._hold_of(run_id)
        if self.settings.mode == "simulated":
            fix = "close the run; start it again"
            raise DeskRefused("not-now", "the simulated sample of this run went with the program", fix)
        self.runs.refuse_if_not_free(hold.channel or "", of=run_id)
        found = await asyncio.get_running_loop().run_in_executor(None, self._prepared_again, hold.folder, by)
        plan, cell = found.plan, Path(found.order.cell)
        request = StartRequest(
            sequence=plan.sequence.id,
            channel=plan.channel.name,
            cell=cell.stem,
            sample=found.order.sample,
            overrides=dict(found.order.overrides),
        )
        return self.runs.admit(request, found, run_id=run_id, folder=hold.folder, by=by).view()

    async def close_interrupted(self, run_id: str, *, by: str, note: str) -> RunView:
        """A person gives an interrupted run up: the bench is made safe, the bundle sealed. Raises DeskRefused."""
        hold = await self._hold_of(run_id)
        faults: list[Fault] = []
        if not any(not tenancy.over for tenancy in self.runs.all):
            result = await self.floor.make_all_safe("closing an interrupted run")
            fix = "isolate the sample by hand before anyone approaches"
            faults = [Fault(f"safe state not confirmed: {it.error}", it.device, fix) for it in result.failures]
        close = partial(
            close_run,
            hold.folder,
            by=by,
            note=note,
            data=self.settings.data,
            environment=os.environ,
            made_safe=lambda: faults,
        )
        await asyncio.get_running_loop().run_in_executor(None, close)
        await self.beside(self._index.sync)
        await self.look_for_holds()
        self.bulletin.tell("run_state", channel=hold.channel, run_id=run_id, data={"state": "closed", "by": by})
        return await self.one_run(run_id)

    async def unlatch(self, *, by: str, note: str) -> tuple[str, ...]:
        """Read the hardware and, if the cause is gone, take the latch away. Raises ConfigError, PreflightRefused."""
        bench = self.floor.bench.name
        latch = acknowledgeable(self.runs.latches.of(bench), bench, by)
        seen: dict[str, float | None] = {}
        faults: list[Fault] = []
        now_s = asyncio.get_running_loop().time()
        for name in latch.devices:
            device = self.floor.devices.get(name)
            if device is None:
                faults.append(Fault("the latch names a device that this bench has not", name, "give the bench's file"))
                continue
            try:
                batch = await device.read(since_s=now_s)
            except DeviceError as error:
                faults += error.faults
            else:
                good = {reading.channel: reading for reading in batch}
                seen |= {its: it.value if it.quality is Quality.GOOD else None for its, it in good.items()}
        faults += still_there(latch, seen)
        if faults:
            refused = PreflightRefused(faults[0].error, faults[0].where, faults[0].fix)
            refused.faults = tuple(faults)
            raise refused
        kept = Acknowledged(latch=latch, by=by.strip(), note=note, utc_s=self.floor.clock.utc_s(), seen=seen)
        await self.beside(partial(self.runs.latches.release, kept))
        self._alarming.unlatched()
        self.bulletin.tell("unlatched", run_id=latch.run_id, data={"by": by, "note": note})
        self.refresh()
        return (latch.text(),)

    async def _hold_of(self, run_id: str) -> Hold:
        await self.look_for_holds()
        hold = next((hold for hold in self._held.values() if hold.run_id == run_id), None)
        if hold is None:
            raise DeskRefused("not-now", f"run {run_id} is neither paused nor interrupted", "nothing to do")
        return hold

    def _prepared_again(self, folder: Path, by: str) -> Prepared:
        return prepare(order_again(folder, by=by, data=self.settings.data), os.environ)

    def _held_why(self, channel: str, of: str | None) -> str | None:
        hold = self._held.get(channel)
        return None if hold is None or hold.run_id == of else hold.why

    def _alarm_changed(self, alarm: AlarmView) -> None:
        data = {"alarm_id": alarm.alarm_id, "state": alarm.state, "rule": alarm.rule, "priority": alarm.priority}
        self.bulletin.tell("alarm", channel=alarm.channel, run_id=alarm.run_id, data=data)
        self.look()


class _Indexing(Quiet):
    """A feed that keeps the index."""

    def __init__(self, house: BenchHouse) -> None:
        self._house = house

    def begun(self, run: RunView, plan: Plan, stream: Stream) -> None:  # noqa: ARG002 - a feed's
        self._house.keep(run)

    def changed(self, run: RunView) -> None:
        if run.state == "closed":
            self._house.keep(run)


def order_again(folder: Path, *, by: str, data: Path) -> Order:
    """The order that an interrupted run was begun with, to be made ready again. Raises ConfigError."""
    was = order_of(folder)
    return Order(
        sequence=str(folder / "sequence.yaml"),
        bench=Path(was["bench"]),
        cell=Path(was["cell"]),
        simulate=False,
        channel=was.get("channel"),
        sample=was.get("sample"),
        operator=by,
        overrides=was.get("overrides") or {},
        data=data,
        resume=folder.resolve(),
    )
