"""From what a person asks for to a plan, and the hash by which a start names what was approved."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable

import orjson

from bench.binding.steps import where_is
from bench.daemon.desk import DeskRefused
from bench.daemon.settings import DeskSettings
from bench.daemon.views import CheckView, FaultView, StartRequest, Words
from bench.plan import Plan
from bench.run import Order, Prepared, prepare
from drivers.errors import BenchError, ConfigError
from sequences.language import Phase, SequenceClass
from sequences.tree import numbered

#: What a sequence is called; anything else would be a path.
_ID = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")


def order_of(request: StartRequest, settings: DeskSettings, *, by: str | None = None) -> Order:
    """Raises DeskRefused for a cell or a sequence that the daemon does not know."""
    cell = settings.cells.get(request.cell)
    if cell is None:
        known = ", ".join(settings.cells) or "none"
        raise DeskRefused("unknown", f"no cell file is called {request.cell!r}", f"known: {known}")
    own = settings.sequences.get(request.sequence)
    if own is None and not _ID.fullmatch(request.sequence):
        raise DeskRefused("unknown", f"{request.sequence!r} is no sequence's id", "look at the list of sequences")
    return Order(
        sequence=request.sequence if own is None else str(own),
        bench=settings.bench,
        cell=cell,
        simulate=settings.mode == "simulated",
        channel=request.channel,
        sample=request.sample,
        operator=by,
        overrides=request.overrides,
        seed=request.seed,
        start_utc_s=settings.start_utc_s,
        data=settings.data,
    )


def prepared(order: Order) -> Prepared:
    """As :func:`bench.run.prepare`. Raises ConfigError."""
    return prepare(order, os.environ)


def plan_hash(plan: Plan) -> str:
    """SHA-256 of the plan's document, in one form whatever the order of its keys."""
    text = orjson.dumps(plan.document(), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()


def checked(request: StartRequest, settings: DeskSettings, make: Callable[[Order], Prepared] = prepared) -> CheckView:
    """What would be run, or every fault. Raises DeskRefused."""
    order = order_of(request, settings)
    try:
        plan = make(order).plan
    except ConfigError as error:
        return CheckView(request=request, plan_hash=None, faults=fault_views(error))
    sequence = plan.sequence
    steps = tuple((where_is(sequence, number, step), step) for number, step in numbered(sequence.steps))
    abuse = sequence.class_ is SequenceClass.ABUSE
    return CheckView(
        request=request,
        plan_hash=plan_hash(plan),
        title=Words(en=sequence.title.en, zh=sequence.title.zh),
        summary=(sequence.summary.en, *(f"{each.name}: {each.text}" for each in plan.parameters)),
        steps=tuple(where for where, _ in steps),
        hazards=(*(where for where, step in steps if step.phase is Phase.STIMULUS), *plan.takes_away),
        two_persons=abuse,
        estimated_s=plan.estimate_s,
        warnings=plan.warnings,
    )


def fault_views(error: BenchError) -> tuple[FaultView, ...]:
    return tuple(FaultView(error=fault.error, where=fault.where, fix=fault.fix) for fault in error.faults)
