"""The register profile of a device: by the name of one that comes with Cellbench, or a file beside the bench file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.config.bench_file import BenchFile
from drivers import ConfigError, Fault, profiles
from drivers.capabilities import DriverModel
from drivers.toml_text import read_text


@dataclass(frozen=True, slots=True)
class ProfileText:
    """``where`` is the file, or the profile's name in Cellbench, for messages."""

    name: str
    text: str
    where: str


def profile_text(bench: BenchFile, device: str) -> ProfileText | None:
    """The profile that a device of the bench names, None if it names none. Raises ConfigError if there is none such.

    A name that ends in ``.toml`` is a path from the bench file's folder; any other is one that comes with Cellbench.
    """
    name = bench.devices[device].profile
    if name is None:
        return None
    return named_profile(name, Path(bench.origin.path).parent, bench.where("devices", device, "profile"))


def named_profile(name: str, folder: Path, where: str) -> ProfileText:
    """As :func:`profile_text`, for a name that stands at ``where``; a path starts in ``folder``."""
    if name.endswith(".toml"):
        path = folder / name
        return ProfileText(name, read_text(path, "profile"), str(path))
    if name not in profiles.names():
        fix = f"choose one of {', '.join(profiles.names())}, or name a .toml file"
        raise ConfigError([Fault(f"no profile {name!r} comes with Cellbench", where, fix)])
    return ProfileText(name, profiles.builtin(name), f"{name}.toml (of Cellbench)")


def configured(model: DriverModel, bench: BenchFile, device: str) -> DriverModel:
    """The device's model with the points of its profile. Raises ConfigError: a profile that is missing, that the model
    has no use for, or that has faults."""
    found = profile_text(bench, device)
    where = bench.where("devices", device, "profile")
    if model.with_profile is None:
        if found is not None:
            fix = "remove the key: this model's registers are its maker's"
            raise ConfigError([Fault(f"{device}: {model.name} takes no profile", where, fix)])
        return model
    if found is None:
        fix = f'add profile = "{profiles.names()[0]}", or a .toml file of yours; docs/register-profiles.md'
        raise ConfigError([Fault(f"{device}: {model.name} needs a profile of its registers", where, fix)])
    return model.with_profile(found.text, found.where)
