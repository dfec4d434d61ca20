"""``cellbench service``: the systemd unit of a bench's service, written, checked and explained."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.ending import examples_of, output, progress, told
from bench.cli.options import BENCH
from drivers import ConfigError, Fault

#: Where systemd looks for units that a machine's owner has made.
UNITS = Path("/etc/systemd/system")
HOME = Path("/var/lib/cellbench")
#: A service has a /tmp of its own (PrivateTmp): what it wrote there would be gone with it.
_OWN = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - named to be refused
_CHECK_S = 60.0


def add_to(app: typer.Typer) -> None:
    commands = typer.Typer(
        help="Run a bench as a service of this machine.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        epilog=examples_of("sudo cellbench service install --bench /etc/cellbench/bench.toml"),
    )
    commands.command(
        "install",
        epilog=examples_of(
            "sudo cellbench service install --bench /etc/cellbench/bench.toml",
            "cellbench service install --bench bench.toml --data /srv/cellbench/data --user lab --print",
        ),
    )(install)
    app.add_typer(commands, name="service")


def install(
    bench: BENCH,
    command: Annotated[
        list[str] | None, typer.Argument(help="Another command, after --; default: cellbench serve on this bench.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Its data folder; default: cellbench-data in its folder.")
    ] = None,
    user: Annotated[str, typer.Option("--user", help="The account it runs as.")] = "cellbench",
    folder: Annotated[Path, typer.Option("--folder", help="Where it works.")] = HOME,
    to: Annotated[Path, typer.Option("--to", help="Where the unit is written.")] = UNITS,
    print_: Annotated[bool, typer.Option("--print", help="Only print the unit.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a unit that this command did not make.")] = False,
) -> None:
    """Write a systemd unit for this bench, and say what is left to do.

    The service's main process is the guardian. It may write to its folder, its data folder, --out and the register of
    benches, and to nothing else. Exit code 0 written or printed, 2 it cannot be.
    """
    with told(as_json=False):
        from bench.config import load_bench

        if command and data is not None:
            fix = "say it behind --, as an option of that command"
            raise ConfigError([Fault("--data belongs to the command of your own", "--data", fix)])
        found, file = load_bench(bench), bench.resolve()
        whole = [_program(command[0]), *command[1:]] if command else _serving(file, data, folder)
        text = _unit(file, found.title or found.name, whole, user, folder, serves=whole[1:2] == ["serve"])
        if print_:
            output.print(text, markup=False, soft_wrap=True, end="")
            return
        name = f"cellbench-{''.join(it if it.isalnum() and it.isascii() else '-' for it in found.name)}.service"
        _may_write(to / name, file, force=force)
        _checked(text, name)
        _written(to / name, text)
        output.print(f"written: {to / name}", markup=False, soft_wrap=True)
        for line in _next(name, file, whole, user, folder):
            output.print(line, markup=False, soft_wrap=True)


def _unit(bench: Path, title: str, command: Sequence[str], user: str, folder: Path, *, serves: bool) -> str:
    """The unit's text. Raises ConfigError."""
    from bench.guardian.unit import unit

    lost = [path for path in _writes(command, folder) if _in_own(Path(path))]
    if lost:
        said = "a service has a /tmp of its own, which is gone with it"
        raise ConfigError(
            [Fault(said, path, "choose a folder that stays, such as /var/lib/cellbench") for path in lost]
        )
    try:
        return unit(
            command,
            folder=str(folder),
            state=str(_state(folder)),
            user=user,
            title=title,
            restart="on-failure" if serves else "no",
            made_by=_mark(bench),
        )
    except ValueError as error:
        raise ConfigError([Fault(str(error), "command line", "give absolute paths and plain text")]) from None


def _serving(bench: Path, data: Path | None, folder: Path) -> list[str]:
    where = folder / "cellbench-data" if data is None else data.absolute()
    return [_program("cellbench"), "serve", "--bench", str(bench), "--live", "--data", str(where)]


def _writes(command: Sequence[str], folder: Path) -> tuple[str, ...]:
    from bench.guardian.unit import writable

    return writable(command, folder=str(folder), state=str(_state(folder)))


def _program(word: str) -> str:
    """Where a program is: systemd has no search path of this shell."""
    if word == "cellbench":
        return str(Path(sys.executable).with_name("cellbench"))
    return shutil.which(word) or word


def _state(folder: Path) -> Path:
    """The register of benches of this service: the one that this machine says, else in its folder."""
    from bench.whereabouts import VARIABLE, state_folder

    return state_folder(os.environ) if os.environ.get(VARIABLE) else folder / "state"


def _in_own(path: Path) -> bool:
    return any(path == own or own in path.parents for own in _OWN)


def _mark(bench: Path) -> str:
    from bench.guardian.unit import MADE_BY

    return f"{MADE_BY} for {bench}"


def _may_write(path: Path, bench: Path, *, force: bool) -> None:
    """Raises ConfigError if a file is there that was not made for this bench."""
    try:
        there = path.read_text(errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot(path, error) from None
    if _mark(bench) not in there and not force:
        fix = "look at it; --force writes over it, --to writes elsewhere, --print writes nothing"
        raise ConfigError([Fault("a unit is there that was not made for this bench file", str(path), fix)])


def _checked(text: str, name: str) -> None:
    """What systemd-analyze says of it, where that is. Raises ConfigError if it finds it wrong."""
    import subprocess
    from tempfile import TemporaryDirectory

    program = shutil.which("systemd-analyze")
    if program is None:
        progress.print("not checked: systemd-analyze is not on this machine", markup=False)
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        try:
            done = subprocess.run(  # noqa: S603 - found on this machine's own path, given a file of ours
                [program, "verify", "--man=no", path],
                capture_output=True,
                text=True,
                check=False,
                timeout=_CHECK_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            progress.print(f"not checked: {error}", markup=False, soft_wrap=True)
            return
    said = (done.stdout + done.stderr).strip().replace(f"{path}", name)
    if done.returncode:
        fix = "mend what it names; --print shows the unit"
        raise ConfigError([Fault(f"systemd-analyze refuses the unit: {said}", name, fix)])
    progress.print(f"checked with systemd-analyze{': ' + said if said else ''}", markup=False, soft_wrap=True)


def _written(path: Path, text: str) -> None:
    from bench.samples import write_atomically

    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise _cannot(path, error) from None


def _cannot(path: Path, error: OSError) -> ConfigError:
    fix = "use sudo, or --to with a folder of yours, or --print"
    return ConfigError([Fault(f"the unit cannot be written: {error.strerror}", str(path), fix)])


def _next(name: str, bench: Path, command: Sequence[str], user: str, folder: Path) -> list[str]:
    """What a person does now, a line each."""
    missing = [path for path in _writes(command, folder) if not Path(path).is_dir()]
    words = iter(command)
    data = next((next(words, "") for word in words if word == "--data"), str(folder / "cellbench-data"))
    as_user = ["sudo", "-u", user, "env", f"CELLBENCH_STATE={_state(folder)}", _program("cellbench")]
    by_hand = shlex.join([*as_user, "ack", "--bench", str(bench), "--data", str(folder / data)])
    return [
        "next:",
        *([] if _known(user) else [f"  sudo useradd --system --home-dir {folder} --groups dialout {user}"]),
        *(f"  {shlex.join(['sudo', 'install', '-d', '-o', user, path])}" for path in missing),
        f"  sudo systemctl daemon-reload && sudo systemctl enable --now {name}",
        f"  journalctl -u {name} -f",
        "by hand, as the same account and with the same register of benches, for example after a trip:",
        f'  {by_hand} --by "your name"',
    ]


def _known(user: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
