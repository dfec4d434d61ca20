"""Measurement noise: one generator a channel, so that no channel's draws depend on how often another is read."""

from __future__ import annotations

from collections.abc import Callable
from random import Random


def noise(seed: int, device: str, channel: str, sigma: float) -> Callable[[float], float]:
    """A function that adds normal noise of standard deviation ``sigma`` to a value."""
    gauss = Random(f"{seed}/{device}/{channel}").gauss  # noqa: S311 - repeatable noise is wanted, not secrecy
    return lambda value: gauss(value, sigma)


def sensor(read: Callable[[], float], add: Callable[[float], float]) -> Callable[[], float]:
    """A measurement: what ``read`` gives, with the noise that ``add`` draws."""
    return lambda: add(read())
