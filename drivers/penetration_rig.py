"""Penetration and crush rig: a PLC on Modbus TCP, its registers described by a profile (docs/register-profiles.md).

No rig maker publishes a register map, so there is none in here: states, command results and the meaning of the
heartbeat are those of our own reference map (drivers/profiles/reference.toml); where they stand is the profile's word.
A PLC is programmed to it, or a page is written for the PLC. It answers a bad parameter with exception 03 and a write
while the key switch is not on remote with exception 04 (MODBUS Application Protocol V1.1b3, chapter 7).

What can hurt is the rig's own business: door lock, E-stop and drive enable are wired there, Modbus only reports them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from drivers.capabilities import (
    Burst,
    Device,
    DeviceKind,
    DeviceSettings,
    DriverModel,
    Identity,
    OnCommLoss,
    PointKind,
    RigState,
    RigStatus,
    Span,
    StopReason,
    Stroke,
)
from drivers.errors import DeviceError, DeviceRefused, FrameError, ReadbackMismatch, WrongDevice
from drivers.load_cell import LoadCell
from drivers.reading import Quality, Reading
from drivers.rig_buffer import STEP_S, Interval, read_burst
from drivers.rig_link import INTERLOCK_OPEN, TRIES, Look, RigLink
from drivers.rig_profile import RigPoint, RigProfile, parse
from drivers.rig_stroke import write_stroke
from drivers.rig_watch import REMOTE, RigWatch

#: The registers' meaning that this driver knows: what `map_version` reads.
MAP_VERSION = 1
_CONTROL = {0: "on its local panel", 2: "in maintenance"}
_RIG_TYPES = {1: "nail", 2: "crush", 3: "nail and crush"}
#: Points of these names are what START waits for.
INTERLOCKS = (
    "door_closed",
    "door_locked",
    "estop_released",
    "light_curtain_clear",
    "exhaust_flow",
    "suppression_ready",
    "gas_clear",
    "servo_ready",
    "homed",
    "cell_clamped",
    "camera_recording",
    "air_pressure_ok",
    "load_cell_ok",
    "sense_connected",
)
#: A PLC's heartbeat moves every 0.1 s; it is looked at so often, so far apart, before it counts as standing still.
HEARTBEAT_LOOKS = 5
HEARTBEAT_APART_S = 0.11
#: How long a motion may take to come to rest once it was stopped, and how often that is looked at.
REST_S = 0.5
REST_LOOK_S = 0.02
_QUANTITIES = ("position_mm", "speed_mm_s", "force_n", "voltage_v", "state")
_UNITS = {
    PointKind.INPUT: "on",
    PointKind.TEMPERATURE: "temperature_c",
    PointKind.PRESSURE: "pressure_kpa",
    PointKind.VOLTAGE: "voltage_v",
    PointKind.LEVEL: "level",
}
_STATES = frozenset(state.value for state in RigState)
_REASONS = frozenset(reason.value for reason in StopReason)
_IN_CONTACT = (RigState.CONTACT, RigState.DRIVE)
_AFTER = (RigState.HOLD, RigState.DONE, RigState.STOPPED)


class PenetrationRig:
    """A :class:`drivers.capabilities.Rig` whose registers ``profile`` names."""

    def __init__(self, profile: RigProfile, settings: DeviceSettings) -> None:
        self._name = settings.name
        self._profile = profile
        self._serial = settings.serial
        self._clock = settings.clock
        self._link = RigLink(settings, profile)
        self._watch = RigWatch(self._link)
        used = [name for name in settings.points if name in profile.points]
        self._points: list[tuple[str, RigPoint]] = [
            (f"{settings.name}.{name}.{_UNITS[profile.points[name].kind]}", profile.points[name]) for name in used
        ]
        nail = tuple(f"{settings.name}.nail.{quantity}" for quantity in _QUANTITIES)
        self._channels = (*nail, *(channel for channel, _ in self._points))
        self._nail = tuple((f"{settings.name}.nail.{name}", profile.signals.get(name)) for name in _QUANTITIES)
        signals = profile.signals
        polled = [register for _, register in self._nail if register is not None]
        polled += [point.register for _, point in self._points]
        self._poll = self._link.plan((*polled, signals["since_contact_s"]))
        watched = [profile.points[name].register for name in INTERLOCKS if name in profile.points]
        self._whole = self._link.plan((*signals.values(), *watched))
        self._force, self._load_cell = f"{self._name}.nail.force_n", LoadCell()
        self._armed_s: float | None = None
        self._contact: Interval | None = None
        self._since_s = math.nan

    @property
    def name(self) -> str:
        return self._name

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    async def connect(self) -> Identity:
        """Check the map's version, the kind of rig and that the PLC runs; nothing is written.

        Raises WireError, and WrongDevice: other registers, another map, no rig, a PLC whose heartbeat stands still, or
        a serial number in the bench file, which a PLC does not have.
        """
        doing = "identifying the rig"
        if self._serial is not None:
            raise WrongDevice(
                self._name, doing, "this rig's PLC tells no serial number", "take `serial` out of the bench file"
            )
        self._link.forget()
        try:
            look = await self._link.look(self._whole, doing)
        except DeviceRefused as refusal:
            raise WrongDevice(
                self._name,
                doing,
                f"it does not have the registers of profile {self._profile.name!r} ({refusal.args[0]})",
                "give the device the profile of its own PLC program in the bench file",
            ) from None
        version = self._optional(look, "map_version")
        if version not in (None, MAP_VERSION):
            raise WrongDevice(
                self._name,
                doing,
                f"it has register map {version:g}, this program knows map {MAP_VERSION}",
                "give the device the profile of its own PLC program in the bench file",
            )
        kind = self._optional(look, "rig_type")
        if kind is not None and kind not in _RIG_TYPES:
            raise WrongDevice(self._name, doing, f"rig type {kind:g} is none of 1 nail, 2 crush, 3 both")
        self._state(look, doing)
        differs = await self._watch.constants_differ()
        if differs is not None:
            raise WrongDevice(self._name, doing, differs, "correct word_order, type or address in the register profile")
        await self._alive(look)
        self._watch.connected(version)
        self._link.know_again_by(look)
        return Identity("rig PLC", self._profile.title, "", "not told" if version is None else f"map {version:g}")

    async def _alive(self, first: Look) -> None:
        beat = self._profile.signals["plc_heartbeat"]
        doing = "watching the PLC's heartbeat"
        for _ in range(HEARTBEAT_LOOKS):
            await asyncio.sleep(HEARTBEAT_APART_S)
            if (await self._link.look(self._link.plan((beat,)), doing)).value(beat) != first.value(beat):
                return
        raise WrongDevice(
            self._name,
            doing,
            f"it stands at {first.value(beat):g}: the PLC's program does not run",
            "put the PLC into RUN, or correct the address of plc_heartbeat in the register profile",
        )

    async def read(self) -> tuple[Reading, ...]:
        """One poll in the order of ``channels``. Raises WireError, DeviceRefused, FrameError (no known state)."""
        look = await self._link.look(self._poll, "reading")
        mono_s, utc_s = look.answered_s, self._clock.utc_s()
        self._seen(look, self._state(look, "reading"))
        readings = []
        for channel, register in self._nail:
            value = math.nan if register is None else look.value(register)
            quality = Quality.GOOD if math.isfinite(value) else Quality.OPEN
            if channel == self._force and self._force_at_rail(look, value):
                value, quality = math.nan, Quality.OVER_RANGE
            readings.append(Reading(channel, value, mono_s, utc_s, quality))
        for channel, point in self._points:
            value = _point(look, point)
            quality = Quality.GOOD if math.isfinite(value) else Quality.OPEN
            readings.append(Reading(channel, value, mono_s, utc_s, quality))
        return tuple(readings)

    def _force_at_rail(self, look: Look, force_n: float) -> bool:
        """Whether the load cell shows its rail. It is told anew from each contact on."""
        signals = self._profile.signals
        since_s, state = look.value(signals["since_contact_s"]), look.value(signals["state"])
        if not since_s > 0.0 and state not in _IN_CONTACT:
            self._load_cell = LoadCell()
            return False
        return self._load_cell.at_rail(look.value(signals["position_mm"]), force_n)

    async def status(self) -> RigStatus:
        """A fresh look at everything. Raises WireError, DeviceRefused, FrameError."""
        return await self._status("looking at the rig")

    async def _status(self, doing: str, *, stop: bool = False) -> RigStatus:
        look = await self._link.look(self._whole, doing, stop=stop)
        signals, points = self._profile.signals, self._profile.points
        state = self._state(look, doing)
        self._seen(look, state)
        code = int(look.value(signals["stop_reason"]))
        if code not in _REASONS:
            raise FrameError(self._name, doing, f"stop reason {code} is none that the register map knows")
        since_s = look.value(signals["since_contact_s"])
        touched = state in _IN_CONTACT or since_s > 0.0
        return RigStatus(
            state=state,
            reason=StopReason(code),
            position_mm=look.value(signals["position_mm"]),
            force_n=look.value(signals["force_n"]),
            peak_force_n=look.value(signals["peak_force_n"]),
            contact_mm=look.value(signals["contact_mm"]) if touched else None,
            since_contact_s=since_s if touched else None,
            contact_voltage_v=self._optional(look, "contact_voltage_v") if touched else None,
            open_interlocks=tuple(name for name in INTERLOCKS if name in points and _point(look, points[name]) != 1.0),
            link_lost=code == StopReason.LINK,
            remote=look.value(signals["control"]) == REMOTE,
        )

    async def prepare(self, stroke: Stroke) -> None:
        """Write a stroke, one parameter a request, and read it back. Raises as :func:`drivers.rig_stroke.write_stroke`,
        and DeviceRefused where the rig is not in remote."""
        await self._in_remote("preparing the stroke")
        with self._watch.rounds.changing():
            self._watch.prepared(())
            self._watch.prepared(await write_stroke(self._link, stroke))

    async def deviations(self) -> tuple[str, ...]:
        """How the rig differs now from how it was prepared and armed: key switch, PLC stopped, stroke, map.

        Two looks a call; () while it is neither armed nor moving. Raises WireError, DeviceRefused.
        """
        return await self._watch.deviations()

    async def arm(self) -> None:
        """Arm, acknowledged and read back; the heartbeat begins. Raises DeviceRefused, ReadbackMismatch, WireError."""
        doing = "arming"
        await self._in_remote(doing)
        self._contact, self._since_s = None, math.nan
        self._load_cell = LoadCell()
        self._armed_s = self._link.now_s()
        if (await self._status(doing)).state in _AFTER:
            await self._commanded("disarm", doing)  # it still stands as the last stroke left it
        await self._commanded("arm", doing)
        self._link.start_heart()
        state = (await self._status(doing)).state
        if state is not RigState.ARMED:
            self._link.still_heart()
            raise ReadbackMismatch(self._name, doing, f"it is {state.name.lower()} after it was armed")

    async def start(self) -> None:
        """Start the stroke, acknowledged. Raises DeviceRefused (which interlock is open), DeviceError, WireError."""
        await self._in_remote("starting the stroke")
        await self._commanded("start", "starting the stroke")

    async def stop(self) -> None:
        """Stop whatever moves, through the stop lane, up to three times; the tool stays where it is.

        Raises DeviceError when it is not confirmed that nothing moves.
        """
        await self._stopped("stop", "stopping the rig", frozenset(state for state in RigState if state.moving))

    async def disarm(self) -> None:
        """Take back the arming; a rig that is not armed is left as it is. Raises DeviceError."""
        doing = "disarming"
        state = (await self._status(doing)).state
        if state is RigState.ARMED:
            await self._stopped("disarm", doing, frozenset({RigState.ARMED}))
        elif not state.moving:
            self._link.still_heart()

    async def retract(self) -> None:
        """Draw the tool back: a person's decision, acknowledged; the heartbeat goes on until it has come to rest."""
        await self._in_remote("retracting the tool")
        await self._commanded("retract", "retracting the tool")
        self._link.start_heart()

    async def exhaust(self, *, on: bool) -> None:
        """Switch the rig's exhaust, acknowledged. Raises DeviceRefused, WireError."""
        await self._commanded("exhaust_on" if on else "exhaust_off", f"switching the exhaust {'on' if on else 'off'}")

    async def camera(self, *, on: bool) -> None:
        """Trigger the camera, or end that where the profile has a command for it. Raises DeviceRefused, WireError."""
        await self._commanded("camera_on" if on else "camera_off", f"switching the camera {'on' if on else 'off'}")

    async def burst(self) -> Burst:
        """The ring buffer since the last arming. Raises as :func:`drivers.rig_buffer.read_burst`."""
        status = await self._status("reading the ring buffer")
        return await read_burst(self._link, since_s=self._armed_s, contact_mm=status.contact_mm, contact=self._contact)

    async def make_safe(self, *, fire: bool = False) -> None:  # noqa: ARG002 - the same with fire or without
        """Disarm, or stop a motion that has not made contact. A stroke in contact is left to the rig.

        Through the stop lane, up to three times. Raises DeviceError when it is not confirmed.
        """
        doing = "making the rig safe"
        failed: DeviceError | None = None
        for _ in range(TRIES):
            try:
                status = await self._status(doing, stop=True)
            except DeviceError as error:
                failed = error
                continue
            if status.state is RigState.ARMED:
                return await self._stopped("disarm", doing, frozenset({RigState.ARMED, RigState.APPROACH}))
            if status.state in (RigState.APPROACH, RigState.RETRACT):
                return await self._stopped("stop", doing, frozenset({RigState.APPROACH, RigState.RETRACT}))
            return None
        assert failed is not None
        raise failed

    async def close(self) -> None:
        """End the heartbeat. Idempotent."""
        await self._link.close()

    async def _stopped(self, command: str, doing: str, unwanted: frozenset[RigState]) -> None:
        """Give a command until the rig is in none of the unwanted states; looking alone decides. Ends the heartbeat."""
        failed: DeviceError | None = None
        for _ in range(TRIES):
            try:
                await self._link.stop(command, doing)
            except DeviceError as error:
                failed = error
            until_s = self._link.now_s() + REST_S
            while self._link.now_s() < until_s:
                try:
                    state = (await self._status(doing, stop=True)).state
                except DeviceError as error:
                    failed = error
                    break
                if state not in unwanted:
                    if not state.moving:
                        self._link.still_heart()
                    return
                if state is RigState.APPROACH and command == "disarm":
                    command = "stop"  # it was started before the disarming reached it
                    break
                await asyncio.sleep(REST_LOOK_S)
        raise failed or DeviceError(self._name, doing, "it still moves", "press the E-stop")

    async def _commanded(self, name: str, doing: str) -> None:
        """Give a command; a refusal for interlocks names those that are open."""
        try:
            await self._link.command(name, doing)
        except DeviceRefused as refusal:
            if refusal.code != INTERLOCK_OPEN:
                raise
            names = ", ".join((await self._status(doing)).open_interlocks) or "one that the profile does not name"
            error = DeviceRefused(self._name, doing, f"the rig refuses: open interlocks: {names}", "close what is open")
            error.code = refusal.code
            raise error from None

    async def _in_remote(self, doing: str) -> None:
        control = self._profile.signals["control"]
        found = (await self._link.look(self._link.plan((control,)), doing)).value(control)
        if found != REMOTE:
            words = _CONTROL.get(int(found), f"in control {found:g}")
            raise DeviceRefused(
                self._name, doing, f"the rig is {words}, not in remote", "turn its key switch to remote"
            )

    def _state(self, look: Look, doing: str) -> RigState:
        code = int(look.value(self._profile.signals["state"]))
        if code not in _STATES:
            raise FrameError(self._name, doing, f"state {code} is none that the register map knows")
        return RigState(code)

    def _optional(self, look: Look, name: str) -> float | None:
        register = self._profile.signals.get(name)
        return None if register is None else look.value(register)

    def _seen(self, look: Look, state: RigState) -> None:
        """What every look tells: when contact was, and that a stroke has ended, which ends the heartbeat."""
        since_s = look.value(self._profile.signals["since_contact_s"])
        if since_s > 0.0 and since_s != self._since_s and self._armed_s is not None:
            seen = Interval(look.asked_s - since_s - STEP_S, look.answered_s - since_s)
            both = seen if self._contact is None else self._contact.shared(seen)
            self._contact = both if both.low <= both.high else self._contact
        self._since_s = since_s
        if (
            self._link.beating
            and look.asked_s > self._link.beating_since_s
            and state is not RigState.ARMED
            and not state.moving
        ):
            self._link.still_heart()


def _point(look: Look, point: RigPoint) -> float:
    address = point.register.address
    return point.value(*(look.words[address + at] for at in range(point.register.count)))


def _spans(profile: RigProfile, rating: Mapping[str, float]) -> dict[str, Span]:
    """What the rating allows, in the steps of the profile's registers."""
    signals = profile.signals
    spans = {
        "position_mm": Span(0.0, rating["stroke_mm"], signals["position_mm"].scale),
        "speed_mm_s": Span(0.0, rating["speed_mm_s"], signals["speed_mm_s"].scale),
        "force_n": Span(0.0, rating["force_n"], signals["force_n"].scale),
    }
    held = [(_UNITS[point.kind], point.register) for point in profile.points.values()]
    held += [("voltage_v", signals["voltage_v"])] if "voltage_v" in signals else []
    for quantity in ("temperature_c", "pressure_kpa", "voltage_v"):
        registers = [register for its, register in held if its == quantity]
        if registers:
            register = max(registers, key=lambda its: its.scale)
            spans[quantity] = Span(*register.reach, register.scale)
    return spans


def with_profile(text: str, where: str) -> DriverModel:
    """The model of a rig that this profile describes. Raises ConfigError with every fault of the page."""
    profile = parse(text, where)
    points = {name: point.kind for name, point in profile.points.items()}

    def create(settings: DeviceSettings) -> Device:
        return PenetrationRig(profile, settings)

    return replace(
        MODEL,
        points={"nail": PointKind.ACTUATOR, **points},
        evidence=profile.evidence,
        spans=partial(_spans, profile),
        create=create,
    )


def _no_spans(_rating: Mapping[str, float]) -> dict[str, Span]:
    return {}


def _unprofiled(settings: DeviceSettings) -> Device:
    raise DeviceError(
        settings.name, "making its driver", "it has no register profile", 'add profile = "reference" to the bench file'
    )


MODEL = DriverModel(
    name="penetration-rig",
    title="Penetration and crush rig, a PLC by register profile",
    kind=DeviceKind.RIG,
    schemes=("modbus-tcp",),
    points={"nail": PointKind.ACTUATOR},
    rating_keys=("stroke_mm", "speed_mm_s", "force_n"),
    min_poll_s=0.05,
    on_comm_loss=OnCommLoss.DEVICE_WATCHDOG,
    evidence="the reference map is our own design; no rig maker's map is public; simulator only",
    spans=_no_spans,
    create=_unprofiled,
    with_profile=with_profile,
)
