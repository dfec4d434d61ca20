"""``cellbench status``, ``watch``, ``stop`` and ``abort``: the daemon of this PC, from a shell."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from bench.cli.ending import examples_of, output, print_json, progress, told
from bench.cli.options import DATA, JSON
from bench.data_folder import DataFolder
from bench.results import StatusResult, StopResult
from drivers.errors import ConfigError, Fault

if TYPE_CHECKING:
    from bench.cli.daemon_client import Daemon
    from bench.daemon.views import BenchView, EventView, ValueView

#: A daemon that went away may come back: it is looked for at this pace.
AGAIN_S = 2.0


def add_to(app: typer.Typer) -> None:
    app.command(
        "status", epilog=examples_of("cellbench status", "cellbench status --data /var/lib/cellbench/data --json")
    )(status)
    app.command("watch", epilog=examples_of("cellbench watch", "cellbench watch --channel 2 --json | jq .kind"))(watch)
    app.command("stop", epilog=examples_of("cellbench stop 0007-gbt31486-2024-room-capacity"))(stop)
    app.command("abort", epilog=examples_of("cellbench abort --all"))(abort)


def status(data: DATA = None, as_json: JSON = False) -> None:
    """Show every channel of the daemon that serves this data folder. Exit code 0; 2 if there is none, 4 if it does not
    answer."""
    with told(as_json=as_json):
        from bench.cli.daemon_client import daemon_of

        with daemon_of(_folder(data)) as daemon:
            bench, alarms, url = daemon.bench(), daemon.alarms(), daemon.address.url
        if as_json:
            print_json(StatusResult(exit_code=0, url=url, bench=bench, alarms=alarms))
            return
        output.print(_heading(bench, url))
        output.print(_table(bench))
        for alarm in alarms:
            output.print(f"alarm, {alarm.state}: {alarm.text.en}: {alarm.cause.en}", markup=False, soft_wrap=True)


def watch(
    data: DATA = None,
    channel: Annotated[str | None, typer.Option("--channel", help="Only what is of this channel.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Tell what happens, one line an event, until Ctrl-C. A daemon that went away is waited for, and nothing that it
    still keeps is left out."""
    with told(as_json=False):
        from bench.cli.daemon_client import daemon_of

        try:
            with daemon_of(_folder(data)) as daemon:  # there must be one to begin with
                pid, seq = daemon.address.pid, _watched(daemon, None, channel, as_json=as_json)
            while True:
                progress.print("the daemon is gone; waiting for it to come back ...")
                pid, seq = _watched_again(data, pid, seq, channel, as_json=as_json)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


def _watched_again(
    data: Path | None, pid: int, seq: int | None, channel: str | None, *, as_json: bool
) -> tuple[int, int | None]:
    """Of the daemon ``pid`` what comes after ``seq``; another one counts anew, and is heard from its beginning."""
    from bench.cli.daemon_client import daemon_of

    while True:
        time.sleep(AGAIN_S)  # noqa: TID251 - a person's shell: nothing else goes on meanwhile
        try:
            with daemon_of(_folder(data)) as daemon:
                own = daemon.address.pid
                return own, _watched(daemon, seq if own == pid else 0, channel, as_json=as_json)
        except ConfigError:
            continue


def _watched(daemon: Daemon, seq: int | None, channel: str | None, *, as_json: bool) -> int | None:
    """Until the stream ends; gives the number of the last event."""
    for event in daemon.events(seq):
        seq = event.seq
        if channel is not None and event.channel != channel:
            continue
        if as_json:
            typer.echo(event.model_dump_json())
        else:
            output.print(_words(event), markup=False, soft_wrap=True)
    return seq


def stop(
    run: Annotated[str, typer.Argument(help="The run's id, as `cellbench status` shows it.")],
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Stop a run as a person does: energy off, contactor open, record closed. It is a software stop, not an emergency
    stop: that is the button on the bench. Exit code 0 once the daemon has taken it."""
    with told(as_json=as_json):
        from bench.cli.daemon_client import daemon_of

        with daemon_of(_folder(data)) as daemon:
            view = daemon.stop(run)
        if as_json:
            print_json(StopResult(exit_code=0, runs=(view,)))
        else:
            output.print(f"{run}: stop asked for; `cellbench status` shows its end", markup=False)


def abort(
    every: Annotated[bool, typer.Option("--all", help="Every run of the bench; nothing less can be aborted.")] = False,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Stop every run and make the whole bench safe; waits until each has ended. It is a software stop, not an emergency
    stop. Exit code 0 once all have ended."""
    with told(as_json=as_json):
        if not every:
            fix = "say `cellbench abort --all`, or `cellbench stop RUN` for one run"
            raise ConfigError([Fault("abort stops every run of the bench", "command line", fix)])
        from bench.cli.daemon_client import daemon_of

        with daemon_of(_folder(data)) as daemon:
            runs = daemon.abort()
        if as_json:
            print_json(StopResult(exit_code=0, runs=runs))
            return
        for run in runs:
            output.print(f"{run.run_id}: {run.verdict or run.state}", markup=False)
        output.print(f"{len(runs)} runs stopped", markup=False)


def _folder(data: Path | None) -> Path:
    return DataFolder.choose(data, os.environ).path


def _heading(bench: BenchView, url: str) -> Text:
    said = Text.assemble((bench.title, "bold"), f"  {bench.mode}  {url}")
    if bench.latched:
        said.append("  LATCHED: acknowledge it first (`cellbench ack`)", style="bold red")
    if bench.prompts:
        said.append(f"  {bench.prompts} questions wait for a person", style="bold")
    return said


def _table(bench: BenchView) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("channel", "state", "run", "sample", "step", *_FIGURES, "alarms"):
        right = column in (*_FIGURES, "alarms")
        table.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=right)
    for it in bench.channels:
        values = {value.quantity: value for value in it.values}
        state = Text(it.state, style="bold" if it.needs_me else "")
        if it.why is not None:
            state.append(f": {it.why.en}")
        table.add_row(
            Text(it.name),
            state,
            Text(it.run_id or ""),
            Text(it.sample or ""),
            Text("" if it.step is None else it.step.name or it.step.kind),
            _left(None if it.step is None else it.step.remaining_s),
            *(_figure(values.get(name)) for name in ("voltage_v", "current_a", "temperature_c")),
            str(it.alarms or ""),
        )
    return table


_FIGURES = ("left", "V", "A", "degC")


def _figure(value: ValueView | None) -> str:
    if value is None or value.value is None:
        return "-"
    return f"{value.value:.3f}" + (f" ({value.age_s:.0f} s old)" if value.stale else "")


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, whole_s = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{whole_s:02}"


def _words(event: EventView) -> str:
    about = [it for it in (event.channel, event.run_id) if it]
    more = [f"{key} {value}" for key, value in event.data.items() if isinstance(value, str | int | float)]
    return "  ".join([*about, event.kind, *more])
