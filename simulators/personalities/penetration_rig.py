"""A penetration and crush rig: a PLC on Modbus TCP whose registers a profile places (``cellbench/rig-profile/1``).

Reads with function 3, at most as many registers as the profile's ring buffer allows; writes with functions 6 and 16.
What the program does is in rig_plc.py. No rig maker publishes a map, so besides the reference map's semantics:

- a register that the profile does not name reads 0 if it lies between or closely behind ones that it names, and is
  refused (exception 02) elsewhere; one among the parameters keeps what is written;
- a parameter out of its range is refused with exception 03 and nothing of that request is kept, in local or
  maintenance with 04, while armed or moving with 06; 32-bit numbers are written whole with function 16;
- the command block is written whole with one function 16; the host's heartbeat, its last word, also alone;
- the after-stop policy 1 (pull out by itself) is refused: this rig leaves the tool where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import nan
from typing import TYPE_CHECKING

from simulators.faults import Faults
from simulators.models import Reply, SimulatorModel, Timers
from simulators.personalities.noise import noise
from simulators.personalities.registers import (
    DEVICE_BUSY,
    DEVICE_FAILURE,
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    RefusedError,
    Register,
    answer_pdu,
)
from simulators.personalities.rig_plc import RigPlc
from simulators.personalities.rig_profile import COMMAND_WORDS, RigPoint, RigProfile, Ring, parse_rig_profile
from simulators.personalities.rig_states import INTERLOCKS, MOVING, Ack, State
from simulators.spec import DeviceSpec, Signal

if TYPE_CHECKING:
    from simulators.plant.plant import Plant

#: Time from the end of a request to the beginning of its answer: half a PLC cycle (ASSUMED).
LATENCY_S = 0.005
FUNCTIONS = frozenset({3, 6, 16})
#: How many registers behind a named one read 0.
SPARE = 8
MAP_VERSION, BOTH_TOOLS = 1, 3
LONGEST_WATCHDOG_S = 5.0
THERMOCOUPLE_NOISE_K = 0.1
#: What counts as contact where the host cannot say (ASSUMED).
CONTACT_N = 20.0


class PenetrationRig:
    """Modbus in front of a :class:`RigPlc`. Points of the profile are wired by name; the rig's own interlocks know
    what they are without wiring. ``power_off``, ``power_on``, ``overtravel``, ``force`` and ``plc`` are for tests
    and drills."""

    def __init__(self, spec: DeviceSpec, plant: Plant, seed: int, timers: Timers) -> None:
        if spec.profile is None or spec.place is None:
            raise ValueError(f"device {spec.name!r}: a rig needs a register profile and a place that it presses in")
        self.faults = Faults()
        self.profile = page = parse_rig_profile(spec.profile, spec.profile_where)
        self._stroke_mm = spec.rating.get("stroke_mm", 300.0)
        self._fastest_mm_s = spec.rating.get("speed_mm_s", 50.0)
        self._strongest_n = spec.rating.get("force_n", 150e3)
        self.plc = plc = RigPlc(
            plant,
            spec.place,
            seed,
            spec.name,
            timers,
            limit_mm=self._stroke_mm,
            capacity=1 if page.ring is None else page.ring.capacity,
        )
        self._plant = plant
        self._timers = timers
        self._wired = {name: wired for name, wired in spec.points.items() if name in page.points}
        plc.sensors.temperatures = tuple(wired for wired in self._wired.values() if wired.kind == "surface")
        self._noise = {
            name: noise(seed, spec.name, name, THERMOCOUPLE_NOISE_K)
            for name, point in page.points.items()
            if point.kind == "temperature"
        }
        self._forced: dict[str, float] = {}
        self._kept: dict[int, int] = {}
        self._forget()
        self._signals = self._readers(page)
        self._shown_at = self._index(page)
        self._readable = _with_spares(self._shown_at)
        self._parameter_span = _with_spares(self._kept)
        self.power_on = plc.power_on
        self.close = plc.close

    def answer(self, request: bytes, now_s: float) -> Reply:
        """One PDU; nothing without power."""
        plc = self.plc
        if not plc.powered:
            return None
        self._plant.advance(now_s)
        plc.look()
        ring = self.profile.ring
        most = 64 if ring is None else ring.max_registers
        return ((LATENCY_S, answer_pdu(request, self, functions=FUNCTIONS, most_words=most)),)

    def power_off(self) -> None:
        """It stands still and says nothing; parameters and ring buffer are lost."""
        self.plc.power_off()
        self._forget()

    def overtravel(self) -> None:
        """The far limit switch opens where the tool is now."""
        self._plant.advance(self._timers.time())
        self.plc.limit_mm = min(self.plc.limit_mm, self.plc.press.shown_position_mm)

    def force(self, point: str, value: float) -> None:
        """A point of the profile reads this whatever is wired to it; an input is ON unless it is 0. Raises KeyError.

        What the rig itself does about its interlocks does not change.
        """
        if point not in self.profile.points:
            raise KeyError(point)
        self._forced[point] = value

    def _forget(self) -> None:
        """Parameters as they are after power-on. What the profile has no register for is the rig's own fixed value."""
        order, parameters = self.plc.order, self.profile.parameters
        for register in parameters.values():
            words = register.raw_words(0 if register.off is None else register.off)
            self._kept |= dict(zip(register.addresses, words, strict=True))
        for name, value in (("contact_force_n", CONTACT_N), ("force_stop_n", self._strongest_n)):
            if name not in parameters:
                setattr(order, name, value)
        self._command = [0, 0, 0, 0]
        self._ack = (0, 0, int(Ack.OK))

    # What is read

    def _readers(self, page: RigProfile) -> dict[str, Callable[[], float]]:
        plc = self.plc
        every: dict[str, Callable[[], float]] = {
            "map_version": lambda: MAP_VERSION,
            "rig_type": lambda: BOTH_TOOLS,
            "plc_heartbeat": lambda: plc.clock_ms() // 100 & 0xFFFF,
            "state": lambda: plc.state,
            "control": lambda: plc.remote,
            "ack_seq": lambda: self._ack[0],
            "ack_cmd": lambda: self._ack[1],
            "ack_result": lambda: self._ack[2],
            "position_mm": lambda: plc.shown.position_mm,
            "speed_mm_s": lambda: plc.shown.speed_mm_s,
            "force_n": lambda: plc.shown.force_n,
            "peak_force_n": lambda: plc.log.peak_force_n,
            "voltage_v": lambda: plc.shown.voltage_v,
            "contact_voltage_v": lambda: plc.log.contact_voltage_v,
            "servo_alarm": lambda: plc.servo_alarm,
            "fault_1": lambda: plc.faults,
            "fault_2": lambda: 0,
            "since_contact_s": plc.since_contact_s,
            "contact_mm": lambda: plc.log.contact_mm or 0.0,
            "stop_reason": lambda: plc.log.reason,
            "sample_counter": lambda: plc.clock_ms() // 10,
        }
        unknown = page.signals.keys() - every.keys()
        if unknown:
            raise ValueError(f"not a rig profile: unknown signals {', '.join(sorted(unknown))}")
        return {name: every[name] for name in page.signals}

    def _index(self, page: RigProfile) -> dict[int, list[tuple[Register, Callable[[], list[int]]]]]:
        """Which numbers lie at an address, and the words of each."""
        index: dict[int, list[tuple[Register, Callable[[], list[int]]]]] = {}

        def put(register: Register, words: Callable[[], list[int]]) -> None:
            for address in register.addresses:
                index.setdefault(address, []).append((register, words))

        for name, register in page.signals.items():
            put(register, _worded(register, self._signals[name]))
        for name, point in page.points.items():
            put(point.register, self._point(name, point))
        for register, raw in page.constants.values():
            put(register, _held(register, raw))
        for at in range(COMMAND_WORDS):
            put(Register(page.command + at), self._command_word(at))
        if page.ring is not None:
            write_index, rows_held = Register(page.ring.write_index), Register(page.ring.rows_held)
            put(write_index, _worded(write_index, lambda: self.plc.log.write_index))
            put(rows_held, _worded(rows_held, lambda: len(self.plc.log.rows)))
        return index

    def _command_word(self, at: int) -> Callable[[], list[int]]:
        return lambda: [self._command[at]]

    def _point(self, name: str, point: RigPoint) -> Callable[[], list[int]]:
        register = point.register
        if point.kind == "input":
            return lambda: register.raw_words(int(self._on(name) != point.invert) << (point.bit or 0))
        wired, add = self._wired.get(name), self._noise.get(name)
        if wired is None and point.kind == "pressure":
            wired = Signal("pressure", self.plc.place)

        def words() -> list[int]:
            if name in self._forced:
                return register.words(self._forced[name])
            value = nan if wired is None else self._plant.signal(wired)
            return register.words(value if add is None else add(value))

        return words

    def _on(self, name: str) -> bool:
        """Whether an input is healthy: an interlock of the rig's own, what is wired to it, or the place's detector."""
        if name in self._forced:
            return self._forced[name] != 0.0
        if name in INTERLOCKS:
            return self.plc.interlock(name)
        wired = self._wired.get(name)
        if wired is not None:
            return self._plant.signal(wired) > 0.5
        if name == "smoke_clear":
            return self._plant.signal(Signal("smoke", self.plc.place)) > 0.5
        if name == "flame_clear":
            return self._plant.signal(Signal("flame", self.plc.place)) > 0.5
        return self.plc.exhaust_on if name == "exhaust_on" else True

    def read(self, table: str, address: int, count: int) -> list[int]:
        ring = self.profile.ring
        if ring is not None and address + count > ring.first_row:
            before = max(ring.first_row - address, 0)
            head = self.read(table, address, before) if before else []
            return head + self._rows(ring, address + before, count - before)
        shown, kept, readable, spare = self._shown_at, self._kept, self._readable, self._parameter_span
        values = [0] * count
        done: set[int] = set()
        for at in range(address, address + count):
            if at not in readable and at not in spare:
                raise RefusedError(ILLEGAL_ADDRESS)
            values[at - address] |= kept.get(at, 0)
            for register, words in shown.get(at, ()):
                if id(words) not in done:
                    done.add(id(words))
                    for own, word in zip(register.addresses, words(), strict=True):
                        if address <= own < address + count:
                            values[own - address] |= word
        return values

    def _rows(self, ring: Ring, address: int, count: int) -> list[int]:
        first = address - ring.first_row
        if first + count > ring.capacity * ring.row_words:
            raise RefusedError(ILLEGAL_ADDRESS)
        held = self.plc.log.rows
        values: list[int] = []
        for row in range(first // ring.row_words, (first + count - 1) // ring.row_words + 1):
            if row < len(held):
                named = dict(zip(("ms", "position_mm", "force_n", "voltage_v"), held[row], strict=True))
                for name, register in ring.columns.items():
                    values += register.words(named[name])
            else:
                values += [0] * ring.row_words
        skipped = first % ring.row_words
        return values[skipped : skipped + count]

    # What is written

    def write(self, table: str, address: int, values: list[int]) -> None:
        del table
        command = self.profile.command
        if address == command and len(values) == COMMAND_WORDS:
            self._take(values)
        elif address == command + COMMAND_WORDS - 1 and len(values) == 1:
            self._command[-1] = values[0]
            self.plc.heartbeat(values[0])
        elif command <= address < command + COMMAND_WORDS:
            raise RefusedError(ILLEGAL_VALUE)
        else:
            self._set(address, values)

    def _take(self, values: list[int]) -> None:
        """A command; one with the number of the last one was already carried out."""
        self._command = values
        number, code, key, heartbeat = values
        self.plc.heartbeat(heartbeat)
        if number != self._ack[0]:
            name = self.profile.codes.get(code)
            result = self.plc.command(name, key_fits=key == self.profile.key)
            self._ack = (number, code, int(result))

    def _set(self, address: int, values: list[int]) -> None:
        span = range(address, address + len(values))
        if any(at not in self._parameter_span for at in span):
            raise RefusedError(ILLEGAL_ADDRESS)
        plc = self.plc
        if not plc.remote:
            raise RefusedError(DEVICE_FAILURE)
        if plc.state in MOVING or plc.state is State.ARMED:
            raise RefusedError(DEVICE_BUSY)
        new = self._kept | dict(zip(span, values, strict=True))
        changed: dict[str, float | None] = {}
        for name, register in self.profile.parameters.items():
            touched = [at in span for at in register.addresses]
            if any(touched):
                value = register.value([new[at] for at in register.addresses])
                if not all(touched) or not self._fits(name, value):
                    raise RefusedError(ILLEGAL_VALUE)
                changed[name] = value
        self._kept = new
        for name, value in changed.items():
            setattr(plc.order, name, value)
        plc.prepared()

    def _fits(self, name: str, value: float | None) -> bool:
        """Whether the rig can do this. ``None`` is off."""
        if value is None:
            return name in ("voltage_stop_v", "deformation_stop", "temperature_stop")
        most = {
            "depth_mm": self._stroke_mm,
            "thickness_mm": self._stroke_mm,
            "approach_mm_s": self._fastest_mm_s,
            "speed_mm_s": self._fastest_mm_s,
            "retract_mm_s": self._fastest_mm_s,
            "force_stop_n": self._strongest_n,
            "contact_force_n": self._strongest_n,
            "deformation_stop": 1.0,
            "link_watchdog_s": LONGEST_WATCHDOG_S,
            "after_stop": 0.0,
            "hold_s": 86400.0,
        }.get(name)
        return most is None or 0.0 <= value <= most + 1e-9


def _held(register: Register, raw: float) -> Callable[[], list[int]]:
    words = register.raw_words(raw)
    return lambda: words


def _worded(register: Register, value: Callable[[], float]) -> Callable[[], list[int]]:
    return lambda: register.words(value())


def _with_spares(addresses: Iterable[int]) -> frozenset[int]:
    return frozenset(at + more for at in addresses for more in range(SPARE + 1))


SIMULATOR = SimulatorModel(name="penetration-rig", schemes=("modbus-tcp",), create=PenetrationRig)
