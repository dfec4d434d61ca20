"""The mechanics of a penetration and crush rig: a tool on one axis, and a sample that stands in its way.

Positions are in mm from the axis's home, larger ones deeper. The tool moves at the velocity that it is driven with, at
once and straight, until it is driven otherwise or something holds it: so where it is at any instant is known without
steps. A nail that goes into a sample is resisted by

    the casing, at most CASING_N, until it breaks after CASING_MM,
    the layers that it cuts, at most LAYERS_N and rising with depth, in waves of LAYER_MM,
    friction along the part of it that is inside, FRICTION_N_MM, which is all that is left behind the sample

and a platen by F = CRUSH_N (0.15 s + 0.85 s^3), s being the deformation in parts of CRUSH_AT of the thickness. All of
these numbers are ASSUMED: the size is that of what published crush and nail tests show (kilonewtons for a nail, 100 kN
at 30 % of a prismatic cell), and the position of the surface is a clamp's that nobody adjusts to the micrometre.
"""

from __future__ import annotations

from math import cos, inf, pi
from random import Random
from typing import Literal

from simulators.plant.terminal import Times

#: Where the front of a clamped sample is, and how far a clamping may miss it.
SURFACE_MM, CLAMPING_MM = 40.0, 1.0
#: The mechanical ends of the axis.
HOME_END_MM, FAR_END_MM = -5.0, 400.0

CASING_N, CASING_MM = 1500.0, 1.0
LAYERS_N, LAYER_MM, WAVE = 1200.0, 0.3, 0.1
FRICTION_N_MM = 25.0
CRUSH_N, CRUSH_AT = 100e3, 0.3
#: How far a crushed sample springs back, as a part of its deformation.
SPRINGS_BACK = 0.1

Tool = Literal["nail", "crush"]


class Press:
    """One axis. ``tool`` is what is mounted; change it while nothing moves.

    ``drive`` moves it. Properties tell about now; ``..._at(t_s)`` about any instant since the last command, as long as
    none follows. Depth counts from the sample's surface and is 0 without a sample.

    Faults: ``jam`` holds the tool, ``clip_force_n`` is more than the load cell can show, ``drift_n`` is what it shows
    with nothing on it, ``stick_position`` freezes what the encoder shows (None lets it go).
    """

    def __init__(self, times: Times, seed: int, *, tool: Tool = "nail") -> None:
        self.tool: Tool = tool
        self.clip_force_n = inf
        self.drift_n = 0.0
        self.stick_position: float | None = None
        self._times = times
        clamping = Random(f"{seed}/press/clamping")  # noqa: S311 - repeatable chance is wanted, not secrecy
        self._miss_mm = clamping.uniform(-CLAMPING_MM, CLAMPING_MM)
        self._thickness_mm: float | None = None
        self._begun_s = 0.0
        self._from_mm = 0.0
        self._velocity_mm_s = 0.0
        self._to_mm: float | None = None
        self._jam_mm: float | None = None
        self._deepest_mm = 0.0
        self._contact_speed_mm_s: float | None = None

    # What the rig's drive and people do

    def drive(self, velocity_mm_s: float, to_mm: float | None = None) -> None:
        """Move from now on, inwards where positive, and come to stand exactly at ``to_mm`` if that is in the way.
        Driving in fact ends only at the next call: 0 stands still."""
        if velocity_mm_s == self._velocity_mm_s and to_mm == self._to_mm:
            return
        self._begin_change()
        self._velocity_mm_s, self._to_mm = velocity_mm_s, to_mm

    def sample(self, thickness_mm: float | None) -> None:
        """A sample of this thickness is clamped in front of the tool, or (None) taken out."""
        self._begin_change()
        self._thickness_mm = thickness_mm
        self._deepest_mm, self._contact_speed_mm_s = 0.0, None

    def jam(self, at_mm: float | None) -> None:
        """The tool cannot pass this position inwards, or (None) it can again."""
        self._begin_change()
        self._jam_mm = at_mm

    def _begin_change(self) -> None:
        self._times.event()
        now_s = self._times.now_s
        self._deepest_mm = self.deepest_at(now_s)
        self._contact_speed_mm_s = self.contact_speed_at(now_s)
        self._from_mm = self.position_at(now_s)
        self._begun_s = now_s

    # Where it is

    @property
    def velocity_mm_s(self) -> float:
        """What it is driven with, whether or not something holds it."""
        return self._velocity_mm_s

    @property
    def position_mm(self) -> float:
        """Where the tip of the tool is now."""
        return self.position_at(self._times.now_s)

    @property
    def surface_mm(self) -> float | None:
        """Where it touches the sample; None without one."""
        return None if self._thickness_mm is None else SURFACE_MM + self._miss_mm

    @property
    def depth_mm(self) -> float:
        """How far the tip is in the sample now."""
        return self.depth_at(self._times.now_s)

    @property
    def deepest_mm(self) -> float:
        """How far it has been in this sample."""
        return self.deepest_at(self._times.now_s)

    @property
    def contact_speed_mm_s(self) -> float | None:
        """How fast it first touched this sample; None if it has not."""
        return self.contact_speed_at(self._times.now_s)

    @property
    def force_n(self) -> float:
        """What pushes the tool back now; negative while friction holds a tool that is pulled out."""
        return self.force_at(self._times.now_s)

    def position_at(self, t_s: float) -> float:
        """Where the tip is at an instant."""
        velocity_mm_s = self._velocity_mm_s
        if velocity_mm_s == 0.0:
            return self._from_mm
        wanted_mm = self._from_mm + velocity_mm_s * max(t_s - self._begun_s, 0.0)
        return min(wanted_mm, self._far_mm()) if velocity_mm_s > 0.0 else max(wanted_mm, self._near_mm())

    def velocity_at(self, t_s: float) -> float:
        """How fast the tip moves at an instant: 0 where something holds it."""
        velocity_mm_s, position_mm = self._velocity_mm_s, self.position_at(t_s)
        if (velocity_mm_s > 0.0 and position_mm >= self._far_mm()) or (
            velocity_mm_s < 0.0 and position_mm <= self._near_mm()
        ):
            return 0.0
        return velocity_mm_s

    def depth_at(self, t_s: float) -> float:
        """How far the tip is in the sample at an instant."""
        surface_mm = self.surface_mm
        return 0.0 if surface_mm is None else max(self.position_at(t_s) - surface_mm, 0.0)

    def deepest_at(self, t_s: float) -> float:
        """How far it has been in this sample until an instant."""
        return max(self._deepest_mm, self.depth_at(t_s))

    def contact_speed_at(self, t_s: float) -> float | None:
        """How fast it first touched this sample, if it has until this instant."""
        if self._contact_speed_mm_s is None and self.depth_at(t_s) > 0.0:
            return abs(self._velocity_mm_s)
        return self._contact_speed_mm_s

    def _far_mm(self) -> float:
        """What stops it on the way in."""
        far_mm = FAR_END_MM
        if self._jam_mm is not None:
            far_mm = max(self._jam_mm, self._from_mm)
        return far_mm if self._to_mm is None else min(far_mm, max(self._to_mm, self._from_mm))

    def _near_mm(self) -> float:
        """What stops it on the way out."""
        return HOME_END_MM if self._to_mm is None else max(HOME_END_MM, min(self._to_mm, self._from_mm))

    # What its sensors show

    @property
    def shown_position_mm(self) -> float:
        """What the encoder says."""
        return self.position_mm if self.stick_position is None else self.stick_position

    @property
    def shown_force_n(self) -> float:
        """What the load cell says."""
        return self.clipped_n(self.force_n + self.drift_n)

    def clipped_n(self, force_n: float) -> float:
        """What is left of a signal at the rail of the load cell's amplifier, its noise included."""
        return max(min(force_n, self.clip_force_n), -self.clip_force_n)

    def force_at(self, t_s: float) -> float:
        """What pushes the tool back at an instant."""
        depth_mm = self.depth_at(t_s)
        if self._thickness_mm is None or depth_mm <= 0.0:
            return 0.0
        deepest_mm = self.deepest_at(t_s)
        if self.tool == "crush":
            return _crush_n(depth_mm, deepest_mm, self._thickness_mm)
        friction_n = FRICTION_N_MM * min(depth_mm, self._thickness_mm)
        if self._velocity_mm_s < 0.0:
            return -friction_n
        if depth_mm < deepest_mm:
            return friction_n
        return friction_n + _cutting_n(depth_mm, self._thickness_mm)


def _cutting_n(depth_mm: float, thickness_mm: float) -> float:
    """What a nail needs to go on, without friction."""
    if depth_mm >= thickness_mm:
        return 0.0
    if depth_mm < CASING_MM:
        return CASING_N * depth_mm / CASING_MM
    through = depth_mm / thickness_mm
    return LAYERS_N * (0.5 + 0.5 * through) * (1.0 - WAVE * (0.5 - 0.5 * cos(2.0 * pi * depth_mm / LAYER_MM)))


def _crush_n(depth_mm: float, deepest_mm: float, thickness_mm: float) -> float:
    """What a platen needs to hold this deformation after the largest one so far."""
    strain = deepest_mm / (CRUSH_AT * thickness_mm)
    most_n = CRUSH_N * (0.15 * strain + 0.85 * strain**3)
    back = (deepest_mm - depth_mm) / (SPRINGS_BACK * deepest_mm)
    return most_n * max(1.0 - back, 0.0) ** 2
