"""ICP DAS M-7017: eight voltages, here in the range of +-5 V, over Modbus.

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

from drivers.capabilities import PointKind
from drivers.icpdas_analog import AnalogModule
from drivers.reading import Quality

M7017 = AnalogModule(
    model="M-7017",
    title="8 voltages (+-5 V)",
    point=PointKind.VOLTAGE,
    quantity="voltage_v",
    type_code=0x09,
    range_title="-5 to +5 V",
    low=-5.0,
    high=5.0,
    hexadecimal_step=5.0 / 32767,
    engineering_step=1e-3,
    top=Quality.OVER_RANGE,
    evidence=(
        "registers from the maker's tables, +-5 V code and hexadecimal scaling from public drivers; simulator only. "
        "UNVERIFIED: the type code in the M-7017's own manual, layout of the module-name registers, scaling in the "
        "engineering format, what an input beyond its range reads, scan time of eight channels"
    ),
)

MODEL = M7017.driver_model()
