"""`cellbench service install`: the unit of a bench, written where it belongs and never over another's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import main
from tests.bench.stand_ins import DEMO

NAME = "cellbench-demo.service"
PROGRAM = Path(sys.executable).with_name("cellbench")


@pytest.fixture(autouse=True)
def _systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A systemd-analyze that takes everything; one test asks the real one. The register is the machine's own choice."""
    tool = tmp_path / "bin" / "systemd-analyze"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexit 0\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent))
    monkeypatch.delenv("CELLBENCH_STATE")


def install(*args: str | Path, to: Path | None = None) -> int:
    there = () if to is None else ("--to", str(to))
    with pytest.raises(SystemExit) as ended:
        main(["service", "install", "--bench", str(DEMO), *there, *map(str, args)])
    return int(ended.value.code or 0)


def test_the_default_is_the_daemon_which_comes_up_safe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install("--data", "/srv/bench data", to=tmp_path) == 0
    text = (tmp_path / NAME).read_text()
    assert f'ExecStart={PROGRAM} serve --bench {DEMO} --live --data "/srv/bench data"\n' in text
    for line in (
        "Restart=on-failure",
        "User=cellbench",
        "WorkingDirectory=/var/lib/cellbench",
        'ReadWritePaths="/srv/bench data" /var/lib/cellbench',
        "Environment=CELLBENCH_STATE=/var/lib/cellbench/state",
    ):
        assert f"{line}\n" in text
    said = capsys.readouterr().out
    for words in (
        f"systemctl enable --now {NAME}",
        "install -d -o cellbench '/srv/bench data'",
        f"env CELLBENCH_STATE=/var/lib/cellbench/state {PROGRAM} ack --bench {DEMO} --data '/srv/bench data'",
    ):
        assert words in said


def test_another_command_is_not_started_again_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLBENCH_STATE", "/srv/state")
    command = ("--", "cellbench", "run", "x/y", "--live", "--out", "/srv/out")
    assert install("--user", "lab", "--folder", "/srv/lab", *command, to=tmp_path) == 0
    text = (tmp_path / NAME).read_text()
    assert f"ExecStart={PROGRAM} run x/y --live --out /srv/out\n" in text
    for line in ("Restart=no", "User=lab", "ReadWritePaths=/srv/lab /srv/out /srv/state"):
        assert f"{line}\n" in text


def test_a_daemon_that_other_machines_reach_is_started_again_as_well(tmp_path: Path) -> None:
    command = ("--", "cellbench", "serve", "--bench", DEMO, "--live", "--listen", "0.0.0.0:8686", "--data", "/srv/data")
    assert install(*command, to=tmp_path) == 0
    assert "Restart=on-failure\n" in (tmp_path / NAME).read_text()


def test_printing_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install("--print", to=tmp_path / "not there") == 0
    assert capsys.readouterr().out.startswith("# Cellbench under systemd")
    assert not (tmp_path / "not there").exists()


def test_a_unit_of_somebody_else_stays_without_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / NAME
    path.write_text("[Service]\nExecStart=/bin/true\n")
    assert install(to=tmp_path) == 2
    assert "not made for this bench" in capsys.readouterr().err
    assert path.read_text() == "[Service]\nExecStart=/bin/true\n"
    assert install("--force", to=tmp_path) == 0
    assert install("--user", "lab", to=tmp_path) == 0  # its own is written anew
    assert "User=lab\n" in path.read_text()
    path.write_text(path.read_text().replace(f"for {DEMO}", "for /etc/other/demo.toml"))
    assert install(to=tmp_path) == 2


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--data", "/tmp/x"), "a /tmp of its own"),
        (("--folder", "/var/tmp"), "a /tmp of its own"),
        (("--folder", "here"), "absolute"),
        (("--data", "/srv/x", "--", "cellbench", "serve"), "behind --"),
        (("--", "no-such-program"), "absolute path"),
        (("--bench", "/nowhere.toml"), "/nowhere.toml"),
    ],
)
def test_what_would_not_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], words: str
) -> None:
    assert install(*args, to=tmp_path) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / NAME).exists()


def test_where_it_may_not_be_written_it_says_sudo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(to=tmp_path / "not there") == 2
    assert "sudo" in capsys.readouterr().err


def test_what_systemd_refuses_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bin" / "systemd-analyze").write_text("#!/bin/sh\necho 'Unknown key' >&2\nexit 1\n")
    assert install(to=tmp_path) == 2
    assert "Unknown key" in capsys.readouterr().err
    assert not (tmp_path / NAME).exists()


def test_without_systemd_it_is_written_and_said_to_be_unchecked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin" / "systemd-analyze").unlink()
    assert install(to=tmp_path) == 0
    assert "not checked" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_itself_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert install("--user", "root", "--folder", "/srv", to=tmp_path) == 0
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / NAME], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
