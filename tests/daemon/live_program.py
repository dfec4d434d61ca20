"""A daemon on a bench's own wires, as a program: the process that is started is its guardian, its child the daemon.

``python -m tests.daemon.live_program BENCH DATA SOCKET [web]``: people come in over a unix socket at SOCKET, one JSON
object a line: ``{"call": "start", ...}``; the answer is one line as well, an object with ``ok`` or with ``refused``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from bench.daemon.desk import Desk, DeskRefused
from bench.daemon.serving import in_thread, serve
from bench.daemon.settings import DeskSettings
from bench.daemon.views import PromptAnswer, StartRequest
from bench.guardian.link import is_child
from bench.guardian.process import guard
from drivers.errors import BenchError

MODULE = "tests.daemon.live_program"
Beside = Callable[[Desk], AbstractContextManager[object]]


def at_socket(path: Path) -> Beside:
    """Serve the desk at a unix socket until the daemon ends."""

    def enter(desk: Desk) -> AbstractContextManager[object]:
        return in_thread(partial(_serve, desk, path), "people")

    return enter


async def _serve(desk: Desk, path: Path, stop: asyncio.Event) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(orjson.dumps(await _answer(desk, orjson.loads(line))) + b"\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(talk, path, limit=1 << 22)
    await stop.wait()
    server.close()


async def _answer(desk: Desk, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"ok": _plain(await _CALLS[asked.pop("call")](desk, **asked))}
    except DeskRefused as error:
        return {"refused": error.code, "text": error.text}
    except BenchError as error:
        return {"refused": type(error).__name__, "text": str(error)}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None else str(value)


async def _start(desk: Desk, *, key: str, by: str, **asked: Any) -> Any:
    request = StartRequest(**asked)
    found = await desk.check(request)
    if found.plan_hash is None:
        return found
    return await desk.start(request, plan_hash=found.plan_hash, key=key, by=by)


async def _now(desk: Desk) -> Any:
    return desk.now()


async def _reply(desk: Desk, *, prompt_id: str, by: str) -> Any:
    await desk.answer(prompt_id, PromptAnswer(yes=True), by=by)


_CALLS: Mapping[str, Callable[..., Awaitable[Any]]] = {
    "now": _now,
    "start": _start,
    "reply": _reply,
    "run": lambda desk, **asked: desk.run(**asked),
    "runs": lambda desk, **asked: desk.runs(**asked),
    "stop": lambda desk, **asked: desk.stop(**asked),
    "abort_all": lambda desk, **asked: desk.abort_all(**asked),
    "prompts": lambda desk, **asked: desk.prompts(**asked),
    "alarms": lambda desk, **asked: desk.alarms(**asked),
    "bundle": lambda desk, **asked: desk.bundle(**asked),
    "close_interrupted": lambda desk, **asked: desk.close_interrupted(**asked),
    "unlatch": lambda desk, **asked: desk.unlatch(**asked),
}


def _beside(data: Path, path: Path, asked: Sequence[str]) -> Iterator[Beside]:
    """Asked for ``web``, the page is there before the socket is."""
    if "web" in asked:
        from bench.web.apart import web_apart
        from bench.web.settings import WebSettings

        yield web_apart(data, WebSettings(port=0))
    yield at_socket(path)


def main(arguments: list[str]) -> int:
    if not is_child(os.environ):
        return guard((sys.executable, "-m", MODULE, *arguments), os.environ).code
    bench, data, path = map(Path, arguments[:3])
    own = {f"tests/{each.stem}": each for each in Path(__file__).parent.glob("*.yaml")}
    try:
        serve(DeskSettings(bench, data, "live", sequences=own), beside=tuple(_beside(data, path, arguments[3:])))
    except BenchError as error:
        for fault in error.faults:
            print(f"{fault.where}: {fault.error}; {fault.fix}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
