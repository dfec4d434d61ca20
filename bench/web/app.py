"""The application: every route, its document, and the gate around all of it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from bench.web import problems
from bench.web.callers import COOKIE
from bench.web.gate import SAFE_METHODS, Gate
from bench.web.office import Office
from bench.web.problems import MEDIA_TYPE, ProblemModel
from bench.web.roles import Role
from bench.web.routes import asking, bench, live, records, sessions

ROOT = "/api/v1"
STATIC = Path(__file__).parent / "static"
#: What may be asked without a log-in.
OPEN = frozenset({f"{ROOT}/login", "/healthz", "/metrics"})


def routed() -> FastAPI:
    """Every route, without a bench behind it: what the document is made from."""
    app = FastAPI(
        title="Cellbench",
        version=version("cellbench"),
        description="The bench PC's interface. Errors are RFC 9457 problems with a stable `code`. Stop is open to "
        "every role. No state changes by GET. This is a software stop, not an emergency stop.",
        openapi_url=f"{ROOT}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=True,
    )
    problems.add_to(app)
    for part in (bench, asking, records, sessions, live):
        app.include_router(part.router, prefix=ROOT)
    app.include_router(live.outside)
    app.add_api_route("/", _page, include_in_schema=False, response_class=FileResponse)
    app.mount("/static", StaticFiles(directory=str(STATIC)))
    app.openapi = lambda: document(app)  # type: ignore[method-assign] # how FastAPI is told
    return app


def application(office: Office) -> ASGIApp:
    """What the server serves."""
    app = routed()
    app.state.office = office
    return Gate(app, office.settings)


async def _page() -> FileResponse:
    return FileResponse(STATIC / "index.html")


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: FastAPI's, with one problem for every error, and who may call what."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    parts = made.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    shape = ProblemModel.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(shape.pop("$defs", {}))
    schemas["Problem"] = shape
    parts["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    for route in api_routes(app):
        if route.include_in_schema:
            for method in route.methods or ():
                _tell(made["paths"][route.path_format][method.lower()], route)
    app.openapi_schema = made
    return made


def _tell(operation: dict[str, Any], route: RouteContext) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    responses["default"] = {"description": "RFC 9457 problem", "content": {MEDIA_TYPE: problem}}
    role = role_of(route)
    if role is not None:
        operation["x-role"] = role.value
        operation["security"] = [{"bearer": []}, {"cookie": []}]


def api_routes(app: FastAPI) -> list[RouteContext]:
    """Every route of ours as it is asked, those of included routers too."""
    return [route for route in iter_route_contexts(app.routes) if isinstance(route.original_route, APIRoute)]


def role_of(route: RouteContext) -> Role | None:
    """The least role that a route asks for; None: it needs no log-in."""
    found = [getattr(part.call, "needed_role", None) for part in route.dependant.dependencies]
    return next((role for role in found if role is not None), None)


def changing(app: FastAPI) -> list[tuple[str, str, Role | None]]:
    """Every route that may change something: method, path, role."""
    return [
        (method, str(route.path_format), role_of(route))
        for route in api_routes(app)
        for method in sorted(route.methods or ())
        if method not in SAFE_METHODS
    ]
