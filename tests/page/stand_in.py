"""What the page speaks to, as small as it can be, before a paper desk: with the real gate and the real problems."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

import bench.web
from bench.daemon.serving import in_thread
from bench.daemon.views import PromptAnswer, StartRequest
from bench.web import problems
from bench.web.feed import Feed
from bench.web.gate import Gate
from bench.web.problems import Problem
from bench.web.settings import WebSettings
from tests.page.paper_desk import PaperDesk

STATIC = str(Path(bench.web.__file__).parent / "static")
PASSWORD = "right horse"
PEOPLE = {"lin": "operator", "wang": "engineer", "root": "admin", "shen": "safety"}
COOKIE = "who"


def _who(request: Request) -> str:
    name = request.cookies.get(COOKIE, "")
    if name not in PEOPLE:
        raise Problem("anonymous", "nobody is logged in", "log in")
    if request.method != "GET" and request.headers.get("x-cellbench") != "1":
        raise Problem("foreign-origin", "the page's own header is missing")
    return name


def _signed(name: str, password: object) -> None:
    if password != PASSWORD or name not in PEOPLE:
        raise Problem("not-signed", f"that is not {name}'s password", "enter it again")


def app_of(desk: PaperDesk, feed: Feed) -> Any:  # noqa: C901 - one closure a route
    app = FastAPI(openapi_url=None)
    problems.add_to(app)
    root = "/api/v1"

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(f"{STATIC}/index.html")

    @app.post(f"{root}/login")
    async def login(request: Request) -> JSONResponse:
        body = await request.json()
        if body["password"] != PASSWORD or body["name"] not in PEOPLE:
            raise Problem("wrong-password", "the name or the password is wrong", "type both again")
        answer = JSONResponse({})
        answer.set_cookie(COOKIE, body["name"], httponly=True, samesite="strict")
        return answer

    @app.post(f"{root}/logout")
    async def logout() -> JSONResponse:
        answer = JSONResponse({})
        answer.delete_cookie(COOKIE)
        return answer

    @app.get(f"{root}/events")
    async def events(request: Request) -> StreamingResponse:
        return StreamingResponse(feed.stream(feed.open(_who(request), None)), media_type="text/event-stream")

    @app.get(f"{root}/readings")
    async def readings(request: Request, channel: str, quantities: str = "", points: int = 600) -> Any:
        _who(request)
        names = [name for name in quantities.split(",") if name]
        return await desk.series(
            run_id=None, channel=channel, quantities=names, begin_s=None, end_s=None, points=points
        )

    @app.get(f"{root}/bundles/{{run_id}}/report")
    async def report(request: Request, run_id: str) -> HTMLResponse:
        _who(request)
        return HTMLResponse((await desk.bundle(run_id) / "report.html").read_text())

    @app.get(f"{root}/{{what}}")
    async def listed(request: Request, what: str, search: str = "") -> Any:
        name = _who(request)
        if what == "me":
            return {"name": name, "role": PEOPLE[name]}
        if what == "benches":
            return [desk.now()]
        if what == "users":
            return [
                {"name": each, "role": role, "disabled": False, "created_utc_s": 1.8e9} for each, role in PEOPLE.items()
            ]
        if what in ("runs", "samples"):
            return await getattr(desk, what)(search=search)
        if what in ("prompts", "alarms", "sequences", "cells"):
            return await getattr(desk, what)()
        raise Problem("unknown", f"there is no {what}")

    @app.get(f"{root}/runs/{{run_id}}")
    async def run(request: Request, run_id: str) -> Any:
        _who(request)
        return await desk.run(run_id)

    @app.post(f"{root}/check")
    async def check(request: Request, asked: StartRequest) -> Any:
        _who(request)
        return await desk.check(asked)

    @app.post(f"{root}/runs")
    async def start(request: Request) -> Any:
        name, body = _who(request), await request.json()
        asked = StartRequest.model_validate(body["request"])
        if (await desk.check(asked)).two_persons:
            _signed(name, body["password"])
            _signed(body["second"]["name"], body["second"]["password"])
            if name == body["second"]["name"]:
                raise Problem("second-person", "both are one")
        return await desk.start(asked, plan_hash=body["plan_hash"], key=request.headers["idempotency-key"], by=name)

    @app.post(f"{root}/abort")
    async def abort(request: Request) -> Any:
        return await desk.abort_all(by=_who(request))

    @app.post(f"{root}/runs/{{run_id}}/{{act}}")
    async def act_on(request: Request, run_id: str, act: str) -> Any:
        return await getattr(desk, act)(run_id, by=_who(request))

    @app.post(f"{root}/prompts/{{prompt_id}}/answer")
    async def answer(request: Request, prompt_id: str) -> Any:
        name, body = _who(request), await request.json()
        if "password" in body:
            _signed(name, body.pop("password"))
        await desk.answer(prompt_id, PromptAnswer.model_validate(body), by=name)

    @app.post(f"{root}/alarms/{{alarm_id}}/acknowledge")
    async def acknowledge(request: Request, alarm_id: str) -> Any:
        return await desk.acknowledge(alarm_id, by=_who(request))

    app.mount("/static", StaticFiles(directory=STATIC))
    return Gate(app, WebSettings())


@contextmanager
def served(desk: PaperDesk) -> Iterator[str]:
    """On loopback, in a thread of its own; gives the page's address."""
    feed = desk.feed = Feed(desk, WebSettings())
    config = uvicorn.Config(
        app_of(desk, feed), port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    socket = config.bind_socket()

    async def serving(stop: asyncio.Event) -> None:
        feed.begin()
        main = asyncio.create_task(server._serve([socket]))
        await stop.wait()
        await feed.close()
        server.should_exit = True
        await main

    with in_thread(serving, "page"):
        yield f"http://127.0.0.1:{socket.getsockname()[1]}/"
