"""``cellbench ack``: a person acknowledges a trip, once its cause is gone."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.ending import examples_of, output, print_json, told
from bench.cli.options import BENCH, DATA, JSON
from bench.data_folder import DataFolder
from bench.web.address import served
from drivers import ConfigError, Fault, PreflightRefused, real_elapsed_s, system_clock

if TYPE_CHECKING:
    from pathlib import Path

    from bench.results import AckResult
    from bench.whereabouts import Used


def add_to(app: typer.Typer) -> None:
    app.command(
        "ack",
        epilog=examples_of(
            'cellbench ack --bench bench.toml --by "Wang Fang"',
            'cellbench ack --bench bench.toml --by "Wang Fang" --note "door switch replaced" --json',
        ),
    )(command)


def command(
    bench: BENCH,
    by: Annotated[str, typer.Option("--by", help="Who has looked at the bench and takes the latch away.")],
    note: Annotated[str, typer.Option("--note", help="What was found and done.")] = "",
    password_stdin: Annotated[
        bool,
        typer.Option("--password-stdin", help="While a daemon serves the bench: read the password from stdin."),
    ] = False,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Acknowledge a trip. The hardware is read first: while the cause is there the bench stays latched (code 3).

    While a daemon serves the data folder it is the daemon that looks and acknowledges, and --by is a user of it with
    the role safety, who signs with a password.

    It switches nothing and starts nothing. Exit code 0 acknowledged, 2 nothing to acknowledge, 3 the cause is still
    there, 4 the bench is held by a run or the latch cannot be kept.
    """
    with told(as_json=as_json):
        folder = DataFolder.choose(data, os.environ)
        if served(folder.path):
            result = _through_daemon(folder.path, bench, by, note, from_stdin=password_stdin)
        else:
            result = acknowledge(bench, by, note, data)
        if as_json:
            print_json(result)
        else:
            output.print(f"acknowledged by {result.by}: {result.cause}", markup=False, soft_wrap=True)
            output.print("the bench may be used again; nothing was started", markup=False)
        raise typer.Exit(result.exit_code)


def acknowledge(bench_path: Path, by: str, note: str, data_path: Path | None) -> AckResult:
    """Read the hardware and, if the cause is gone, take the latch away."""
    from bench.config import load_bench, wire_keys
    from bench.latch import Acknowledged, Latches, acknowledgeable, still_there
    from bench.look import look
    from bench.results import AckResult
    from bench.whereabouts import Whereabouts, latched_elsewhere, used_by

    bench = load_bench(bench_path)
    data = DataFolder.choose(data_path, os.environ)
    latches = Latches(data.path)
    clock = system_clock(real_elapsed_s)
    found = latches.of(bench.name)
    if found is None:
        elsewhere = latched_elsewhere(Whereabouts.of(os.environ), used_by(bench, bench_path, data.path))
        if elsewhere:
            raise ConfigError([_in_other_folder(it, data.path) for it in elsewhere])
    latch = acknowledgeable(found, bench.name, by)
    unknown = [name for name in latch.devices if name not in bench.devices]
    if unknown:
        raise ConfigError([_other_bench(name, bench_path) for name in unknown])
    with data.lock(wire_keys(bench), bench=bench_path, run="ack", start_utc_s=clock.utc_s()):
        seen, faults = asyncio.run(look(bench, latch.devices, latch.points, clock))
        faults += still_there(latch, seen)
        if faults:
            error = PreflightRefused(faults[0].error, faults[0].where, faults[0].fix)
            error.faults = tuple(faults)
            raise error
        latches.release(Acknowledged(latch=latch, by=by.strip(), note=note, utc_s=clock.utc_s(), seen=seen))
    return AckResult(
        exit_code=0, bench=bench.name, by=by.strip(), note=note, run_id=latch.run_id, cause=latch.text(), seen=seen
    )


def _through_daemon(data: Path, bench_path: Path, by: str, note: str, *, from_stdin: bool) -> AckResult:
    """The daemon holds the bench: it reads the hardware and takes the latch away."""
    from bench.cli.daemon_client import daemon_of
    from bench.config import load_bench
    from bench.latch import Latches
    from bench.results import AckResult

    bench = load_bench(bench_path).name
    if not note.strip():
        raise ConfigError([Fault("it is signed, with what was found and done", "--note", "say it with --note")])
    with daemon_of(data) as daemon:
        serves = daemon.bench().name
    if serves != bench:
        fix = "give that bench's file, or the --data of the daemon that has this bench"
        raise ConfigError([Fault(f"the daemon of {data} serves another bench: {serves}", str(bench_path), fix)])
    latch = Latches(data).of(bench)
    password = (
        sys.stdin.readline().rstrip("\r\n")
        if from_stdin
        else typer.prompt(f"password of {by}", hide_input=True, err=True)
    )
    with daemon_of(data) as daemon:
        daemon.log_in(by, password)
        try:
            causes = daemon.unlatch(note, password)
        finally:
            daemon.log_out()
    return AckResult(
        exit_code=0,
        bench=bench,
        run_id="" if latch is None else latch.run_id,
        by=by,
        note=note,
        cause="; ".join(causes),
        seen={},
    )


def _in_other_folder(used: Used, here: Path) -> Fault:
    from bench.whereabouts import acknowledged_by

    return Fault(
        f"bench {used.bench} is latched in another data folder, not in {here}", used.data, acknowledged_by(used)
    )


def _other_bench(name: str, path: Path) -> Fault:
    return Fault(f"the latch names device {name!r}, which this bench file does not", str(path), "give the bench's file")
