"""What the Modbus modules of ICP DAS's M-7000 series have in common: their registers, settings and identity.

Addresses here are 0-based, as on the wire; the manual's number stands beside each.

Sources: M-7000 Address Mapping Rev. 1.13 (2019-01-28); I-7018(BL)(P) Quick Start Guide, "Modbus Table (M-7018, M-7018R
only)"; I-7017(F)C / M-7017C Quick Start Guide, "Modbus Table (M-7017C only)". Where they overlap they agree.

UNVERIFIED, and said so by each model's evidence: how the digits of the model stand in the two module-name registers.
The tM series' quick starts give 0x5002 (low) and 0x0700 (high) for tM-AD5C; so the four digits are looked for anywhere
in the two words.
"""

from __future__ import annotations

from drivers.capabilities import DeviceSettings, Identity
from drivers.errors import DeviceRefused, WrongDevice
from drivers.wires import ModbusWire

AI_VALUES = 0  # 30001..30008, analog input value of channels 0 to 7
FIRMWARE = 480  # 40481 low word, 40482 high word
MODULE_NAME = 482  # 40483 low word, 40484 high word
TYPE_CODE = 486  # 40487, one for all channels
WATCHDOG_TIME = 488  # 40489, 0..255 in 0.1 s
CHANNELS_ENABLED = 489  # 40490, one bit a channel
FILTER = 258  # 00259, 0: 60 Hz rejection, 1: 50 Hz rejection
WATCHDOG_MODE = 259  # 00260, 0: as I-7000, 1: an output command clears the timeout status
WATCHDOG_ENABLE = 260  # 00261
COLD_JUNCTION = 267  # 00268, 1: cold-junction compensation on
DATA_FORMAT = 268  # 00269, 0: hexadecimal, 1: engineering
RESET_STATUS = 272  # 00273, 1: this is the first time that it is read after the module (re)started
WATCHDOG_STATUS = 269  # 00270, 1: the host watchdog has timed out; write 1 to clear


class Module:
    """One module on its wire: single settings by address, and who it is."""

    def __init__(self, settings: DeviceSettings) -> None:
        self.settings = settings
        self.name = settings.name
        self.unit = settings.unit
        self.wire: ModbusWire = settings.wire

    async def register(self, address: int, doing: str, *, stop: bool = False) -> int:
        """One holding register."""
        values = await self.wire.read_registers(
            "holding", address, 1, unit=self.unit, device=self.name, doing=doing, stop=stop
        )
        return values[0]

    async def coil(self, address: int, doing: str, *, stop: bool = False) -> bool:
        """One coil."""
        values = await self.wire.read_bits(
            "coils", address, 1, unit=self.unit, device=self.name, doing=doing, stop=stop
        )
        return values[0]

    async def restarted(self, doing: str) -> bool:
        """Whether the module has started anew since this was last asked; False of one that does not tell."""
        try:
            return await self.coil(RESET_STATUS, doing)
        except DeviceRefused:
            return False

    async def named_otherwise(self, model: str, doing: str) -> str | None:
        """What it calls itself (hex) if that is not ``model`` ("M-7018"); else None."""
        low, high = await self._own_name(doing)
        return _otherwise(model, low, high)

    async def _own_name(self, doing: str) -> tuple[int, int]:
        low, high = await self.wire.read_registers(
            "holding", MODULE_NAME, 2, unit=self.unit, device=self.name, doing=doing
        )
        return low, high

    async def identify(self, model: str) -> Identity:
        """Who answers at this unit number. Raises WrongDevice if it is not ``model`` ("M-7018"), or if the bench file
        gives a serial number: these modules have none that can be read."""
        doing = "reading the module name"
        self.wire.forget(unit=self.unit)
        name = await self._own_name(doing)
        found = _otherwise(model, *name)
        if found is not None:
            raise WrongDevice(self.name, doing, f"unit {self.unit} calls itself {found} (hex), not an {model},")
        if self.settings.serial is not None:
            raise WrongDevice(
                self.name,
                doing,
                f"an {model} has no serial number to compare with {self.settings.serial!r}",
                f"take serial out of [devices.{self.name}] in the bench file",
            )
        self.wire.recognise("holding", MODULE_NAME, name, unit=self.unit)
        try:
            words = await self.wire.read_registers(
                "holding", FIRMWARE, 2, unit=self.unit, device=self.name, doing="reading the firmware version"
            )
            firmware = f"{words[1]:04X}{words[0]:04X}"
        except DeviceRefused:
            firmware = "not told"
        return Identity("ICP DAS", model, "", firmware)


def _otherwise(model: str, low: int, high: int) -> str | None:
    digits = model.removeprefix("M-")
    if digits in f"{high:04X}{low:04X}" or digits in f"{low:04X}{high:04X}":
        return None
    return f"{high:04X}{low:04X}"
