"""Writers that are killed. Run as a program: it forks one writer after the other, each a fresh record.

``python -m tests.durability.killed FOLDER COUNT SEED`` prints, for each, what the writer had been acknowledged when it
was killed: a line ``number acknowledged-events acknowledged-rows``. The writers are forks, so that a thousand take a
minute and not an hour; each is killed after a number of acknowledgements and a busy moment that the seed draws. Every
other one writes and seals in threads beside its loop.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

from bench import log as log_module
from bench.log import AT_ONCE, IN_THREADS, Besides, RunLog
from tests.bench.synthetic_run import Time

#: Rows in a window, so that windows change and segments are made while the writer is killed.
WINDOW_ROWS = 12
AT_MOST = 60


def write(folder: Path, acknowledge: int, beside: Besides) -> None:
    """Write until killed; after every event that returned, tell how many there are and how many rows came before."""

    async def main() -> None:
        log = RunLog.create(folder, Time().clock, durable=True, header={"run_id": "1", "mode": "live"}, beside=beside)
        log.open_readings(["v", "i"])
        number = 0
        while True:
            for at in range(3):
                log.row([3.0 * number + at, 0.0, 1, 3.7, float(number)])
                log.tick()
            log.event("tick", number=number)
            number += 1
            os.write(acknowledge, b".")
            await asyncio.sleep(0)  # what threads have done is told

    asyncio.run(main())


def killed(folder: Path, rng: random.Random, beside: Besides) -> int:
    """How many events one writer was acknowledged before it died."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            write(folder, writing, beside)
        finally:
            os._exit(3)
    os.close(writing)
    wanted, seen = rng.randrange(AT_MOST), 0
    while seen < wanted and (told := os.read(reading, 4096)):
        seen += len(told)
    for _ in range(rng.randrange(30_000)):  # somewhere inside the next record
        pass
    os.kill(child, signal.SIGKILL)
    while told := os.read(reading, 4096):
        seen += len(told)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), status
    return seen


def main() -> None:
    folder, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    log_module.WINDOW_ROWS, log_module.FLUSH_S = WINDOW_ROWS, 0.0
    rng = random.Random(seed)
    for number in range(count):
        beside = IN_THREADS if number % 2 else AT_ONCE
        print(number, killed(folder / str(number), rng, beside), flush=True)


if __name__ == "__main__":
    main()
