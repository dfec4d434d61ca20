"""``cellbench judge``: a person's answer to a question that a closed run left open, or answered otherwise."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bench.cli.ending import examples_of, output, print_json, progress, told
from bench.cli.options import DATA, JSON, RUN
from drivers import real_elapsed_s, system_clock

if TYPE_CHECKING:
    from bench.results import JudgementResult


class Answer(StrEnum):
    YES = "yes"
    NO = "no"


def add_to(app: typer.Typer) -> None:
    app.command(
        "judge",
        epilog=examples_of(
            "cellbench judge cellbench-data/runs/0002-gbt31485-2015-nail-penetration fire no "
            '--by "Wang Fang" --note "video 3, 00:12 to 01:10:00"'
        ),
    )(command)


def command(
    run: RUN,
    criterion: Annotated[str, typer.Argument(help="A question's name, or the id of the criterion that rests on it.")],
    answer: Annotated[Answer, typer.Argument(help="The answer to the question: did it happen?")],
    by: Annotated[str, typer.Option("--by", help="Who judges.")],
    note: Annotated[str, typer.Option("--note", help="What was looked at: the view, a video, a detector.")],
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Add a person's judgement to a closed run. Nothing that is sealed changes; exit code: that of the new verdict.

    A question that was answered before is answered anew: the new answer names the one that it takes the place of, and
    both stay.
    """
    with told(as_json=as_json):
        from bench.data_folder import DataFolder
        from bench.later_evidence import judge

        result = judge(
            run,
            criterion,
            answer=answer is Answer.YES,
            by=by,
            note=note,
            utc_s=system_clock(real_elapsed_s).utc_s(),
            key=DataFolder.choose(data, os.environ).seal_key(),
        )
        if not result.awaiting:
            result = result.model_copy(update={"sample_state": _sample_judged(run, data)})
        if as_json:
            print_json(result)
        else:
            _show(result)
        raise typer.Exit(result.exit_code)


def _sample_judged(run: Path, data: Path | None) -> str | None:
    """A real sample that only waited for this is now what its test made of it; None where nothing was changed."""
    from bench import record, run_sample
    from bench.data_folder import DataFolder

    header = record.load(run).header
    if header.get("mode") != "live":
        return None
    store = DataFolder.choose(data, os.environ).samples
    state = run_sample.judged(store, str(header.get("sample", "")), str(header.get("run_id", "")))
    return None if state is None else state.value


def _show(result: JudgementResult) -> None:
    from bench.report.words import VERDICTS

    output.print(f"{result.question}: {'yes' if result.answer else 'no'}, by {result.by}", markup=False, soft_wrap=True)
    if result.supersedes is not None:
        output.print(f"in place of the answer in {result.supersedes}; both stay", markup=False, soft_wrap=True)
    if result.contradicted_by:
        said = ", ".join(result.contradicted_by)
        progress.print(f"[bold]contradicted by {escape(said)}: the question stays undecided[/bold]")
    before, now = (" ".join(VERDICTS[word]) for word in (result.verdict_before, result.verdict))
    output.print(f"verdict {now} (before: {before})", markup=False, soft_wrap=True)
    if result.awaiting:
        output.print(f"AWAITING JUDGEMENT 待判定: {', '.join(result.awaiting)}", markup=False, soft_wrap=True)
    if result.sample_state is not None:
        output.print(f"the sample's record now says {result.sample_state}", markup=False)
    output.print(f"added {result.bundle}/{result.amendment}", markup=False, soft_wrap=True)
    output.print(f"`cellbench report {result.bundle}` writes a report that shows it", markup=False, soft_wrap=True)
