"""One cell: surface-SOC electrical model and one thermal node. Charge current is positive. No clock, no asyncio.

Equations (the fit: simulators/data/PROVENANCE.md; Bernardi heat):

    surface SOC of an electrode = SOC + the sum of its lags, each first order towards gain * I / Q
    V = Up(surface) - Un(surface) + (2RT/F) asinh(I / (2 i0 sqrt(x (1 - x)))) + R0 I + v1 + (T - 298.15 K) dU/dT
    m cp dT/dt = I (V - OCV) + I T dU/dT - hA (T - Tair)

Current is constant over a step, so that charge is exact and every lag is updated by its exponential. Energy closes:
what the terminals took is what the OCV curve holds more, plus the heat.
"""

from __future__ import annotations

from math import asinh, exp, sqrt

from simulators.plant.presets import FARADAY_C_MOL, GAS_J_MOL_K, REFERENCE_K, X_MARGIN, Preset
from simulators.plant.tables import KNOTS_PER_SOC, LOW_SOC

KELVIN = 273.15
_TWO_R_F = 2.0 * GAS_J_MOL_K / FARADAY_C_MOL
#: Arrhenius factors are functions of the temperature in these steps: 0.02 K moves a resistance by less than 0.1 %.
_PER_K = 50.0

State = tuple[float, float, float, float, float, float, float, float, float]


class Cell:
    """A cell of one preset. Use: ``prepare(dt)``, any number of ``voltage(i)``, then ``commit(i, ...)``.

    ``temperature_c`` is the node; ``voltage_v`` the terminal voltage at the end of the last step, ``heat_j`` all heat
    made since the start, ``power_w`` that of the last step, ``soc`` 0..1 of ``capacity_ah``.
    """

    __slots__ = (
        "_a_neg",
        "_a_pos",
        "_b_neg",
        "_b_pos",
        "_d1",
        "_d2",
        "_d3",
        "_d4",
        "_dt",
        "_dudt",
        "_e",
        "_fixed_v",
        "_frame",
        "_i0",
        "_key",
        "_ohm",
        "_per_as",
        "_thermal_v",
        "_v1",
        "capacity_ah",
        "conductance_w_k",
        "heat_capacity_j_k",
        "heat_j",
        "power_w",
        "preset",
        "slope_ohm",
        "soc",
        "temperature_c",
        "voltage_v",
    )

    def __init__(
        self,
        preset: Preset,
        *,
        mass_kg: float,
        soc: float,
        temperature_c: float,
        capacity_factor: float = 1.0,
    ) -> None:
        """A cell at rest. ``capacity_factor`` scales its charge, not its resistances. Raises ValueError."""
        if not (mass_kg > 0.0 and capacity_factor > 0.0 and 0.0 <= soc <= 1.0):
            raise ValueError(
                f"a cell needs mass_kg > 0, capacity_factor > 0 and 0 <= soc <= 1, "
                f"not {mass_kg}, {capacity_factor}, {soc}"
            )
        self.preset = preset
        self.capacity_ah = preset.window_ah * capacity_factor
        self.heat_capacity_j_k = mass_kg * preset.cp_j_kg_k
        self.conductance_w_k = preset.h_w_m2_k * preset.area_m2
        self.soc = soc
        self.temperature_c = temperature_c
        self.heat_j = self.power_w = 0.0
        self._per_as = 1.0 / (3600.0 * self.capacity_ah)
        self._d1 = self._d2 = self._d3 = self._d4 = self._v1 = 0.0
        self._dt = self._key = -1.0
        self._frame = (0.0, 0.0, 0.0, 0.0, 0.0)
        self._e = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
        self.prepare(0.0)
        self.voltage_v = self.voltage(0.0)

    def save(self) -> State:
        """All that a step changes, for ``restore``."""
        return (
            self.soc,
            self._d1,
            self._d2,
            self._d3,
            self._d4,
            self._v1,
            self.temperature_c,
            self.voltage_v,
            self.heat_j,
        )

    def restore(self, state: State) -> None:
        """Go back to a saved state."""
        (
            self.soc,
            self._d1,
            self._d2,
            self._d3,
            self._d4,
            self._v1,
            self.temperature_c,
            self.voltage_v,
            self.heat_j,
        ) = state

    def prepare(self, dt_s: float) -> None:
        """Reduce the coming step to V = Up(a + b I) - Un(a' + b' I) + kinetics + ohm I + fixed."""
        key = int((self.temperature_c + KELVIN) * _PER_K)
        if dt_s != self._dt or key != self._key:
            self._new_frame(dt_s, key)
        e1, e2, e3, e4, e5, _ = self._e
        soc = self.soc
        self._a_neg = soc + self._d1 * e1 + self._d2 * e2
        self._a_pos = soc + self._d3 * e3 + self._d4 * e4
        entropic = self.preset.chemistry.entropic
        x = (soc - LOW_SOC) * KNOTS_PER_SOC
        i = int(x)
        i = 0 if i < 0 else i if i <= entropic.last else entropic.last
        self._dudt = dudt = entropic.values[i] + (x - i) * entropic.steps[i]
        self._fixed_v = self._v1 * e5 + (self.temperature_c + KELVIN - REFERENCE_K) * dudt

    def _new_frame(self, dt_s: float, key: float) -> None:
        """What depends only on the length of the step and on the temperature (to 0.02 K)."""
        preset = self.preset
        (n1, n2), (p1, p2) = preset.negative_lags, preset.positive_lags
        if dt_s != self._dt:
            self._e = (
                exp(-dt_s / n1.tau_s),
                exp(-dt_s / n2.tau_s),
                exp(-dt_s / p1.tau_s),
                exp(-dt_s / p2.tau_s),
                exp(-dt_s / preset.tau1_s),
                exp(-dt_s * self.conductance_w_k / self.heat_capacity_j_k),
            )
        self._dt, self._key = dt_s, key
        kelvin = (key + 0.5) / _PER_K
        cold = (1.0 / kelvin - 1.0 / REFERENCE_K) / GAS_J_MOL_K
        slower = exp(preset.lag_ea_j_mol * cold) / self.capacity_ah
        e1, e2, e3, e4, e5, _ = self._e
        g1, g2 = n1.gain_h * slower * (1.0 - e1), n2.gain_h * slower * (1.0 - e2)
        g3, g4 = p1.gain_h * slower * (1.0 - e3), p2.gain_h * slower * (1.0 - e4)
        r1 = preset.r1_ohm * exp(preset.r1_ea_j_mol * cold) * (1.0 - e5)
        self._frame = (g1, g2, g3, g4, r1)
        moved = dt_s * self._per_as
        self._b_neg = moved + g1 + g2
        self._b_pos = moved + g3 + g4
        self._ohm = preset.r0_ohm * exp(preset.r0_ea_j_mol * cold) + r1
        self._thermal_v = _TWO_R_F * kelvin
        self._i0 = 0.0 if preset.i0_a is None else 2.0 * preset.i0_a * exp(-preset.i0_ea_j_mol * cold)

    def voltage(self, current_a: float) -> float:
        """Terminal voltage at the end of the prepared step at this current; leaves dV/dI in ``slope_ohm``."""
        chemistry = self.preset.chemistry
        table = chemistry.positive
        x = (self._a_pos + self._b_pos * current_a - LOW_SOC) * KNOTS_PER_SOC
        i = int(x)
        i = 0 if i < 0 else i if i <= table.last else table.last
        step = table.steps[i]
        volts = table.values[i] + (x - i) * step + self._ohm * current_a + self._fixed_v
        slope = self._ohm + step * KNOTS_PER_SOC * self._b_pos
        if self._i0:
            table = chemistry.negative
            surface = self._a_neg + self._b_neg * current_a
            x = (surface - LOW_SOC) * KNOTS_PER_SOC
            i = int(x)
            i = 0 if i < 0 else i if i <= table.last else table.last
            step = table.steps[i]
            volts -= table.values[i] + (x - i) * step
            slope -= step * KNOTS_PER_SOC * self._b_neg
            x = chemistry.x_empty + surface * chemistry.x_span
            x = X_MARGIN if x < X_MARGIN else x if x < 1.0 - X_MARGIN else 1.0 - X_MARGIN
            i0 = self._i0 * sqrt(x * (1.0 - x))
            z = current_a / i0
            volts += self._thermal_v * asinh(z)
            slope += self._thermal_v / (i0 * sqrt(1.0 + z * z))
        self.slope_ohm = slope
        return volts

    def commit(self, current_a: float, start_v: float, end_v: float, air_c: float) -> None:
        """Take the prepared step at this current, between these terminal voltages, in air of ``air_c`` on average."""
        self.voltage_v = end_v
        dt = self._dt
        e1, e2, e3, e4, e5, decay = self._e
        if current_a:
            ocv = self.preset.chemistry.ocv
            before = self.soc
            self.soc = after = before + current_a * dt * self._per_as
            x = (0.5 * (before + after) - LOW_SOC) * KNOTS_PER_SOC
            i = int(x)
            i = 0 if i < 0 else i if i <= ocv.last else ocv.last
            kelvin = self.temperature_c + KELVIN
            mean_ocv = ocv.values[i] + (x - i) * ocv.steps[i] + (kelvin - REFERENCE_K) * self._dudt
            power_w = current_a * (0.5 * (start_v + end_v) - mean_ocv + kelvin * self._dudt)
            g1, g2, g3, g4, r1 = self._frame
            self._d1 = self._d1 * e1 + g1 * current_a
            self._d2 = self._d2 * e2 + g2 * current_a
            self._d3 = self._d3 * e3 + g3 * current_a
            self._d4 = self._d4 * e4 + g4 * current_a
            self._v1 = self._v1 * e5 + r1 * current_a
            self.power_w = power_w
            self.heat_j += power_w * dt
            settled_c = air_c + power_w / self.conductance_w_k
        else:
            self._d1 *= e1
            self._d2 *= e2
            self._d3 *= e3
            self._d4 *= e4
            self._v1 *= e5
            self.power_w = 0.0
            settled_c = air_c
        self.temperature_c = settled_c + (self.temperature_c - settled_c) * decay

    def voltage_now(self, current_a: float) -> float:
        """Terminal voltage the moment this current begins to flow."""
        self.prepare(0.0)
        return self.voltage(current_a)

    def open_circuit_v(self) -> float:
        """The OCV of the bulk: what the terminals come to after a long rest."""
        chemistry = self.preset.chemistry
        kelvin = self.temperature_c + KELVIN
        return chemistry.ocv(self.soc) + (kelvin - REFERENCE_K) * chemistry.entropic(self.soc)

    def stored_j(self) -> float:
        """Energy on the OCV curve at 25 degC between 0 % SOC and now."""
        slices = 20000
        width = self.soc / slices
        ocv = self.preset.chemistry.ocv
        return sum(ocv(width * (i + 0.5)) for i in range(slices)) / slices * self.soc * self.capacity_ah * 3600.0
