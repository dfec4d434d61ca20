"""What every module of measuring inputs promises: the plant's truth within its noise, or a bad quality."""

from __future__ import annotations

import asyncio
import math

import pytest

from drivers import Quality
from drivers.capabilities import DeviceKind
from drivers.models import driver_model
from simulators.plant.plant import Plant
from tests.contracts.stands import NAME, Stand, on_every

INPUTS = DeviceKind.INPUTS
#: Largest difference from the truth: five times the noise and one step, by quantity.
CLOSE = {"temperature_c": 0.3, "voltage_v": 0.003}


def truths(stand: Stand, plant: Plant) -> list[float]:
    return [plant.signal(stand.spec.points[channel.split(".")[1]]) for channel in stand.device.channels]


@on_every(INPUTS)
async def test_readings_are_the_truth_of_the_plant(stand: Stand) -> None:
    """While a cell is charged hard, so that voltage and surface move."""
    plant = stand.plant
    plant.contactor("1", closed=True)
    plant.terminal("1").regulate(on=True, voltage_v=4.2, source_a=25.0, sink_a=0.0, source_w=5e3, sink_w=5e3)
    await stand.device.connect()
    quantity = stand.device.channels[0].split(".")[2]
    first = truths(stand, stand.plant)
    for _ in range(200):
        await asyncio.sleep(10.0)
        for reading, truth in zip(await stand.device.read(), truths(stand, stand.plant), strict=True):
            assert reading.quality is Quality.GOOD
            assert reading.value == pytest.approx(truth, abs=CLOSE[quantity])
    assert abs(truths(stand, stand.plant)[0] - first[0]) > 20 * CLOSE[quantity] or quantity == "temperature_c"


@on_every(INPUTS)
async def test_both_data_formats_give_the_same_values(stand: Stand) -> None:
    quantity = stand.device.channels[0].split(".")[2]
    span = driver_model(stand.case.model).spans({})[quantity]
    for engineering in (0, 1):
        stand.twin.module.format.write(engineering)
        await stand.device.connect()
        for share in (0.01, 0.25, 0.5, 0.75, 0.99):
            wanted = span.low + share * (span.high - span.low)
            for point in stand.spec.points:
                stand.twin.force(point, wanted)
            for reading in await stand.device.read():
                assert reading.value == pytest.approx(wanted, abs=span.resolution)


@pytest.mark.fault("F26", "F31")
@on_every(INPUTS)
async def test_what_cannot_be_measured_is_never_a_number(stand: Stand) -> None:
    quantity = stand.device.channels[0].split(".")[2]
    span = driver_model(stand.case.model).spans({})[quantity]
    await stand.device.connect()
    point = next(iter(stand.spec.points))
    for shown in (math.inf, span.high + 1.0, span.low - 1.0):
        stand.twin.force(point, shown)
        readings = await stand.device.read()
        for reading in readings:
            bad = reading.channel == f"{NAME}.{point}.{quantity}"
            assert (reading.quality is not Quality.GOOD) is bad
            assert math.isnan(reading.value) is bad
    stand.twin.mend(point)
    assert all(reading.quality is Quality.GOOD for reading in await stand.device.read())


@on_every(INPUTS)
async def test_only_the_points_in_use_are_channels(stand: Stand) -> None:
    points = list(driver_model(stand.case.model).points)
    quantity = stand.device.channels[0].split(".")[2]
    for used in ((points[2],), (points[5], points[1])):
        device = stand.driver(points=used)
        await device.connect()
        for at, point in enumerate(points):
            stand.twin.force(point, float(at) / 2)
        readings = await device.read()
        assert {reading.channel for reading in readings} == {f"{NAME}.{point}.{quantity}" for point in used}
        for reading in readings:
            at = points.index(reading.channel.split(".")[1])
            assert reading.value == pytest.approx(at / 2, abs=0.05)
