"""No exception may pass for a verdict: exit code 1 is the sample's alone."""

from __future__ import annotations

import json

import pytest
import typer

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
