"""The virtual clock jumps unless bytes are on their way, and everything that should wake a loop still wakes it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading

import pytest

from drivers.clock import real_elapsed_s
from simulators.virtual_time import BOUND_S, run_virtual, virtual_loop


def test_a_year_of_sleep_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(365 * 86400.0)
        return asyncio.get_running_loop().time()

    began = real_elapsed_s()
    assert run_virtual(main()) == pytest.approx(365 * 86400.0)
    assert real_elapsed_s() - began < 5.0


def test_timers_fire_in_order_at_their_own_times() -> None:
    async def main() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        seen: list[tuple[float, str]] = []

        async def note(after_s: float, name: str) -> None:
            await asyncio.sleep(after_s)
            seen.append((round(loop.time(), 9), name))

        await asyncio.gather(note(3.0, "c"), note(0.001, "a"), note(2.5, "b"))
        return seen

    assert run_virtual(main()) == [(0.001, "a"), (2.5, "b"), (3.0, "c")]


def test_a_deadline_expires_in_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600.0):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(600.0)


def _write_after(delay_s: float, writer: socket.socket, data: bytes) -> threading.Thread:
    """A far end that needs real time: a thread that the loop knows nothing about."""
    timer = threading.Timer(delay_s, writer.send, [data])
    timer.start()
    return timer


def test_the_clock_stands_still_while_bytes_are_on_their_way() -> None:
    async def main() -> tuple[float, bytes, int]:
        loop = virtual_loop()
        near, far = socket.socketpair()
        near.setblocking(False)
        loop.flight.left(3)
        thread = _write_after(0.05, far, b"abc")
        async with asyncio.timeout(0.001):  # virtual: would be over at once if the clock jumped
            data = await loop.sock_recv(near, 10)
        loop.flight.arrived(len(data))
        thread.join()
        near.close()
        far.close()
        return loop.time(), data, len(loop.forced_jumps)

    assert run_virtual(main()) == (0.0, b"abc", 0)


def test_without_bytes_on_their_way_the_same_exchange_times_out() -> None:
    async def main() -> None:
        loop = virtual_loop()
        near, far = socket.socketpair()
        near.setblocking(False)
        thread = _write_after(0.05, far, b"abc")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await loop.sock_recv(near, 10)
        thread.join()
        near.close()
        far.close()

    run_virtual(main())


def test_lost_bytes_force_one_jump_which_is_kept() -> None:
    async def main() -> tuple[float, int, list[tuple[float, int]]]:
        loop = virtual_loop()
        await asyncio.sleep(7.0)
        loop.flight.left(5)
        await asyncio.sleep(1.0)
        await asyncio.sleep(1.0)
        loop.flight.arrived(5)  # too late to matter, and never below zero
        return loop.time(), loop.in_flight, [(jump.at_s, jump.in_flight) for jump in loop.forced_jumps]

    began = real_elapsed_s()
    assert run_virtual(main()) == (9.0, 0, [(7.0, 5)])
    assert BOUND_S * 0.9 <= real_elapsed_s() - began < BOUND_S * 5


def test_an_executor_job_stops_the_clock() -> None:
    def job() -> str:
        threading.Event().wait(0.05)
        return "done"

    async def main() -> tuple[str, float, int]:
        loop = virtual_loop()
        async with asyncio.timeout(0.001):
            result = await loop.run_in_executor(None, job)
        return result, loop.time(), len(loop.forced_jumps)

    assert run_virtual(main()) == ("done", 0.0, 0)


def test_call_soon_threadsafe_wakes_a_loop_that_has_nothing_to_do() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str] = loop.create_future()
        thread = threading.Timer(0.02, loop.call_soon_threadsafe, [done.set_result, "woken"])
        thread.start()
        result = await done
        thread.join()
        return result

    assert run_virtual(main()) == "woken"


def _kill_after(delay_s: float) -> threading.Timer:
    timer = threading.Timer(delay_s, os.kill, [os.getpid(), signal.SIGUSR1])
    timer.start()
    return timer


def _tick(done: asyncio.Future[str]) -> None:
    """Keep the clock jumping until ``done``."""
    if not done.done():
        asyncio.get_running_loop().call_later(0.5, _tick, done)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "jumping"])
def test_a_signal_wakes_the_loop(busy: bool) -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str] = loop.create_future()

        def caught() -> None:
            if not done.done():
                done.set_result("caught")

        loop.add_signal_handler(signal.SIGUSR1, caught)
        if busy:
            _tick(done)
        timer = _kill_after(0.02)
        result = await done
        timer.join()
        loop.remove_signal_handler(signal.SIGUSR1)
        return result

    assert run_virtual(main()) == "caught"


def test_ctrl_c_cancels_the_main_coroutine() -> None:
    async def main() -> None:
        timer = threading.Timer(0.02, os.kill, [os.getpid(), signal.SIGINT])
        timer.start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            timer.join()

    with pytest.raises(KeyboardInterrupt):
        run_virtual(main())


def test_a_scaled_speed_sleeps_before_each_jump() -> None:
    async def main() -> float:
        for _ in range(10):
            await asyncio.sleep(1.0)
        return asyncio.get_running_loop().time()

    began = real_elapsed_s()
    assert run_virtual(main(), speed=50.0) == pytest.approx(10.0)
    assert real_elapsed_s() - began >= 0.2 * 0.9


def test_a_scaled_speed_is_woken_early_and_keeps_its_pace() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        thread = threading.Timer(0.05, loop.call_soon_threadsafe, [woken.set])
        thread.start()
        sleeper = asyncio.ensure_future(asyncio.sleep(3600.0))
        await woken.wait()
        sleeper.cancel()
        thread.join()
        return loop.time()

    assert 0.4 <= run_virtual(main(), speed=10.0) < 60.0


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    async def main() -> None: ...

    coroutine = main()
    with pytest.raises(ValueError, match="speed"):
        run_virtual(coroutine, speed=speed)
    coroutine.close()


def test_the_virtual_loop_is_named_when_it_is_missing() -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="run_virtual"):
            virtual_loop()

    asyncio.run(main())


def test_a_tcp_connection_to_oneself_needs_no_count() -> None:
    """Loopback sockets show their bytes at once; only what takes the kernel a moment (a pty) needs the rule."""

    async def main() -> tuple[bytes, float]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readline()).upper())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            async with asyncio.timeout(1e-6):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"hello\n")
                line = await reader.readline()
            writer.close()
            await writer.wait_closed()
        return line, asyncio.get_running_loop().time()

    assert run_virtual(main()) == (b"HELLO\n", 0.0)


def test_no_time_passes_while_the_clock_stands_still() -> None:
    """Timers wait; a thread that answers after some real time finds the clock where it was."""

    async def main() -> tuple[float, bool]:
        loop = virtual_loop()
        passed = asyncio.Event()
        loop.call_later(3600.0, passed.set)
        answered = asyncio.Event()
        with loop.standing_still():
            threading.Timer(0.05, loop.call_soon_threadsafe, (answered.set,)).start()
            await answered.wait()
            held_at_s, was_passed = loop.time(), passed.is_set()
        await passed.wait()
        assert loop.time() == pytest.approx(3600.0)
        return held_at_s, was_passed

    assert run_virtual(main()) == (0.0, False)
