"""A desk of paper: what a bench would show, changed by the test's own hand. No device and no time behind it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from bench.daemon.desk import DeskRefused
from bench.daemon.views import (
    AlarmView,
    BenchView,
    CellView,
    ChannelView,
    CheckView,
    DeviceView,
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
    StepView,
    ValueView,
    Words,
)
from bench.web.feed import Feed

BEGUN = 1.8e9
PLAIN, NAIL = "gbt31486-2024/room-capacity", "gbt31485-2015/nail-penetration"
HASH = "ab" * 32


def words(en: str, zh: str) -> Words:
    return Words(en=en, zh=zh)


def channel(name: str, **fields: Any) -> ChannelView:
    values = tuple(
        ValueView(quantity=quantity, value=value, quality="good", age_s=0.4, stale=False, low=low, high=high)
        for quantity, value, low, high in (
            ("voltage_v", 3.6521, 2.5, 4.25),
            ("current_a", 0.0, -50.0, 50.0),
            ("temperature_c", 24.8, None, 60.0),
            ("force_n", 12.0, None, None),
            ("position_mm", 3.25, None, None),
        )
    )
    given = {"place": "bench", "zone": "a", "state": "idle", "needs_me": False, "values": values, **fields}
    return ChannelView(name=name, **given)


def step(name: str = "out", **fields: Any) -> StepView:
    given: dict[str, Any] = {
        "index": 1, "path": "2", "kind": "discharge", "phase": "conditioning", "ends": "V <= 2.5 V or 3 h",
        "step_s": 61.0, "test_s": 3700.0, "remaining_s": 600.0, "next_hazard": "the nail moves", "next_hazard_s": 250.0,
        **fields,
    }  # fmt: skip
    return StepView(name=name, **given)


class PaperDesk:
    """As :class:`bench.daemon.desk.Desk`. What a test puts in is shown; what people ask for is in ``asked``."""

    def __init__(self, channels: int = 4, *, data: Path) -> None:
        self.data = data
        self.feed: Feed | None = None  # of whoever serves this desk
        self.asked: list[tuple[str, ...]] = []
        self._lock = Lock()
        self._numbers = itertools.count(1)
        self._runs: dict[str, RunView] = {}
        self._keys: dict[str, str] = {}
        self._prompts: dict[str, PromptView] = {}
        self._notes: tuple[NoteView, ...] = ()
        self._alarms: dict[str, AlarmView] = {}
        self._hearing: tuple[Callable[[EventView], None], ...] = ()
        self._bench = BenchView(
            name="paper", title="Paper bench", mode="simulated", utc_s=BEGUN, seq=0, latched=False,
            channels=tuple(channel(f"ch{number}") for number in range(1, channels + 1)),
            devices=(DeviceView(name="cycler", model="C-1", serial="77", connected=True),), prompts=0, alarms=0,
        )  # fmt: skip

    # what a test does

    def show(self, name: str, **fields: Any) -> None:
        """Change what a channel shows, and tell."""
        with self._lock:
            changed = tuple(
                each.model_copy(update=fields) if each.name == name else each for each in self._bench.channels
            )
            self._update(channels=changed)
        self.tell("progress", channel=name)

    def show_bench(self, **fields: Any) -> None:
        with self._lock:
            self._update(**fields)
        self.tell("progress")

    def raise_alarm(self, alarm_id: str = "a1", **fields: Any) -> None:
        given: dict[str, Any] = {
            "rule": "temperature", "channel": "ch1", "run_id": None, "priority": "high", "safety": False,
            "state": "unacknowledged", "text": words("ch1 is too warm", "ch1 温度过高"),
            "cause": words("Heat.", "发热。"),
            "consequence": words("The run ended.", "运行已结束。"), "action": words("Let it cool.", "等待冷却。"),
            "begun_utc_s": BEGUN, **fields,
        }  # fmt: skip
        self._alarms[alarm_id] = AlarmView(alarm_id=alarm_id, **given)
        self.show_bench(alarms=len(self._alarms))

    def ask(self, run_id: str, prompt_id: str = "p1", **fields: Any) -> None:
        given: dict[str, Any] = {
            "channel": self._runs[run_id].channel, "kind": "judge", "what": "fire", "hazardous": False, "signed": True,
            "text": words("Did it catch fire?", "是否起火？"), "asked_utc_s": BEGUN,
            "definition": words("Flame for longer than 1 s", "持续燃烧超过 1 s"),
            "source": "GB/T 31485 2015 3.8; grade A",
            **fields,
        }  # fmt: skip
        self._prompts[prompt_id] = PromptView(prompt_id=prompt_id, run_id=run_id, **given)
        self.show(given["channel"], state="asking", needs_me=True, why=words("a person is asked", "等待人员答复"))
        self.show_bench(prompts=len(self._prompts))

    def finish(self, run_id: str, *, verdict: str = "PASS", ended_by: str = "end") -> None:
        run = self._runs[run_id]
        fields = {"state": "closed", "verdict": verdict, "ended_by": ended_by, "ended_utc_s": BEGUN + 60.0}
        self._runs[run_id] = run.model_copy(update=fields)
        self.show(
            run.channel, state="idle", run_id=None, sequence=None, sample=None, step=None, needs_me=False, why=None
        )

    def tell(self, kind: str, **fields: Any) -> None:
        with self._lock:
            self._update(seq=self._bench.seq + 1, utc_s=self._bench.utc_s + 0.2)
            event = EventView(seq=self._bench.seq, utc_s=self._bench.utc_s, kind=kind, **fields)
        for hear in self._hearing:
            hear(event)

    def cut(self) -> None:
        """End every stream of those who read along."""
        assert self.feed is not None
        assert self.feed._loop is not None
        for reader in tuple(self.feed._readers):
            self.feed._loop.call_soon_threadsafe(reader.end, "closing", "cut")

    def _update(self, **fields: Any) -> None:
        self._bench = self._bench.model_copy(update=fields)

    # what people do

    def now(self) -> BenchView:
        return self._bench

    def listen(self, hear: Callable[[EventView], None], *, after: int | None = None) -> Callable[[], None]:
        self._hearing = (*self._hearing, hear)
        if isinstance(owner := getattr(hear, "__self__", None), Feed):
            self.feed = owner

        def end() -> None:
            self._hearing = tuple(other for other in self._hearing if other is not hear)

        return end

    async def check(self, request: StartRequest) -> CheckView:
        nail = request.sequence == NAIL
        steps = (f"{request.sequence}: step 1 'rest' (rest)", f"{request.sequence}: step 2 'out' (discharge)")
        return CheckView(
            request=request, plan_hash=HASH, title=words("Nail", "针刺") if nail else words("Capacity", "容量"),
            summary=("What it measures.",), steps=steps, hazards=steps[1:] if nail else (), two_persons=nail,
            estimated_s=7260.0, warnings=("The chamber is warm.",),
        )  # fmt: skip

    async def start(self, request: StartRequest, *, plan_hash: str, key: str, by: str) -> RunView:
        if plan_hash != HASH:
            raise DeskRefused("plan-changed", "what would be run is not what was approved", "check again")
        return self.begin(request, key=key, by=by)

    def begin(self, request: StartRequest, *, key: str, by: str) -> RunView:
        if key in self._keys:
            return self._runs[self._keys[key]]
        run_id = f"r-{next(self._numbers):04d}"
        self._keys[key] = run_id
        self._runs[run_id] = RunView(
            run_id=run_id, sequence=request.sequence, channel=request.channel, cell=request.cell, sample=request.sample,
            operator=by, mode="simulated", state="running", begun_utc_s=BEGUN,
        )  # fmt: skip
        self.asked.append(("start", run_id, by))
        fields = {"run_id": run_id, "sequence": request.sequence, "sample": request.sample, "operator": by}
        self.show(request.channel, state="running", step=step(), **fields)
        return self._runs[run_id]

    async def stop(self, run_id: str, *, by: str) -> RunView:
        self.asked.append(("stop", run_id, by))
        self.finish(run_id, verdict="INCONCLUSIVE", ended_by=f"stopped by {by}")
        return self._runs[run_id]

    async def abort_all(self, *, by: str) -> Sequence[RunView]:
        self.asked.append(("abort", by))
        going = [run.run_id for run in self._runs.values() if run.state != "closed"]
        return [await self.stop(run_id, by=by) for run_id in going]

    async def pause(self, run_id: str, *, by: str) -> RunView:
        self.show(self._runs[run_id].channel, state="paused")
        return self._runs[run_id]

    async def resume(self, run_id: str, *, by: str) -> RunView:
        self.show(self._runs[run_id].channel, state="running")
        return self._runs[run_id]

    async def close_interrupted(self, run_id: str, *, by: str, note: str = "") -> RunView:
        run = await self.run(run_id)
        if run.state != "interrupted":
            raise DeskRefused("not-now", f"run {run_id} is not interrupted", "look at the list of runs")
        self.asked.append(("close_interrupted", run_id, note, by))
        self.finish(run_id, verdict="INCONCLUSIVE", ended_by=f"closed by {by}")
        return self._runs[run_id]

    def interrupt(self, run_id: str) -> None:
        """As after a restart of the program."""
        run = self._runs[run_id] = self._runs[run_id].model_copy(update={"state": "interrupted"})
        self.show(run.channel, state="held", step=None, needs_me=True)

    async def runs(self, *, search: str = "", limit: int = 50, before: str | None = None) -> Sequence[RunView]:
        return [run for run in self._runs.values() if search in run.model_dump_json()][:limit] if not before else []

    async def run(self, run_id: str) -> RunView:
        if run_id not in self._runs:
            raise DeskRefused("unknown", f"no run is called {run_id!r}", "look at the list of runs")
        return self._runs[run_id]

    async def bundle(self, run_id: str) -> Path:
        folder = self.data / run_id
        folder.mkdir(exist_ok=True)
        (folder / "report.html").write_text(f"<!doctype html><title>{run_id}</title><h1>Report {run_id}</h1>")
        return folder

    async def prompts(self) -> Sequence[PromptView]:
        return tuple(self._prompts.values())

    async def answer(self, prompt_id: str, answer: PromptAnswer, *, by: str) -> None:
        prompt = self._prompts.pop(prompt_id)
        self.asked.append(("answer", prompt.what, str(answer.yes), by))
        self.show(prompt.channel, state="running", needs_me=False, why=None)
        self.show_bench(prompts=len(self._prompts))

    async def alarms(self, *, closed: bool = False) -> Sequence[AlarmView]:
        return tuple(self._alarms.values())

    async def acknowledge(self, alarm_id: str, *, by: str) -> AlarmView:
        self.asked.append(("acknowledge", alarm_id, by))
        fields = {"state": "acknowledged", "acknowledged_by": by}
        self._alarms[alarm_id] = self._alarms[alarm_id].model_copy(update=fields)
        self.tell("alarm")
        return self._alarms[alarm_id]

    async def shelve(self, alarm_id: str, *, by: str, for_s: float, why: str) -> AlarmView:
        return self._alarms[alarm_id]

    async def unlatch(self, *, by: str, note: str = "") -> Sequence[str]:
        self.show_bench(latched=False)
        return ()

    async def series(
        self, *, run_id: str | None, channel: str, quantities: Sequence[str], begin_s: float | None,
        end_s: float | None, points: int,
    ) -> SeriesView:  # fmt: skip
        at = tuple(BEGUN + 2.0 * second for second in range(300))
        slopes = {"voltage_v": (3.95, -0.001), "current_a": (-5.0, 0.0), "temperature_c": (24.8, 0.012)}
        columns = {
            quantity: tuple(level + slope * second for second in range(300))
            for quantity in quantities
            for level, slope in (slopes.get(quantity, (12.0, 0.0)),)
        }
        marks = (
            EventView(seq=0, utc_s=BEGUN + 90.0, kind="step_started", data={"name": "rest"}),
            EventView(seq=0, utc_s=BEGUN + 300.0, kind="warning", data={"rule": "temperature"}),
        )
        return SeriesView(channels=(channel,), bucket_s=None, utc_s=at, low=columns, high=columns, marks=marks)

    async def sequences(self) -> Sequence[SequenceView]:
        plain = SequenceView(
            id=PLAIN, title=words("Capacity", "容量"), summary=words("Charge and discharge.", "充放电。"), abuse=False,
            parameters={"rest": "1 h"},
        )  # fmt: skip
        nail = SequenceView(id=NAIL, title=words("Nail", "针刺"), summary=words("A nail.", "钢针。"), abuse=True)
        return (plain, nail)

    async def cells(self) -> Sequence[CellView]:
        return (CellView(name="nmc-21700", title="NMC 21700"),)

    async def samples(self, *, search: str = "", limit: int = 50) -> Sequence[SampleView]:
        known = (
            SampleView(id="L-1", type="nmc-21700", serial="SN1", batch="B", state="registered"),
            SampleView(id="L-2", type="nmc-21700", serial="SN2", batch="B", state="quarantine"),
        )
        return tuple(each for each in known if search in each.model_dump_json())

    async def judge(self, run_id: str, question: str, *, answer: bool, note: str, by: str) -> JudgementView:
        raise DeskRefused("not-now", "nothing is open", "nothing to do")

    async def notes(self, *, limit: int = 50) -> Sequence[NoteView]:
        return self._notes[:limit]

    async def add_note(self, text: str, *, by: str) -> NoteView:
        self.asked.append(("add_note", text, by))
        note = NoteView(utc_s=self._bench.utc_s, by=by, text=text)
        self._notes = (note, *self._notes)
        self.tell("note")
        return note
