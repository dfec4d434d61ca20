"""Which quantities may be added, multiplied and divided, and what comes out.

Values are in the base units of ``drivers.units`` (V, A, W, Ah, Wh, s, K, ...). Those are the units of a lab, not a
coherent system: 1 A for 1 s is 1/3600 Ah, so a product carries a factor.
"""

from __future__ import annotations

from drivers import BASE, Dimension

_HOUR = 1 / 3600

#: left * right = result * factor, either way round; division is read off the same table.
PRODUCTS: dict[tuple[Dimension, Dimension], tuple[Dimension, float]] = {
    (Dimension.VOLTAGE, Dimension.CURRENT): (Dimension.POWER, 1.0),
    (Dimension.CURRENT, Dimension.RESISTANCE): (Dimension.VOLTAGE, 1.0),
    (Dimension.CURRENT, Dimension.TIME): (Dimension.CHARGE, _HOUR),
    (Dimension.POWER, Dimension.TIME): (Dimension.ENERGY, _HOUR),
    (Dimension.VOLTAGE, Dimension.CHARGE): (Dimension.ENERGY, 1.0),
    (Dimension.ENERGY_DENSITY, Dimension.MASS): (Dimension.ENERGY, 1.0),
    (Dimension.TEMPERATURE_RATE, Dimension.TIME): (Dimension.TEMPERATURE_CHANGE, 1.0),
    (Dimension.VOLTAGE_RATE, Dimension.TIME): (Dimension.VOLTAGE, 1.0),
    (Dimension.SPEED, Dimension.TIME): (Dimension.LENGTH, 1.0),
}


class DimensionError(ValueError):
    """The operation has no meaning for these quantities."""


def name_of(dimension: Dimension) -> str:
    """How a message names it: ``a voltage (V)``, ``a number``."""
    unit = BASE[dimension]
    article = "an" if dimension.value[0] in "aeiou" else "a"
    return f"{article} {dimension.value} ({unit})" if unit else f"{article} {dimension.value}"


def plus(left: Dimension, right: Dimension) -> Dimension:
    """Dimension of ``left + right``. A temperature takes a temperature change; two temperatures do not add."""
    if {left, right} == {Dimension.TEMPERATURE, Dimension.TEMPERATURE_CHANGE}:
        return Dimension.TEMPERATURE
    if left is right and left is not Dimension.TEMPERATURE:
        return left
    raise DimensionError(f"{name_of(left)} and {name_of(right)} cannot be added")


def minus(left: Dimension, right: Dimension) -> Dimension:
    """Dimension of ``left - right``. The difference of two temperatures is a temperature change."""
    if left is Dimension.TEMPERATURE and right is Dimension.TEMPERATURE:
        return Dimension.TEMPERATURE_CHANGE
    if left is Dimension.TEMPERATURE and right is Dimension.TEMPERATURE_CHANGE:
        return Dimension.TEMPERATURE
    if left is right:
        return left
    raise DimensionError(f"{name_of(right)} cannot be taken from {name_of(left)}")


def times(left: Dimension, right: Dimension) -> tuple[Dimension, float]:
    """Dimension of ``left * right`` and the factor that brings the product of base values to its base unit."""
    if Dimension.NUMBER in (left, right):
        other = right if left is Dimension.NUMBER else left
        if other is not Dimension.TEMPERATURE:
            return other, 1.0
        raise DimensionError("a temperature (degC) cannot be scaled: its zero is not nothing")
    found = PRODUCTS.get((left, right)) or PRODUCTS.get((right, left))
    if found is None:
        raise DimensionError(f"{name_of(left)} times {name_of(right)} is no quantity known here")
    return found


def over(left: Dimension, right: Dimension) -> tuple[Dimension, float]:
    """Dimension of ``left / right`` and its factor."""
    if Dimension.TEMPERATURE in (left, right):
        raise DimensionError("a temperature (degC) cannot be scaled: its zero is not nothing")
    if left is right:
        return Dimension.NUMBER, 1.0
    if right is Dimension.NUMBER:
        return left, 1.0
    for (one, two), (product, factor) in PRODUCTS.items():
        if product is left and right in (one, two):
            return (two if right is one else one), 1 / factor
    raise DimensionError(f"{name_of(left)} divided by {name_of(right)} is no quantity known here")
