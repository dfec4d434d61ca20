"""The HTML report of a run, made from its bundle alone; the page needs no network and no other file.

The same bundle (with the same amendments) gives the same page: nothing in it depends on when or where it is rendered.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, Template

from bench import record, stroke_table
from bench.printed import duration, number
from bench.record import Event, Record
from bench.report import abuse, first_out, gather, words
from bench.report.abuse_figures import aftermath_figures, stroke_figures
from bench.report.figures import discharge_curves, legend_of, time_plots
from bench.report.marked_events import MARKED, said
from bench.report.phrases import speaking
from bench.report.step_table import steps_of, table_of
from bench.report.wording import Language
from drivers.errors import RecordError

__all__ = ["render"]

#: Events of these kinds are listed at most so often; the rest is in events.jsonl.
MOST_EVENTS = 60


def render(folder: Path, language: Language = "en") -> str:
    """The report of a bundle, closed or interrupted, with what was added to it since: in English with Chinese beside
    its headings, or in Chinese.

    Raises RecordError if the folder's record cannot be read.
    """
    kept = record.load(folder, most_rows=record.SHOWN_ROWS)
    try:
        files = gather.read_files(kept)
        with speaking(language):
            return _template().render(_context(kept, files), lang=language)
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise RecordError(
            f"no report can be made of it: {type(error).__name__}: {error}",
            str(folder),
            "run `cellbench verify` on it; it names what was altered",
        ) from error


def _context(kept: Record, files: gather.Files) -> dict[str, Any]:
    found = steps_of(kept)
    clauses = gather.clause_rows(kept, files)
    result = files.now
    verdict = str(result.get("verdict") or "none")
    marked = [event for event in kept.events if event.kind in MARKED]
    return {
        "record": kept,
        "header": kept.header,
        "simulated": kept.header.get("mode") == "simulated",
        "result": result,
        "verdict": verdict,
        "verdict_words": words.verdict(verdict, clauses, result),
        "ended": words.ended(result.get("ended_by") or {}),
        "sequence": files.sequence,
        "bench": files.bench,
        "cell": files.cell,
        "sample": files.sample,
        "software": _software(files.environment),
        "sealed_verdict": str(files.result.get("verdict") or "none"),
        **_abuse(kept, files, marked),
        "warnings": files.plan.get("warnings") or [],
        "mass": gather.mass(files),
        "clauses": clauses,
        "results": gather.result_rows(files),
        "parameters": gather.parameters(files),
        "entries": gather.entries(kept, files),
        "devices": gather.devices(kept, files),
        "calibrations": gather.calibrations(files, kept.start_utc_s),
        "steps": table_of(found),
        "plots": [(plot, svg, legend_of(plot)) for plot, svg in time_plots(kept, found, marked)],
        "discharges": discharge_curves(kept, found),
        "events": [
            {
                "at": duration(event.mono_s - kept.start_s),
                "sign": MARKED[event.kind][0],
                "text": said(event),
            }
            for event in marked[:MOST_EVENTS]
        ],
        "more_events": max(len(marked) - MOST_EVENTS, 0),
        "safe_state": gather.safe_state(kept),
        "first_out": first_out.inputs(kept),
        "first_out_figure": first_out.figure(kept),
        "begun": gather.utc(kept.start_utc_s),
        "ended_at": gather.utc(kept.events[-1].utc_s),
        "test_time": duration(result.get("test_s")),
        "rows": kept.row_count,
        "css": _package_text("report.css"),
        "number": number,
        "words": words,
    }


def _abuse(kept: Record, files: gather.Files, marked: list[Event]) -> dict[str, Any]:
    """What only the test of a sample to its end has to say."""
    tables = stroke_table.strokes(kept)
    contact_mm = {event.data["stroke"]: event.data.get("contact_mm") for event in kept.of("stroke_ended")}
    return {
        "judgements": abuse.judgements(kept, files.sequence, files.added),
        "attachments": abuse.attachments(files.added),
        "amendments": len(files.added.amendments),
        "amendments_broken": [str(problem) for problem in files.added.problems],
        "hazard": abuse.hazard(files.now),
        "handover": abuse.handover(kept),
        "aftermath": abuse.aftermath(kept),
        "aftermath_figures": aftermath_figures(kept, marked),
        "strokes": abuse.strokes(kept, tables),
        "stroke_figures": [
            figure for table in tables for figure in stroke_figures(kept, table, contact_mm.get(table.number))
        ],
    }


def _software(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and versions, this program first."""
    packages = environment.get("packages")
    named = {**(packages if isinstance(packages, dict) else {}), **environment}
    return [(name, version) for name, version in named.items() if isinstance(version, str)]


def _package_text(name: str) -> str:
    return package_files(__name__).joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FunctionLoader(_package_text),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2")
