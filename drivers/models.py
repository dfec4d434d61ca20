"""Which models there are, by name. Ours and third-party ones register the same way: entry points."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from drivers.capabilities import DriverModel

GROUP = "cellbench.drivers"
OWN_DISTRIBUTION = "cellbench"


@cache
def _registered() -> dict[str, tuple[EntryPoint, str]]:
    """By model its entry point and its distribution's name, which is read off a file each time it is asked for."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return {point.name: (point, point.dist.name if point.dist else "") for point in points}


def model_names(distributions: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The models that may be used: ours, and those of the third-party distributions that the bench file names."""
    allowed = distributions | {OWN_DISTRIBUTION}
    return tuple(name for name, (_, distribution) in _registered().items() if distribution in allowed)


def driver_model(name: str, distributions: frozenset[str] = frozenset()) -> DriverModel:
    """Load one model. Raises KeyError if none of the allowed distributions registers it."""
    if name not in model_names(distributions):
        raise KeyError(name)
    model = _registered()[name][0].load()
    if not isinstance(model, DriverModel):
        raise TypeError(f"entry point {GROUP}:{name} is not a DriverModel")
    return model
