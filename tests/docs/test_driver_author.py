"""The smallest driver and its simulator, taken out of docs/driver-author.md and run as a third party's package."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import drivers.models
import simulators.models
from drivers import FrameError, Quality, WireTimeout, WrongDevice, system_clock
from drivers.capabilities import Device, DeviceSettings, DriverModel
from simulators.faults import no_reply
from simulators.scene import Scene
from simulators.spec import CellSpec, ChannelSpec, DeviceSpec, PlaceSpec, SceneSpec, Signal
from simulators.virtual_time import run_virtual, virtual_loop
from tests.drivers.peers import line_wire, opened, wired

PAGE = Path(__file__).parents[2] / "docs" / "driver-author.md"
NAMED = frozenset({"acme-cellbench"})


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's modules and registration, laid out as pip lays out a distribution."""
    for code in blocks("python"):
        name = re.match(r"# (\w+\.py)\n", code)
        assert name is not None, "a module on the page begins with its file name"
        (tmp_path / name[1]).write_text(code)
    project = tomllib.loads(blocks("toml")[0])["project"]
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = (
        "\n".join([f"[{group}]", *(f"{name} = {target}" for name, target in points.items())])
        for group, points in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registries: tuple[Any, ...] = (drivers.models._registered, simulators.models._registered)
    for registry in registries:
        registry.cache_clear()
    yield
    for registry in registries:
        registry.cache_clear()
    for module in ("acme_vm1", "acme_vm1_simulator"):
        sys.modules.pop(module, None)


def model() -> DriverModel:
    return drivers.models.driver_model("acme-vm-1", NAMED)


def settings(wire: Any, loop_time: Any, serial: str | None = None) -> DeviceSettings:
    return DeviceSettings(name="vm1", wire=wire, clock=system_clock(loop_time), serial=serial)


@pytest.mark.usefixtures("installed")
def test_it_runs_only_when_its_distribution_is_named() -> None:
    with pytest.raises(KeyError):
        drivers.models.driver_model("acme-vm-1")
    with pytest.raises(KeyError):
        simulators.models.simulator_model("acme-vm-1")
    assert "acme_vm1" not in sys.modules
    assert model().title == "ACME VM-1, voltmeter"
    assert isinstance(model().create(settings(None, lambda: 0.0)), Device)


@pytest.mark.usefixtures("installed")
async def test_the_driver_against_the_bytes_of_the_manual() -> None:
    replies = {"*IDN?": b"ACME,VM-1,0042,1.3\n", "READ?": b"+3.7120 V\n"}
    async with wired(replies.get) as (peer, wire):
        device = model().create(settings(wire, lambda: 12.5, serial="0042"))
        identity = await device.connect()
        assert (identity.serial, identity.firmware) == ("0042", "1.3")
        (reading,) = await device.read()
        assert (reading.channel, reading.value, reading.mono_s) == ("vm1.ai0.voltage_v", 3.712, 12.5)
        replies["READ?"] = b"OVER\n"
        assert (await device.read())[0].quality is Quality.OVER_RANGE
        replies["READ?"] = b"+3.7120 A\n"
        with pytest.raises(FrameError):
            await device.read()
        await device.make_safe()
    assert peer.heard[:2] == ["*IDN?", "READ?"]


@pytest.mark.usefixtures("installed")
async def test_the_driver_refuses_another_device() -> None:
    async with wired(lambda line: b"ACME,VM-2,0042,1.3\n") as (_, wire):
        with pytest.raises(WrongDevice, match="VM-2"):
            await model().create(settings(wire, lambda: 0.0)).connect()
    async with wired(lambda line: b"ACME,VM-1,0042,1.3\n") as (_, wire):
        with pytest.raises(WrongDevice, match="0042"):
            await model().create(settings(wire, lambda: 0.0, serial="0043")).connect()


@pytest.mark.usefixtures("installed")
def test_driver_and_simulator_meet_on_a_wire_in_virtual_time() -> None:
    cell = CellSpec(preset="nmc-25ah", mass_kg=0.45, thickness_mm=15.0)
    meter = DeviceSpec("vm1", "acme-vm-1", "tcp", "line1", serial="0042", points={"ai0": Signal("cell_voltage", "1")})
    spec = SceneSpec((meter,), (PlaceSpec("chamber1"),), (ChannelSpec("1", "chamber1", cell),), seed=7)

    async def measure() -> tuple[float, float]:
        loop = virtual_loop()
        scene = Scene(spec, flight=loop.flight, distributions=NAMED)
        urls = await scene.start()
        async with opened(line_wire(urls["vm1"], flight=loop.flight, simulated=True)) as wire:
            device = model().create(settings(wire, loop.time))
            assert (await device.connect()).serial == "0042"
            (reading,) = await device.read()
            truth_v = scene.plant.signal(meter.points["ai0"])
            scene.personality("vm1").faults.push(no_reply)
            began_s = loop.time()
            with pytest.raises(WireTimeout):
                await device.read()
            assert loop.time() - began_s == pytest.approx(0.5)
            await device.read()
        await scene.close()
        assert loop.forced_jumps == ()
        return reading.value, truth_v

    value_v, truth_v = run_virtual(measure())
    assert 2.5 < truth_v < 4.3
    assert value_v == pytest.approx(truth_v, abs=0.001)  # five times the noise that the simulator states
