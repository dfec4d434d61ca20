"""What was recorded: readings, bundles, reports, the audit trail."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, HTMLResponse, StreamingResponse
from fastapi.responses import Response as PlainResponse

from bench.daemon.views import SeriesView
from bench.web.callers import Engineer, Viewer
from bench.web.office import OfficeOf
from bench.web.problems import Problem
from bench.web.report_beside import report_beside
from bench.web.routes.shapes import AuditRecord, AuditView, FileView, Limit, RunId, Search

router = APIRouter(tags=["records"])
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox allow-modals"
)
_CHUNK = 1 << 18
Moment = Annotated[float | None, Query(ge=-1e12, le=1e12, allow_inf_nan=False)]


@router.get("/readings")
async def readings(
    _: Viewer,
    office: OfficeOf,
    channel: Annotated[str, Query(min_length=1, max_length=120)],
    quantities: Annotated[str, Query(max_length=500, pattern=r"^[\w,]*$")] = "",
    run_id: Annotated[str | None, Query(pattern=r"^\w[\w.\-]{0,199}$")] = None,
    begin_s: Moment = None,
    end_s: Moment = None,
    points: Annotated[int, Query(ge=2, le=5000)] = 600,
) -> SeriesView:
    """Readings of a run, or of what a channel has said lately: the least and greatest of each of ``points`` spans."""
    names = [name for name in quantities.split(",") if name]
    return await office.desk.series(
        run_id=run_id, channel=channel, quantities=names, begin_s=begin_s, end_s=end_s, points=points
    )


@router.get("/bundles/{run_id}")
async def files(_: Viewer, run_id: RunId, office: OfficeOf) -> list[FileView]:
    folder = await office.desk.bundle(run_id)
    return await asyncio.to_thread(
        lambda: [FileView(name=name, bytes=path.stat().st_size) for name, path in _files(folder)]
    )


@router.get("/bundles/{run_id}/files/{name:path}", response_class=FileResponse)
async def one_file(_: Viewer, run_id: RunId, name: str, office: OfficeOf) -> FileResponse:
    """One of those that the bundle holds, by the very name that the list gives it."""
    folder = await office.desk.bundle(run_id)
    path = dict(await asyncio.to_thread(lambda: list(_files(folder)))).get(name)
    if path is None:
        raise Problem("unknown", "the bundle has no such file", f"GET /api/v1/bundles/{run_id} names them")
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


@router.get("/bundles/{run_id}/archive", response_class=StreamingResponse)
async def archive(_: Viewer, run_id: RunId, office: OfficeOf) -> StreamingResponse:
    """The bundle as a zip file: `cellbench verify` holds for what is unpacked from it."""
    folder = await office.desk.bundle(run_id)
    headers = {"content-disposition": f'attachment; filename="{run_id.encode("ascii", "replace").decode()}.zip"'}
    return StreamingResponse(_zipped(folder), media_type="application/zip", headers=headers)


@router.get("/bundles/{run_id}/report", response_class=HTMLResponse)
async def report(_: Viewer, run_id: RunId, office: OfficeOf, lang: Literal["en", "zh"] = "en") -> PlainResponse:
    """The report, made anew from the bundle by a program of its own."""
    folder = await office.desk.bundle(run_id)
    html = await report_beside(folder, lang)
    return HTMLResponse(html, headers={"content-security-policy": REPORT_POLICY})


@router.get("/audit")
async def audit(
    _: Engineer,
    office: OfficeOf,
    search: Search = "",
    limit: Limit = 100,
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> AuditView:
    """The trail of changes, followed from its beginning."""
    trail = await office.on_disk(office.audit.check)
    wanted = search.casefold()
    found: list[AuditRecord] = []
    for record in reversed(trail.records):
        if before is not None and record["seq"] >= before:
            continue
        shown = AuditRecord(**{name: record.get(name) for name in AuditRecord.model_fields})
        if wanted in f"{shown.act} {shown.on} {shown.who} {shown.why}".casefold():
            found.append(shown)
        if len(found) >= limit:
            break
    return AuditView(
        records=tuple(found), count=len(trail.records), head=trail.head, broken=trail.broken, why=trail.why
    )


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Plain files of the bundle itself, whose names can be read: links lead nowhere."""
    for path in sorted(folder.rglob("*")):
        if (
            path.relative_to(folder).as_posix().isprintable()
            and path.is_file()
            and not any(part.is_symlink() for part in (path, *path.parents) if part.is_relative_to(folder))
        ):
            yield path.relative_to(folder).as_posix(), path


class _Sink:
    """What a zip writer writes into; it can neither seek nor tell."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        return

    def taken(self) -> bytes:
        parts, self.parts = self.parts, []
        return b"".join(parts)


def _zipped(folder: Path) -> Iterator[bytes]:
    """In pieces, so that a bundle of months takes no more memory than one of minutes."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as kept:  # type: ignore[call-overload]
        for name, path in _files(folder):
            entry = zipfile.ZipInfo.from_file(path, f"{folder.name}/{name}", strict_timestamps=False)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as source, kept.open(entry, "w", force_zip64=True) as target:
                while piece := source.read(_CHUNK):
                    target.write(piece)
                    yield sink.taken()
    yield sink.taken()
