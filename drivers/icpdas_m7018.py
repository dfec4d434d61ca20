"""ICP DAS M-7018: eight thermocouples, here of type K, over Modbus.

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

from drivers.capabilities import PointKind
from drivers.icpdas_analog import AnalogModule
from drivers.reading import Quality

M7018 = AnalogModule(
    model="M-7018",
    title="8 thermocouples (type K)",
    point=PointKind.TEMPERATURE,
    quantity="temperature_c",
    type_code=0x0F,
    range_title="type K",
    low=-270.0,
    high=1372.0,
    hexadecimal_step=1372.0 / 32767,
    engineering_step=0.1,
    top=Quality.OPEN,
    evidence=(
        "registers from the maker's tables, type K code and hexadecimal scaling from public drivers; simulator only. "
        "UNVERIFIED: the type code in the M-7018's own manual, layout of the module-name registers, scaling in the "
        "engineering format, open-wire detection of the plain M-7018 (the maker lists it for the R, BL and Z "
        "variants), scan time of eight channels"
    ),
)

MODEL = M7018.driver_model()
