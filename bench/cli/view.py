"""What a person sees while a run goes on, and when it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bench.observing import Message, Observation, Progress, StepEnded, StepStarted
from sequences.language import Repeat, RepeatUntilStable, Step

if TYPE_CHECKING:
    from bench.results import RunResult
    from bench.run import Prepared

VERDICTS = {
    "pass": ("PASS", "合格", "bold green"),
    "fail": ("FAIL", "不合格", "bold red"),
    "error": ("ERROR", "设备错误", "bold yellow"),
    "aborted": ("ABORTED", "已中止", "bold yellow"),
    "inconclusive": ("INCONCLUSIVE", "无结论", "bold yellow"),
}


@dataclass
class Node:
    """One line of the step tree. ``key`` is the place in the sequence, without the turns of repeats."""

    key: tuple[int, ...]
    title: str
    at_most: int | None = None
    turn: int = 0
    begun: bool = False
    note: Text | None = None


def tree_of(steps: tuple[Step, ...], above: tuple[int, ...] = ()) -> list[Node]:
    """The sequence's steps, top down, each repeat before its steps."""
    nodes: list[Node] = []
    for number, step in enumerate(steps, 1):
        key = (*above, number)
        title = step.title.en if step.title is not None else step.id or step.kind.replace("_", " ")
        if isinstance(step, Repeat | RepeatUntilStable):
            at_most = step.count if isinstance(step, Repeat) else step.at_most
            nodes += [Node(key, title, at_most), *tree_of(step.steps, key)]
        else:
            nodes.append(Node(key, title))
    return nodes


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
            f"{self._prepared.mode.upper()}; about {_duration(plan.estimate_s)} of test time"
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
        node.note = Text(f"{_duration(step.duration_s)}, {step.reason}", style="dim")
        for name, value in step.results.items():
            node.note.append(f"   {name} {value:.5g}", style="cyan")
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
        number = ".".join(map(str, node.key))
        line = Text(f"{mark} {'  ' * (len(node.key) - 1)}{number:<6} {node.title}", no_wrap=True, overflow="ellipsis")
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
        f"[bold]{_number(now.voltage_v, 2)} V[/bold]",
        f"[bold]{_number(now.current_a, 2)} A[/bold]",
        f"cell {_number(now.temperature_c, 1)} degC",
        f"air {_number(now.ambient_c, 1)} degC",
        f"step {_duration(now.step_s)}"
        + (f", {_duration(now.remaining_s)} left" if now.remaining_s is not None else ""),
        f"test {_duration(now.test_s)} of about {_duration(estimate_s)}",
    )
    return grid


def show_result(result: RunResult, prepared: Prepared, console: Console) -> None:
    """The verdict, the clause table, results beside the plant's truth, and where the record is."""
    if result.mode == "simulated":
        console.print("[bold]SIMULATED[/bold] - nothing below was measured on hardware")
    console.print(_criteria(result))
    console.print(_results(result, prepared))
    word, chinese, style = VERDICTS[result.verdict]
    console.print(Text.assemble((f"{word} {chinese}", style), f"   {_ended(result)}"))
    for fault in result.faults:
        console.print(Text(f"{fault.where}: {fault.error}\n    fix: {fault.fix}"), soft_wrap=True)
    factor = result.test_s / result.wall_s if result.wall_s > 0 else 0.0
    console.print(
        f"{_duration(result.test_s)} of test time in {result.wall_s:.1f} s of wall time ({factor:,.0f} times real time)"
    )
    console.print(f"bundle  {result.bundle}", soft_wrap=True, markup=False)
    console.print(f"report  {result.bundle}/report.html", soft_wrap=True, markup=False)


def _criteria(result: RunResult) -> Table:
    table = Table("criterion", "kind", "value", "limit", "source", "grade", "verdict", title_justify="left")
    for row in result.criteria:
        style = VERDICTS[row.verdict][2]
        table.add_row(
            row.title,
            row.kind,
            f"{_number(row.value, 5, significant=True)} {row.unit}",
            _limit(row.limit.at_least, row.limit.at_most),
            f"{row.source} {row.clause or ''}",
            "UNVERIFIED" if row.grade == "U" else row.grade,
            Text(row.verdict, style=style),
        )
    return table


def _results(result: RunResult, prepared: Prepared) -> Table:
    truth = result.plant_truth or {}
    table = Table("result", "measured", "plant truth", "claimed", title_justify="left")
    for name, value in result.results.items():
        claimed = prepared.plan.cell.claimed_energy_density_wh_kg if name == "energy_density_wh_kg" else None
        table.add_row(
            name,
            f"{value.value:.5g} {value.unit}",
            f"{truth[name].value:.5g} {value.unit}" if name in truth else "-",
            f"{claimed:.5g} {value.unit}" if claimed is not None else "",
        )
    return table


def _ended(result: RunResult) -> str:
    ended = result.ended_by
    parts = [f"ended by {ended.kind.replace('_', ' ')}"]
    if ended.rule:
        parts.append(ended.rule)
    if ended.device:
        parts.append(f"on {ended.device}")
    if ended.value is not None and ended.limit is not None:
        parts.append(f"({ended.value:.4g}, limit {ended.limit:.4g})")
    return " ".join(parts)


def _limit(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"{low:.5g} .. {high:.5g}"
    if low is not None:
        return f">= {low:.5g}"
    return f"<= {high:.5g}" if high is not None else "-"


def _number(value: float | None, digits: int, *, significant: bool = False) -> str:
    if value is None:
        return "-"
    if significant:
        return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"
    return f"{value:.{digits}f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
