"""``cellbench serve``: the bench PC's daemon, and the page that people open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.ending import examples_of, output, progress, told, under_guardian
from bench.cli.options import DATA, SEED, speed_of
from drivers.errors import ConfigError, Fault

if TYPE_CHECKING:
    from bench.daemon.desk import Desk
    from bench.daemon.serving import Beside
    from bench.daemon.settings import DeskSettings
    from bench.web.settings import WebSettings

LISTEN = "127.0.0.1:8686"


def add_to(app: typer.Typer) -> None:
    app.command(
        "serve",
        epilog=examples_of(
            "cellbench serve --demo",
            "cellbench serve --bench bench.toml --simulate --speed 60",
            "cellbench serve --bench bench.toml --live --data /var/lib/cellbench/data",
            "cellbench serve --bench bench.toml --live --listen 0.0.0.0:8686 --name bench-2.plant "
            "--tls-cert bench-2.pem --tls-key bench-2.key",
        ),
    )(command)


def command(
    context: typer.Context,
    bench: Annotated[Path | None, typer.Option("--bench", help="The bench file (TOML).")] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Put a simulator behind every device.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Use the bench file's own addresses.")] = False,
    demo: Annotated[
        bool, typer.Option("--demo", help="A simulated line, users to log in as, and a few runs going.")
    ] = False,
    mqtt: Annotated[
        bool, typer.Option("--mqtt", help="With --demo: a broker inside the program that is told what happens.")
    ] = False,
    speed: Annotated[
        str | None,
        typer.Option(
            "--speed", help="Simulated time: real, max, or how many times faster. Default real, 60 in --demo."
        ),
    ] = None,
    listen: Annotated[str, typer.Option("--listen", help="HOST:PORT of the page and the interface.")] = LISTEN,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="A name by which browsers may call this PC; may be repeated.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="PEM certificate, with its chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its PEM key.")] = None,
    cells: Annotated[
        Path | None, typer.Option("--cells", help="Folder of the cell files that may be asked for; default: examples.")
    ] = None,
    sequences: Annotated[
        Path | None, typer.Option("--sequences", help="Folder of the lab's own sequences, beside the library's.")
    ] = None,
    seed: SEED = 1,
    data: DATA = None,
) -> None:
    """Serve a bench until Ctrl-C or SIGTERM: every channel at once, a page for operators, an interface for programs.

    On a bench (--live) the process that is started is the guardian, the daemon its child. At the end every run is
    stopped and the bench made safe. After a restart nothing energises by itself: interrupted runs hold.
    Other machines may reach it only with TLS and users. Exit code 0 ended as asked, 2 usage, 4 the bench or the data
    folder cannot be used.
    """
    with told(as_json=False):
        _check_mode(bench, simulate=simulate, live=live, demo=demo, mqtt=mqtt, speed=speed)
        if live:
            under_guardian(context, as_json=False)
        from bench.daemon.serving import serve

        with ExitStack() as stack:
            beside: list[Beside] = []
            web = _web_settings(listen, name or [], tls_cert, tls_key)
            if demo:
                from bench.daemon import demonstration

                made = stack.enter_context(demonstration.prepared(data, web, mqtt=mqtt, say=_say))
                settings, beside = made.settings, [made.keep_going]
            else:
                assert bench is not None
                settings = _desk_settings(bench, data, cells, sequences, live=live, seed=seed)
            serve(
                settings,
                beside=(_announced(settings.data, web), *beside),
                speed=speed_of(speed or ("60" if demo else "real")),
            )


def _check_mode(bench: Path | None, *, simulate: bool, live: bool, demo: bool, mqtt: bool, speed: str | None) -> None:
    """Raises ConfigError with everything that does not go together."""
    faults: list[Fault] = []

    def fault(error: str, fix: str) -> None:
        faults.append(Fault(error, "command line", fix))

    if demo and (bench is not None or simulate or live):
        fault("--demo brings a bench of its own", "leave --bench, --simulate and --live out, or --demo")
    if not demo and bench is None:
        fault("no bench file was given", "say --bench FILE, or --demo for a bench that needs nothing")
    if not demo and simulate == live:
        said = "both --simulate and --live were given" if simulate else "neither --simulate nor --live was given"
        fault(said, "say --simulate to run against simulators, or --live to run on the bench")
    if mqtt and not demo:
        fault("--mqtt is for --demo only", "write [outbox] into the bench file: docs/outbox.md")
    if live and speed is not None:
        fault("--speed is for simulated benches only", "leave it out: a bench runs in real time")
    if faults:
        raise ConfigError(faults)


def _web_settings(listen: str, names: list[str], certificate: Path | None, key: Path | None) -> WebSettings:
    from bench.web.settings import WebSettings

    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        fix = f"write HOST:PORT, for example {LISTEN}; port 0 is any that is free"
        raise ConfigError([Fault(f"{listen!r} is no address to listen on", "--listen", fix)])
    return WebSettings(host=host, port=int(port), names=tuple(names), tls_certificate=certificate, tls_key=key)


def _desk_settings(
    bench: Path, data: Path | None, cells: Path | None, own: Path | None, *, live: bool, seed: int
) -> DeskSettings:
    from bench.daemon.demonstration import MARK
    from bench.daemon.settings import DeskSettings, cells_in
    from bench.data_folder import DataFolder
    from bench.shipped import examples
    from drivers.clock import real_elapsed_s, system_clock

    folder = DataFolder.choose(data, os.environ).path
    if (folder / MARK).exists():
        fix = "name another data folder with --data"
        raise ConfigError(
            [Fault("this is a demonstration's: everybody knows the passwords of its users", str(folder), fix)]
        )
    return DeskSettings(
        bench,
        folder,
        "live" if live else "simulated",
        cells=cells_in(_folder(cells, "--cells", "*.toml") or examples() / "cells"),
        sequences=_sequences(_folder(own, "--sequences", "*.yaml")),
        seed=seed,
        start_utc_s=system_clock(real_elapsed_s).utc_s(),
    )


def _folder(path: Path | None, option: str, files: str) -> Path | None:
    if path is not None and not any(path.glob(files)):
        raise ConfigError([Fault(f"there is no {files} in it", f"{option} {path}", "name the folder that holds them")])
    return path


def _sequences(folder: Path | None) -> dict[str, Path]:
    """By their ids. Raises ConfigError for one that cannot be read."""
    from sequences import load

    files = () if folder is None else sorted(folder.glob("*.yaml"))
    return {load(str(path)).id: path for path in files}


def _announced(data: Path, web_settings: WebSettings) -> Beside:
    """The page and the interface; where they are to be found is the first line of stdout."""

    @contextmanager
    def entered(desk: Desk) -> Iterator[None]:
        from bench.web.apart import web_apart

        with web_apart(data, web_settings)(desk) as url:
            output.print(str(url), markup=False, soft_wrap=True)
            progress.print("[dim]Ctrl-C ends it: every run is stopped, the bench made safe[/dim]")
            yield

    return entered


def _say(text: str) -> None:
    progress.print(text, markup=False, soft_wrap=True)
