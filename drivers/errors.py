"""Everything that can go wrong, as one tree.

    BenchError                    carries faults: what, where, how to mend it
    ├ ConfigError                 found on data, before any device is touched; all slips at once
    ├ DeviceError                 a device or its wire: nothing about the sample is known
    │ ├ WireError
    │ │ ├ WireTimeout             no complete reply before the deadline
    │ │ ├ WireClosed              the far end is gone, or could not be opened
    │ │ └ FrameError              bytes came, but not a reply to this request
    │ ├ DeviceRefused             the instrument answered "no"
    │ ├ WrongDevice               another model, serial number or rating than the bench file says
    │ └ ReadbackMismatch          what was set is not what is read back
    ├ PreflightRefused            the sample's side is not as it must be; nothing was energised
    ├ BenchHeld                   another run owns one of the wires
    └ RecordError                 the record cannot be kept (disk full, read-only, i/o error)

A failed requirement is a verdict, never an exception.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: what, where it stands, and what to do about it."""

    error: str
    where: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.error}\n    fix: {self.fix}"


class BenchError(Exception):
    """The root: every error that reaches a user is one of these and says what, where and the fix."""

    def __init__(self, error: str, where: str, fix: str) -> None:
        self.faults: tuple[Fault, ...] = (Fault(error, where, fix),)
        super().__init__(error)

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)


class ConfigError(BenchError):
    """The files or the command line are wrong. Carries every fault that was found, not the first."""

    def __init__(self, faults: tuple[Fault, ...] | list[Fault]) -> None:
        if not faults:
            raise ValueError("a ConfigError needs at least one fault")
        super().__init__(faults[0].error, faults[0].where, faults[0].fix)
        self.faults = tuple(faults)


class DeviceError(BenchError):
    """A device failed. ``device`` is its name in the bench file, ``doing`` what was being done."""

    default_fix = "check the device's power, cable and address in the bench file"

    def __init__(self, device: str, doing: str, error: str, fix: str = "") -> None:
        self.device = device
        self.doing = doing
        super().__init__(f"{error} while {doing}", device, fix or self.default_fix)


class WireError(DeviceError):
    """The wire failed; whether the device acted on the request is unknown."""


class WireTimeout(WireError):
    """No complete reply came before the deadline."""


class WireClosed(WireError):
    """The far end is gone or could not be opened."""


class FrameError(WireError):
    """Bytes came that are not a reply to this request (wrong unit, function, count, address, text)."""

    default_fix = "check for a second master on the line, a wrong unit number, or noise"


class DeviceRefused(DeviceError):
    """The instrument understood and said no. ``code`` is the number of a Modbus exception."""

    code: int | None = None

    default_fix = "read the device's own display and its manual for this refusal"


class WrongDevice(DeviceError):
    """Another model, serial number or rating answers than the bench file names."""

    default_fix = "correct the bench file, or connect the device that it names"


class ReadbackMismatch(DeviceError):
    """A setting was acknowledged but reads back as something else."""

    default_fix = "do not use this device until it holds what it is told"


class PreflightRefused(BenchError):
    """The sample's side is not as it must be before the first energy."""


class BenchHeld(BenchError):
    """Another run owns a wire of this bench."""


class RecordError(BenchError):
    """The record cannot be kept, so the run cannot go on."""
