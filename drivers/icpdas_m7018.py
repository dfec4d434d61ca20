"""ICP DAS M-7018: eight thermocouples, here of type K, over Modbus.

The module must be set to type code 0x0F (type K, -270 to 1372 degC), with cold-junction compensation on, the used
channels enabled and its filter on the site's mains frequency; connect checks this and writes nothing.

Scaling, by the data format that the module is set to (coil 00269):

- hexadecimal: 0x7FFF stands for +1372.0 degC and 0xE6D0 for -270.0 degC, so 1372/32767 degC a step [type code table
  of the maker's ET-7000 series, as carried by the public drivers salinsalins/ICPDAS and jmball/icpdas-pet7018z; the
  two ends agree with one another within half a step; the I-7011/I-7018 User Manual Rev. B1.0, p. 17, prints the same
  7FFF/8000 scheme for the mV ranges];
- engineering: 0.1 degC a step. UNVERIFIED: the tables print engineering values as text with one decimal (WF-2000 Series
  AIO User's Manual RevB1.0, p. 59); that register 30001 counts in that decimal is not stated.

UNVERIFIED: the M-7018 user manual's own page of type codes could not be read; code 0x0F is that of the maker's ET-7000
series and of Advantech's ADAM-4018+.

What is no measurement: 0x7FFF (for all thermocouple type codes "the thermocouple wires are broken", the same page; so
too FAQ-030) is given as OPEN, though over-range reads the same; 0x8000 (FAQ-030: broken line too) and what lies below
-270 degC as UNDER_RANGE; in the engineering format what lies above 1372.0 degC as OVER_RANGE. The M-7018's table has no
over/under-range status bits (those at 10129 belong to other models).

UNVERIFIED: FAQ-030 counts the plain 7018 among the modules *without* broken-line detection (the R, BL and Z variants
have it), so on a plain M-7018 an open input may also read as some temperature.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.capabilities import (
    Device,
    DeviceKind,
    DeviceSettings,
    DriverModel,
    Identity,
    OnCommLoss,
    PointKind,
    Span,
)
from drivers.errors import WrongDevice
from drivers.icpdas import COLD_JUNCTION, AnalogInputs, InputRange
from drivers.reading import Quality, Reading

TYPE_K = InputRange(0x0F, "type K", -270.0, 1372.0, 1372.0 / 32767, 0.1, Quality.OPEN)


class M7018:
    """The used thermocouples of one M-7018."""

    def __init__(self, settings: DeviceSettings) -> None:
        self._inputs = AnalogInputs(settings, "M-7018", "temperature_c", TYPE_K)

    @property
    def name(self) -> str:
        return self._inputs.module.name

    @property
    def channels(self) -> tuple[str, ...]:
        return self._inputs.channels

    async def connect(self) -> Identity:
        """Check who answers and how it is set. Raises WireError, DeviceRefused, WrongDevice."""
        identity = await self._inputs.connect()
        doing = "reading the cold-junction compensation"
        if not await self._inputs.module.coil(COLD_JUNCTION, doing):
            raise WrongDevice(
                self.name, doing, "its cold-junction compensation is off", "switch it on in the module (coil 00268)"
            )
        return identity

    async def read(self) -> tuple[Reading, ...]:
        """One poll of every used input, in degC. Raises WireError, DeviceRefused."""
        return await self._inputs.read()

    async def make_safe(self, *, fire: bool = False) -> None:
        """Nothing to do: inputs take and give no energy."""


def _spans(_rating: Mapping[str, float]) -> Mapping[str, Span]:
    return {"temperature_c": Span(-270.0, 1372.0, resolution=0.1)}


def _create(settings: DeviceSettings) -> Device:
    return M7018(settings)


MODEL = DriverModel(
    name="icpdas-m-7018",
    title="ICP DAS M-7018, 8 thermocouples (type K)",
    kind=DeviceKind.INPUTS,
    schemes=("modbus-rtu", "modbus-tcp"),
    points={f"ai{index}": PointKind.TEMPERATURE for index in range(8)},
    rating_keys=(),
    min_poll_s=0.8,
    on_comm_loss=OnCommLoss.NONE,
    evidence=(
        "registers from the maker's tables, type K code and hexadecimal scaling from public drivers; simulator only. "
        "UNVERIFIED: the type code in the M-7018's own manual, layout of the module-name registers, scaling in the "
        "engineering format, open-wire detection of the plain M-7018 (the maker lists it for the R, BL and Z "
        "variants), scan time of eight channels"
    ),
    spans=_spans,
    create=_create,
)
