"""After the stimulus: what is watched, judged by people, and handed over."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from bench import judging
from bench.answers import Permission
from bench.live import Live
from bench.means import Means
from bench.stream import Batch
from bench.waiting import wait_for_end
from sequences.language import Judge, Observe, Quarantine, Text

if TYPE_CHECKING:
    from bench.steps import StepRun

#: The rate of an observation's end is taken over this time.
RATE_WINDOW_S = 60.0

TAKE_OVER = Text(
    en="Take over the sample from here: {state}.",
    zh="请接管样品：{state}。",
)


async def observe(run: StepRun, step: Observe) -> None:
    means, aftermath = run.means, run.means.aftermath
    means.event("observation_begun")
    await means.end_heat()
    aftermath.count_from_now()
    duration_s, longest_s = means.worth(step.duration), means.worth(step.at_most)
    run.begin(max(0.0, longest_s - aftermath.observed_s()))
    run.planned_s = max(0.0, duration_s - aftermath.observed_s())
    cool = _Cool(means.notebook.live, aftermath.observed_s, duration_s, means.worth(step.until), means.worth(step.rate))
    reason = await wait_for_end(means.stream, cool, until_s=run.ends_s)
    run.reason = reason or f"still warm after {longest_s / 3600:.3g} h"
    aftermath.end()
    aftermath.tell()
    means.notebook.live.end(_now_s())
    means.event("observation_ended", observed_s=round(aftermath.observed_s(), 3), why=run.reason)
    peak = aftermath.peak
    if peak.sensor:
        means.event(
            "peak",
            temperature_c=peak.temperature_c,
            sensor=peak.sensor,
            peak_mono_s=peak.mono_s,
            at_least=aftermath.at_least,
        )


async def judge(run: StepRun, step: Judge) -> None:
    means = run.means
    run.begin(math.inf)
    means.aftermath.tell()
    values, answered = means.notebook.live.values, 0
    for question in step.questions:
        means.event("asked_judgement", question=question.name)
        judged = await means.answers.judge(question, _shown(means, question.detectors))
        if judged is None:
            means.event("judgement_missing", question=question.name)
            continue
        answered += 1
        value = judging.judgement(question, answer=judged.answer, values=values)
        means.notebook.put(f"judgement.{question.name}", value)
        means.event(
            "judged",
            question=question.name,
            answer=judged.answer,
            by=judged.by,
            note=judged.note,
            contradicted_by=[kind for kind in question.detectors if kind in means.aftermath.spoke]
            if math.isnan(value)
            else [],
        )
    if means.truth is not None:
        for name, seen in means.truth.seen(means.plan.channel.name).items():
            means.notebook.put_truth(f"judgement.{name}", float(seen))
    means.notebook.live.end(_now_s())
    run.reason = f"{answered} of {len(step.questions)} answered"


def _shown(means: Means, detectors: tuple[str, ...]) -> list[str]:
    """What was recorded that bears on a question."""
    aftermath, live = means.aftermath, means.notebook.live.values
    lines = [f"stimulus: {aftermath.what or 'none'}, {aftermath.elapsed_s():.0f} s ago"]
    if aftermath.peak.sensor:
        least = "at least " if aftermath.at_least else ""
        lines.append(f"peak: {least}{aftermath.peak.temperature_c:.1f} degC ({aftermath.peak.sensor})")
    volts = live["cell_voltage"]
    lines.append(f"cell voltage now: {volts:.3f} V" if isinstance(volts, float) else "cell voltage now: unknown")
    known = set(means.seat.channel.detectors)
    lines += [
        f"{kind} detector: {'ALARM' if kind in aftermath.spoke else 'silent' if kind in known else 'none here'}"
        for kind in dict.fromkeys((*detectors, "smoke", "flame", "gas"))
    ]
    return lines


async def quarantine(run: StepRun, step: Quarantine) -> None:
    """Ask until a person takes over; without anybody to ask it is handed over to nobody, and the report says so."""
    means, live = run.means, run.means.notebook.live.values
    run.begin(math.inf)
    voltage_v, temperature_c = live["cell_voltage"], live["temperature"]
    energy_wh = None if step.energy is None else means.notebook.evaluate(step.energy)
    state = ", ".join(
        text
        for text in (
            f"{voltage_v:.2f} V" if isinstance(voltage_v, float) else "voltage unknown",
            f"{temperature_c:.0f} degC" if isinstance(temperature_c, float) else "temperature unknown",
            f"at most {energy_wh:.0f} Wh inside" if energy_wh is not None else "energy inside unknown",
            "TOOL IN" if means.tool_in else "",
        )
        if text
    )
    text = Text(en=TAKE_OVER.en.format(state=state), zh=TAKE_OVER.zh.format(state=state))
    by = await means.answers.permit(Permission("take_over", text))
    means.event(
        "handover",
        voltage_v=_plain(voltage_v),
        temperature_c=_plain(temperature_c),
        energy_wh=energy_wh,
        nail_in=means.tool_in,
        by=by,
    )
    means.notebook.live.end(_now_s())
    run.reason = "nobody took over" if by is None else f"taken over by {by}"


class _Cool:
    """Ends once the clause's time is over and the hottest surface point is low and hardly moves."""

    def __init__(
        self, live: Live, elapsed_s: Callable[[], float], duration_s: float, until_c: float, rate_k_s: float
    ) -> None:
        self._live = live
        self._elapsed_s = elapsed_s
        self._duration_s = duration_s
        self._until_c = until_c
        self._most_k = rate_k_s * RATE_WINDOW_S
        self._seen: deque[tuple[float, float]] = deque()

    def __call__(self, batch: Batch) -> str | None:
        if not self._live.saw("surface"):
            return None
        hottest_c, now_s = self._live.values["temperature"], batch[-1].mono_s
        if not isinstance(hottest_c, float) or math.isnan(hottest_c):
            self._seen.clear()
            return None
        seen = self._seen
        seen.append((now_s, hottest_c))
        while now_s - seen[0][0] > RATE_WINDOW_S:
            seen.popleft()
        if self._elapsed_s() < self._duration_s or hottest_c > self._until_c:
            return None
        values = [value for _, value in seen]
        if max(values) - min(values) > self._most_k:
            return None
        return f"observed {self._elapsed_s() / 60:.0f} min, hottest point {hottest_c:.1f} degC"

    def text(self) -> str:
        return f"after {self._duration_s / 3600:.3g} h and below {self._until_c:g} degC"


def _plain(value: float | tuple[float, ...]) -> float | None:
    return value if isinstance(value, float) and math.isfinite(value) else None


def _now_s() -> float:
    return asyncio.get_running_loop().time()
