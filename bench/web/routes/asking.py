"""What the bench asks of people, and what people answer: prompts, judgements, alarms, the latch."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from bench.daemon.views import AlarmView, JudgementView, NoteView, PromptAnswer, PromptView
from bench.web.callers import Engineer, Operator, Safety, Viewer
from bench.web.office import Office, OfficeOf
from bench.web.problems import Problem
from bench.web.roles import Caller
from bench.web.routes.shapes import (
    Answer,
    Judgement,
    Limit,
    MaybeKey,
    NewNote,
    RunId,
    Shelving,
    SignedNote,
    SomeId,
    Unlatched,
)

router = APIRouter(tags=["people's answers"])
Closed = Annotated[bool, Query()]


@router.get("/prompts")
async def prompts(_: Viewer, office: OfficeOf) -> list[PromptView]:
    return list(await office.desk.prompts())


@router.post("/prompts/{prompt_id}/answer", status_code=204)
async def answer(caller: Operator, prompt_id: SomeId, asked: Answer, office: OfficeOf) -> None:
    """What is marked ``signed`` or hazardous, and every judgement, takes the password again."""
    prompt = next((each for each in await office.desk.prompts() if each.prompt_id == prompt_id), None)
    if prompt is None:
        raise Problem("unknown", "nobody asks that any more", "look at what is asked now")
    given = PromptAnswer(yes=asked.yes, entries=asked.entries, note=asked.note)
    what = {"prompt": prompt.model_dump(mode="json"), "answer": given.model_dump(mode="json")}
    async with office.changing(
        caller, "prompt.answer", prompt_id, new=what["answer"], why=asked.note, ahead=prompt.hazardous
    ) as entry:
        if prompt.signed or (asked.yes and prompt.hazardous) or prompt.kind == "judge":
            entry.signature = await office.signed(caller, asked.password, prompt.kind, what)
        await office.desk.answer(prompt_id, given, by=caller.name)


@router.post("/runs/{run_id}/judgements", status_code=201)
async def judge(caller: Engineer, run_id: RunId, asked: Judgement, office: OfficeOf) -> JudgementView:
    """A person's judgement on a closed run, added to its bundle as an amendment."""
    what = {"run": run_id, "question": asked.question, "answer": asked.answer, "note": asked.note}
    async with office.changing(caller, "run.judge", run_id, new=what, why=asked.note) as entry:
        entry.signature = await office.signed(caller, asked.password, "judgement", what)
        view = await office.desk.judge(run_id, asked.question, answer=asked.answer, note=asked.note, by=caller.name)
        entry.old = {"verdict": view.verdict_before}
        return view


@router.get("/alarms")
async def alarms(_: Viewer, office: OfficeOf, *, closed: Closed = False) -> list[AlarmView]:
    return list(await office.desk.alarms(closed=closed))


@router.post("/alarms/{alarm_id}/acknowledge")
async def acknowledge(caller: Operator, alarm_id: SomeId, office: OfficeOf) -> AlarmView:
    async with office.changing(caller, "alarm.acknowledge", alarm_id):
        return await office.desk.acknowledge(alarm_id, by=caller.name)


@router.post("/alarms/{alarm_id}/shelve")
async def shelve(caller: Engineer, alarm_id: SomeId, asked: Shelving, office: OfficeOf) -> AlarmView:
    """Put aside for a time. A safety alarm never is."""
    async with office.changing(caller, "alarm.shelve", alarm_id, new={"for_s": asked.for_s}, why=asked.why):
        return await office.desk.shelve(alarm_id, by=caller.name, for_s=asked.for_s, why=asked.why)


@router.post("/ack")
async def unlatch(caller: Safety, asked: SignedNote, office: OfficeOf) -> Unlatched:
    """Acknowledge the trips that latch the bench, as ``cellbench ack`` does."""
    bench = office.desk.now().name
    async with office.changing(caller, "bench.unlatch", bench, why=asked.note, ahead=True) as entry:
        entry.signature = await office.signed(caller, asked.password, "unlatch", {"bench": bench, "note": asked.note})
        done = tuple(await office.desk.unlatch(by=caller.name, note=asked.note))
        entry.old = list(done)
        return Unlatched(acknowledged=done)


@router.get("/notes")
async def notes(_: Viewer, office: OfficeOf, limit: Limit = 50) -> list[NoteView]:
    """What was written down for the next shift, the newest first."""
    return list(await office.desk.notes(limit=limit))


@router.post("/notes", status_code=201)
async def add_note(caller: Operator, asked: NewNote, office: OfficeOf, key: MaybeKey = None) -> NoteView:
    """Write something down for the next shift. With an ``Idempotency-Key`` the same note is written down once."""
    if key is None:
        return await _noted(caller, asked, office)
    with office.keys.once(key, caller, "note.add", asked.text) as once:
        if once.given is None:
            once.given = asyncio.ensure_future(_noted(caller, asked, office))
        view: NoteView = await asyncio.shield(once.given)
        return view


async def _noted(caller: Caller, asked: NewNote, office: Office) -> NoteView:
    async with office.changing(caller, "note.add", office.desk.now().name, new={"text": asked.text}):
        return await office.desk.add_note(asked.text, by=caller.name)
