"""``cellbench judge`` and ``cellbench attach``, as they are typed: words, JSON, exit codes, and the sample's record."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench import run_sample
from bench.cli import main
from bench.results import AttachmentResult, JudgementResult
from bench.samples import Sample, SampleState, SampleStore
from bench.seal_key import SealKey
from tests.bench.synthetic_nail import sealed_nail

WHO = ("--by", "Wang Fang", "--note", "video 3")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(autouse=True)
def _in_a_data_folder(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLBENCH_DATA", str(data))
    (data / "keys" / "seals.jsonl").unlink(missing_ok=True)  # every test amends a copy of its own


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    return sealed_nail(tmp_path_factory.mktemp("runs") / "run", key=SealKey.at(data / "keys"))


@pytest.fixture
def run(unjudged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(unjudged, tmp_path / "run"))


def typed(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


def last_object(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out.strip().splitlines()[-1]))


def test_the_exit_code_is_that_of_the_new_verdict(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("judge", run, "fire", "no", *WHO) == 5
    said = capsys.readouterr().out
    assert "AWAITING JUDGEMENT 待判定: no-explosion" in said
    assert "verdict INCONCLUSIVE 无法判定 (before: INCONCLUSIVE 无法判定)" in said
    assert typed("judge", run, "no-explosion", "no", *WHO) == 0
    assert "verdict PASS 合格 (before: INCONCLUSIVE 无法判定)" in capsys.readouterr().out
    assert typed("judge", run, "no-explosion", "yes", *WHO) == 1
    assert "in place of the answer in amendments/0002.json; both stay" in capsys.readouterr().out
    assert typed("verify", run) == 0
    assert ": intact; 3 amendments; " in capsys.readouterr().out


def test_stdout_ends_with_one_object(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("judge", run, "fire", "yes", *WHO, "--json") == 1
    judged = JudgementResult.model_validate_json(json.dumps(last_object(capsys)))
    assert (judged.verdict, judged.question, judged.answer, judged.exit_code) == ("fail", "fire", True, 1)
    photo = run.parent / "after.jpg"
    photo.write_bytes(b"light")
    line = ("attach", run, photo, "--what", "photo", "--by", "lin", "--clock-offset", "-0.3 s", "--json")
    assert typed(*line) == 0
    added = AttachmentResult.model_validate_json(json.dumps(last_object(capsys)))
    assert (added.what, added.size, added.clock_offset_s) == ("photo", 5, -0.3)
    assert typed("verify", run, "--json") == 0
    assert last_object(capsys)["amendments"] == 2


@pytest.mark.parametrize(
    "line",
    [
        ("judge", "RUN", "fire", "perhaps", *WHO),
        ("judge", "RUN", "fire", "no", "--by", "lin"),
        ("judge", "RUN", "fire", "no", "--note", "video"),
        ("judge", "RUN", "smoke", "no", *WHO),
        ("attach", "RUN", "none.mp4", "--what", "video", "--by", "lin"),
        ("attach", "RUN", "RUN/result.json", "--what", "film", "--by", "lin"),
        ("attach", "RUN", "RUN/result.json", "--what", "other", "--by", "lin", "--clock-offset", "1.2"),
        ("attach", "RUN", "RUN/result.json", "--what", "other", "--by", "lin", "--clock-offset", "1.2 V"),
    ],
)
def test_what_is_typed_wrongly_is_code_2_and_adds_nothing(
    run: Path, line: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(*(word.replace("RUN", str(run)) for word in line), "--json") == 2
    assert last_object(capsys)["faults"]
    assert not (run / "amendments").exists()


def test_an_altered_bundle_is_code_4(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "values.json").write_text("{}")
    assert typed("judge", run, "fire", "no", *WHO, "--json") == 4
    assert "values.json" in last_object(capsys)["faults"][0]["error"]


def test_a_simulated_run_changes_no_samples_record(run: Path, tmp_path: Path) -> None:
    store = SampleStore(tmp_path / "data" / "samples")
    store.add(Sample(id="S-0043", type="straight-line", runs=("0008-nail",), state=SampleState.AWAITING_JUDGEMENT))
    for question in ("fire", "explosion"):
        typed("judge", run, question, "no", *WHO, "--data", tmp_path / "data")
    assert store.show("S-0043").state is SampleState.AWAITING_JUDGEMENT


@pytest.mark.parametrize(
    ("runs", "state", "wanted"),
    [
        (("0008-nail",), SampleState.AWAITING_JUDGEMENT, SampleState.DESTROYED),
        (("0007-other",), SampleState.AWAITING_JUDGEMENT, None),
        (("0008-nail",), SampleState.QUARANTINED, None),
    ],
)
def test_a_sample_that_only_waited_for_its_judgement_is_destroyed(
    tmp_path: Path, runs: tuple[str, ...], state: SampleState, wanted: SampleState | None
) -> None:
    store = SampleStore(tmp_path)
    store.add(Sample(id="S-0043", type="straight-line", runs=runs, state=state))
    assert run_sample.judged(store, "S-0043", "0008-nail") is wanted
    assert store.show("S-0043").state is (wanted or state)
    assert run_sample.judged(store, "S-0044", "0008-nail") is None
