"""The desk of a running daemon: whatever thread asks, the bench's own loop answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bench.daemon import catalogue, old_series
from bench.daemon.bulletin import Hear
from bench.daemon.desk import Desk, DeskRefused
from bench.daemon.house import BenchHouse
from bench.daemon.request import checked
from bench.daemon.series import lately, old, wanted
from bench.daemon.tenancy import Tenancy
from bench.daemon.views import (
    AlarmView,
    BenchView,
    CellView,
    CheckView,
    JudgementView,
    NoteView,
    PromptAnswer,
    PromptView,
    RunView,
    SampleView,
    SequenceView,
    SeriesView,
    StartRequest,
)
from sequences.language import Phase

T = TypeVar("T")


class FrontDesk:
    """A :class:`bench.daemon.desk.Desk` before one house."""

    def __init__(self, house: BenchHouse) -> None:
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def now(self) -> BenchView:
        return self._house.view

    def listen(self, hear: Hear, *, after: int | None = None) -> Callable[[], None]:
        return self._house.bulletin.listen(hear, after=after)

    async def check(self, request: StartRequest) -> CheckView:
        return await _in_thread(partial(checked, request, self._house.settings))

    async def start(self, request: StartRequest, *, plan_hash: str, key: str, by: str) -> RunView:
        return await self._there(self._house.runs.start(request, approved=plan_hash, key=key, by=by))

    async def stop(self, run_id: str, *, by: str) -> RunView:
        return await self._there(self._stop(run_id, by))

    async def abort_all(self, *, by: str) -> Sequence[RunView]:
        return await self._there(self._abort_all(by))

    async def pause(self, run_id: str, *, by: str) -> RunView:
        return await self._there(self._pause(run_id, by))

    async def resume(self, run_id: str, *, by: str) -> RunView:
        return await self._there(self._resume(run_id, by))

    async def runs(self, *, search: str = "", limit: int = 50, before: str | None = None) -> Sequence[RunView]:
        return await self._there(self._house.all_runs(search=search, limit=limit, before=before))

    async def run(self, run_id: str) -> RunView:
        return await self._there(self._house.one_run(run_id))

    async def bundle(self, run_id: str) -> Path:
        return await self._there(self._house.bundle(run_id))

    async def prompts(self) -> Sequence[PromptView]:
        return await self._there(_at_once(lambda: self._house.runs.prompts.open))

    async def answer(self, prompt_id: str, answer: PromptAnswer, *, by: str) -> None:
        await self._there(_at_once(lambda: self._house.runs.prompts.answer(prompt_id, answer, by=by)))

    async def alarms(self, *, closed: bool = False) -> Sequence[AlarmView]:
        return await self._there(_at_once(lambda: self._house.alarms.views(closed=closed)))

    async def acknowledge(self, alarm_id: str, *, by: str) -> AlarmView:
        return await self._there(_at_once(lambda: self._house.alarms.acknowledge(alarm_id, by=by)))

    async def shelve(self, alarm_id: str, *, by: str, for_s: float, why: str) -> AlarmView:
        return await self._there(self._shelve(alarm_id, by, for_s, why))

    async def unlatch(self, *, by: str, note: str = "") -> Sequence[str]:
        return await self._there(self._house.unlatch(by=by, note=note))

    async def close_interrupted(self, run_id: str, *, by: str, note: str = "") -> RunView:
        """Give an interrupted run up, as ``cellbench close`` does."""
        return await self._there(self._house.close_interrupted(run_id, by=by, note=note))

    async def series(
        self,
        *,
        run_id: str | None,
        channel: str,
        quantities: Sequence[str],
        begin_s: float | None,
        end_s: float | None,
        points: int,
    ) -> SeriesView:
        if run_id is None:
            return await self._there(_at_once(partial(self._lately, channel, quantities, begin_s, end_s, points)))
        folder = str(await self.bundle(run_id))
        order = wanted(folder, quantities=quantities, begin_s=begin_s, end_s=end_s, points=points)
        here = threading.get_ident() == self._thread  # a virtual clock must not run on meanwhile
        found = old_series.series(order) if here else await old_series.series_beside(order)
        return old(found, channel=channel, run_id=run_id)

    async def sequences(self) -> Sequence[SequenceView]:
        distributions = tuple(self._house.floor.bench.distributions)
        return await _in_thread(partial(catalogue.sequence_views, self._house.settings, distributions))

    async def cells(self) -> Sequence[CellView]:
        return await _in_thread(partial(catalogue.cell_views, self._house.settings))

    async def samples(self, *, search: str = "", limit: int = 50) -> Sequence[SampleView]:
        return await _in_thread(partial(catalogue.sample_views, self._house.settings.data, search=search, limit=limit))

    async def judge(self, run_id: str, question: str, *, answer: bool, note: str, by: str) -> JudgementView:
        tenancy, folder = self._house.runs.of(run_id), await self.bundle(run_id)
        if tenancy is not None and not tenancy.over:
            raise DeskRefused("not-now", f"run {run_id} is under way", "answer the question that it asks")
        utc_s = self._house.floor.clock.utc_s()
        work = partial(
            catalogue.judgement,
            self._house.settings.data,
            folder,
            run_id,
            question,
            answer=answer,
            note=note,
            by=by,
            utc_s=utc_s,
        )
        view = await _in_thread(work)
        data = {"question": view.question, "answer": view.answer, "by": view.by, "verdict": view.verdict}
        await self._there(_at_once(lambda: self._house.bulletin.tell("judged", run_id=run_id, data=data)))
        return view

    async def notes(self, *, limit: int = 50) -> Sequence[NoteView]:
        return await _in_thread(partial(catalogue.note_views, self._house.settings.data, limit=limit))

    async def add_note(self, text: str, *, by: str) -> NoteView:
        utc_s = self._house.floor.clock.utc_s()
        view = await _in_thread(partial(catalogue.noted, self._house.settings.data, text, by=by, utc_s=utc_s))
        await self._there(_at_once(lambda: self._house.bulletin.tell("note", data={"by": view.by})))
        return view

    def _lately(
        self, channel: str, quantities: Sequence[str], begin_s: float | None, end_s: float | None, points: int
    ) -> SeriesView:
        now_utc_s = self._house.floor.clock.utc_s()
        return lately(
            self._house.lately,
            channel=channel,
            quantities=quantities,
            begin_s=begin_s,
            end_s=end_s,
            points=points,
            now_utc_s=now_utc_s,
        )

    async def _shelve(self, alarm_id: str, by: str, for_s: float, why: str) -> AlarmView:
        view = self._house.alarms.shelve(alarm_id, for_s=for_s)
        self._house.bulletin.tell("shelved", channel=view.channel, data={"alarm_id": alarm_id, "by": by, "why": why})
        return view

    async def _stop(self, run_id: str, by: str) -> RunView:
        """Asked for, not waited for: the view says how far it is."""
        tenancy = self._going(run_id)
        tenancy.ask_to_stop(by)
        return tenancy.view()

    async def _abort_all(self, by: str) -> Sequence[RunView]:
        return tuple(tenancy.view() for tenancy in await self._house.runs.stop_all(by))

    async def _pause(self, run_id: str, by: str) -> RunView:
        tenancy = self._going(run_id)
        if tenancy.state != "running" or tenancy.phase is not Phase.CONDITIONING:
            fix = "wait for its end, or stop it"
            raise DeskRefused("not-now", f"run {run_id} is not in a step after which it may be held", fix)
        tenancy.pause(by)
        return tenancy.view()

    async def _resume(self, run_id: str, by: str) -> RunView:
        tenancy = self._house.runs.of(run_id)
        if tenancy is None or tenancy.over:
            return await self._house.resume_interrupted(run_id, by=by)
        if tenancy.pause_by is None:
            raise DeskRefused("not-now", f"run {run_id} is not paused", "nothing to do")
        tenancy.go_on(by)
        return tenancy.view()

    def _going(self, run_id: str) -> Tenancy:
        tenancy = self._house.runs.of(run_id)
        if tenancy is None:
            raise DeskRefused("unknown", f"no run {run_id} is under way", "look at the list of runs")
        if tenancy.over:
            raise DeskRefused("not-now", f"run {run_id} is over", "nothing to do")
        return tenancy

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        """On the bench's loop, wherever this is called."""
        if threading.get_ident() == self._thread:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def _at_once(act: Callable[[], T]) -> T:
    return act()


def _is_a_desk(desk: FrontDesk) -> Desk:
    """Checked by the type checker: nothing of the protocol is missing."""
    return desk
