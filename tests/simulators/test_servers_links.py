"""TCP and pty servers: counting, pieces, units that are not there, faults on the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from simulators import faults
from simulators.scene import Scene
from simulators.servers.frames import crc16, pack_rtu
from simulators.virtual_time import VirtualLoop, run_virtual, virtual_loop
from tests.simulators.clients import PtyBytes, chamber, psb, rtu, running, scene_of, tcp_lines, thermocouples, voltmeter

READ_ONE = bytes.fromhex("04 00 00 00 01")


def _on_rtu(check: Callable[[VirtualLoop, Scene, PtyBytes], Awaitable[None]]) -> VirtualLoop:
    """Run a check with a raw master on the line of units 1 and 2."""

    async def main() -> VirtualLoop:
        loop = virtual_loop()
        async with running(scene_of(thermocouples(), voltmeter()), flight=loop.flight) as (scene, urls):
            line = PtyBytes(urls["th1"], loop.flight)
            try:
                await check(loop, scene, line)
            finally:
                line.close()
        return loop

    return run_virtual(main())


def _whole(frame: bytes) -> bool:
    return crc16(frame[:-2]) == frame[-2:]


def test_a_unit_that_is_not_there_stays_silent() -> None:
    async def check(loop: VirtualLoop, _scene: Scene, line: PtyBytes) -> None:
        line.send(pack_rtu(9, READ_ONE))
        with pytest.raises(TimeoutError):
            await line.take(length=1)
        line.send(pack_rtu(2, READ_ONE))
        reply = await line.take(length=7)
        assert reply[:3] == bytes((2, 4, 2))
        assert _whole(reply)
        assert loop.in_flight == 0

    assert not _on_rtu(check).forced_jumps


def test_a_broadcast_is_obeyed_by_all_and_answered_by_none() -> None:
    async def check(_loop: VirtualLoop, scene: Scene, line: PtyBytes) -> None:
        line.send(pack_rtu(0, bytes.fromhex("05 01 0C FF 00")))  # coil 269: engineering format
        with pytest.raises(TimeoutError):
            await line.take(length=1)
        assert [scene.personality(name).module.format.value for name in ("th1", "v1")] == [1, 1]

    _on_rtu(check)


def test_a_request_may_come_in_pieces_but_not_after_a_silence() -> None:
    async def check(_loop: VirtualLoop, _scene: Scene, line: PtyBytes) -> None:
        request = pack_rtu(1, READ_ONE)
        line.send(request[:3])
        await asyncio.sleep(0.01)
        line.send(request[3:])
        assert _whole(await line.take(length=7))
        line.send(request[:3])
        await asyncio.sleep(0.2)
        line.send(request)
        assert _whole(await line.take(length=7))

    _on_rtu(check)


def test_an_answer_takes_the_time_that_its_bytes_need_at_9600_baud() -> None:
    async def check(loop: VirtualLoop, _scene: Scene, line: PtyBytes) -> None:
        began_s = loop.time()
        line.send(pack_rtu(1, bytes.fromhex("04 00 00 00 08")))
        await line.take(length=21)
        # 8 bytes out and 21 back, 10 bits each
        assert (8 + 21) * 10 / 9600 < loop.time() - began_s < 0.05

    _on_rtu(check)


def test_faults_come_in_order_and_then_it_answers_properly_again() -> None:
    async def check(loop: VirtualLoop, scene: Scene, line: PtyBytes) -> None:
        device = scene.personality("th1").faults
        request = pack_rtu(1, READ_ONE)
        line.send(request)
        proper = await line.take(length=7)

        device.push(faults.no_reply)
        device.push(faults.wrong_unit(5))
        device.push(faults.garbled)
        device.push(faults.truncated(4))
        device.push(faults.twice)
        device.push(faults.noise_before(b"\xff"))
        device.push(faults.instead(b"nonsense"))
        line.send(request)
        with pytest.raises(TimeoutError):
            await line.take(length=1)
        line.send(request)
        reply = await line.take(length=7)
        assert reply[0] == 5
        assert _whole(reply)
        line.send(request)
        assert not _whole(await line.take(length=7))
        line.send(request)
        with pytest.raises(TimeoutError):
            await line.take(length=5)
        assert (await line.take(length=4))[:3] == proper[:3]
        line.send(request)
        both = await line.take(length=14)
        assert both[:7] == both[7:]
        line.send(request)
        assert (await line.take(length=8))[0] == 0xFF
        line.send(request)
        assert await line.take(length=8) == b"nonsense"
        line.send(request)
        assert _whole(await line.take(length=7))
        assert loop.in_flight == 0

    assert not _on_rtu(check).forced_jumps


def test_a_late_answer_comes_late_and_a_split_one_in_two_parts() -> None:
    async def check(loop: VirtualLoop, scene: Scene, line: PtyBytes) -> None:
        device = scene.personality("th1").faults
        device.push(faults.late(2.0))
        line.send(pack_rtu(1, READ_ONE))
        with pytest.raises(TimeoutError):
            await line.take(length=1)
        assert _whole(await line.take(length=7, deadline_s=2.0))
        device.push(faults.in_parts(3, 0.3))
        line.send(pack_rtu(1, READ_ONE))
        assert len(await line.take(length=3)) == 3
        assert len(await line.take(length=4)) == 4
        assert loop.time() > 2.3

    assert not _on_rtu(check).forced_jumps


def test_a_fault_for_good_lasts_until_it_is_cleared() -> None:
    async def main() -> None:
        loop = virtual_loop()
        async with running(scene_of(psb()), flight=loop.flight) as (scene, urls):
            client = await tcp_lines(urls["psb"], loop.flight)
            scene.personality("psb").faults.always = faults.no_reply
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await client.ask("*IDN?")
            scene.personality("psb").faults.clear()
            assert await client.ask("*IDN?")
            await client.close()

    run_virtual(main())


def test_several_lines_in_one_piece_and_one_line_in_several() -> None:
    async def main() -> None:
        loop = virtual_loop()
        async with running(scene_of(psb()), flight=loop.flight) as (_, urls):
            client = await tcp_lines(urls["psb"], loop.flight)
            assert await client.ask("OUTP?\nSYST:LOCK:OWN?") == "OFF"
            assert (await client.reader.readline()) == b"NONE\n"
            loop.flight.arrived(5)
            client.writer.write(b"SYST:")
            await asyncio.sleep(0.1)
            assert await client.ask("ERR?\r") == '0,"No error"'
            await client.close()
        assert not loop.forced_jumps

    run_virtual(main())


def test_an_endless_line_is_dropped() -> None:
    async def main() -> None:
        loop = virtual_loop()
        async with running(scene_of(psb()), flight=loop.flight) as (_, urls):
            client = await tcp_lines(urls["psb"], loop.flight)
            for _ in range(20):
                loop.flight.left(1000)
                client.writer.write(b"A" * 1000)
                await asyncio.sleep(0.01)
            await client.tell("")
            assert await client.ask("OUTP?") == "OFF"
            await client.close()

    run_virtual(main())


def test_two_clients_of_one_instrument_each_get_their_own_answers() -> None:
    async def main() -> None:
        loop = virtual_loop()
        async with running(scene_of(psb()), flight=loop.flight) as (_, urls):
            one, two = await tcp_lines(urls["psb"], loop.flight), await tcp_lines(urls["psb"], loop.flight)
            answers = await asyncio.gather(one.ask("OUTP?"), two.ask("SYST:LOCK:OWN?"))
            assert tuple(answers) == ("OFF", "NONE")
            await one.close()
            assert await two.ask("OUTP?") == "OFF"
            await two.close()

    run_virtual(main())


def test_an_answer_to_a_client_that_has_gone_is_not_counted() -> None:
    async def main() -> None:
        loop = virtual_loop()
        async with running(scene_of(psb()), flight=loop.flight) as (scene, urls):
            scene.personality("psb").faults.push(faults.late(5.0))
            client = await tcp_lines(urls["psb"], loop.flight)
            with pytest.raises(TimeoutError):
                await client.ask("OUTP?")
            await client.close()
            await asyncio.sleep(10.0)
            assert loop.in_flight == 0
        assert not loop.forced_jumps

    run_virtual(main())


def test_a_pty_outlives_its_clients() -> None:
    async def main() -> None:
        loop = virtual_loop()
        async with running(scene_of(chamber()), flight=loop.flight) as (_, urls):
            for _ in range(3):
                box = PtyBytes(urls["ch1"], loop.flight)
                assert await box.ask("MODE?") == "STANDBY"
                await asyncio.sleep(0.3)
                box.close()
        assert not loop.forced_jumps

    run_virtual(main())


async def test_closing_a_scene_twice_is_fine() -> None:
    scene = Scene(scene_of(psb(), chamber(), thermocouples()))
    await scene.start()
    await scene.close()
    await scene.close()


async def test_pymodbus_reads_module_names() -> None:
    async with running(scene_of(thermocouples(), voltmeter())) as (_, urls):
        client = await rtu(urls["th1"])
        assert (await client.read_holding_registers(482, count=2, device_id=1)).registers == [0x1800, 0x0070]
        assert (await client.read_holding_registers(482, count=2, device_id=2)).registers == [0x1700, 0x0070]
        client.close()
