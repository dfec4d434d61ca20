"""The desk: the one way into a running daemon, for the page, the shell and whoever else asks.

Everything here may be awaited from another thread than the bench's: what it gives is frozen, what it changes is carried
out on the bench's own loop. ``by`` is the name of the person who asks; whether they may is the asker's to have settled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

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


class DeskRefused(Exception):
    """The desk understood and will not. ``code`` is stable and has help; ``text`` says why, ``fix`` what helps."""

    def __init__(self, code: str, text: str, fix: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.fix = fix


class Desk(Protocol):
    """Raises DeskRefused (codes: ``unknown``, ``plan-changed``, ``busy``, ``latched``, ``held``, ``not-now``,
    ``second-person``, ``out-of-limits``, ``safety-alarm``), ConfigError with every fault of what was asked for."""

    def now(self) -> BenchView:
        """Everything at this instant; never waits. From any thread."""
        ...

    async def check(self, request: StartRequest) -> CheckView: ...
    async def start(self, request: StartRequest, *, plan_hash: str, key: str, by: str) -> RunView:
        """Start, or queue, what was approved. The same ``key`` gives the same run again and starts nothing."""
        ...

    async def stop(self, run_id: str, *, by: str) -> RunView: ...
    async def abort_all(self, *, by: str) -> Sequence[RunView]: ...
    async def pause(self, run_id: str, *, by: str) -> RunView: ...
    async def resume(self, run_id: str, *, by: str) -> RunView: ...
    async def close_interrupted(self, run_id: str, *, by: str, note: str = "") -> RunView:
        """Give an interrupted run up, as ``cellbench close`` does."""
        ...

    async def runs(self, *, search: str = "", limit: int = 50, before: str | None = None) -> Sequence[RunView]: ...
    async def run(self, run_id: str) -> RunView: ...
    async def bundle(self, run_id: str) -> Path:
        """The folder of a run's bundle."""
        ...

    async def prompts(self) -> Sequence[PromptView]: ...
    async def answer(self, prompt_id: str, answer: PromptAnswer, *, by: str) -> None: ...
    async def alarms(self, *, closed: bool = False) -> Sequence[AlarmView]: ...
    async def acknowledge(self, alarm_id: str, *, by: str) -> AlarmView: ...
    async def shelve(self, alarm_id: str, *, by: str, for_s: float, why: str) -> AlarmView: ...
    async def unlatch(self, *, by: str, note: str = "") -> Sequence[str]:
        """Acknowledge the bench's latched trips, as ``cellbench ack`` does; gives what was acknowledged."""
        ...

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
        """Readings of a run, or of what a channel has said lately, in at most so many points."""
        ...

    async def sequences(self) -> Sequence[SequenceView]: ...
    async def cells(self) -> Sequence[CellView]: ...
    async def samples(self, *, search: str = "", limit: int = 50) -> Sequence[SampleView]: ...
    async def judge(self, run_id: str, question: str, *, answer: bool, note: str, by: str) -> JudgementView:
        """A person's judgement on a closed run, as ``cellbench judge`` adds it."""
        ...

    async def notes(self, *, limit: int = 50) -> Sequence[NoteView]:
        """What was written down for the next shift, the newest first."""
        ...

    async def add_note(self, text: str, *, by: str) -> NoteView: ...
    def listen(self, hear: Callable[[EventView], None], *, after: int | None = None) -> Callable[[], None]:
        """Hear every later event (and those after ``after`` that are still kept), in the bench's own thread: ``hear``
        must be quick and never raise. Gives what ends it. From any thread."""
        ...
