"""What a person sees while a run goes on, and when it has ended."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bench.observing import Message, Observation, Progress, StepEnded, StepStarted

if TYPE_CHECKING:
    from bench.results import RunResult
    from bench.run import Prepared

#: Steps that have ended stay on the screen for so many lines.
SHOWN = 12
VERDICTS = {
    "pass": ("PASS", "合格", "bold green"),
    "fail": ("FAIL", "不合格", "bold red"),
    "error": ("ERROR", "设备错误", "bold yellow"),
    "aborted": ("ABORTED", "已中止", "bold yellow"),
    "inconclusive": ("INCONCLUSIVE", "无结论", "bold yellow"),
}


class RunView:
    """Draws the run on a terminal; on anything else it writes a line a step."""

    def __init__(self, prepared: Prepared, console: Console) -> None:
        self._prepared = prepared
        self._console = console
        self._ended: deque[Text] = deque(maxlen=SHOWN)
        self._open: list[StepStarted] = []
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
            console.print(f"[yellow]warning[/yellow]: {warning}", soft_wrap=True)
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
                del self._open[seen.depth :]
                self._open.append(seen)
            case StepEnded():
                self._end(seen)
            case Progress():
                self._now = seen
            case Message():
                self._say(seen)
        if self._live is not None and not isinstance(seen, StepStarted):
            self._live.update(self._drawn(), refresh=True)

    def _end(self, step: StepEnded) -> None:
        started = self._open[step.depth] if step.depth < len(self._open) else None
        del self._open[step.depth :]
        name = started.name if started is not None else step.path
        results = ", ".join(f"{key} {value:.5g}" for key, value in step.results.items())
        line = Text("  " * step.depth + f"{step.path:<8} {name}", no_wrap=True)
        line.append(f"  {_duration(step.duration_s)}, {step.reason}", style="dim")
        if results:
            line.append(f"  {results}", style="cyan")
        self._ended.append(line)
        if self._live is None:
            self._console.print(line, soft_wrap=True)

    def _say(self, message: Message) -> None:
        console = self._live.console if self._live is not None else self._console
        console.print(Text(message.text, style="bold yellow" if message.loud else ""))

    def _drawn(self) -> RenderableType:
        lines: list[RenderableType] = list(self._ended)
        for step in self._open:
            line = Text("  " * step.depth + f"{step.path:<8} {step.name}", style="bold", no_wrap=True)
            line.append(f"  until {step.ends}", style="not bold dim")
            lines.append(line)
        if self._now is not None:
            lines.append(_values(self._now, self._prepared.plan.estimate_s))
        title = f"{self._prepared.plan.sequence.id}   {self._prepared.mode.upper()}"
        return Panel(Group(*lines), title=title, title_align="left", border_style="dim")


def _values(now: Progress, estimate_s: float) -> Table:
    grid = Table.grid(padding=(0, 3))
    grid.add_row(
        f"[bold]{_number(now.voltage_v, 3)} V[/bold]",
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
    return f"{value:.{digits}g}" if significant else f"{value:.{digits}f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
