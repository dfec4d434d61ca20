"""The reactions against a published model integrated elsewhere (SciPy BDF, rtol 1e-8), and against arithmetic."""

from __future__ import annotations

from math import pi

import pytest

from simulators.plant.kinetics import Node, Reactions, hatchard_kim, lfp, nmc, solid_state, warm

# The 18650 of Kim 2007: 9 mm, 65 mm, 2580 kg/m3, 830 J/(kg K), 7.17 W/(m2 K), emissivity 0.8.
VOLUME_M3 = pi * 0.009**2 * 0.065
AREA_M2 = 2 * pi * 0.009 * 0.065 + 2 * pi * 0.009**2
HEAT_CAPACITY_J_K = 2580.0 * VOLUME_M3 * 830.0
OVEN_NODE = Node(HEAT_CAPACITY_J_K, 7.17 * AREA_M2, 0.8 * AREA_M2)


def oven(celsius: float, seconds: int = 3 * 3600) -> list[float]:
    """The 18650 from 25 degC in an oven: its temperature each second."""
    reactions, temperatures = Reactions(hatchard_kim(VOLUME_M3)), [25.0]
    for _ in range(seconds):
        temperatures.append(warm(OVEN_NODE, reactions, temperatures[-1], celsius, 0.0, 1.0).celsius)
    return temperatures


@pytest.mark.parametrize(
    ("celsius", "peak_c", "peak_min"),
    [(150, 481.8, 36.53), (155, 523.4, 25.32), (160, 540.3, 20.8), (180, 568.3, 13.3)],
)
def test_oven_peaks(celsius: float, peak_c: float, peak_min: float) -> None:
    found = oven(celsius)
    assert max(found) == pytest.approx(peak_c, abs=2.0)
    assert found.index(max(found)) / 60 == pytest.approx(peak_min, abs=0.1)


def test_oven_below_the_threshold_does_not_run_away() -> None:
    found = oven(145)
    assert max(found) == pytest.approx(193.9, abs=2.0)
    assert found.index(max(found)) / 60 == pytest.approx(132.4, abs=1.0)
    assert max(oven(140)) == pytest.approx(147.7, abs=0.5)


@pytest.mark.parametrize(("seconds", "celsius"), [(10, 27.4585), (20, 29.8862), (30, 32.2786)])
def test_oven_at_the_start(seconds: int, celsius: float) -> None:
    assert oven(155, seconds)[-1] == pytest.approx(celsius, abs=0.05)


@pytest.mark.parametrize(("celsius", "k_per_min"), [(90, 0.0485), (100, 0.161), (110, 0.50)])
def test_adiabatic_self_heating(celsius: float, k_per_min: float) -> None:
    power_w = Reactions(hatchard_kim(VOLUME_M3)).power_w(celsius)
    assert power_w / HEAT_CAPACITY_J_K * 60 == pytest.approx(k_per_min, rel=0.02)


def test_heat_given_is_the_amounts_used_up() -> None:
    """Set A: 20.5 kJ if everything but what the film leaves reacted; the node holds or lost every joule of it."""
    reactions, celsius, lost_j = Reactions(hatchard_kim(VOLUME_M3)), 25.0, 0.0
    for _ in range(3600):
        warmed = warm(OVEN_NODE, reactions, celsius, 180.0, 0.0, 1.0)
        celsius, lost_j = warmed.celsius, lost_j + warmed.lost_j
    kept_j = HEAT_CAPACITY_J_K * (celsius - 25.0)
    assert reactions.released_j == pytest.approx(kept_j + lost_j, rel=1e-9)
    left, carbon_g = reactions.left(), 610.4e3 * VOLUME_M3
    used_j = 257.0 * carbon_g * (0.15 - left["sei"]) + 1714.0 * carbon_g * (0.75 - left["anode"])
    used_j += 314.0 * 1221e3 * VOLUME_M3 * (left["cathode"] - 0.04)
    used_j += 155.0 * 406.9e3 * VOLUME_M3 * (1.0 - left["electrolyte"])
    assert reactions.released_j == pytest.approx(used_j, rel=1e-6)
    assert reactions.most_j == pytest.approx(20.5e3, rel=0.03)


def calorimeter(*, electric: bool) -> tuple[float, float]:
    """The 25 Ah NMC cell (0.72 kg, 1100 J/(kg K)) left to itself from 65 degC without losses, at first in long steps:
    where it reaches 1 K/s, and its end. The electric release is that of Feng 2015: 31.72 kW for 10 s above 260 degC."""
    node, reactions, celsius, left_s, onset_c = Node(792.0, 0.0, 0.0), Reactions(nmc(25.0)), 65.0, 10.0, 0.0
    while True:
        dt_s = 10.0 if celsius < 200.0 else 0.1
        power_w = 31720.7 if electric and celsius > 260.0 and left_s > 0.05 else 0.0
        left_s -= dt_s if power_w else 0.0
        before_c, celsius = celsius, warm(node, reactions, celsius, 25.0, power_w, dt_s).celsius
        rate = (celsius - before_c) / dt_s
        onset_c = onset_c or (before_c if rate > 1.0 else 0.0)
        if onset_c and rate < 0.03:
            return onset_c, celsius


def test_nmc_in_the_calorimeter() -> None:
    """The same set integrated elsewhere: 256 degC at 1 K/s, 870.7 degC in the end, 468 degC without the release."""
    onset_c, end_c = calorimeter(electric=True)
    assert onset_c == pytest.approx(256.0, abs=5.0)
    assert end_c == pytest.approx(870.7, abs=5.0)
    assert calorimeter(electric=False)[1] == pytest.approx(468.0, abs=5.0)


def test_nmc_chemistry_in_total() -> None:
    """0.15 x 257 x 100.58 + 1714 x 100.58 + 0.999 x (77 + 84) x 179.12 + 800 x 108 J = 291.5 kJ, of which the
    separator takes 4.1 kJ."""
    assert Reactions(nmc(25.0)).most_j == pytest.approx(291.5e3, rel=1e-3)
    assert Reactions(nmc(50.0)).most_j == pytest.approx(2 * 291.5e3, rel=1e-3)


def test_lithium_scales_the_electrodes_and_overcharge_doubles_the_cathode() -> None:
    anode = Reactions(tuple(r for r in nmc(25.0) if r.name == "anode"))
    full_w = anode.power_w(270.0)
    anode.lithium = 0.25
    assert anode.power_w(270.0) == pytest.approx(0.25 * full_w)
    hot = Reactions(tuple(r for r in nmc(25.0) if r.name == "cathode 1"))
    once_w = hot.power_w(200.0)
    hot.lithium = 1.1
    assert hot.power_w(200.0) == pytest.approx(2.0 * once_w)


def test_iron_phosphate_gives_far_less_and_solid_state_begins_in_two_stages() -> None:
    assert Reactions(lfp(25.0)).most_j < 0.25 * Reactions(nmc(25.0)).most_j
    reactions = Reactions(solid_state(60.0))
    for _ in range(7200):
        reactions.step(1.0, 190.0)
    left = reactions.left()
    assert left["interface"] < 0.01
    assert left["bulk"] > 0.98
    for _ in range(600):
        reactions.step(1.0, 330.0)
    assert reactions.left()["bulk"] < 0.01


def test_saved_reactions_come_back() -> None:
    reactions = Reactions(nmc(25.0))
    saved, before = reactions.save(), dict(reactions.left())
    given = reactions.step(10.0, 200.0)
    reactions.restore(saved)
    assert dict(reactions.left()) == before
    assert reactions.released_j == 0.0
    assert reactions.step(10.0, 200.0) == given
