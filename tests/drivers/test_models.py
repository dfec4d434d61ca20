"""Models by name: whose they are is read once, since a bench of many devices asks with every start."""

from __future__ import annotations

from importlib.metadata import Distribution

import pytest

import drivers.models
import simulators.models


@pytest.mark.parametrize(
    "named", [drivers.models.driver_model, simulators.models.simulator_model], ids=["drivers", "simulators"]
)
def test_a_model_that_was_asked_for_before_reads_no_file(named: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(named)
    named("ea-psb10000")

    def read(*_: object) -> str:
        raise AssertionError("a distribution's file was read again")

    monkeypatch.setattr(Distribution, "metadata", property(read))
    assert named("ea-psb10000").name == "ea-psb10000"
