"""What goes wrong, as RFC 9457 problems: ``code`` is stable and has help, ``detail`` says what, ``fix`` what to do."""

from __future__ import annotations

import traceback

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bench.daemon.desk import DeskRefused
from drivers.errors import BenchError, BenchHeld, ConfigError, Fault, PreflightRefused, RecordError

MEDIA_TYPE = "application/problem+json"

#: Of each code its status and its title.
CODES: dict[str, tuple[int, str]] = {
    "anonymous": (401, "Nobody is logged in"),
    "expired": (401, "The session or token has ended"),
    "wrong-password": (401, "The name or the password is wrong"),
    "not-signed": (403, "The signature's password is wrong"),
    "forbidden": (403, "Your role may not do this"),
    "foreign-host": (403, "The bench is not called by that name"),
    "foreign-origin": (403, "Another page asked for this"),
    "second-person": (403, "This needs another person"),
    "too-many-attempts": (429, "Too many attempts"),
    "too-many-streams": (503, "Too many readers"),
    "invalid": (422, "The request is not as it must be"),
    "bad-json": (400, "The body is not JSON that is taken here"),
    "bad-request": (400, "The request cannot be read"),
    "too-large": (413, "The body is too large"),
    "not-json": (415, "The body is not JSON"),
    "slow-body": (408, "The body did not come"),
    "unknown": (404, "There is no such thing"),
    "wrong-method": (405, "That is not asked this way"),
    "plan-changed": (409, "The plan is not the one that was approved"),
    "key-reused": (409, "The key belongs to another start"),
    "busy": (409, "It is in use"),
    "latched": (409, "The bench is latched"),
    "held": (409, "The channel is held"),
    "not-now": (409, "Not in this state"),
    "refused": (409, "The bench refuses"),
    "out-of-limits": (422, "A value is out of its limits"),
    "safety-alarm": (409, "A safety alarm is never shelved"),
    "config": (422, "Something that was asked for is wrong"),
    "device": (502, "A device failed"),
    "record": (503, "The record cannot be kept"),
    "audit": (503, "The audit trail cannot be kept"),
    "internal": (500, "A fault of this program"),
}
_log = structlog.get_logger("cellbench.web")


class FaultModel(BaseModel):
    error: str
    where: str
    fix: str


class ProblemModel(BaseModel):
    """An RFC 9457 problem."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    fix: str
    faults: list[FaultModel]


class Problem(Exception):
    """A refusal that the caller is told. ``after_s``: when to try again."""

    def __init__(
        self, code: str, detail: str, fix: str = "", *, faults: tuple[Fault, ...] = (), after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.fix = fix
        self.faults = faults
        self.after_s = after_s

    @property
    def status(self) -> int:
        return CODES[self.code][0]


def answer(problem: Problem) -> Response:
    """The problem on the wire."""
    status, title = CODES[problem.code]
    model = ProblemModel(
        type=f"urn:cellbench:problem:{problem.code}",
        title=title,
        status=status,
        detail=problem.detail,
        code=problem.code,
        fix=problem.fix,
        faults=[FaultModel(error=fault.error, where=fault.where, fix=fault.fix) for fault in problem.faults],
    )
    headers = {"cache-control": "no-store"}
    if problem.after_s is not None:
        headers["retry-after"] = str(max(1, round(problem.after_s)))
    if problem.status == 401:
        headers["www-authenticate"] = 'Bearer realm="cellbench"'
    return Response(model.model_dump_json(), status, headers, MEDIA_TYPE)


def of_error(error: Exception) -> Problem:
    """How the bench's own refusals read."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, DeskRefused):
        code = error.code if error.code in CODES else "refused"
        return Problem(code, error.text, error.fix)
    if isinstance(error, BenchError):
        first = error.faults[0]
        return Problem(_code_of(error), f"{first.where}: {first.error}", first.fix, faults=error.faults)
    return Problem("internal", "the program failed; it is written in its log", "tell whoever keeps this bench")


def _code_of(error: BenchError) -> str:
    if isinstance(error, ConfigError):
        return "config"
    if isinstance(error, BenchHeld):
        return "busy"
    if isinstance(error, PreflightRefused):
        return "refused"
    return "record" if isinstance(error, RecordError) else "device"


def add_to(app: FastAPI) -> None:
    """Every error leaves as a problem."""

    async def told(_: Request, error: Exception) -> Response:
        return answer(of_error(error))

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = tuple(
            Fault(str(each["msg"]), ".".join(str(part) for part in each["loc"])[:200], "see /api/v1/openapi.json")
            for each in error.errors()[:50]
        )
        detail = f"{faults[0].where}: {faults[0].error}" if faults else "the request is not as it must be"
        return answer(Problem("invalid", detail, "correct what is named", faults=faults))

    async def plain(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        codes = {404: "unknown", 405: "wrong-method", 413: "too-large", 415: "not-json"}
        if error.status_code in codes:
            told = answer(Problem(codes[error.status_code], "there is nothing there, or not this way"))
            if allowed := (error.headers or {}).get("Allow"):
                told.headers["allow"] = allowed
            return told
        return answer(Problem("bad-request", str(error.detail)[:200]))

    async def failed(request: Request, error: Exception) -> Response:
        # without the values that its frames held: one may be a password
        trace = "".join(traceback.format_exception(error))
        _log.error("request failed", method=request.method, path=ascii(request.url.path), trace=trace)
        return answer(of_error(error))

    for told_of in (Problem, DeskRefused, BenchError):
        app.add_exception_handler(told_of, told)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(Exception, failed)
