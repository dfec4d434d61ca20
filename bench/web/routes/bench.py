"""The bench, and what runs on it."""

from __future__ import annotations

from fastapi import APIRouter

from bench.daemon.views import (
    BenchView,
    CellView,
    ChannelView,
    CheckView,
    RunView,
    SampleView,
    SequenceView,
    StartRequest,
)
from bench.web.callers import Operator, Stopper, Viewer
from bench.web.office import Office, OfficeOf
from bench.web.problems import Problem, of_error
from bench.web.roles import Caller, Role, person_key
from bench.web.routes.shapes import Key, Limit, Person, RunId, Search, SignedNote, SomeId, Start

router = APIRouter(tags=["bench"])


@router.get("/benches")
async def benches(_: Viewer, office: OfficeOf) -> list[BenchView]:
    """Everything on the wall, at this instant. One daemon has one bench."""
    return [office.desk.now()]


@router.get("/channels")
async def channels(_: Viewer, office: OfficeOf) -> list[ChannelView]:
    return list(office.desk.now().channels)


@router.get("/channels/{name}")
async def channel(_: Viewer, name: SomeId, office: OfficeOf) -> ChannelView:
    found = next((each for each in office.desk.now().channels if each.name == name), None)
    if found is None:
        raise Problem("unknown", "the bench has no such channel", "GET /api/v1/channels names them")
    return found


@router.get("/sequences")
async def sequences(_: Viewer, office: OfficeOf) -> list[SequenceView]:
    return list(await office.desk.sequences())


@router.get("/cells")
async def cells(_: Viewer, office: OfficeOf) -> list[CellView]:
    return list(await office.desk.cells())


@router.get("/samples")
async def samples(_: Viewer, office: OfficeOf, search: Search = "", limit: Limit = 50) -> list[SampleView]:
    return list(await office.desk.samples(search=search, limit=limit))


@router.post("/check")
async def check(_: Operator, asked: StartRequest, office: OfficeOf) -> CheckView:
    """What would be run, and its hash. Nothing is started."""
    return await office.desk.check(asked)


@router.get("/runs")
async def runs(
    _: Viewer, office: OfficeOf, search: Search = "", limit: Limit = 50, before: Search | None = None
) -> list[RunView]:
    """The newest first; ``before`` goes on behind a run."""
    return list(await office.desk.runs(search=search, limit=limit, before=before))


@router.get("/runs/{run_id}")
async def run(_: Viewer, run_id: RunId, office: OfficeOf) -> RunView:
    return await office.desk.run(run_id)


@router.post("/runs", status_code=201)
async def start(caller: Operator, asked: Start, key: Key, office: OfficeOf) -> RunView:
    """Start, or queue, what was approved. The same key gives the same run again and starts nothing."""
    shown = asked.request.model_dump(mode="json")
    what = {"request": shown, "plan_hash": asked.plan_hash}
    async with office.changing(caller, "run.start", asked.request.channel, new=what, ahead=True) as entry:
        checked = await office.desk.check(asked.request)
        if checked.plan_hash is not None and checked.plan_hash != asked.plan_hash:
            raise Problem(
                "plan-changed", "the plan is not the one that was approved", "look at it and approve it again"
            )
        if checked.two_persons or asked.password is not None:
            entry.signature = await office.signed(caller, asked.password, "start", what)
        if checked.two_persons:
            second = await _second(office, caller, asked.second)
            entry.why = f"with {second}"
            entry.signature = {**(entry.signature or {}), "second": office.signature(second, "start", what)}
        with office.keys.once(key, caller, "run.start", what):
            return await office.desk.start(asked.request, plan_hash=asked.plan_hash, key=key, by=caller.name)


async def _second(office: Office, caller: Caller, second: Person | None) -> str:
    """The name of the other person, proved by a password."""
    if second is None or person_key(second.name) == person_key(caller.name):
        raise Problem("second-person", "a destructive test needs two persons", "let another person sign too")
    user = office.accounts.user(second.name)
    keys = (person_key(second.name), f"second of {person_key(caller.name)}")
    await office.proved(second.name, second.password, "not-signed", office.signing, *keys)
    if user is None or not user.role.holds(Role.OPERATOR):
        raise Problem("second-person", "the second person may not start tests", "let an operator sign")
    return user.name


@router.post("/runs/{run_id}/stop")
async def stop(caller: Stopper, run_id: RunId, office: OfficeOf) -> RunView:
    """A software stop, not an emergency stop. Open to every role and to the local console."""
    try:
        view = await office.desk.stop(run_id, by=caller.name)
    except Exception as error:
        office.note_later(caller, "run.stop", run_id, of_error(error).code)
        raise
    office.note_later(caller, "run.stop", run_id)
    return view


@router.post("/abort")
async def abort(caller: Stopper, office: OfficeOf) -> list[RunView]:
    """Stop every run. Open to every role and to the local console."""
    stopped = await office.desk.abort_all(by=caller.name)
    office.note_later(caller, "bench.abort", office.desk.now().name, new=[view.run_id for view in stopped])
    return list(stopped)


@router.post("/runs/{run_id}/pause")
async def pause(caller: Operator, run_id: RunId, office: OfficeOf) -> RunView:
    """After the step under way."""
    async with office.changing(caller, "run.pause", run_id):
        return await office.desk.pause(run_id, by=caller.name)


@router.post("/runs/{run_id}/resume")
async def resume(caller: Operator, run_id: RunId, office: OfficeOf) -> RunView:
    """Go on with a paused run, or with one that was interrupted, as far as its policy lets it."""
    async with office.changing(caller, "run.resume", run_id, ahead=True):
        return await office.desk.resume(run_id, by=caller.name)


@router.post("/runs/{run_id}/close")
async def close(caller: Operator, run_id: RunId, asked: SignedNote, office: OfficeOf) -> RunView:
    """Give an interrupted run up."""
    async with office.changing(caller, "run.close", run_id, why=asked.note) as entry:
        entry.signature = await office.signed(caller, asked.password, "close", {"run": run_id, "note": asked.note})
        return await office.desk.close_interrupted(run_id, by=caller.name, note=asked.note)
