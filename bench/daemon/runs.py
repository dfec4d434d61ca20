"""All runs of a floor: who may start, who waits for what, and what becomes of each.

Nothing here energises by itself: a run begins because a person asked for it, and a bench that tripped, or a channel
whose run was interrupted, is refused until a person has looked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from bench.answers import Answers
from bench.daemon.bulletin import Bulletin
from bench.daemon.desk import DeskRefused
from bench.daemon.feed import Feeds
from bench.daemon.floor import Floor
from bench.daemon.floor_seat import FloorSeat
from bench.daemon.leases import Blocked, Leases
from bench.daemon.needs import needs
from bench.daemon.prompts import DeskAnswers, Prompts
from bench.daemon.request import order_of, plan_hash, prepared
from bench.daemon.settings import DeskSettings
from bench.daemon.tenancy import Tenancy
from bench.daemon.views import PromptView, RunView, StartRequest, Words
from bench.data_folder import DataFolder
from bench.latch import Latches
from bench.observing import Message, Observation, StepEnded, StepStarted
from bench.plan import Plan
from bench.run import FarEnd, Prepared
from bench.stream import Stream
from drivers.errors import RecordError

#: Runs that have ended stay in memory so long that a page may still ask for them; the index has all.
ENDED_KEPT = 16
#: So many bundles are sealed at once, by a process each; the others wait, safe and ended.
SEALED_AT_ONCE = 2
#: So many keys of starts are remembered, so that none is carried out twice.
KEYS_KEPT = 4096


class FarSide(Protocol):
    """Where this floor's bytes go. ``seat`` puts a run's sample in its place where it is simulated, and gives the
    run's far end. Raises BenchError."""

    def seat(self, tenancy: Tenancy) -> FarEnd: ...


class Runs:
    """A :class:`bench.daemon.tenancy.Landlord`. ``held`` gives why a channel holds, None if it does not, but for the
    interrupted run that is named. ``changed`` is told that something on the wall is another."""

    def __init__(
        self,
        floor: Floor,
        settings: DeskSettings,
        far_side: FarSide,
        bulletin: Bulletin,
        *,
        held: Callable[[str, str | None], str | None],
        changed: Callable[[], object],
    ) -> None:
        self.leases = Leases()
        self.sealing = asyncio.Semaphore(SEALED_AT_ONCE)
        self.data = DataFolder(settings.data)
        self.latches = Latches(settings.data)
        self.feeds = Feeds(lambda feed, error: bulletin.tell("feed_failed", data=_failure(feed, error)))
        self.prompts = Prompts(self._asked)
        self._floor = floor
        self._settings = settings
        self._far_side = far_side
        self._bulletin = bulletin
        self._held = held
        self._changed = changed
        self._by_key: dict[str, str] = {}
        self._all: dict[str, Tenancy] = {}
        self._turns: dict[str, asyncio.Event] = {}

    # What people ask for

    @property
    def all(self) -> tuple[Tenancy, ...]:
        """Every run that is not over, and the last that are, in the order in which they were asked for."""
        return tuple(self._all.values())

    def of(self, run_id: str) -> Tenancy | None:
        return self._all.get(run_id)

    def on(self, channel: str) -> Tenancy | None:
        """The run that a channel is busy with; of those that wait the first."""
        return self.by_channel().get(channel)

    def by_channel(self) -> dict[str, Tenancy]:
        """:meth:`on` of every channel that is busy."""
        found: dict[str, Tenancy] = {}
        for tenancy in self._all.values():
            before = found.get(tenancy.channel)
            if not tenancy.over and (before is None or before.state == "waiting" != tenancy.state):
                found[tenancy.channel] = tenancy
        return found

    async def start(self, request: StartRequest, *, approved: str, key: str, by: str) -> RunView:
        """Start or queue what was approved. Raises DeskRefused, ConfigError, RecordError."""
        known = self._started_by(key)
        if known is not None:
            return known
        self.refuse_if_not_free(request.channel)
        order = order_of(request, self._settings, by=by)
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(None, prepared, order)
        if await loop.run_in_executor(None, plan_hash, found.plan) != approved:
            fix = "look at the plan again and approve it as it is now"
            raise DeskRefused("plan-changed", "what would be run is not what was approved", fix)
        known = self._started_by(key)  # asked twice at once
        if known is not None:
            return known
        self.refuse_if_not_free(request.channel)
        run_id, folder = self.data.new_run(None, found.plan.sequence.id)
        self._by_key[key] = run_id
        return self.admit(request, found, run_id=run_id, folder=folder, by=by).view()

    def _started_by(self, key: str) -> RunView | None:
        """What was started with this key. Raises DeskRefused for what has long been over: it is not started again."""
        run_id = self._by_key.get(key)
        if run_id is None:
            return None
        tenancy = self._all.get(run_id)
        if tenancy is None:
            raise DeskRefused("not-now", f"this start was carried out as run {run_id}", "look at that run")
        return tenancy.view()

    def refuse_if_not_free(self, channel: str, *, of: str | None = None) -> None:
        """Raises DeskRefused for a channel that may not be used now. Its own hold does not stand in the way of the
        interrupted run ``of``."""
        if channel not in self._floor.bench.channels:
            known = ", ".join(self._floor.bench.channels)
            raise DeskRefused("unknown", f"the bench has no channel {channel!r}", f"channels: {known}")
        latch = self.latches.of(self._floor.bench.name)
        if latch is not None:
            fix = "mend the cause, then acknowledge the trip"
            raise DeskRefused("latched", f"the bench tripped and nobody has acknowledged it: {latch.text()}", fix)
        why = self._held(channel, of)
        if why is not None:
            raise DeskRefused("held", why, "resume the interrupted run, or close it")

    def admit(self, request: StartRequest, found: Prepared, *, run_id: str, folder: Path, by: str) -> Tenancy:
        """Take a run up that was found fine, and let it begin as soon as what it needs is free."""
        tenancy = Tenancy(request, found, self, run_id=run_id, folder=folder, by=by, utc_s=self._floor.clock.utc_s)
        self._all[run_id] = tenancy
        self.leases.ask(run_id, needs(found.plan), takes_s=found.plan.estimate_s)
        self._turns[run_id] = asyncio.Event()
        self._bulletin.tell("run_asked", channel=tenancy.channel, run_id=run_id, data={"by": by})
        tenancy.begin().add_done_callback(lambda _: self._moved_out(tenancy))
        self._hand_out()
        return tenancy

    async def stop_all(self, by: str) -> tuple[Tenancy, ...]:
        """Every run, those that wait first, so that none moves up; waits until all have ended."""
        going = [tenancy for tenancy in self._all.values() if not tenancy.over]
        for tenancy in sorted(going, key=lambda it: it.state != "waiting"):
            tenancy.ask_to_stop(by)
        await asyncio.gather(*(tenancy.over_with() for tenancy in going))
        return tuple(going)

    # What a tenancy asks for

    async def granted(self, tenancy: Tenancy) -> None:
        await self._turns[tenancy.run_id].wait()

    def moved_in(self, tenancy: Tenancy) -> FarEnd:
        self.latches.refuse(self._floor.bench.name)  # it may have tripped while this run waited
        return self._far_side.seat(tenancy)

    def station(self, tenancy: Tenancy, plan: Plan) -> FloorSeat:
        return FloorSeat(self._floor, self.leases, plan, tenancy.run_id)

    def answers(self, tenancy: Tenancy) -> Answers:
        if self._settings.answering is not None and tenancy.plan.simulated:
            others = self._settings.answering(tenancy.plan)
            if others is not None:
                return others
        return DeskAnswers(self.prompts, run_id=tenancy.run_id, channel=tenancy.channel, utc_s=self._floor.clock.utc_s)

    def streamed(self, tenancy: Tenancy, stream: Stream) -> None:
        if self.feeds:
            view = tenancy.view()
            self.feeds.tell(lambda feed: feed.begun(view, tenancy.plan, stream))

    def told(self, tenancy: Tenancy, kind: str, data: Mapping[str, Any]) -> None:
        if self.feeds:
            view = tenancy.view()
            self.feeds.tell(lambda feed: feed.event(view, kind, data))

    def observed(self, tenancy: Tenancy, observation: Observation) -> None:
        kind, data = _said(observation)
        self._bulletin.tell(kind, channel=tenancy.channel, run_id=tenancy.run_id, data=data)
        if self.feeds:
            view = tenancy.view()
            self.feeds.tell(lambda feed: feed.observed(view, observation))
        self._changed()

    def changed(self, tenancy: Tenancy) -> None:
        view = tenancy.view()
        data = {"state": view.state, "verdict": view.verdict, "exit_code": view.exit_code}
        self._bulletin.tell("run_state", channel=tenancy.channel, run_id=tenancy.run_id, data=data)
        self.feeds.tell(lambda feed: feed.changed(view))
        self._changed()

    # The queue

    def _hand_out(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for run_id in self.leases.grant(now_s):
            self._turns[run_id].set()
        for tenancy in self._all.values():
            blocked = self.leases.blocked(tenancy.run_id) if tenancy.state == "waiting" else None
            tenancy.why = None if blocked is None else self._words(blocked)
        self._changed()

    def _moved_out(self, tenancy: Tenancy) -> None:
        self.leases.leave(tenancy.run_id)
        self._turns.pop(tenancy.run_id, None)
        if (
            tenancy.log is None and tenancy.prepared.resumption is None
        ):  # it came to no record: nothing is kept of it on disk
            with contextlib.suppress(OSError):
                tenancy.folder.rmdir()
        over = [each.run_id for each in self._all.values() if each.over]
        for run_id in over[: max(0, len(over) - ENDED_KEPT)]:
            del self._all[run_id]
        for key in tuple(self._by_key)[: max(0, len(self._by_key) - KEYS_KEPT)]:
            del self._by_key[key]
        self._hand_out()

    def _words(self, blocked: Blocked) -> Words:
        who = blocked.by
        if blocked.queued:
            return Words(
                en=f"{blocked.resource}: run {who} stands before it in the queue",
                zh=f"{blocked.resource}：运行 {who} 排在前面",
            )
        at = "" if blocked.setpoint_c is None else f"{blocked.setpoint_c:g}"
        until_en = until_zh = ""
        if blocked.until_s is not None:
            ahead_s = blocked.until_s - asyncio.get_running_loop().time()
            when = datetime.fromtimestamp(self._floor.clock.utc_s() + max(0.0, ahead_s), UTC).strftime(
                "%d %b %H:%M UTC"
            )
            until_en, until_zh = f" until about {when}", f"，预计至 {when}"
        if at:
            return Words(
                en=f"{blocked.resource} holds {at} degC for run {who}{until_en}",
                zh=f"{blocked.resource} 正为运行 {who} 保持 {at} ℃{until_zh}",
            )
        return Words(
            en=f"{blocked.resource} is taken by run {who}{until_en}",
            zh=f"{blocked.resource} 正被运行 {who} 占用{until_zh}",
        )

    def _asked(self, view: PromptView, /, *, asked: bool) -> None:
        kind = "prompt" if asked else "prompt_gone"
        self._bulletin.tell(kind, channel=view.channel, run_id=view.run_id, data={"prompt_id": view.prompt_id})
        self._changed()

    def latched(self) -> bool:
        """A latch that cannot be read is one."""
        try:
            return self.latches.of(self._floor.bench.name) is not None
        except RecordError:
            return True


def _said(observation: Observation) -> tuple[str, dict[str, Any]]:
    match observation:
        case StepStarted():
            return "step_started", {"path": observation.path, "step_kind": observation.kind, "name": observation.name}
        case StepEnded():
            return "step_ended", {"path": observation.path, "reason": observation.reason}
        case Message():
            return "message", {"text": observation.text, "loud": observation.loud}
        case _:
            return "progress", {}


def _failure(feed: object, error: Exception) -> dict[str, str]:
    return {"feed": type(feed).__name__, "error": f"{type(error).__name__}: {error}"}
