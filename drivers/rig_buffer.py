"""A rig's ring buffer, read after the stroke and put on the host's clock.

Two clocks are related by what one saw while the other stood between two readings. Here "the newest row is that of m ms"
was true at some moment between asking and answering, and rows come every tick, so each exchange leaves an interval for
the offset; several exchanges leave what all intervals share. Once the buffer is no longer written, the milliseconds
since contact do the same, at the row where the tool reached the contact position.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from drivers.capabilities import Burst, BurstRow
from drivers.errors import DeviceError, FrameError
from drivers.rig_link import RigLink
from drivers.rig_profile import Register

#: How many exchanges the offset is measured with, and how far apart: not in step with the rig's own tick.
EXCHANGES = 12
APART_S = 0.0137
#: The rig's clock and its rows count whole milliseconds.
STEP_S = 0.001
_WRAP_S = 2**32 * STEP_S
_DOING = "reading the ring buffer"


class Interval(NamedTuple):
    """Where a number must be."""

    low: float
    high: float

    def shared(self, other: Interval) -> Interval:
        return Interval(max(self.low, other.low), min(self.high, other.high))


class Row(NamedTuple):
    """A row on the rig's clock."""

    rig_s: float
    position_mm: float
    force_n: float
    voltage_v: float


async def read_burst(
    link: RigLink, *, since_s: float | None, contact_mm: float | None, contact: Interval | None
) -> Burst:
    """Every row that is held and, by the loop's clock, not older than ``since_s``.

    ``contact`` is when contact was made, as looks during the stroke bound it, and ``contact_mm`` where. Raises
    WireError, DeviceRefused, FrameError (rows that go back in time), DeviceError (nothing relates the two clocks).
    """
    ring = link.profile.ring
    index, held = await _header(link)
    rows = await _rows(link, (index - held) % ring.capacity, held)
    if not rows:
        return Burst((), 0.0)
    after, _ = await _header(link)
    lost = (after - index) % ring.capacity - (ring.capacity - held)  # rows overwritten while they were read
    rows = rows[max(0, lost) :]
    tick_s = median(late.rig_s - soon.rig_s for soon, late in itertools.pairwise(rows)) if len(rows) > 1 else 0.01
    offset = await _offset_by_rows(link, tick_s)
    if offset is None and contact is not None and contact_mm is not None:
        offset = _offset_by_contact(rows, contact_mm, contact)
    if offset is None:
        raise DeviceError(
            link.device,
            _DOING,
            "the buffer is no longer written and there was no contact, so nothing relates its clock to the host's",
            "read the buffer within the time for which the rig goes on writing after a stop",
        )
    shift_s = (offset.low + offset.high) / 2
    moved = (BurstRow(row.rig_s + shift_s, row.position_mm, row.force_n, row.voltage_v) for row in rows)
    kept = tuple(row for row in moved if since_s is None or row.mono_s >= since_s)
    return Burst(kept, abs(offset.high - offset.low) / 2)


async def _header(link: RigLink) -> tuple[int, int]:
    """The row written next, and how many are held. Raises FrameError where that cannot be."""
    ring = link.profile.ring
    first, last = min(ring.write_index, ring.rows_held), max(ring.write_index, ring.rows_held)
    if last - first < ring.max_registers:
        words = await link.read(first, last - first + 1, _DOING)
        index, held = words[ring.write_index - first], words[ring.rows_held - first]
    else:
        (index,) = await link.read(ring.write_index, 1, _DOING)
        (held,) = await link.read(ring.rows_held, 1, _DOING)
    if index >= ring.capacity or held > ring.capacity:
        raise FrameError(link.device, _DOING, f"row {index} of {ring.capacity}, {held} held: that cannot be")
    return index, held


async def _rows(link: RigLink, first: int, count: int) -> list[Row]:
    """``count`` rows from ``first`` on, round the end of the buffer, in as few requests as there may be."""
    ring = link.profile.ring
    size = ring.row_registers
    at_once = ring.max_registers // size
    columns = {column.name: column for column in ring.columns}
    rows: list[Row] = []
    while len(rows) < count:
        row = (first + len(rows)) % ring.capacity
        take = min(at_once, count - len(rows), ring.capacity - row)
        words = await link.read(ring.first_row + row * size, take * size, _DOING)
        for start in range(0, take * size, size):
            rows.append(_row(words[start : start + size], columns))
            if len(rows) > 1 and rows[-1].rig_s < rows[-2].rig_s:
                rows[-1] = _wrapped(link.device, rows[-2], rows[-1])
    return rows


def _row(words: Sequence[int], columns: dict[str, Register]) -> Row:
    values = {
        name: column.value(tuple(words[column.address : column.address + column.count]))
        for name, column in columns.items()
    }
    return Row(values["ms"], values["position_mm"], values["force_n"], values["voltage_v"])


def _wrapped(device: str, before: Row, row: Row) -> Row:
    """A row after the rig's 32-bit clock began anew. Raises FrameError where it did not."""
    later = row._replace(rig_s=row.rig_s + _WRAP_S * math.ceil((before.rig_s - row.rig_s) / _WRAP_S))
    if later.rig_s - before.rig_s > 3600.0:
        raise FrameError(device, _DOING, f"the row of {row.rig_s:.3f} s stands behind that of {before.rig_s:.3f} s")
    return later


async def _offset_by_rows(link: RigLink, tick_s: float) -> Interval | None:
    """Loop time minus rig time, from which row was the newest when; None where the buffer is no longer written."""
    ring = link.profile.ring
    seen: list[tuple[int, float, float]] = []
    for _ in range(EXCHANGES):
        asked_s = link.now_s()
        index, held = await _header(link)
        if held:
            seen.append(((index - 1) % ring.capacity, asked_s, link.now_s()))
        await asyncio.sleep(APART_S)
    if len({row for row, _, _ in seen}) < 2:
        return None
    offset = Interval(-math.inf, math.inf)
    for row, asked_s, answered_s in seen:
        (newest,) = await _rows(link, row, 1)
        offset = offset.shared(Interval(asked_s - newest.rig_s - STEP_S - tick_s, answered_s - newest.rig_s))
    return offset


def _offset_by_contact(rows: Sequence[Row], contact_mm: float, contact: Interval) -> Interval | None:
    """The same from the moment of contact, which lies between two rows."""
    before: Row | None = None
    for row in rows:
        if row.position_mm >= contact_mm:
            low_s = row.rig_s if before is None else before.rig_s
            return Interval(contact.low - row.rig_s - STEP_S, contact.high - low_s)
        before = row
    return None
