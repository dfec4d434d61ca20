"""What the place does to a cell in a step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Surroundings:
    """The tool at the end of the step, the heater through it, and the gas before it.

    ``acts`` says that a tool or the heater does something to it. Depths count from the cell's surface;
        ``contact_mm_s`` is how fast the tool first touched it.
    """

    acts: bool = False
    tool: str = "nail"
    depth_mm: float = 0.0
    deepest_mm: float = 0.0
    contact_mm_s: float = 0.0
    heater_w: float = 0.0
    gas_lel: float = 0.0
