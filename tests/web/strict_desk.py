"""A paper desk that refuses as the bench's own does: what nobody knows is ``unknown``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.daemon.desk import DeskRefused
from bench.daemon.views import AlarmView, JudgementView, PromptAnswer, RunView, StartRequest
from tests.page.paper_desk import PLAIN, PaperDesk

RUN, PROMPT, ALARM = "r-0001", "p1", "a1"


class StrictDesk(PaperDesk):
    """One run goes on, which asks a question; one alarm is up."""

    def __init__(self, *, data: Path, channels: int = 4) -> None:
        super().__init__(channels, data=data)
        self.begin(StartRequest(sequence=PLAIN, channel="ch1", cell="nmc-21700"), key="the first", by="lin")
        self.ask(RUN, PROMPT)
        self.raise_alarm(ALARM)
        self.asked.clear()

    def _known(self, kept: dict[str, Any], name: str) -> None:
        if name not in kept:
            raise DeskRefused("unknown", f"nothing is called {name!r}", "look at the list")

    async def stop(self, run_id: str, *, by: str) -> RunView:
        self._known(self._runs, run_id)
        return await super().stop(run_id, by=by)

    async def pause(self, run_id: str, *, by: str) -> RunView:
        self._known(self._runs, run_id)
        self.asked.append(("pause", run_id, by))
        return await super().pause(run_id, by=by)

    async def resume(self, run_id: str, *, by: str) -> RunView:
        self._known(self._runs, run_id)
        self.asked.append(("resume", run_id, by))
        return await super().resume(run_id, by=by)

    async def close_interrupted(self, run_id: str, *, by: str, note: str = "") -> RunView:
        self._known(self._runs, run_id)
        self.asked.append(("close", run_id, by))
        return self._runs[run_id]

    async def judge(self, run_id: str, question: str, *, answer: bool, note: str, by: str) -> JudgementView:
        self._known(self._runs, run_id)
        self.asked.append(("judge", run_id, by))
        return JudgementView(
            run_id=run_id, question=question, answer=answer, by=by, amendment="0001", verdict_before="PASS",
            verdict="FAIL",
        )  # fmt: skip

    async def bundle(self, run_id: str) -> Path:
        self._known(self._runs, run_id)
        return await super().bundle(run_id)

    async def answer(self, prompt_id: str, answer: PromptAnswer, *, by: str) -> None:
        self._known(self._prompts, prompt_id)
        await super().answer(prompt_id, answer, by=by)

    async def acknowledge(self, alarm_id: str, *, by: str) -> AlarmView:
        self._known(self._alarms, alarm_id)
        return await super().acknowledge(alarm_id, by=by)

    async def shelve(self, alarm_id: str, *, by: str, for_s: float, why: str) -> AlarmView:
        self._known(self._alarms, alarm_id)
        self.asked.append(("shelve", alarm_id, by))
        return await super().shelve(alarm_id, by=by, for_s=for_s, why=why)

    async def unlatch(self, *, by: str, note: str = "") -> Sequence[str]:
        self.asked.append(("unlatch", by))
        await super().unlatch(by=by, note=note)
        return ("0001",)
