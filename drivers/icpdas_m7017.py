"""ICP DAS M-7017: eight voltages, here in the range of +-5 V, over Modbus.

The module must be set to type code 0x09 (-5 to +5 V), the used channels enabled and its filter on the site's mains
frequency; connect checks this and writes nothing.

Scaling, by the data format that the module is set to (coil 00269):

- hexadecimal: 0x7FFF stands for +5.000 V and 0x8000 for -5.000 V, here 5/32767 V a step: below zero 30 ppm more than
  the table's slope [type code table of the maker's ET-7000 series, as carried by the public driver salinsalins/ICPDAS;
  the I-7011/I-7018 User Manual Rev. B1.0, p. 17, prints the same scheme for other ranges];
- engineering: 1 mV a step. UNVERIFIED for the M-7017 over Modbus; a public map of the M-7002 scales its inputs so.

UNVERIFIED: the M-7017 user manual's own page of type codes could not be read; code 0x09 is that of the maker's ET-7000
series and of Advantech's ADAM-4017+.

What is no measurement: 0x7FFF is OVER_RANGE and 0x8000 UNDER_RANGE, the two ends of the scale. UNVERIFIED: the
M-7017 has over/under-range status bits (10129) for its 4..20 mA ranges only, so the ends are all there is.
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
from drivers.icpdas import AnalogInputs, InputRange
from drivers.reading import Quality, Reading

PLUS_MINUS_5_V = InputRange(0x09, "-5 to +5 V", -5.0, 5.0, 5.0 / 32767, 1e-3, Quality.OVER_RANGE)


class M7017:
    """The used voltage inputs of one M-7017."""

    def __init__(self, settings: DeviceSettings) -> None:
        self._inputs = AnalogInputs(settings, "M-7017", "voltage_v", PLUS_MINUS_5_V)

    @property
    def name(self) -> str:
        return self._inputs.module.name

    @property
    def channels(self) -> tuple[str, ...]:
        return self._inputs.channels

    async def connect(self) -> Identity:
        """Check who answers and how it is set. Raises WireError, DeviceRefused, WrongDevice."""
        return await self._inputs.connect()

    async def read(self) -> tuple[Reading, ...]:
        """One poll of every used input, in V. Raises WireError, DeviceRefused."""
        return await self._inputs.read()

    async def make_safe(self, *, fire: bool = False) -> None:
        """Nothing to do: inputs take and give no energy."""


def _spans(_rating: Mapping[str, float]) -> Mapping[str, Span]:
    return {"voltage_v": Span(-5.0, 5.0, resolution=1e-3)}


def _create(settings: DeviceSettings) -> Device:
    return M7017(settings)


MODEL = DriverModel(
    name="icpdas-m-7017",
    title="ICP DAS M-7017, 8 voltages (+-5 V)",
    kind=DeviceKind.INPUTS,
    schemes=("modbus-rtu", "modbus-tcp"),
    points={f"ai{index}": PointKind.VOLTAGE for index in range(8)},
    rating_keys=(),
    min_poll_s=0.8,
    on_comm_loss=OnCommLoss.NONE,
    evidence=(
        "registers from the maker's tables, +-5 V code and hexadecimal scaling from public drivers; simulator only. "
        "UNVERIFIED: the type code in the M-7017's own manual, layout of the module-name registers, scaling in the "
        "engineering format, what an input beyond its range reads, scan time of eight channels"
    ),
    spans=_spans,
    create=_create,
)
