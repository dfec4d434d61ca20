"""No exception may pass for a verdict: exit code 1 is the sample's alone."""

from __future__ import annotations

import json

import pytest
import typer

from bench.cli import main
from bench.cli.ending import told


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(KeyError("a slip"), 4, id="a slip of the program"),
        pytest.param(OSError("no such device"), 4, id="an error of the system"),
        pytest.param(KeyboardInterrupt(), 3, id="Ctrl-C"),
    ],
)
def test_what_is_no_verdict_ends_with_a_code_and_an_object_of_its_own(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, told(as_json=True):
        raise error
    assert ended.value.exit_code == code
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["exit_code"] == code
    assert said["faults"]


def test_an_exit_code_that_was_chosen_stays() -> None:
    with pytest.raises(typer.Exit) as ended, told(as_json=False):
        raise typer.Exit(1)
    assert ended.value.exit_code == 1


FILES = ("--bench", "b.toml", "--cell", "c.toml")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param(["run", "x", "--json"], "--bench", id="missing option"),
        pytest.param(["run", "x", *FILES, "--simulate", "--seed", "one", "--json"], "--seed", id="bad integer"),
        pytest.param(["run", "x", *FILES, "--simulte", "--json"], "--simulte", id="unknown option"),
        pytest.param(["verify", "--json"], "RUN", id="missing argument"),
        pytest.param(["sample", "weigh", "S-1", "--json"], "--mass", id="missing option of a command's command"),
        pytest.param(["nosuch", "--json"], "nosuch", id="unknown command"),
    ],
)
def test_what_the_parser_refuses_ends_stdout_with_an_object_too(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    said = json.loads(out.splitlines()[-1])
    assert (said["schema"], said["exit_code"]) == ("cellbench/error/1", 2)
    (fault,) = said["faults"]
    assert named.lower() in fault["error"].lower()
    assert "--help" in fault["fix"]
    assert named.lower() in err.lower()


def test_without_json_the_parser_speaks_on_stderr_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["verify", "--", "--json", "more"])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "more" in err


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["run", "--help"], 0), ([], 2), (["sample"], 2)])
def test_help_keeps_its_page_and_its_code(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code
    out, err = capsys.readouterr()
    assert "Examples:" in out
    assert err == ""
