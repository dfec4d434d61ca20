"""The parameters of a stroke: what the host writes before a rig is armed, and reads back."""

from __future__ import annotations

from drivers.capabilities import Stroke
from drivers.errors import DeviceRefused, ReadbackMismatch
from drivers.rig_link import NOT_REMOTE, RigLink
from drivers.rig_profile import Register

#: The Modbus exception for a value that the device does not take (V1.1b3, chapter 7).
ILLEGAL_VALUE = 3
_DOING = "preparing the stroke"


async def write_stroke(link: RigLink, stroke: Stroke) -> tuple[tuple[Register, tuple[int, ...]], ...]:
    """Write every parameter that the profile has, one a request, and read back those that can be read; gives them.

    Raises DeviceRefused (not in remote; a parameter that the rig or its register does not take, by name; a stop that
    the profile has no parameter for), ReadbackMismatch, WireError.
    """
    wanted = _words(link, stroke)
    for register, words in wanted:
        try:
            await link.write(register, words, _DOING)
        except DeviceRefused as refusal:
            raise _refused(link.device, register, register.value(words), refusal) from None
    held = await link.look(link.plan(register for register, _ in wanted if register.readable), _DOING)
    for register, words in wanted:
        if not register.readable:
            continue
        found = tuple(held.words[register.address + at] for at in range(register.count))
        if found != words:
            raise ReadbackMismatch(
                link.device,
                _DOING,
                f"{register.name} reads {register.value(found):g} after {register.value(words):g} was set",
            )
    return tuple(wanted)


def _words(link: RigLink, stroke: Stroke) -> list[tuple[Register, tuple[int, ...]]]:
    """Every parameter that the profile has, as it is written; the host alone decides what comes after the stroke."""
    values: dict[str, float | None] = {
        "depth_mm": stroke.depth_mm,
        "approach_mm_s": stroke.approach_mm_s,
        "speed_mm_s": stroke.speed_mm_s,
        "retract_mm_s": stroke.retract_mm_s,
        "force_stop_n": stroke.force_stop_n,
        "thickness_mm": stroke.thickness_mm,
        "contact_force_n": stroke.contact_force_n,
        "link_watchdog_s": stroke.link_watchdog_s,
        "voltage_stop_v": stroke.voltage_stop_v,
        "deformation_stop": stroke.deformation_stop,
        "temperature_stop": None,
        "hold_s": 0.0,
        "after_stop": 0.0,
    }
    made = []
    for name, value in values.items():
        register = link.profile.parameters.get(name)
        if register is None:
            if value is not None and value != 0.0:
                raise DeviceRefused(
                    link.device, _DOING, f"its register profile has no parameter `{name}`", "leave that stop out"
                )
            continue
        written = value if value is not None else (register.off or 0.0) * register.scale
        try:
            made.append((register, register.words(written)))
        except ValueError as error:
            raise _out(link.device, register, written, f" ({error})") from None
    return made


def _refused(device: str, register: Register, value: float, refusal: DeviceRefused) -> DeviceRefused:
    if refusal.code == NOT_REMOTE:
        return DeviceRefused(device, _DOING, "the rig is not in remote", "turn its key switch to remote")
    return _out(device, register, value, "" if refusal.code == ILLEGAL_VALUE else f" ({refusal.args[0]})")


def _out(device: str, register: Register, value: float, why: str) -> DeviceRefused:
    return DeviceRefused(
        device,
        _DOING,
        f"{register.name} = {value:g} is refused{why}",
        f"keep {register.name} within what the rig can do, or correct its scale in the register profile",
    )
