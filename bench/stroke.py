"""One stroke of a rig: prepared, armed by one person, started by another, watched to its end, read from its buffer.

The rig's PLC carries the stroke out by itself: it stops at its target, its force, its own interlocks. The host starts
it, may stop it, and reads afterwards what happened, at the rig's own pace, on its own clock.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.aftermath import NAIL, Aftermath
from bench.answers import Answers
from bench.arming import Arming, Decisions
from bench.energy import Energy
from bench.seat import Seat
from bench.stream import Batch, Stream
from bench.voltage_lost import VoltageLost
from bench.waiting import FirstOf, Judge, StepTimeoutError, wait_for_end
from drivers.capabilities import Burst, BurstRow, Rig, RigState, RigStatus, StopReason, Stroke
from drivers.errors import DeviceError
from drivers.load_cell import LoadCell
from drivers.reading import Quality
from sequences.language import Text

#: Rows of the buffer in one record of the log.
ROWS_A_RECORD = 200
#: The buffer goes on for a while after the stop; what the sample does at once is read with the stroke.
AFTER_STOP_S = 2.0
#: How long a stroke that was left to the rig is waited for.
SETTLE_S = 120.0
#: What a rig reports when a stroke did not come to an end that was asked for.
_FAILED = (RigState.INIT, RigState.FAULT, RigState.ESTOP)
_BROKEN_OFF = (StopReason.ESTOP, StopReason.INTERLOCK, StopReason.SERVO, StopReason.OVERTRAVEL)
#: The end of the travel: where the position is within this of the last.
AT_END_MM = 0.05
#: The first row of the buffer in the sample tells when contact was, if it is this near to it.
NEAR_CONTACT_MM = 1.0

DECISIONS = Decisions(
    arm=Text(
        en="ARM the rig. Nobody is near it, the door is shut. First person's decision.",
        zh="设备预备（第一人确认）：周围无人，门已关闭。",
    ),
    start=Text(
        en="START the stroke. Second person's decision: what follows cannot be undone.",
        zh="启动行程（第二人确认）：之后的过程不可撤销。",
    ),
)


@dataclass(slots=True)
class StrokeRun:
    """A stroke under way, and what came of it. ``values`` are the names that results use.

    ``pending`` says that a stroke was started whose buffer was not read yet: :meth:`settle` does that, also after a
    trip. ``tool_in``: the tool has been in the sample and was not pulled out.
    """

    rig: Rig
    seat: Seat
    stream: Stream
    energy: Energy
    aftermath: Aftermath
    answers: Answers
    event: Callable[..., Any]
    number: int = 0
    pending: bool = False
    tool_in: bool = False
    values: dict[str, float] = field(default_factory=dict)
    _stroke: Stroke | None = None
    _rail_n: float | None = None
    _before_v: float = math.nan
    _voltage: VoltageLost | None = None

    @property
    def state_channel(self) -> str:
        return f"{self.rig.name}.nail.state"

    @property
    def touch(self) -> str:
        """What the aftermath of this stroke begins with."""
        return NAIL if self._stroke is not None and self._stroke.tool == "nail" else "contact"

    async def run(self, stroke: Stroke, end: Judge | None, *, timeout_s: float) -> str:
        """Do the stroke and give why it ended. The sample is isolated. Raises DeviceError, StepTimeoutError, or
        NotConfirmedError where a person did not give leave."""
        self._stroke, self._rail_n = stroke, None
        self._look_at_zero(await self.rig.status(), stroke)
        self.event("rig_prepared", device=self.rig.name, **_fields(stroke))
        await self.rig.prepare(stroke)
        asking = Arming(self.answers, self.seat, self.event)
        second = await asking.by_two(DECISIONS, armed=self._arm, disarmed=self._disarm)
        self.number += 1
        self.pending = True
        self.event("stroke_started", device=self.rig.name, stroke=self.number, by=second)
        begun_s, volts = asyncio.get_running_loop().time(), self._cell_v()
        self._before_v = math.nan if volts is None else volts
        await self.rig.start()
        watch = _Moves(self.state_channel, begun_s, self._contact)
        judge: Judge = watch if end is None else FirstOf(watch, end)
        why = await wait_for_end(self.stream, judge, until_s=begun_s + timeout_s)
        if why != watch.reason:
            await self.rig.stop()
        status = await self.settle()
        if why is None:
            raise StepTimeoutError(self.rig.name, "the stroke", f"no end within {timeout_s:g} s; it was stopped")
        if status is not None and (status.state in _FAILED or status.reason in _BROKEN_OFF):
            raise DeviceError(
                self.rig.name,
                "the stroke",
                f"the rig broke it off at {status.position_mm:.2f} mm: {status.reason.name.lower()}",
                "the tool stays where it is; read the rig's own display before anybody approaches",
            )
        if self._rail_n is not None:
            raise DeviceError(
                self.rig.name,
                "the stroke",
                f"the load cell stood at its rail of {self._rail_n:g} N: the force was more, and nothing says how much",
                "the tool stays where it is; the depth ended the stroke, a force could not have; mend the load cell",
            )
        return why

    def has_touched(self, status: RigStatus) -> bool:
        """Whether the tool is in the sample: the rig says so, or it was stopped in the very moment of contact and the
        load cell shows what counts as one."""
        least_n = math.inf if self._stroke is None else self._stroke.contact_force_n
        return status.contact_mm is not None or max(status.force_n, status.peak_force_n) >= least_n

    def _look_at_zero(self, status: RigStatus, stroke: Stroke) -> None:
        """A load cell whose zero has drifted tells of a contact in the air, or of none. Raises DeviceError."""
        if not abs(status.force_n) < stroke.contact_force_n:
            raise DeviceError(
                self.rig.name,
                "looking at the load cell",
                f"it shows {status.force_n:g} N with nothing touched; contact counts from {stroke.contact_force_n:g} N",
                "zero or mend the load cell; the stroke was not begun",
            )

    async def settle(self) -> RigStatus | None:
        """Wait until nothing moves, read status and buffer, disarm; None if that was done before.

        Raises DeviceError if the rig does not answer.
        """
        if not self.pending:
            return None
        status = await self.rig.status()
        until_s = asyncio.get_running_loop().time() + SETTLE_S
        while status.state.moving and asyncio.get_running_loop().time() < until_s:
            await asyncio.sleep(0.1)
            status = await self.rig.status()
        if self.has_touched(status):
            self._contact(RigState.CONTACT, from_rig=True)
        await asyncio.sleep(AFTER_STOP_S)
        burst = await self.rig.burst()
        await self.rig.disarm()
        self.energy.move(on=False)
        self.pending = False
        self._keep(burst)
        self._measure(burst, status.contact_mm, status.peak_force_n)
        self.event(
            "stroke_ended",
            device=self.rig.name,
            stroke=self.number,
            state=status.state.name.lower(),
            reason=status.reason.name.lower(),
            link_lost=status.link_lost,
            position_mm=status.position_mm,
            depth_mm=self.values.get("stroke.depth"),
            speed_mm_s=self.values.get("stroke.speed"),
            peak_force_n=None if self._rail_n is not None else self.values.get("stroke.peak_force"),
            load_cell_rail_n=self._rail_n,
            contact_mm=status.contact_mm,
            contact_voltage_v=status.contact_voltage_v,
        )
        return status

    async def _arm(self, by: str) -> None:
        self.energy.move(on=True)
        self.event("rig_arming", device=self.rig.name, by=by)
        await self.rig.arm()
        await self._camera()

    async def _disarm(self) -> None:
        self.event("rig_disarming", device=self.rig.name)
        await self.rig.disarm()
        self.energy.move(on=False)

    async def _camera(self) -> None:
        self.event("camera_trigger", on=True)
        await self.rig.camera(on=True)
        self.event("sync_mark")

    def _contact(self, state: RigState, *, from_rig: bool = False) -> None:
        if state in (RigState.CONTACT, RigState.DRIVE) or from_rig:
            self.tool_in = True
            self.aftermath.begin(self.touch, device=self.rig.name, voltage_v=self._cell_v())
            self._watch_voltage()

    def _watch_voltage(self) -> None:
        """Whether a lead breaks or the cell shorts, against what it showed before the stroke."""
        channel, rig = self.seat.channel, self.rig.name
        if self._voltage is None and not math.isnan(self._before_v):
            self._voltage = VoltageLost(
                self.stream,
                self.event,
                cell=channel.cell_voltage,
                other=f"{rig}.nail.voltage_v",
                surface=channel.surface,
                was_v=self._before_v,
            )

    def _cell_v(self) -> float | None:
        reading = self.stream.latest.get(self.seat.channel.cell_voltage)
        return reading.value if reading is not None and reading.quality is Quality.GOOD else None

    def _keep(self, burst: Burst) -> None:
        parts = max(1, math.ceil(len(burst.rows) / ROWS_A_RECORD))
        for part in range(parts):
            rows = burst.rows[part * ROWS_A_RECORD : (part + 1) * ROWS_A_RECORD]
            self.event(
                "burst",
                stroke=self.number,
                part=part + 1,
                parts=parts,
                offset_within_s=burst.offset_within_s,
                columns=list(BurstRow._fields),
                rows=[[None if math.isnan(value) else value for value in row] for row in rows],
            )

    def _measure(self, burst: Burst, contact_mm: float | None, peak_force_n: float) -> None:
        """Depth, mean speed from contact (or the oldest row kept) to the end of the travel, peak force: all from the
        rig's own buffer."""
        rows = [row for row in burst.rows if not math.isnan(row.position_mm)]
        if contact_mm is None or not rows:
            return
        deepest_mm = max(row.position_mm for row in rows)
        inside = [row for row in rows if row.position_mm >= contact_mm]
        self.values["stroke.depth"] = deepest_mm - contact_mm
        self.values["stroke.peak_force"] = max(
            peak_force_n, max((row.force_n for row in rows if not math.isnan(row.force_n)), default=peak_force_n)
        )
        load_cell = LoadCell()
        for row in inside:
            load_cell.at_rail(row.position_mm, row.force_n)
        self._rail_n = load_cell.rail_n
        if self._rail_n is not None:  # it was at least that
            self.values["stroke.peak_force"] = math.nan
        if self._stroke is not None and self._stroke.thickness_mm > 0.0:
            self.values["stroke.deformation"] = (deepest_mm - contact_mm) / self._stroke.thickness_mm
        first = next(iter(inside), None)
        last = next((row for row in inside if row.position_mm >= deepest_mm - AT_END_MM), None)
        if first is not None and last is not None and last.mono_s > first.mono_s:
            self.values["stroke.speed"] = (last.position_mm - first.position_mm) / (last.mono_s - first.mono_s)
            if first.position_mm - contact_mm <= NEAR_CONTACT_MM:  # a slow stroke may have outlasted the buffer
                self.aftermath.contact_at(first.mono_s)


class _Moves:
    """Ends when the rig has moved and moves no longer. A state that is not reached never ends it."""

    def __init__(self, channel: str, after_s: float, contact: Callable[[RigState], None]) -> None:
        self.reason = ""
        self._channel = channel
        self._after_s = after_s
        self._contact = contact
        self._moved = False

    def __call__(self, batch: Batch) -> str | None:
        for reading in batch:
            if reading.channel != self._channel or reading.quality is not Quality.GOOD:
                continue
            if reading.mono_s <= self._after_s:
                continue
            state = RigState(int(reading.value))
            if state.moving:
                self._moved = True
            self._contact(state)
            if not state.moving and (self._moved or state is not RigState.ARMED):
                self.reason = f"the rig reports {state.name.lower()}"
                return self.reason
        return None

    def text(self) -> str:
        return "until the rig's stroke ends"


def _fields(stroke: Stroke) -> dict[str, Any]:
    return {name: getattr(stroke, name) for name in Stroke.__dataclass_fields__}
