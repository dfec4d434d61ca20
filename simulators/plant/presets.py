"""The cells a simulated bench can hold, each scaled from one fitted model, and the written calculation of their mass.

The fit (simulators/data/ecm_surf_fit.json, "HPPC") is of a 5.1532 Ah NMC811 21700; resistances and stoichiometry per
ampere scale with 5.1532/Q. Numbers marked ASSUMED are ours; docs/simulation.md gives the reasons.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib import resources
from math import asinh, sqrt
from types import MappingProxyType

from simulators.plant.tables import Chemistry, lfp_graphite, nmc811_graphite, nmc811_lithium

FIT_AH = 5.1532
GAS_J_MOL_K = 8.314462618
FARADAY_C_MOL = 96485.33212
REFERENCE_K = 298.15


@dataclass(frozen=True, slots=True)
class Lag:
    """A diffusion state: the surface runs ahead of the bulk by ``gain_h * I / Q`` of SOC, first order in ``tau_s``."""

    gain_h: float
    tau_s: float


@dataclass(frozen=True, slots=True)
class Preset:
    """One type of cell: all that its physics needs but its mass, which a cell file gives.

    ``window_ah`` is the charge between 0 and 100 % SOC of its tables; ``v_min``/``v_max`` are the limits between which
    its maker rates it. Resistances hold at 25 degC. ``i0_a`` is the negative's exchange current over
    sqrt(x (1 - x)); None is lithium metal, at 0 V and with its charge transfer within the resistances.
    ``claim_wh_kg`` is the energy density at I3 that its mass is calculated from; ``source`` says where that number
    comes from.
    """

    name: str
    chemistry: Chemistry
    rated_ah: float
    window_ah: float
    v_min: float
    v_max: float
    claim_wh_kg: float
    source: str
    negative_lags: tuple[Lag, Lag]
    positive_lags: tuple[Lag, Lag]
    r0_ohm: float
    r1_ohm: float
    tau1_s: float
    i0_a: float | None
    r0_ea_j_mol: float
    r1_ea_j_mol: float
    cp_j_kg_k: float
    area_m2: float
    h_w_m2_k: float
    lag_ea_j_mol: float = 30300.0
    i0_ea_j_mol: float = 40000.0

    def mass_kg(self) -> float:
        """Its mass by the written calculation: discharge energy at I3 over the claimed energy density."""
        return written_discharge(self, self.rated_ah / 3.0).energy_wh / self.claim_wh_kg


@dataclass(frozen=True, slots=True)
class WrittenDischarge:
    """A discharge as calculated on paper: the SOC it starts and ends at, its charge and its energy."""

    start_soc: float
    end_soc: float
    charge_ah: float
    energy_wh: float


def steady_voltage(preset: Preset, soc: float, current_a: float) -> float:
    """Terminal voltage at 25 degC once every lag has settled at this current (charge positive)."""
    chemistry = preset.chemistry
    per_ah = current_a / preset.window_ah
    negative = soc + sum(lag.gain_h for lag in preset.negative_lags) * per_ah
    positive = soc + sum(lag.gain_h for lag in preset.positive_lags) * per_ah
    voltage = chemistry.positive(positive) - chemistry.negative(negative) + (preset.r0_ohm + preset.r1_ohm) * current_a
    if preset.i0_a is not None:
        x = min(max(chemistry.x_empty + negative * chemistry.x_span, X_MARGIN), 1.0 - X_MARGIN)
        thermal_v = 2.0 * GAS_J_MOL_K * REFERENCE_K / FARADAY_C_MOL
        voltage += thermal_v * asinh(current_a / (2.0 * preset.i0_a * sqrt(x * (1.0 - x))))
    return voltage


#: The exchange current follows sqrt(x (1 - x)); beyond these stoichiometries it is held.
X_MARGIN = 1e-3


def written_discharge(preset: Preset, current_a: float) -> WrittenDischarge:
    """Energy of the OCV curve less the steady polarisation at this current, from full to ``v_min``.

    Full is where a charge held at ``v_max`` has fallen to 0.05 I1. Inputs are the tables and the resistances alone: no
    transient, no heating, no simulation.
    """
    start = _soc_where(preset, preset.v_max, 0.05 * preset.rated_ah)
    end = _soc_where(preset, preset.v_min, -current_a)
    slices = 4000
    width = (start - end) / slices
    volts = [steady_voltage(preset, end + width * (i + 0.5), -current_a) for i in range(slices)]
    return WrittenDischarge(
        start, end, (start - end) * preset.window_ah, sum(volts) / slices * (start - end) * preset.window_ah
    )


def _soc_where(preset: Preset, voltage_v: float, current_a: float) -> float:
    """The SOC at which the steady voltage at this current is ``voltage_v``, by bisection (it rises with SOC)."""
    low, high = -0.2, 1.25
    for _ in range(60):
        middle = (low + high) / 2.0
        if steady_voltage(preset, middle, current_a) < voltage_v:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def _fit() -> tuple[tuple[Lag, Lag], tuple[Lag, Lag], float, float, float, float]:
    """The fitted parameters with stoichiometry per ampere turned into SOC per C-rate: negative, positive, R0, R1,
    tau1, i0n. The fit could not tell the positive's exchange current from infinite, so it is left out."""
    text = resources.files("simulators.data").joinpath("ecm_surf_fit.json").read_text(encoding="utf-8")
    gn1, tn1, gn2, tn2, gp1, tp1, gp2, tp2, r0, r1, tau1, i0n, _ = json.loads(text)["HPPC"]["params"]
    chemistry = nmc811_graphite()
    negative = (Lag(gn1 * FIT_AH / chemistry.x_span, tn1), Lag(gn2 * FIT_AH / chemistry.x_span, tn2))
    positive = (Lag(gp1 * FIT_AH / chemistry.y_span, tp1), Lag(gp2 * FIT_AH / chemistry.y_span, tp2))
    return negative, positive, r0, r1, tau1, i0n


_NEGATIVE, _POSITIVE, _R0, _R1, _TAU1, _I0N = _fit()
_NO_LAGS = (Lag(0.0, 1.0), Lag(0.0, 1.0))

#: The cell that the fit describes, for comparing the model with its reference.
FITTED_CELL = Preset(
    name="chen2020",
    chemistry=nmc811_graphite(),
    rated_ah=5.0,
    window_ah=FIT_AH,
    v_min=2.5,
    v_max=4.2,
    claim_wh_kg=268.0,
    source="5 Ah, 18.3 Wh, 68 g: 21700 NMC811 of Howard 2025",
    negative_lags=_NEGATIVE,
    positive_lags=_POSITIVE,
    r0_ohm=_R0,
    r1_ohm=_R1,
    tau1_s=_TAU1,
    i0_a=_I0N,
    r0_ea_j_mol=22000.0,
    r1_ea_j_mol=45000.0,
    cp_j_kg_k=42.8 / 0.068,  # 42.8 J/K, area and h of the Chen2020 set; 68 g
    area_m2=0.00531,
    h_w_m2_k=10.0,
)


def _scaled(preset: Preset, window_ah: float) -> Preset:
    """The same electrodes with another area: resistances fall and the exchange current rises with capacity."""
    factor = preset.window_ah / window_ah
    i0_a = None if preset.i0_a is None else preset.i0_a / factor
    return replace(preset, window_ah=window_ah, r0_ohm=preset.r0_ohm * factor, r1_ohm=preset.r1_ohm * factor, i0_a=i0_a)


# ASSUMED: a maker rates below what a fresh cell gives, so the windows below are sized for about 102 to 104 % at I3.
_NMC_21700 = replace(_scaled(FITTED_CELL, 5.25), name="nmc-21700")

_NMC_25AH = replace(
    _scaled(FITTED_CELL, 26.25),
    name="nmc-25ah",
    rated_ah=25.0,
    claim_wh_kg=129.0,
    source="0.72 kg, 25 Ah, about 3.7 V: the NMC cell of Feng 2015",
    cp_j_kg_k=1100.0,
    area_m2=0.040,
    h_w_m2_k=12.5,
)

_LFP_BLOCK = replace(
    _scaled(FITTED_CELL, 53.6),
    name="lfp-block",
    chemistry=lfp_graphite(),
    rated_ah=50.0,
    v_min=2.5,
    v_max=3.65,
    claim_wh_kg=128.0,
    source="50 Ah, 3.3 V, 1.285 kg prismatic cell",
    # ASSUMED: a tenth of the NMC's lag, for LFP particles are of nanometres.
    positive_lags=(
        Lag(_POSITIVE[0].gain_h / 10, _POSITIVE[0].tau_s),
        Lag(_POSITIVE[1].gain_h / 10, _POSITIVE[1].tau_s),
    ),
    cp_j_kg_k=1100.0,
    area_m2=0.0595,
    h_w_m2_k=10.0,
)

_LFP_BLADE = replace(
    _scaled(_LFP_BLOCK, 148.0),
    name="lfp-blade",
    rated_ah=138.0,
    claim_wh_kg=166.0,
    source="138 Ah and 166 Wh/kg as reported for the BYD Blade (UNVERIFIED)",
    area_m2=0.201,
)


def _solid_state(generation: int, claim_wh_kg: float, areal_mah_cm2: float) -> Preset:
    """A 60 Ah pouch with lithium metal and a solid electrolyte of 20 ohm cm2 at 25 degC (all ASSUMED).

    Thicker cathodes carry the claim: the electrode area falls, and so the cell's resistance rises. Seven tenths of it
    answer at once, three tenths within 30 s; charge transfer lies within it.
    """
    asr_ohm_cm2, rated_ah = 20.0, 60.0
    resistance = asr_ohm_cm2 / (rated_ah * 1000.0 / areal_mah_cm2)
    return Preset(
        name=f"solid-state-gen{generation}",
        chemistry=nmc811_lithium(),
        rated_ah=rated_ah,
        window_ah=65.0,
        v_min=2.5,
        v_max=4.3,
        claim_wh_kg=claim_wh_kg,
        source="the maker's claim; capacity, window and resistance ASSUMED",
        negative_lags=_NO_LAGS,
        positive_lags=_POSITIVE,
        r0_ohm=0.7 * resistance,
        r1_ohm=0.3 * resistance,
        tau1_s=30.0,
        i0_a=None,
        r0_ea_j_mol=32000.0,
        r1_ea_j_mol=32000.0,
        cp_j_kg_k=950.0,
        area_m2=0.0696,
        h_w_m2_k=15.0,
    )


#: Every cell by the name a cell file gives in ``[simulation] preset``.
PRESETS: MappingProxyType[str, Preset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            _solid_state(1, 300.0, 5.0),
            _solid_state(2, 400.0, 6.0),
            _solid_state(3, 500.0, 7.0),
            _NMC_25AH,
            _NMC_21700,
            _LFP_BLOCK,
            _LFP_BLADE,
        )
    }
)
