"""Which models there are, by name. Ours and third-party ones register the same way: entry points."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from drivers.capabilities import DriverModel

GROUP = "cellbench.drivers"
OWN_DISTRIBUTION = "cellbench"


@cache
def _registered() -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def model_names(distributions: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The models that may be used: ours, and those of the third-party distributions that the bench file names."""
    allowed = distributions | {OWN_DISTRIBUTION}
    return tuple(name for name, point in _registered().items() if point.dist and point.dist.name in allowed)


def driver_model(name: str, distributions: frozenset[str] = frozenset()) -> DriverModel:
    """Load one model. Raises KeyError if none of the allowed distributions registers it."""
    if name not in model_names(distributions):
        raise KeyError(name)
    model = _registered()[name].load()
    if not isinstance(model, DriverModel):
        raise TypeError(f"entry point {GROUP}:{name} is not a DriverModel")
    return model
