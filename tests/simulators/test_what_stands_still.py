"""A program that stands still keeps nothing of its bench from going on."""

from __future__ import annotations

import asyncio

from simulators.turns import BENCH, Turns
from simulators.virtual_time import run_virtual


def test_what_a_task_of_the_bench_makes_goes_on_while_the_program_stands_still() -> None:
    """asyncio makes tasks without a name where a server resolves its address: a wire that is plugged in again."""

    async def main() -> tuple[bool, bool]:
        loop = asyncio.get_running_loop()
        turns = Turns()
        turns.install(loop)

        async def plugged_in() -> str:
            (server,) = await asyncio.gather(asyncio.start_server(lambda *_: None, "127.0.0.1", 0))
            server.close()
            return "up"

        program = loop.create_task(asyncio.sleep(1.0), name="the run")
        turns.freeze()
        bench = loop.create_task(plugged_in(), name=f"{BENCH}heal")
        await asyncio.sleep(5.0)
        ends = bench.done(), program.done()
        turns.thaw()
        await asyncio.wait([bench, program])
        loop.set_task_factory(None)
        return ends

    assert run_virtual(main()) == (True, False)
