"""What a person sees while a run goes on, and when it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bench.judging import closed
from bench.observing import Message, Observation, Progress, StepEnded, StepStarted
from bench.printed import between, duration, number
from bench.report.words import ANSWERS, VERDICTS
from sequences.language import Repeat, RepeatUntilStable, Step
from sequences.tree import numbered

if TYPE_CHECKING:
    from bench.results import RunResult
    from bench.run import Prepared

STYLES = {"pass": "bold green", "fail": "bold red"}
#: How every verdict is shown that says nothing against the sample and nothing for it.
UNDECIDED = "bold yellow"


@dataclass
class Node:
    """One line of the step tree. ``key`` is the place in the sequence, without the turns of repeats."""

    key: tuple[int, ...]
    title: str
    at_most: int | None = None
    turn: int = 0
    begun: bool = False
    note: Text | None = None


def tree_of(steps: tuple[Step, ...]) -> list[Node]:
    """The sequence's steps, top down, each repeat before its steps."""
    return [Node(number, _title(step), _at_most(step)) for number, step in numbered(steps)]


def _title(step: Step) -> str:
    return step.title.en if step.title is not None else step.id or step.kind.replace("_", " ")


def _at_most(step: Step) -> int | None:
    """The turns of a repeat."""
    match step:
        case Repeat():
            return step.count
        case RepeatUntilStable():
            return step.at_most
        case _:
            return None


class RunView:
    """Draws the run on a terminal; on anything else it writes a line a step."""

    def __init__(self, prepared: Prepared, console: Console) -> None:
        self._prepared = prepared
        self._console = console
        self._nodes = {node.key: node for node in tree_of(prepared.plan.sequence.steps)}
        self._active: tuple[int, ...] = ()
        self._now: Progress | None = None
        self._live: Live | None = None

    def __enter__(self) -> RunView:
        plan, console = self._prepared.plan, self._console
        console.print(f"[bold]{plan.sequence.title.en}[/bold]  {plan.sequence.title.zh}")
        console.print(
            f"{plan.cell.title} on bench {plan.bench.name}, channel {plan.channel.name}, "
            f"{self._prepared.mode.upper()}; about {duration(plan.estimate_s)} of test time"
        )
        for warning in plan.warnings:
            console.print(Text.assemble(("warning", "yellow"), f": {warning}"), soft_wrap=not console.is_terminal)
        if console.is_terminal:
            self._live = Live(self._drawn(), console=console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Off the screen, so that a person can read a question and type."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
        try:
            yield
        finally:
            if live is not None:
                live.start()
                self._live = live

    def observe(self, seen: Observation) -> None:
        """Take in what happened and redraw; called at most some ten times a second of real time for progress."""
        match seen:
            case StepStarted():
                self._start(seen)
            case StepEnded():
                self._end(seen)
            case Progress():
                self._now = seen
            case Message():
                self._say(seen)
        if self._live is not None and not isinstance(seen, StepStarted):
            self._live.update(self._drawn(), refresh=True)

    def _start(self, step: StepStarted) -> None:
        """A path holds a step's number, then in a repeat the turn and the step's number within, and so on."""
        parts = [int(part) for part in step.path.split("/")]
        key, turns = tuple(parts[::2]), parts[1::2]
        for depth, turn in enumerate(turns, 1):
            repeat = self._nodes[key[:depth]]
            if repeat.turn != turn:
                repeat.turn = turn
                for inner in self._nodes.values():
                    if len(inner.key) > depth and inner.key[:depth] == key[:depth]:
                        inner.begun = False
        self._active = key
        self._nodes[key].begun = True

    def _end(self, step: StepEnded) -> None:
        node = self._nodes[self._active]
        node.note = Text(f"{duration(step.duration_s)}, {step.reason}", style="dim")
        for name, value in step.results.items():
            node.note.append(f"   {name} {number(value)}", style="cyan")
        if self._live is None:
            self._console.print(Text.assemble(f"{step.path:<8} {node.title}  ", node.note), soft_wrap=True)

    def _say(self, message: Message) -> None:
        console = self._live.console if self._live is not None else self._console
        console.print(Text(message.text, style="bold yellow" if message.loud else ""))

    def _drawn(self) -> RenderableType:
        lines: list[RenderableType] = [self._line(node) for node in self._nodes.values()]
        if self._now is not None:
            lines.append(_values(self._now, self._prepared.plan.estimate_s))
        title = f"{self._prepared.plan.sequence.id}   {self._prepared.mode.upper()}"
        return Panel(Group(*lines), title=title, title_align="left", border_style="dim")

    def _line(self, node: Node) -> Text:
        active = node.key == self._active[: len(node.key)]
        mark = ">" if active else "+" if node.begun or node.turn else " "
        place = ".".join(map(str, node.key))
        line = Text(f"{mark} {'  ' * (len(node.key) - 1)}{place:<6} {node.title}", no_wrap=True, overflow="ellipsis")
        line.stylize("bold" if active else "" if node.begun or node.turn else "dim")
        if node.turn:
            line.append(f"  turn {node.turn} of at most {node.at_most}", style="not bold")
        if node.key == self._active and self._now is not None:
            line.append(f"  {self._now.ends}", style="not bold green")
        elif node.note is not None:
            line.append("  ").append_text(node.note)
        return line


def _values(now: Progress, estimate_s: float) -> Table:
    grid = Table.grid(padding=(0, 3))
    grid.add_row(
        f"[bold]{_steady(now.voltage_v, 2)} V[/bold]",
        f"[bold]{_steady(now.current_a, 2)} A[/bold]",
        f"cell {_steady(now.temperature_c, 1)} degC",
        f"air {_steady(now.ambient_c, 1)} degC",
        f"step {_clock(now.step_s)}" + (f", {_clock(now.remaining_s)} left" if now.remaining_s is not None else ""),
        f"test {_clock(now.test_s)} of about {_clock(estimate_s)}",
    )
    return grid


def show_result(result: RunResult, prepared: Prepared, console: Console) -> None:
    """The verdict, the clause table, results beside the plant's truth, and where the record is."""
    if result.mode == "simulated":
        console.print("[bold]SIMULATED[/bold] - nothing below was measured on hardware")
    console.print(_criteria(result, closed(prepared.plan.sequence)))
    console.print(_results(result, prepared))
    verdict = Text(" ".join(VERDICTS[result.verdict]), style=STYLES.get(result.verdict, UNDECIDED))
    console.print(Text.assemble(verdict, f"   {_ended(result)}"))
    if result.awaiting:
        loud = Text(f"AWAITING JUDGEMENT 待判定: {', '.join(result.awaiting)}", style=UNDECIDED)
        how = Text(f"    fix: cellbench judge {result.bundle} {result.awaiting[0]} yes|no --by NAME --note WHAT")
        console.print(loud, how, sep="\n", soft_wrap=True)
    for fault in result.faults:
        console.print(Text(f"{fault.where}: {fault.error}\n    fix: {fault.fix}"), soft_wrap=True)
    factor = result.test_s / result.wall_s if result.wall_s > 0 else 0.0
    console.print(
        f"{duration(result.test_s)} of test time in {result.wall_s:.1f} s of wall time ({factor:,.0f} times real time)"
    )
    console.print(f"bundle  {result.bundle}", soft_wrap=True, markup=False)
    if (Path(result.bundle) / "manifest.json").is_file():
        console.print(f"report  {result.bundle}/report.html", soft_wrap=True, markup=False)
    else:
        console.print(
            f"not sealed; `cellbench report {result.bundle}` writes a report beside it", soft_wrap=True, markup=False
        )


def _criteria(result: RunResult, yes_or_no: frozenset[str]) -> Table:
    table = Table("criterion", "kind", "value", "limit", "source", "grade", "verdict", title_justify="left")
    for row in result.criteria:
        value, limit = f"{number(row.value)} {row.unit}", between(row.limit.at_least, row.limit.at_most)
        if row.id in yes_or_no:
            value, limit = _answer(row.value), _answer(row.limit.at_least or row.limit.at_most)
        table.add_row(
            row.title,
            row.kind,
            value,
            limit,
            f"{row.source} {row.clause or ''}",
            "UNVERIFIED" if row.grade == "U" else row.grade,
            Text(row.verdict, style=STYLES.get(row.verdict, UNDECIDED)),
        )
    return table


def _results(result: RunResult, prepared: Prepared) -> Table:
    truth, yes_or_no = result.plant_truth or {}, closed(prepared.plan.sequence)
    nominal = result.sample is not None and result.sample.mass_is_nominal
    formulas = prepared.plan.sequence.results
    massed = {name for name, formula in formulas.items() if "run.sample_mass" in formula.names}
    table = Table("result", "measured", "plant truth", "claimed", title_justify="left")
    for name, value in result.results.items():
        claimed = prepared.plan.cell.claimed_energy_density_wh_kg if name == "energy_density_wh_kg" else None
        true = truth[name].value if name in truth else None
        measured, known = f"{number(value.value)} {value.unit}", f"{number(true)} {value.unit}"
        if name in yes_or_no:
            measured, known = _answer(value.value), _answer(true)
        table.add_row(
            name,
            ("at least " if value.at_least else "") + measured + ("  NOMINAL" if nominal and name in massed else ""),
            known if true is not None else "—",
            f"{number(claimed)} {value.unit}" if claimed is not None else "",
        )
    return table


def _answer(value: float | None) -> str:
    """1 and 0 in words."""
    said = None if value is None else ANSWERS.get(value)
    return number(value) if said is None else said[0]


def _ended(result: RunResult) -> str:
    ended = result.ended_by
    parts = [f"ended by {ended.kind.replace('_', ' ')}"]
    if ended.rule:
        parts.append(ended.rule)
    if ended.device:
        parts.append(f"on {ended.device}")
    if ended.value is not None and ended.limit is not None:
        parts.append(f"({number(ended.value)}, limit {number(ended.limit)})")
    return " ".join(parts)


def _steady(value: float | None, decimals: int) -> str:
    """A live value with fixed decimals, so that the line does not jump."""
    return "—" if value is None else f"{value:.{decimals}f}"


def _clock(seconds: float) -> str:
    """A time that is seen to pass, seconds and all: 12:03:45."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
