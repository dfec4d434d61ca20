"""What is around a cell in one place: gas that it vented, pressure, smoke, flame, exhaust, and the detectors for them.

    dn/dt = vented - n flow / V          flow: the exhaust's while it runs, else a leak
    dp/dt = vented R T / V - p / relief
    C dTair/dt = heat - (leak + exhaust) (Tair - Troom)      in an enclosure; elsewhere the air is not this module's

Every rate is constant over a step, so a step of any length is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf

from simulators.plant.presets import GAS_J_MOL_K

AMBIENT_KPA = 101.325
MOLAR_M3 = 0.02406
# ASSUMED: a blast enclosure of 1 m3 and a chamber of 0.3 m3; a bench position is in a room that nothing changes.
ENCLOSURE_M3, CHAMBER_M3 = 1.0, 0.3
EXHAUST_M3_S, LEAK_M3_S = 0.2, 0.001
RELIEF_S = 0.3
ENCLOSURE_J_K, ENCLOSURE_W_K, EXHAUST_W_K = 15_000.0, 10.0, 240.0
#: Part of the gas that burns, and where the mixture begins to burn (ASSUMED; CO, H2 and hydrocarbons of the NMC gas).
COMBUSTIBLE, LOWER_LIMIT = 0.7, 0.08
GAS_ALARM_LEL, SMOKE_ALARM = 10.0, 2e-4
#: Closer than this the gas has gone, the pressure has fallen and the air is the room's.
CLEAN_MOL, LEVEL_KPA, SETTLED_K = 1e-9, 1e-3, 1e-3


@dataclass(slots=True)
class _Now:
    gas_mol: float = 0.0
    excess_kpa: float = 0.0
    air_c: float = 0.0
    flame: bool = False


class Atmosphere:
    """The gas in one place. ``own_air`` says that it is an enclosure whose air is a node of its own.

    ``exhaust_on`` is what drives the fan; ``fan_fails`` stops it whatever drives it.
    """

    def __init__(self, room_c: float, volume_m3: float, *, own_air: bool, exhaust_on: bool) -> None:
        self.own_air = own_air
        self.exhaust_on = exhaust_on
        self.fan_fails = False
        self._room_c = room_c
        self._volume_m3 = volume_m3
        self._now = _Now(air_c=room_c)
        self._saved = self._now
        self.start_c = room_c

    @property
    def air_c(self) -> float:
        """The air of an enclosure at the end of the step."""
        return self._now.air_c

    @property
    def flows(self) -> bool:
        """Whether the exhaust moves air."""
        return self.exhaust_on and not self.fan_fails

    @property
    def pressure_kpa(self) -> float:
        """Absolute."""
        return AMBIENT_KPA + self._now.excess_kpa

    @property
    def gas_lel(self) -> float:
        """Combustible gas in per cent of the lower limit at which it burns."""
        return self._fraction() * COMBUSTIBLE / LOWER_LIMIT * 100.0

    @property
    def smoke(self) -> bool:
        """Whether a smoke detector here raises its alarm."""
        return self._fraction() > SMOKE_ALARM

    @property
    def gas(self) -> bool:
        """Whether a gas detector here raises its alarm."""
        return self.gas_lel > GAS_ALARM_LEL

    @property
    def flame(self) -> bool:
        """Whether something burns here."""
        return self._now.flame

    def _fraction(self) -> float:
        return self._now.gas_mol * MOLAR_M3 / self._volume_m3 if self._now.gas_mol else 0.0

    @property
    def settled(self) -> bool:
        """Whether nothing here will change while nothing is vented and nothing gives heat."""
        now = self._now
        return (
            now.gas_mol < CLEAN_MOL
            and now.excess_kpa < LEVEL_KPA
            and not now.flame
            and abs(now.air_c - self._room_c) < SETTLED_K
        )

    def step(self, dt_s: float, *, vented_mol: float, gas_k: float, heat_w: float, flame: bool) -> None:
        """A step in which this much gas of this temperature came, with this heat into the air."""
        old = self._saved = self._now
        self.start_c = air_c = old.air_c
        if self._volume_m3 == inf:
            self._now = _Now(0.0, 0.0, air_c, flame)
            return
        gone = exp(-dt_s * (EXHAUST_M3_S if self.flows else LEAK_M3_S) / self._volume_m3)
        gas_mol = old.gas_mol * gone + vented_mol * (0.5 + 0.5 * gone)
        rise_kpa_s = vented_mol / dt_s * GAS_J_MOL_K * gas_k / self._volume_m3 / 1000.0
        relieved = exp(-dt_s / RELIEF_S)
        excess_kpa = rise_kpa_s * RELIEF_S + (old.excess_kpa - rise_kpa_s * RELIEF_S) * relieved
        if self.own_air:
            conductance = ENCLOSURE_W_K + (EXHAUST_W_K if self.flows else 0.0)
            balance_c = self._room_c + heat_w / conductance
            air_c = balance_c + (air_c - balance_c) * exp(-dt_s * conductance / ENCLOSURE_J_K)
        self._now = _Now(gas_mol, excess_kpa, air_c, flame)

    def rest(self) -> None:
        """A step of any length while settled."""
        self._saved = self._now
        self._now = _Now(air_c=self._room_c)
        self.start_c = self._room_c

    def rewind(self) -> None:
        """Undo the last step."""
        self._now = self._saved
