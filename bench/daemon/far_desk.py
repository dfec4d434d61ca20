"""The desk of a daemon in another process, at the other end of :mod:`bench.daemon.desk_wire`'s socket."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.daemon.bulletin import KEPT, Hear
from bench.daemon.desk import Desk, DeskRefused
from bench.daemon.desk_wire import HEAD, METHODS, Kind, frame, refused
from bench.daemon.views import (
    AlarmView,
    BenchView,
    CellView,
    CheckView,
    EventView,
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


class FarDesk:
    """A :class:`bench.daemon.desk.Desk`; listeners hear in the thread that calls :meth:`follow`.

    Raises DeskRefused ``not-now`` for whatever is asked when the bench's process is gone.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._read = sock.makefile("rb")
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[str, Future[Any]]] = {}
        self._kept: deque[EventView] = deque(maxlen=KEPT)
        self._hearing: tuple[Hear, ...] = ()
        self._view: BenchView | None = None
        self._gone = False

    def await_wall(self) -> bool:
        """Until there is a wall to show; whether one came."""
        while self._view is None and self._take() not in (None, Kind.END):
            pass
        return self._view is not None

    def follow(self) -> bool:
        """Take what the bench's process says until it ends; whether it said that it would."""
        while (kind := self._take()) not in (None, Kind.END):
            pass
        with self._lock:
            self._gone, left = True, list(self._waiting.values())
        self._read.close()
        for _, future in left:
            _settle(future, error=_gone())
        return kind is Kind.END

    def _take(self) -> Kind | None:
        """One frame; None at the end of the socket."""
        try:
            head = self._read.read(HEAD.size)
            size, kind, number = HEAD.unpack(head) if len(head) == HEAD.size else (0, 0, 0)
            body = self._read.read(size)
        except OSError:
            return None
        if not kind or len(body) != size:
            return None
        match kind:
            case Kind.WALL:
                self._view = BenchView.model_validate_json(body)
            case Kind.EVENT:
                self._hear(EventView.model_validate_json(body))
            case Kind.SAID | Kind.REFUSED:
                self._answered(Kind(kind), number, body)
        return Kind(kind)

    def _hear(self, event: EventView) -> None:
        with self._lock:
            self._kept.append(event)
            hearing = self._hearing
        for hear in hearing:
            hear(event)

    def _answered(self, kind: Kind, number: int, body: bytes) -> None:
        with self._lock:
            name, future = self._waiting.pop(number)
        try:
            if kind is Kind.REFUSED:
                _settle(future, error=refused(body))
            else:
                _settle(future, METHODS[name].result.validate_json(body))
        except ValueError as error:
            _settle(future, error=RuntimeError(f"the answer to {name} cannot be read: {error}"))

    async def _ask(self, name: str, **arguments: Any) -> Any:
        body = METHODS[name].arguments.model_validate(arguments).model_dump_json().encode()
        future: Future[Any] = Future()
        with self._lock:
            if self._gone:
                raise _gone()
            number = next(self._numbers) & 0xFFFFFFFF
            self._waiting[number] = (name, future)
            try:
                self._sock.sendall(frame(Kind.ASK, number, name.encode() + b" " + body))
            except OSError:
                raise _gone() from None
        return await asyncio.wrap_future(future)

    def now(self) -> BenchView:
        assert self._view is not None  # await_wall comes first
        return self._view

    def listen(self, hear: Hear, *, after: int | None = None) -> Callable[[], None]:
        with self._lock:
            missed = [] if after is None else [event for event in self._kept if event.seq > after]
            for event in missed:
                hear(event)
            self._hearing = (*self._hearing, hear)

        def end() -> None:
            with self._lock:
                self._hearing = tuple(other for other in self._hearing if other is not hear)

        return end

    async def check(self, request: StartRequest) -> CheckView:
        found: CheckView = await self._ask("check", request=request)
        return found

    async def start(self, request: StartRequest, *, plan_hash: str, key: str, by: str) -> RunView:
        found: RunView = await self._ask("start", request=request, plan_hash=plan_hash, key=key, by=by)
        return found

    async def stop(self, run_id: str, *, by: str) -> RunView:
        found: RunView = await self._ask("stop", run_id=run_id, by=by)
        return found

    async def abort_all(self, *, by: str) -> Sequence[RunView]:
        found: Sequence[RunView] = await self._ask("abort_all", by=by)
        return found

    async def pause(self, run_id: str, *, by: str) -> RunView:
        found: RunView = await self._ask("pause", run_id=run_id, by=by)
        return found

    async def resume(self, run_id: str, *, by: str) -> RunView:
        found: RunView = await self._ask("resume", run_id=run_id, by=by)
        return found

    async def close_interrupted(self, run_id: str, *, by: str, note: str = "") -> RunView:
        found: RunView = await self._ask("close_interrupted", run_id=run_id, by=by, note=note)
        return found

    async def runs(self, *, search: str = "", limit: int = 50, before: str | None = None) -> Sequence[RunView]:
        found: Sequence[RunView] = await self._ask("runs", search=search, limit=limit, before=before)
        return found

    async def run(self, run_id: str) -> RunView:
        found: RunView = await self._ask("run", run_id=run_id)
        return found

    async def bundle(self, run_id: str) -> Path:
        found: Path = await self._ask("bundle", run_id=run_id)
        return found

    async def prompts(self) -> Sequence[PromptView]:
        found: Sequence[PromptView] = await self._ask("prompts")
        return found

    async def answer(self, prompt_id: str, answer: PromptAnswer, *, by: str) -> None:
        await self._ask("answer", prompt_id=prompt_id, answer=answer, by=by)

    async def alarms(self, *, closed: bool = False) -> Sequence[AlarmView]:
        found: Sequence[AlarmView] = await self._ask("alarms", closed=closed)
        return found

    async def acknowledge(self, alarm_id: str, *, by: str) -> AlarmView:
        found: AlarmView = await self._ask("acknowledge", alarm_id=alarm_id, by=by)
        return found

    async def shelve(self, alarm_id: str, *, by: str, for_s: float, why: str) -> AlarmView:
        found: AlarmView = await self._ask("shelve", alarm_id=alarm_id, by=by, for_s=for_s, why=why)
        return found

    async def unlatch(self, *, by: str, note: str = "") -> Sequence[str]:
        found: Sequence[str] = await self._ask("unlatch", by=by, note=note)
        return found

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
        found: SeriesView = await self._ask(
            "series", run_id=run_id, channel=channel, quantities=quantities, begin_s=begin_s, end_s=end_s, points=points
        )
        return found

    async def sequences(self) -> Sequence[SequenceView]:
        found: Sequence[SequenceView] = await self._ask("sequences")
        return found

    async def cells(self) -> Sequence[CellView]:
        found: Sequence[CellView] = await self._ask("cells")
        return found

    async def samples(self, *, search: str = "", limit: int = 50) -> Sequence[SampleView]:
        found: Sequence[SampleView] = await self._ask("samples", search=search, limit=limit)
        return found

    async def judge(self, run_id: str, question: str, *, answer: bool, note: str, by: str) -> JudgementView:
        found: JudgementView = await self._ask(
            "judge", run_id=run_id, question=question, answer=answer, note=note, by=by
        )
        return found

    async def notes(self, *, limit: int = 50) -> Sequence[NoteView]:
        found: Sequence[NoteView] = await self._ask("notes", limit=limit)
        return found

    async def add_note(self, text: str, *, by: str) -> NoteView:
        found: NoteView = await self._ask("add_note", text=text, by=by)
        return found


def _settle(future: Future[Any], result: Any = None, *, error: Exception | None = None) -> None:
    with suppress(InvalidStateError):  # whoever asked has gone
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _gone() -> DeskRefused:
    return DeskRefused("not-now", "the bench's program has ended", "try again once it runs again")


def _is_a_desk(desk: FarDesk) -> Desk:
    """Checked by the type checker: nothing of the protocol is missing."""
    return desk
