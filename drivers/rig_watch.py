"""Whether a rig still is as it was prepared and armed: control, the PLC's own heartbeat, the map, the stroke."""

from __future__ import annotations

import math

from drivers.rig_link import RigLink
from drivers.rig_profile import Register
from drivers.rounds import Look, Rounds

#: A PLC's heartbeat moves every 0.1 s; one that stood still for so long has stopped.
STANDSTILL_S = 0.5
#: What the control signal reads while the key switch lets the host command.
REMOTE = 1
_DOING = "looking for deviations"


class RigWatch:
    """What a rig was told last, and looks at whether that still holds."""

    def __init__(self, link: RigLink) -> None:
        self._link = link
        self._signals = link.profile.signals
        self._stroke: tuple[tuple[Register, tuple[int, ...]], ...] = ()
        self._map = math.nan
        self._beat = math.nan
        self._beat_s = -math.inf
        self.rounds = Rounds(1)

    def connected(self, version: float | None) -> None:
        """The map that the rig had when it was connected; None if its profile has no register for that."""
        self._map = math.nan if version is None else version

    def prepared(self, stroke: tuple[tuple[Register, tuple[int, ...]], ...]) -> None:
        """The parameters that were written and read back."""
        self._stroke = stroke

    async def deviations(self) -> tuple[str, ...]:
        """Two looks a call; () while the rig is neither armed nor moving. Raises WireError, DeviceRefused."""
        if not self._link.beating:
            self._beat_s = -math.inf
            return ()
        looks: dict[str, Look] = {"stroke": self._stroke_differs}
        if self._link.profile.constants:
            looks["constants"] = self.constants_differ
        if math.isfinite(self._map):
            looks["map"] = self._map_differs
        return await self.rounds.go((self._in_hand,), looks)

    async def _in_hand(self) -> str | None:
        """Remote control and a PLC that runs."""
        control, beat = self._signals["control"], self._signals["plc_heartbeat"]
        look = await self._link.look(self._link.plan((control, beat)), _DOING)
        if look.value(control) != REMOTE:
            return "its key switch is no longer on remote"
        found, now_s = look.value(beat), look.answered_s
        if found != self._beat or math.isinf(self._beat_s):
            self._beat, self._beat_s = found, now_s
            return None
        if now_s - self._beat_s < STANDSTILL_S:
            return None
        return f"the PLC's heartbeat stands at {found:g}: its program does not run"

    async def _stroke_differs(self) -> str | None:
        readable = [(register, words) for register, words in self._stroke if register.readable]
        if not readable:
            return None
        held = await self._link.look(self._link.plan(register for register, _ in readable), _DOING)
        for register, words in readable:
            found = tuple(held.words[register.address + at] for at in range(register.count))
            if found != words:
                return (
                    f"{register.name} reads {register.value(found):g} where {register.value(words):g} was set: "
                    "somebody changed the stroke, or the PLC started anew"
                )
        return None

    async def constants_differ(self) -> str | None:
        """The first constant of the profile that reads otherwise. Raises WireError, DeviceRefused."""
        for constant in self._link.profile.constants:
            differs = constant.differs(await self._link.read(constant.address, constant.count, "reading a constant"))
            if differs is not None:
                return differs
        return None

    async def _map_differs(self) -> str | None:
        register = self._signals["map_version"]
        found = (await self._link.look(self._link.plan((register,)), _DOING)).value(register)
        return None if found == self._map else f"it has register map {found:g} now, it had map {self._map:g}"
