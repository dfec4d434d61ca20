"""What somebody left on (a crashed host, a person at the front panel), as a bench finds it before it gives energy."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bench.plan import Plan
from drivers.capabilities import Device, TellsOutput
from drivers.reading import Reading

#: More than this part of the rated current is not a device at rest (a connected terminal draws about 0.1 %).
AT_REST = 0.005


def carries_current(plan: Plan, current: Reading) -> bool:
    """Whether the cycler gives or takes more than a connected terminal does; one that reads no number may do so."""
    return math.isnan(current.value) or abs(current.value) > AT_REST * plan.reach.amps.high


async def found_on(plan: Plan, heard: Mapping[str, Reading], cycler: Device | None) -> dict[str, str]:
    """What is energised, by device, as far as ``heard`` (by channel) and the cycler itself can tell.

    ``cycler`` None is one that does not answer. A contactor whose feedback does not say open counts as closed. Raises
    DeviceError of the cycler.
    """
    channel, found = plan.channel, {}
    current = heard.get(channel.current)
    if cycler is not None:
        if current is not None and carries_current(plan, current):
            found[cycler.name] = f"{cycler.name} carries {current.value:.2f} A"
        elif isinstance(cycler, TellsOutput) and await cycler.energised():
            found[cycler.name] = f"the output of {cycler.name} is on"
    for name in plan.feedbacks:
        feedback = heard.get(name)
        if feedback is not None and feedback.value != 0.0:
            device = name.split(".", 1)[0]
            found[device] = f"the sample's contactor is closed ({name})"
    return found
