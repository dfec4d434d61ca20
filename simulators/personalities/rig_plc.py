"""The program inside a penetration and crush rig's PLC: states, interlocks, stops, ring buffer.

It follows the semantics of the reference map (protocols of a rig that no maker publishes, so ours throughout):

- ARM expires after 60 s; ARM and START need every interlock, ARM not yet the camera;
- from the start until contact any open interlock stops the tool; in contact only door, lock, light curtain, E-stop,
  overtravel, servo, a lost load cell and the force stop do; gas, exhaust and the rest leave the stroke to its end;
- the link watchdog (the host's heartbeat does not change) disarms, and stops the tool before contact; in contact the
  stroke goes on to its target, then holds, with the exhaust on and the link as its stop reason;
- the tool comes to stand exactly at its target and stays there: nothing but RETRACT and HOME move it outwards;
- fault words latch until RESET, which is refused while the cause is there;
- the hold time 0 holds until a command; after another it reads DONE.

The tool that is mounted is the platen where the stroke has a deformation stop, else the nail.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from simulators.models import Timers
from simulators.personalities.rig_sensors import Sensors
from simulators.personalities.rig_states import (
    AFTER,
    HARD,
    IN_CONTACT,
    INTERLOCKS,
    MOVING,
    REST,
    TO_RETRACT,
    Ack,
    Fault,
    Order,
    Reason,
    Row,
    State,
    StrokeLog,
)

if TYPE_CHECKING:
    from simulators.plant.plant import Plant

TICK_S = 0.01
ARM_S = 60.0
INIT_S = 2.0
BEFORE_CONTACT_ROWS, AFTER_STOP_S = 100, 10.0
#: How far the tool may be from where it was sent before the servo gives up (ASSUMED).
FOLLOWING_MM = 0.5
SERVO_ALARM = 0x23
HOMING_MM_S = 10.0


class RigPlc:
    """The PLC of the rig in ``place``. ``limit_mm`` is where its far limit switch stands.

    ``healthy`` holds interlocks that nothing on the plant decides (light curtain, suppression, air pressure, load
    cell, servo); set one to False to open it. ``remote`` is the key switch.
    """

    def __init__(
        self, plant: Plant, place: str, seed: int, name: str, timers: Timers, *, limit_mm: float, capacity: int
    ) -> None:
        self.limit_mm = limit_mm
        self.remote = True
        self.powered = True
        self.state = State.IDLE
        self.order = Order()
        self.log = StrokeLog()
        self.faults = 0
        self.servo_alarm = 0
        self.exhaust_on = self.suppression_on = False
        self.plant = plant
        self.place = place
        self.press = press = plant.press(place)
        self.sensors = sensors = Sensors(plant, place, press, seed, name)
        self.shown, self.interlock, self.healthy = sensors.shown, sensors.interlock, sensors.healthy
        self._timers = timers
        self._capacity = capacity
        self._timer: asyncio.TimerHandle | None = None
        self._boot_s = timers.time()
        self._since_s = self._boot_s
        self._next_s = 0.0
        self._heartbeat: int | None = None
        self._heartbeat_s = self._boot_s
        self._goal_mm = 0.0
        self._goal_reason = Reason.TARGET
        self._sent_from: tuple[float, float] = (0.0, 0.0)
        self._stopped_s: float | None = None
        self._before: deque[Row] = deque(maxlen=BEFORE_CONTACT_ROWS)

    # Looking

    def clock_ms(self) -> int:
        """The PLC's own clock, which begins when it gets power."""
        return int((self._timers.time() - self._boot_s) * 1000.0 + 1e-6)

    def look(self) -> None:
        """Bring what is shown and what follows from time up to now. The plant has been advanced."""
        now_s = self._timers.time()
        self.sensors.look()
        if self._timer is None:
            self.shown.speed_mm_s = 0.0
        if self.state is State.INIT and now_s - self._since_s >= INIT_S:
            self._enter(State.IDLE if self.sensors.homed else State.NOT_HOMED)
        if self.state is State.HOLD and 0.0 < self.order.hold_s <= now_s - self._since_s:
            self._enter(State.DONE)
        if self.state is State.ARMED and now_s - self._since_s >= ARM_S:
            self._rest()
        if self.state is not State.INIT and self.state is not State.ESTOP and not self.interlock("estop_released"):
            self._halt(State.ESTOP, Reason.ESTOP, Fault.ESTOP)

    def since_contact_s(self) -> float:
        """0 before contact."""
        contact_s = self.log.contact_s
        return 0.0 if contact_s is None else self._timers.time() - contact_s

    # Power and link

    def power_off(self) -> None:
        """The tool stands where it is, outputs drop, what was not in its retentive memory is lost."""
        self.plant.advance(self._timers.time())
        self.press.drive(0.0)
        self.close()
        self.powered = False
        if self.exhaust_on:
            self.plant.exhaust(self.place, on=False)
        self.exhaust_on = self.suppression_on = self.sensors.camera_on = False
        self.order, self.log = Order(), StrokeLog()

    def power_on(self) -> None:
        """It comes back in INIT, then as not homed: its encoder counts from power-on."""
        self.plant.advance(self._timers.time())
        self.powered = True
        self._boot_s = self._heartbeat_s = self._timers.time()
        self._heartbeat = None
        self.sensors.homed = False
        self.faults |= Fault.POWER
        self._enter(State.INIT)

    def heartbeat(self, value: int) -> None:
        """The host's heartbeat as it was written."""
        if value != self._heartbeat:
            self._heartbeat = value
            self._heartbeat_s = self._timers.time()

    def close(self) -> None:
        """No more ticks."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Commands

    def command(self, name: str | None, *, key_fits: bool) -> Ack:
        """Do what the host wants, or say why not."""
        if name == "stop":
            return self._stop()
        if not self.remote:
            return Ack.NOT_REMOTE
        if name is None or (name in ("arm", "start", "suppression") and not key_fits):
            return Ack.BAD_PARAMETER
        if name in ("exhaust_on", "exhaust_off"):
            self._exhaust(on=name == "exhaust_on")
            return Ack.OK
        if name == "camera_on":
            self.sensors.camera_on = True
            return Ack.OK
        if name == "suppression":
            self.suppression_on = True
            return Ack.OK
        if self.state in MOVING:
            return Ack.BUSY
        return {
            "home": self._home,
            "arm": self._arm,
            "start": self._start,
            "retract": self._retract,
            "reset": self._reset,
            "disarm": self._disarm,
            "zero_force": self._zero_force,
        }[name]()

    def _stop(self) -> Ack:
        if self.state in MOVING:
            self._halt(State.STOPPED, Reason.OPERATOR)
        elif self.state is State.ARMED:
            self._rest()
        return Ack.OK

    def _disarm(self) -> Ack:
        if self.state is State.ARMED or self.state in AFTER:
            self._rest()
        return Ack.OK

    def _arm(self) -> Ack:
        if self.state not in REST:
            return Ack.WRONG_STATE
        if not self.order.complete:
            return Ack.BAD_PARAMETER
        if not all(self.interlock(name) for name in INTERLOCKS if name != "camera_recording"):
            return Ack.INTERLOCK
        self._heartbeat_s = self._timers.time()
        self._enter(State.ARMED)
        self._tick_on()
        return Ack.OK

    def _start(self) -> Ack:
        if self.state is not State.ARMED:
            return Ack.NOT_ARMED
        if not all(map(self.interlock, INTERLOCKS)):
            return Ack.INTERLOCK
        self.log = StrokeLog()
        self._before.clear()
        self._stopped_s = None
        self.press.tool = "nail" if self.order.deformation_stop is None else "crush"
        self._enter(State.APPROACH)
        self._move(self.order.approach_mm_s, None)
        return Ack.OK

    def _retract(self) -> Ack:
        overtravel = self.state is State.FAULT and self.log.reason is Reason.OVERTRAVEL
        if self.state not in REST and self.state not in AFTER and not overtravel:
            return Ack.WRONG_STATE
        return self._outwards(self.order.retract_mm_s)

    def _home(self) -> Ack:
        if self.state is not State.NOT_HOMED and self.state not in REST:
            return Ack.WRONG_STATE
        return self._outwards(HOMING_MM_S)

    def _outwards(self, speed_mm_s: float) -> Ack:
        if speed_mm_s <= 0.0:
            return Ack.BAD_PARAMETER
        if not all(map(self.interlock, TO_RETRACT)):
            return Ack.INTERLOCK
        self._heartbeat_s = self._timers.time()
        self._enter(State.RETRACT)
        self._goal_mm = 0.0
        self._move(-speed_mm_s, 0.0)
        return Ack.OK

    def _reset(self) -> Ack:
        if not self.interlock("estop_released") or self.press.shown_position_mm >= self.limit_mm:
            return Ack.INTERLOCK
        self.faults = self.servo_alarm = 0
        self.sensors.servo_ok = True
        if self.state in (State.FAULT, State.ESTOP):
            self._rest()
        return Ack.OK

    def _zero_force(self) -> Ack:
        self.sensors.zero_force()
        return Ack.OK

    def _exhaust(self, *, on: bool) -> None:
        self.exhaust_on = on
        self.plant.exhaust(self.place, on=on)

    def prepared(self) -> None:
        """New parameters were written."""
        if self.state in REST:
            self._rest()

    # Motion

    def _enter(self, state: State) -> None:
        self.state = state
        self._since_s = self._timers.time()

    def _rest(self) -> None:
        self._enter(State.NOT_HOMED if not self.sensors.homed else State.READY if self.order.complete else State.IDLE)

    def _move(self, velocity_mm_s: float, to_mm: float | None) -> None:
        self._sent_from = (self.press.shown_position_mm, self._timers.time())
        self.press.drive(velocity_mm_s, to_mm)
        self._tick_on()

    def _halt(self, state: State, reason: Reason, fault: int = 0) -> None:
        if self.state in MOVING:
            self.press.drive(0.0)
            if self.state is not State.RETRACT:
                self._stopped_s = self._timers.time()
            self.log.reason = Reason.LINK if self.log.link_lost and reason is Reason.TARGET else reason
        self.faults |= fault
        self._enter(state)

    def _tick_on(self) -> None:
        if self._timer is None:
            self._next_s = self._timers.time() + TICK_S
            self._timer = self._timers.call_at(self._next_s, self._tick)

    def _tick(self) -> None:
        self.plant.advance(self._timers.time())
        last_mm = self.shown.position_mm
        self._timer = self._timers.call_at(self._next_s + TICK_S, self._tick)
        self._next_s += TICK_S
        self.look()
        self.shown.speed_mm_s = (self.shown.position_mm - last_mm) / TICK_S
        if self.state is State.ARMED:
            self._watch_armed()
        elif self.state in MOVING:
            self._watch_motion()
        if not self._record():
            self.close()

    def _watch_armed(self) -> None:
        if self._link_is_lost():
            self.log.reason = Reason.LINK
            self._rest()
        elif not all(self.interlock(name) for name in INTERLOCKS if name != "camera_recording"):
            self._rest()

    def _link_is_lost(self) -> bool:
        watchdog_s = self.order.link_watchdog_s
        return 0.0 < watchdog_s < self._timers.time() - self._heartbeat_s

    def _watch_motion(self) -> None:
        state, shown = self.state, self.shown
        if self._link_is_lost() and not self.log.link_lost:
            self._lose_link()
        if self.state not in MOVING:
            return
        if state is State.APPROACH and not all(map(self.interlock, INTERLOCKS)):
            self._halt(State.STOPPED, Reason.INTERLOCK, Fault.INTERLOCK)
        elif not all(map(self.interlock, HARD)):
            bits = Fault.INTERLOCK if self.interlock("load_cell_ok") else Fault.LOAD_CELL
            self._halt(State.STOPPED, Reason.INTERLOCK, bits)
        elif shown.position_mm >= self.limit_mm and state is not State.RETRACT:
            self._halt(State.FAULT, Reason.OVERTRAVEL, Fault.OVERTRAVEL)
        elif abs(shown.position_mm - self._sent_mm()) > FOLLOWING_MM:
            self.servo_alarm, self.sensors.servo_ok = SERVO_ALARM, False
            self._halt(State.FAULT, Reason.SERVO, Fault.SERVO)
        elif state is State.RETRACT:
            if shown.position_mm <= 0.0:
                self._halt(State.IDLE, self.log.reason)
                self.sensors.homed = True
                self.faults &= ~Fault.OVERTRAVEL
                self._rest()
        else:
            self._watch_stroke()

    def _sent_mm(self) -> float:
        """Where the tool ought to be."""
        from_mm, from_s = self._sent_from
        velocity_mm_s = self.press.velocity_mm_s
        sent_mm = from_mm + velocity_mm_s * (self._timers.time() - from_s)
        if self.state is State.RETRACT:
            return max(sent_mm, min(from_mm, self._goal_mm))
        return min(sent_mm, max(from_mm, self._goal_mm)) if self.state in IN_CONTACT else sent_mm

    def _lose_link(self) -> None:
        self.log.link_lost = True
        if self.state in IN_CONTACT:
            self.faults |= Fault.LINK
            self._exhaust(on=True)
        else:
            self._halt(State.STOPPED, Reason.LINK, Fault.LINK)

    def _watch_stroke(self) -> None:
        shown, order, log = self.shown, self.order, self.log
        log.peak_force_n = max(log.peak_force_n, shown.force_n)
        if shown.force_n >= order.force_stop_n:
            self._halt(State.HOLD, Reason.FORCE, Fault.FORCE)
            return
        if self.state is State.APPROACH:
            if shown.force_n >= order.contact_force_n:
                self._make_contact()
            return
        if self.state is State.CONTACT:
            self._enter(State.DRIVE)
        if order.voltage_stop_v is not None and shown.voltage_v <= order.voltage_stop_v:
            self._halt(State.HOLD, Reason.VOLTAGE)
        elif order.temperature_stop is not None and self.sensors.hottest_c() >= order.temperature_stop:
            self._halt(State.HOLD, Reason.TEMPERATURE)
        elif shown.position_mm >= self._goal_mm - 1e-6:
            self._halt(State.HOLD, self._goal_reason)

    def _make_contact(self) -> None:
        order, log = self.order, self.log
        log.contact_mm = self.shown.position_mm
        log.contact_s = self._timers.time()
        log.contact_voltage_v = self.shown.voltage_v
        goals = []
        if order.depth_mm:
            goals.append((order.depth_mm, Reason.TARGET))
        if order.deformation_stop is not None:
            goals.append((order.deformation_stop * order.thickness_mm, Reason.DEFORMATION))
        depth_mm, self._goal_reason = min(goals)
        self._goal_mm = log.contact_mm + depth_mm
        for row in self._before:
            self.log.keep(row, self._capacity)
        self._enter(State.CONTACT)
        self._move(order.speed_mm_s, self._goal_mm)

    # Ring buffer

    def _record(self) -> bool:
        """Keep this tick's row where it belongs; whether there is any reason to tick on."""
        shown = self.shown
        row = (float(self.clock_ms()), shown.position_mm, shown.force_n, shown.voltage_v)
        if self.log.contact_s is None:
            self._before.append(row)
            return self.state in MOVING or self.state is State.ARMED
        stopped_s = self._stopped_s
        recording = stopped_s is None or self._timers.time() - stopped_s <= AFTER_STOP_S
        if recording and self.state is not State.RETRACT:
            self.log.keep(row, self._capacity)
        return recording or self.state in MOVING or self.state is State.ARMED
