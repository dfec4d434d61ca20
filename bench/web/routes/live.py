"""What goes on and on: events, figures, health."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from bench.web.callers import Viewer
from bench.web.figures import figures
from bench.web.office import OfficeOf
from bench.web.problems import Problem
from bench.web.roles import Caller
from bench.web.routes.shapes import Health

router = APIRouter(tags=["live"])
outside = APIRouter(tags=["live"])
#: The bench's loop answers within this, or it is not well.
WELL_S = 2.0
_SEQ = r"^\d{1,15}$"


@router.get("/events", response_class=StreamingResponse)
async def events(
    caller: Viewer,
    office: OfficeOf,
    last_event_id: Annotated[str | None, Header(pattern=_SEQ)] = None,
    after: Annotated[str | None, Query(pattern=_SEQ)] = None,
) -> StreamingResponse:
    """Server-sent events: what happens, and the wall as it changes. Behind ``Last-Event-ID`` (or ``after``) nothing is
    left out, or an event ``missed`` says that something is. A reader that is too slow is dropped, and told."""
    seq = last_event_id or after
    reader = office.feed.open(caller.name, None if seq is None else int(seq))
    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(office.feed.stream(reader), media_type="text/event-stream", headers=headers)


@outside.get("/healthz")
async def healthz(office: OfficeOf) -> Health:
    """Whether the bench's own loop answers. It says nothing else, and so needs no log-in."""
    try:
        async with asyncio.timeout(WELL_S):
            await office.desk.prompts()
    except TimeoutError:
        raise Problem("device", f"the bench did not answer within {WELL_S:g} s", "look at the program's log") from None
    return Health(status="ok")


@outside.get("/metrics", response_class=Response)
async def metrics(request: Request, office: OfficeOf) -> Response:
    """Prometheus' text form. Off loopback it needs a token."""
    if not office.settings.metrics_are_open:
        caller: Caller = office.door.caller(request)
        del caller
    body, kind = figures(office)
    return Response(body, media_type=kind)
