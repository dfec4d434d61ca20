"""Closing a run beside others: tables, report and seal are made by a process of their own.

They are minutes of work for a run of months. In a thread they would hold up the loop that watches the other channels,
since Python runs one thread at a time; and what such a process took of memory is given back with its end.

It goes on when its program dies, and so it holds the bundle's lock, without a gap and as long as it lives: until then
the bundle is owned, and nobody else closes it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from bench import bundle
from bench.log import AT_ONCE, Heads, RunLog
from bench.results import RunResult
from bench.seal_key import SealKey
from drivers.errors import RecordError

#: Whoever watches a channel goes first.
_NICE = 10
_AGAIN = "the logs in the folder are good, the run can be read but is not sealed; `cellbench verify` says how far"


async def sealed(log: RunLog, result: RunResult, *, key: SealKey | None = None) -> Path:
    """What :func:`bench.bundle.seal` does, without holding the loop up; in virtual time that very function.

    Raises RecordError; the bundle is then not closed, and sealing it may be repeated. Cancelled, it ends its process.
    """
    if log.beside is AT_ONCE:
        return bundle.seal(log, result, key=key)
    await log.settle()
    try:
        held = log.share_lock()
    except OSError as error:
        log.close()
        raise _no_process(log.folder, error) from None
    try:
        heads = log.close()
        if log.failed is not None:
            raise log.failed
        child = await _child(log.folder, held)
    finally:
        if held is not None:
            os.close(held)
    order = {
        "folder": str(log.folder),
        "heads": asdict(heads),
        "result": result.model_dump_json(by_alias=True),
        "durable": log.durable,
        "keys": None if key is None else str(key.folder),
    }
    try:
        told, _ = await child.communicate(orjson.dumps(order))
    except BaseException:
        if child.returncode is None:
            child.kill()
        raise
    return _told(log.folder, told, child.returncode)


async def _child(folder: Path, held: int | None) -> Process:
    """The process that seals, with the bundle's lock. Raises RecordError: the machine has none to give."""
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.sealing",
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=() if held is None else (held,),
            start_new_session=True,  # Ctrl-C is the program's, which may be watching other channels
        )
    except (OSError, ValueError) as error:
        raise _no_process(folder, error) from None
    with suppress(OSError):  # it is over already
        os.setpriority(os.PRIO_PROCESS, child.pid, _NICE)
    return child


def _no_process(folder: Path, error: Exception) -> RecordError:
    return RecordError(f"no process to seal it can be started: {error}", str(folder), _AGAIN)


def _told(folder: Path, told: bytes, code: int | None) -> Path:
    answer: Any = None
    if code == 0:
        with suppress(ValueError):  # it did not end its sentence
            answer = orjson.loads(told)
    if not isinstance(answer, dict):
        answer = {}
    if "manifest" in answer:
        return Path(answer["manifest"])
    said, where, fix = answer.get("refused") or (f"the process that seals ended with {code}", str(folder), _AGAIN)
    raise RecordError(said, where, fix)


def carried_out(order: dict[str, Any]) -> dict[str, Any]:
    """The child's part: seal a closed log, and say which manifest it is or what was refused."""
    heads = Heads(**{**order["heads"], "suspect": tuple(order["heads"]["suspect"])})
    try:
        key = None if order["keys"] is None else SealKey.at(Path(order["keys"]))
        result = RunResult.model_validate_json(order["result"])
        made = bundle.finish(Path(order["folder"]), heads, result, durable=order["durable"], key=key)
    except RecordError as error:
        fault = error.faults[0]
        return {"refused": (fault.error, fault.where, fault.fix)}
    return {"manifest": str(made)}


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(carried_out(orjson.loads(sys.stdin.buffer.read()))))
