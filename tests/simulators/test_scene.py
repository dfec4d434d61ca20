"""A whole simulated bench: virtual time without one timeout, real time without a Flight, wires cut and restored."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from drivers.clock import real_elapsed_s
from simulators.models import model_names, simulator_model
from simulators.scene import Scene
from simulators.spec import DeviceSpec, SceneSpec
from simulators.virtual_time import run_virtual, virtual_loop
from tests.simulators.clients import (
    PtyBytes,
    chamber,
    psb,
    rtu,
    running,
    scene_of,
    switches,
    tcp_lines,
    thermocouples,
    voltmeter,
)

POLLS = 3600


def _printed(capsys: pytest.CaptureFixture[str], what: str, real_s: float) -> None:
    with capsys.disabled():
        print(f"\n  {what}: {real_s / POLLS * 1e6:.0f} us a poll, {POLLS / real_s:.0f} times real time", end="")


def test_an_hour_of_polls_over_tcp_without_a_timeout(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> tuple[int, float]:
        loop = virtual_loop()
        async with running(scene_of(psb()), flight=loop.flight) as (_, urls):
            client = await tcp_lines(urls["psb"], loop.flight)
            for _ in range(POLLS):
                assert (await client.ask("MEAS:ARR?", 0.1)).count(",") == 2
                await asyncio.sleep(1.0)
            await client.close()
        return len(loop.forced_jumps), loop.time()

    began = real_elapsed_s()
    forced, passed_s = run_virtual(main())
    _printed(capsys, "SCPI over TCP", real_elapsed_s() - began)
    assert forced == 0
    assert passed_s > POLLS


def test_an_hour_of_polls_over_a_pty_line_without_a_timeout(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> int:
        loop = virtual_loop()
        async with running(scene_of(chamber()), flight=loop.flight) as (_, urls):
            client = PtyBytes(urls["ch1"], loop.flight)
            for _ in range(POLLS):
                assert (await client.ask("TEMP?", 0.2)).count(",") == 3
                await asyncio.sleep(1.0)
            client.close()
        return len(loop.forced_jumps)

    began = real_elapsed_s()
    assert run_virtual(main()) == 0
    _printed(capsys, "ASCII over a pty", real_elapsed_s() - began)


def test_an_hour_of_polls_by_pymodbus_on_a_pty_without_a_timeout(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> int:
        loop = virtual_loop()
        async with running(scene_of(thermocouples(), voltmeter()), flight=loop.flight) as (_, urls):
            client = await rtu(urls["th1"], loop.flight)
            for _ in range(POLLS):
                reply = await client.read_input_registers(0, count=8, device_id=1)
                assert not reply.isError()
                assert len(reply.registers) == 8
                await asyncio.sleep(1.0)
            client.close()
        return len(loop.forced_jumps)

    began = real_elapsed_s()
    assert run_virtual(main()) == 0
    _printed(capsys, "pymodbus RTU over a pty", real_elapsed_s() - began)


def _everything(seed: int) -> SceneSpec:
    return scene_of(psb(), chamber(), thermocouples(), voltmeter(), switches(), seed=seed)


async def _trace(seed: int) -> str:
    """A minute of everything, polled at fixed phases; the digest of what was said and when."""
    loop = virtual_loop()
    digest = hashlib.sha256()
    async with running(_everything(seed), flight=loop.flight) as (_, urls):
        cycler = await tcp_lines(urls["psb"], loop.flight)
        box = PtyBytes(urls["ch1"], loop.flight)
        inputs = await rtu(urls["th1"], loop.flight)
        io = await rtu(urls["io1"], loop.flight)
        await io.write_coil(0, value=True)
        for line in ("SYST:LOCK ON", "VOLT 4.3", "CURR 20", "SINK:CURR 0", "OUTP ON"):
            await cycler.tell(line)
        await box.ask("MODE,CONSTANT")

        async def poll(phase_s: float, name: str, ask: object) -> None:
            await asyncio.sleep(phase_s)
            for _ in range(60):
                answer = await ask()  # type: ignore[operator]
                digest.update(f"{loop.time():.9f} {name} {getattr(answer, 'registers', answer)}\n".encode())
                await asyncio.sleep(1.0)

        await asyncio.gather(
            poll(0.6, "psb", lambda: cycler.ask("MEAS:ARR?")),
            poll(0.61, "ch1", lambda: box.ask("TEMP?")),
            poll(0.62, "th1", lambda: inputs.read_input_registers(0, count=4, device_id=1)),
            poll(0.68, "v1", lambda: inputs.read_input_registers(0, count=1, device_id=2)),
        )
        io.close()
        inputs.close()
        box.close()
        await cycler.close()
    assert not loop.forced_jumps
    return digest.hexdigest()


def test_the_same_seed_says_the_same_bytes_at_the_same_times() -> None:
    first, again, other = (run_virtual(_trace(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


async def test_it_runs_in_real_time_without_a_flight() -> None:
    async with running(_everything(1)) as (_, urls):
        cycler = await tcp_lines(urls["psb"])
        assert (await cycler.ask("*IDN?", 5.0)).startswith("EA Elektro-Automatik,PSB 10060-170,")
        await cycler.close()
        box = PtyBytes(urls["ch1"])
        assert (await box.ask("MODE?", 5.0)) == "STANDBY"
        box.close()
        inputs = await rtu(urls["v1"])
        assert not (await inputs.read_input_registers(0, count=1, device_id=2)).isError()
        inputs.close()


async def test_a_cut_tcp_device_drops_its_link_refuses_and_comes_back_at_the_same_address() -> None:
    async with running(scene_of(psb())) as (scene, urls):
        client = await tcp_lines(urls["psb"])
        await client.ask("*IDN?", 5.0)
        scene.cut("psb")
        with pytest.raises((ConnectionError, TimeoutError)):
            await client.ask("*IDN?", 5.0)
        await client.close()
        with pytest.raises(ConnectionRefusedError):
            await tcp_lines(urls["psb"])
        await scene.restore("psb")
        client = await tcp_lines(urls["psb"])
        assert await client.ask("SYST:LOCK:OWN?", 5.0) == "NONE"
        await client.close()


def test_a_cut_device_on_a_shared_line_falls_silent_alone() -> None:
    async def main() -> None:
        loop = virtual_loop()
        async with running(scene_of(thermocouples(), voltmeter()), flight=loop.flight) as (scene, urls):
            client = await rtu(urls["th1"], loop.flight)
            scene.cut("th1")
            with pytest.raises(Exception, match="No response"):
                await client.read_input_registers(0, count=1, device_id=1)
            assert not (await client.read_input_registers(0, count=1, device_id=2)).isError()
            await scene.restore("th1")
            assert not (await client.read_input_registers(0, count=1, device_id=1)).isError()
            client.close()
        assert not loop.forced_jumps

    run_virtual(main())


async def test_a_pty_can_have_a_lasting_name(tmp_path: Path) -> None:
    link = tmp_path / "ttyChamber"
    async with running(scene_of(chamber()), listen={"b": f"pty:{link}"}) as (_, urls):
        assert urls["ch1"] == f"serial://{link}?baud=9600"
        box = PtyBytes(urls["ch1"])
        assert (await box.ask("ROM?", 5.0)).startswith("P300")
        box.close()
    assert not link.is_symlink()


async def test_a_lasting_name_never_overwrites_a_file(tmp_path: Path) -> None:
    link = tmp_path / "precious"
    link.write_text("data")
    with pytest.raises(FileExistsError, match="precious"):
        async with running(scene_of(chamber()), listen={"b": f"pty:{link}"}):
            pass
    assert link.read_text() == "data"


async def test_the_address_can_be_given_and_a_taken_one_is_said() -> None:
    async with running(scene_of(psb())) as (_, urls):
        taken = Scene(scene_of(psb()), listen={"a": urls["psb"]})
        with pytest.raises(OSError, match="address already in use"):
            await taken.start()
    async with running(scene_of(chamber()), listen={"b": "tcp://127.0.0.1:0"}) as (_, urls):
        client = await tcp_lines(urls["ch1"])
        assert (await client.ask("TYPE?", 5.0)).startswith("T,T,")
        await client.close()


async def test_modbus_can_be_served_on_a_socket() -> None:
    from pymodbus.client import AsyncModbusTcpClient

    device = voltmeter(scheme="modbus-tcp", unit=3)
    async with running(scene_of(device)) as (_, urls):
        port = int(urls["v1"].rpartition(":")[2])
        assert urls["v1"] == f"modbus-tcp://127.0.0.1:{port}"
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0)
        assert await client.connect()
        assert (await client.read_holding_registers(482, count=2, device_id=3)).registers == [0x1700, 0x0070]
        client.close()


def test_a_visa_device_is_not_counted_and_not_delayed() -> None:
    async def main() -> tuple[str, float]:
        loop = virtual_loop()
        async with running(scene_of(psb(scheme="visa")), flight=loop.flight) as (_, urls):
            url = urls["psb"]
            _, host, port, kind = url.removeprefix("visa://").split("::")
            assert (host, kind) == ("127.0.0.1", "SOCKET")
            client = await tcp_lines(f"tcp://{host}:{port}")
            await client.ask("SYST:ERR?")
            assert loop.in_flight == 0
            await client.close()
        return url, loop.time()

    url, passed_s = run_virtual(main())
    assert url.startswith("visa://TCPIP0::")
    assert passed_s == 0.0


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        ((chamber(), psb(line="b")), "different kinds of wire"),
        ((thermocouples(), voltmeter(unit=1)), "same unit"),
        ((psb(), psb(name="psb2")), "carries one device"),
    ],
)
def test_a_scene_that_cannot_be_is_refused(devices: tuple[DeviceSpec, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Scene(scene_of(*devices))


async def test_an_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no simulator of model 'abacus'"):
        await Scene(scene_of(psb(model="abacus"))).start()


def test_every_model_is_registered_and_loads() -> None:
    names = model_names()
    assert {"ea-psb10000", "espec-p300", "icpdas-m-7002", "icpdas-m-7017", "icpdas-m-7018"} <= set(names)
    for name in names:
        assert simulator_model(name).name == name
    with pytest.raises(KeyError):
        simulator_model("abacus")
