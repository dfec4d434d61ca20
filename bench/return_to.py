"""Back to the temperature that a run's sample had when its program died: the safe state has let it go."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from bench.live import Live
from bench.means import Means
from bench.steps import watch_heating
from bench.stream import Batch
from bench.waiting import StepTimeoutError, wait_for_end

if TYPE_CHECKING:
    from bench.resumption import Resumption

#: As near as this the air and every surface point must come, and stay for so long. Our choice: half of the +-5 K that
#: room tests allow their surroundings, and longer than a chamber takes to swing through.
BACK_K, BACK_S = 2.0, 120.0
#: A chamber and a cell of some kilograms are anywhere within their range by then.
LONGEST_S = 6 * 3600.0


class Returned:
    """Ends once the air has been within ``BACK_K`` of ``air_c``, and every surface point between that and ``surface_c``
    (``BACK_K`` to spare either side), for ``BACK_S`` on end."""

    def __init__(self, live: Live, *, air_c: float, surface_c: float) -> None:
        self._live = live
        self._air_c = air_c
        self._low_c, self._high_c = min(air_c, surface_c) - BACK_K, max(air_c, surface_c) + BACK_K
        self._since_s = math.nan

    def __call__(self, batch: Batch) -> str | None:
        live = self._live
        if not (live.saw("ambient") or live.saw("surface")):
            return None
        air_c, (coolest_c, warmest_c) = live.span_c("ambient")[1], live.span_c("surface")
        near = abs(air_c - self._air_c) <= BACK_K and self._low_c <= coolest_c and warmest_c <= self._high_c
        t_s = batch[-1].mono_s
        if not near:
            self._since_s = math.nan
            return None
        if math.isnan(self._since_s):
            self._since_s = t_s
        return self.text() if t_s - self._since_s >= BACK_S else None

    def text(self) -> str:
        return f"air at {self._air_c:.1f} degC, surface at {self._low_c:.1f} to {self._high_c:.1f} degC"


async def come_back(means: Means, resumed: Resumption) -> None:
    """Set the chamber as it was set, and wait until air and sample are back. Nothing to do where no setpoint was given.

    Raises StepTimeoutError.
    """
    chamber, target_c = means.chamber, resumed.chamber_c
    air_c = resumed.instants.get("ambient")
    if chamber is None or target_c is None or air_c is None:
        return
    watch_heating(means, chamber.name, target_c)
    means.event("setpoint", device=chamber.name, temperature_c=target_c)
    await chamber.run_at(target_c)
    judge = Returned(means.notebook.live, air_c=air_c, surface_c=resumed.instants.get("temperature", air_c))
    until_s = asyncio.get_running_loop().time() + LONGEST_S
    if await wait_for_end(means.stream, judge, until_s=until_s) is None:
        what = "coming back to the temperature before the gap"
        raise StepTimeoutError(chamber.name, what, f"not {judge.text()} within {LONGEST_S / 3600:g} h")
    means.event("temperature_returned", text=judge.text())
