"""How a rig is spoken to: looks at its registers, numbered commands, and the heartbeat that keeps it trusting the host.

A command is four words in one request: sequence number, command, key, heartbeat. The PLC acts only where the number is
not the one it acknowledged last, so a frame may be sent again while that is unchanged. A stop overtakes: whatever
command has not left by then is never sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import NamedTuple

from drivers.capabilities import DeviceSettings
from drivers.errors import DeviceError, DeviceRefused, WireError
from drivers.registers import blocks
from drivers.rig_profile import Register, RigProfile
from drivers.wires import ModbusWire

#: Registers that the profile does not name are read through where no more than so many lie between two that are wanted.
GAP = 8
TRIES = 3
#: How long a command may wait for its acknowledgement, and how often that is looked for.
ACKNOWLEDGED_S = 0.5
LOOK_AGAIN_S = 0.02
#: A host that has not asked anything for so long has died in all but name: its heartbeat stops as well.
UNATTENDED_S = 5.0
_KEYED = frozenset({"arm", "start", "suppression"})
_RESULTS = {
    1: ("it is busy", "wait until it has finished what it does"),
    2: ("an interlock is open", "close what is open"),
    3: ("bad parameter", "correct the stroke's parameters, or the scales in the register profile"),
    4: ("it is not in remote", "turn the rig's key switch to remote"),
    5: ("it is in the wrong state for that", "look at the rig's panel: home it, reset its fault, or wait"),
    6: ("it is not armed", "arm it, and start within a minute"),
}
INTERLOCK_OPEN = 2
#: Both the result of a command and the Modbus exception for a write.
NOT_REMOTE = 4


class Look(NamedTuple):
    """The registers of one look, by address, and when it was asked and answered on the loop's clock."""

    words: dict[int, int]
    asked_s: float
    answered_s: float

    def value(self, register: Register) -> float:
        words = self.words
        if register.count == 1:
            return register.value((words[register.address],))
        return register.value((words[register.address], words[register.address + 1]))


class RigLink:
    """One rig on its wire, in the registers of its profile."""

    def __init__(self, settings: DeviceSettings, profile: RigProfile) -> None:
        self.device = settings.name
        self.profile = profile
        self._wire: ModbusWire = settings.wire
        self._unit = settings.unit
        self._mono_s = settings.clock.mono_s
        named = (*profile.signals.values(), *(point.register for point in profile.points.values()))
        self._named = frozenset(its.address + at for its in named for at in range(its.count))
        self._sent: int | None = None
        self._acknowledged_last: int | None = None
        self._beat = 0
        self._stops = 0
        self._outgoing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._heart: asyncio.Task[None] | None = None
        self._attended_s = 0.0
        self.beating_since_s = 0.0

    def now_s(self) -> float:
        return self._mono_s()

    def plan(self, registers: Iterable[Register]) -> tuple[tuple[int, int], ...]:
        """The fewest reads that bring these registers."""
        spans = ((register.address, register.count) for register in registers)
        return blocks(spans, longest=self.profile.ring.max_registers, gap=GAP, known=self._named)

    async def look(self, plan: Iterable[tuple[int, int]], doing: str, *, stop: bool = False) -> Look:
        """Read the registers of a plan. Raises WireError, DeviceRefused."""
        self._attended_s = asked_s = self._mono_s()
        words: dict[int, int] = {}
        for address, count in plan:
            words.update(enumerate(await self.read(address, count, doing, stop=stop), address))
        self._acknowledged_last = words.get(self.profile.signals["ack_seq"].address, self._acknowledged_last)
        return Look(words, asked_s, self._mono_s())

    def forget(self) -> None:
        """Whoever answers is about to be asked who it is."""
        self._wire.forget(unit=self._unit)

    def know_again_by(self, look: Look) -> None:
        """After the connection was made anew, ask nothing before its map's version or its type reads as it does here.

        A profile may have neither; then nothing tells one rig from another.
        """
        signals = self.profile.signals
        register = signals.get("map_version") or signals.get("rig_type")
        if register is not None:
            words = tuple(look.words[register.address + at] for at in range(register.count))
            self._wire.recognise("holding", register.address, words, unit=self._unit)

    async def read(self, address: int, count: int, doing: str, *, stop: bool = False) -> tuple[int, ...]:
        """One request. Raises WireError, DeviceRefused."""
        return await self._wire.read_registers(
            "holding",
            address,
            count,
            unit=self._unit,
            device=self.device,
            doing=doing,
            stop=stop,
            deadline_s=self.profile.timeout_s,
        )

    async def write(self, register: Register, words: tuple[int, ...], doing: str) -> None:
        """One parameter. Raises WireError, DeviceRefused."""
        await self._write(register.address, words, doing, stop=False)

    async def command(self, name: str, doing: str) -> None:
        """Give a command and wait for its acknowledgement; where a reply was lost, the same frame is sent again.

        Raises DeviceRefused with the rig's reason (``code`` is its result), WireError, DeviceError.
        """
        before = self._stops
        async with self._turn:
            await self._given(name, doing, stop=False, before=before)

    async def stop(self, name: str, doing: str) -> None:
        """As :meth:`command`, through the stop lane, and no command that still waits is sent any more.

        Its frame goes out before anything is read: a number that is neither the one acknowledged last nor the one sent
        last is new to the rig, whose only host this is.
        """
        self._stops += 1
        if self._outgoing is not None:
            self._outgoing.cancel()
        await self._given(name, doing, stop=True, before=self._stops)

    async def _given(self, name: str, doing: str, *, stop: bool, before: int) -> None:
        code = self.profile.codes.get(name)
        if code is None:
            raise DeviceRefused(
                self.device, doing, f"its register profile has no command `{name}`", "add it to [command.codes]"
            )
        heard = self._acknowledged_last if stop else None
        if heard is None:
            heard, _ = await self._acknowledged(doing, stop=stop)
        number = (heard + 1) % 0x10000
        if number == self._sent:  # sent before and not acknowledged: it may still be on its way
            number = (number + 1) % 0x10000
        known, self._sent = {heard, self._sent}, number
        frame = (number, code, self.profile.key if name in _KEYED else 0, self._next_beat())
        failed: DeviceError | None = None
        for _ in range(TRIES):
            try:
                await self._sent_out(frame, doing, stop=stop, before=before)
            except WireError as error:
                failed = error
            except DeviceRefused as refusal:
                self._refuse(doing, NOT_REMOTE if refusal.code == NOT_REMOTE else 0, refusal)
            try:
                result = await self._result(number, known, doing, stop=stop)
            except WireError as error:
                failed = error
                continue
            if result == 0:
                return
            if result is not None:
                self._refuse(doing, result)
        raise failed or DeviceError(self.device, doing, "the command was not acknowledged", "look at the rig's panel")

    async def _sent_out(self, frame: tuple[int, ...], doing: str, *, stop: bool, before: int) -> None:
        if before != self._stops:
            raise DeviceError(self.device, doing, "a stop came first", "nothing was sent; find out who stopped it")
        if stop:
            await self._write(self.profile.command, frame, doing, stop=True)
            return
        out = asyncio.ensure_future(self._write(self.profile.command, frame, doing, stop=False))
        self._outgoing = out
        try:
            await out
        except asyncio.CancelledError:
            out.cancel()
            if before == self._stops:
                raise
            raise DeviceError(self.device, doing, "a stop overtook it", "find out who stopped it") from None
        finally:
            self._outgoing = None

    async def _result(self, number: int, known: set[int | None], doing: str, *, stop: bool) -> int | None:
        """The result of a command; None while it is not acknowledged (but one of those ``known`` before).

        Raises WireError, DeviceError.
        """
        until_s = self._mono_s() + ACKNOWLEDGED_S
        while True:
            heard, result = await self._acknowledged(doing, stop=stop)
            if heard == number:
                return result
            if heard not in known:
                raise DeviceError(
                    self.device, doing, "another command was acknowledged meanwhile", "only one host may command a rig"
                )
            if self._mono_s() >= until_s:
                return None
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _acknowledged(self, doing: str, *, stop: bool) -> tuple[int, int]:
        signals = self.profile.signals
        look = await self.look(self.plan((signals["ack_seq"], signals["ack_result"])), doing, stop=stop)
        return int(look.value(signals["ack_seq"])), int(look.value(signals["ack_result"]))

    def _refuse(self, doing: str, result: int, refusal: DeviceRefused | None = None) -> None:
        if refusal is not None and not result:
            raise refusal
        words, fix = _RESULTS.get(result, (f"result {result}, which the register map does not know", ""))
        error = DeviceRefused(self.device, doing, f"the rig refuses: {words}", fix)
        error.code = result
        raise error from None

    async def _write(self, address: int, words: tuple[int, ...], doing: str, *, stop: bool) -> None:
        self._attended_s = self._mono_s()
        await self._wire.write_registers(
            address,
            words,
            unit=self._unit,
            device=self.device,
            doing=doing,
            stop=stop,
            deadline_s=self.profile.timeout_s,
        )

    def _next_beat(self) -> int:
        self._beat = (self._beat + 1) % 0x10000
        return self._beat

    def start_heart(self) -> None:
        """Change the heartbeat from now on, in a task of its own. Idempotent."""
        self._attended_s = self._mono_s()
        if self._heart is None or self._heart.done():
            self.beating_since_s = self._mono_s()
            self._heart = asyncio.get_running_loop().create_task(self._beats(), name=f"heartbeat {self.device}")

    @property
    def beating(self) -> bool:
        return self._heart is not None and not self._heart.done()

    def still_heart(self) -> None:
        """End the heartbeat. Idempotent."""
        if self._heart is not None:
            self._heart.cancel()

    async def close(self) -> None:
        """End the heartbeat and wait for that. Idempotent."""
        self.still_heart()
        if self._heart is not None:
            await asyncio.wait({self._heart})
            self._heart = None

    async def _beats(self) -> None:
        """A change every ``heartbeat_s``, however long the exchange takes; a lost one is the watchdog's business."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while self._mono_s() - self._attended_s < UNATTENDED_S:
            with contextlib.suppress(DeviceError):
                await self._wire.write_register(
                    self.profile.command + 3,
                    self._next_beat(),
                    unit=self._unit,
                    device=self.device,
                    doing="keeping the heartbeat",
                    deadline_s=self.profile.timeout_s,
                )
            due_s = max(due_s + self.profile.heartbeat_s, loop.time())
            await asyncio.sleep(due_s - loop.time())
