"""The shapes of --json: strict, lower case, and the schemas in docs/schemas are those of today's models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from bench import results
from bench.results import EXIT_CODES, Limit, RunResult, SampleResult, SampleUsed, Value, error_result
from bench.samples import Sample
from drivers.errors import ConfigError, Fault
from tests.bench.synthetic_run import result

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


def test_the_schemas_in_the_docs_are_fresh() -> None:
    """If this fails: python -m bench.results docs/schemas"""
    assert {path.name: path.read_text() for path in SCHEMAS.glob("*.json")} == results.schemas()


def test_the_schemas_are_written_by_the_module_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.json").write_text("{}")
    assert results.main([str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(results.schemas())
    assert results.main([]) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(results.schemas()))
def test_every_object_carries_schema_and_exit_code(name: str) -> None:
    schema = json.loads(results.schemas()[name])
    assert {"schema", "exit_code"} <= set(schema["required"])
    assert schema["additionalProperties"] is False
    assert schema["properties"]["schema"]["const"] == f"cellbench/{name.removesuffix('.json')}/1"


def test_a_run_says_what_it_promised() -> None:
    said = json.loads(result().model_dump_json(by_alias=True))
    assert {
        "schema", "exit_code", "run_id", "bundle", "mode", "verdict", "ended_by", "criteria", "results", "plant_truth",
        "test_s", "wall_s",
    } <= said.keys()  # fmt: skip
    assert set(said["ended_by"]) == {"phase", "kind", "rule", "device", "value", "limit"}
    assert {"id", "kind", "clause", "verdict", "value", "unit", "limit", "grade"} <= said["criteria"][0].keys()
    assert said["results"]["capacity_ah"] == {"value": 57.0, "unit": "Ah", "at_least": False}
    assert RunResult.model_validate_json(json.dumps(said)) == result()


@pytest.mark.parametrize(
    "change", [{"verdict": "PASS"}, {"mode": "sim"}, {"test_s": "1"}, {"more": 1}, {"exit_code": 9}]
)
def test_what_is_not_promised_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RunResult.model_validate({**result().model_dump(), **change})


def test_a_run_names_its_sample_and_whether_it_was_weighed() -> None:
    used = SampleUsed(id="S-1", mass_kg=0.8, mass_is_nominal=True)
    said = json.loads(result(sample=used).model_dump_json(by_alias=True))
    assert said["sample"] == {"id": "S-1", "mass_kg": 0.8, "mass_is_nominal": True}


def test_one_sample_is_its_whole_record_and_an_exit_code() -> None:
    record = Sample.model_validate(
        {"id": "S-1", "type": "nmc-25ah", "mass_kg": 0.48, "charged_at": "2026-01-05T08:00:00Z", "runs": ["0001-x"]}
    )
    said = json.loads(SampleResult.of(record).model_dump_json(by_alias=True))
    assert said.pop("exit_code") == 0
    assert Sample.model_validate(said) == record
    required = json.loads(results.schemas()["sample.json"])["required"]
    assert set(said) <= set(required)


def test_no_nan_gets_out() -> None:
    with pytest.raises(ValidationError):
        Value(value=float("nan"), unit="V")


def test_a_limit_may_be_open_on_a_side() -> None:
    assert Limit(at_least=1.0).model_dump() == {"at_least": 1.0, "at_most": None}


def test_an_error_gives_every_fault() -> None:
    error = ConfigError([Fault("a", "b", "c"), Fault("d", "e", "f")])
    said = json.loads(error_result(error, 2).model_dump_json(by_alias=True))
    assert said["exit_code"] == 2
    assert said["faults"] == [{"error": "a", "where": "b", "fix": "c"}, {"error": "d", "where": "e", "fix": "f"}]


def test_exit_codes_are_those_of_the_docs() -> None:
    assert EXIT_CODES == {"pass": 0, "fail": 1, "aborted": 3, "error": 4, "inconclusive": 5}
