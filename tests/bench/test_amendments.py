"""What is added to a closed run: it is chained to the seal, it never touches it, and damage to it is found."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import amendments, bundle
from bench.later_evidence import attach, judge
from bench.results import VerifyStatus
from bench.verify import verify
from drivers.errors import ConfigError, RecordError
from tests.bench.synthetic_nail import nail_result, record_nail, sealed_nail
from tests.bench.synthetic_run import sealed_run
from tests.bench.test_verify import alone, stand_alone
from tests.bench.together import together

__all__ = ["stand_alone"]  # a fixture

WHEN_S = 1_790_100_000.0  # 2026-09-22 18:00:00 UTC by `date -u -d @1790100000`


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed_nail(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed_nail(tmp_path_factory.mktemp("runs") / "run", judged={"fire": False, "explosion": False})


@pytest.fixture
def run(unjudged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(unjudged, tmp_path / "run"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sealed_part(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in folder.rglob("*")
        if path.is_file() and "amendments" not in path.parts
    }


def said(folder: Path, n: int) -> dict[str, object]:
    return dict(json.loads((folder / "amendments" / f"{n:04d}.json").read_text()))


def no(folder: Path, question: str, by: str = "Wang Fang") -> str:
    return judge(folder, question, answer=False, by=by, note="video 3", utc_s=WHEN_S).verdict


def add_video(folder: Path, name: str = "nail.MP4", content: bytes = b"moving pictures") -> str:
    video = folder.parent / name
    video.write_bytes(content)
    return attach(folder, video, what="video", by="lin", clock_offset_s=1.2, utc_s=WHEN_S).file


def test_two_answers_settle_a_run_that_nobody_judged(run: Path) -> None:
    before = sealed_part(run)
    first = judge(run, "fire", answer=False, by="Wang Fang", note="video 3", utc_s=WHEN_S)
    assert (first.verdict, first.exit_code, first.awaiting) == ("inconclusive", 5, ["no-explosion"])
    assert "hazard_level" not in first.results
    second = judge(run, "no-explosion", answer=False, by=" lin ", note="video 3", utc_s=WHEN_S + 60)
    assert (second.verdict_before, second.verdict, second.exit_code) == ("inconclusive", "pass", 0)
    assert (second.question, second.by, second.awaiting, second.supersedes) == ("explosion", "lin", [], None)
    assert second.results["hazard_level"].value == 2.0
    assert {row.id: row.by for row in second.criteria} == {"no-fire": "Wang Fang", "no-explosion": "lin", "seen": None}
    assert sealed_part(run) == before


def test_a_yes_fails_the_sample(run: Path) -> None:
    result = judge(run, "no-explosion", answer=True, by="lin", note="the case lies in two parts", utc_s=WHEN_S)
    assert (result.verdict, result.exit_code) == ("fail", 1)
    assert next(row for row in result.criteria if row.id == "no-explosion").value == 1.0


def test_an_amendment_says_who_when_what_and_what_it_follows(run: Path) -> None:
    no(run, "fire")
    path = add_video(run)
    first, second = said(run, 1), said(run, 2)
    assert first["previous"] == sha256(run / "manifest.json")
    assert second["previous"] == sha256(run / "amendments" / "0001.json")
    assert (first["kind"], first["n"], first["by"], first["note"]) == ("judgement", 1, "Wang Fang", "video 3")
    assert first["made_utc"] == "2026-09-22T18:00:00+00:00"
    assert (first["question"], first["answer"], first["supersedes"]) == ("fire", False, None)
    wanted = hashlib.sha256(b"moving pictures").hexdigest()
    assert path == f"amendments/files/{wanted}.mp4"
    assert (second["what"], second["name"], second["size"], second["sha256"]) == ("video", "nail.MP4", 15, wanted)
    assert second["clock_offset_s"] == 1.2
    assert (run / path).read_bytes() == b"moving pictures"


def test_an_answered_question_is_answered_anew_and_both_answers_stay(judged: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(judged, tmp_path / "run"))
    record = next(at for at, line in enumerate((run / "events.jsonl").read_text().splitlines()) if '"judged"' in line)
    first = judge(run, "fire", answer=True, by="Wang Fang", note="second camera", utc_s=WHEN_S)
    assert first.supersedes == f"events.jsonl, record {record}"
    assert (first.verdict_before, first.verdict) == ("pass", "fail")
    assert first.results["hazard_level"].value == 5.0
    second = judge(run, "no-fire", answer=False, by="lin", note="a lamp's reflection", utc_s=WHEN_S)
    assert second.supersedes == "amendments/0001.json"
    assert (second.verdict_before, second.verdict) == ("fail", "pass")
    assert [said(run, n)["answer"] for n in (1, 2)] == [True, False]


def test_a_detector_contradicts_a_later_no_as_it_does_in_the_run(tmp_path: Path) -> None:
    run = sealed_nail(tmp_path / "run", judged={"fire": False, "explosion": False}, flame=True)
    result = judge(run, "fire", answer=False, by="lin", note="nothing seen", utc_s=WHEN_S)
    assert result.contradicted_by == ["flame"]
    assert (result.verdict, result.awaiting) == ("inconclusive", [])
    assert judge(run, "fire", answer=True, by="lin", note="video 3", utc_s=WHEN_S).verdict == "fail"


def test_a_bench_that_was_not_made_safe_stays_an_error_of_the_bench(tmp_path: Path) -> None:
    log = record_nail(tmp_path / "run")
    log.event("safe_state", confirmed=False, isolated=False, took_s=3.0, parts=[])
    bundle.put(tmp_path / "run", bundle.VALUES, {"run.peak_temperature": 30.0})
    bundle.seal(log, nail_result({}).model_copy(update={"verdict": "error", "exit_code": 4}))
    no(tmp_path / "run", "fire")
    assert no(tmp_path / "run", "explosion") == "error"


def test_verify_counts_what_was_added_and_the_page_of_the_docs_agrees(run: Path, stand_alone: Path) -> None:
    no(run, "fire")
    add_video(run)
    found = verify(run)
    assert (found.status, found.amendments, found.problems) == (VerifyStatus.INTACT, 2, ())
    done = alone(stand_alone, run)
    assert (done.returncode, done.stdout.strip()) == (3, "intact, signed by nobody"), done.stderr


@pytest.mark.parametrize("victim", ["amendments/0001.json", "amendments/0002.json", "amendments/0003.json", "video"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "link"])
def test_damage_to_what_was_added_is_found_and_named(run: Path, stand_alone: Path, victim: str, damage: str) -> None:
    no(run, "fire")
    video = add_video(run)
    no(run, "explosion")
    name = video if victim == "video" else victim
    path = run / name
    whole = path.read_bytes()
    path.unlink()
    if damage == "flip":
        path.write_bytes(whole[:9] + bytes([whole[9] ^ 1]) + whole[10:])
    elif damage == "cut":
        path.write_bytes(whole[:-3])
    elif damage == "link":
        (run.parent / "elsewhere").write_bytes(whole + b" ")
        path.symlink_to(run.parent / "elsewhere")
    found = verify(run)
    done = alone(stand_alone, run)
    if (victim, damage) == ("amendments/0003.json", "remove"):
        assert found.status is VerifyStatus.INTACT, "nothing comes after it: docs/bundle.md says that this is not seen"
        assert found.amendments == 2
        return
    assert found.status is VerifyStatus.ALTERED
    assert name in {problem.file for problem in found.problems}
    assert done.returncode == 1
    assert name in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_amendment_cannot_be_moved_to_another_run(run: Path, judged: Path, tmp_path: Path) -> None:
    no(run, "fire")
    other = Path(shutil.copytree(judged, tmp_path / "other"))
    shutil.copytree(run / "amendments", other / "amendments")
    (problem,) = verify(other).problems
    assert (problem.file, problem.error) == ("amendments/0001.json", "does not carry the hash of manifest.json")


def test_a_file_that_no_amendment_names_is_found(run: Path) -> None:
    add_video(run)
    (run / "amendments" / "files" / "more.mp4").write_bytes(b"x")
    assert [(it.file, it.error) for it in verify(run).problems] == [
        ("amendments/files/more.mp4", "belongs to no amendment")
    ]


def test_what_an_interrupted_addition_left_is_no_damage_and_is_cleared_away(run: Path) -> None:
    add_video(run)
    parts = [run / "amendments" / ".0002.json.part", run / "amendments" / "files" / ".77.part"]
    for part in parts:
        part.write_bytes(b"half")
    assert verify(run).status is VerifyStatus.INTACT
    no(run, "fire")
    assert not any(part.exists() for part in parts)


def test_a_disk_that_is_full_leaves_no_amendment(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(RecordError, match="No space left"):
        no(run, "fire")
    monkeypatch.undo()
    assert amendments.read(run).amendments == ()
    assert verify(run).status is VerifyStatus.INTACT


def test_nothing_is_added_to_a_bundle_that_is_altered_open_or_none(run: Path, tmp_path: Path) -> None:
    (run / "result.json").write_text((run / "result.json").read_text() + " ")
    with pytest.raises(RecordError, match=r"altered: result\.json"):
        no(run, "fire")
    record_nail(tmp_path / "open").abandon()
    with pytest.raises(RecordError, match="never closed"):
        no(tmp_path / "open", "fire")
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="not a bundle"):
        no(tmp_path / "none", "fire")
    with pytest.raises(RecordError, match="altered"):
        add_video(run)
    assert not (run / "amendments").exists()


def test_nothing_is_added_after_an_amendment_that_does_not_hold(run: Path) -> None:
    no(run, "fire")
    path = run / "amendments" / "0001.json"
    path.write_text(path.read_text().replace("Wang", "Wong"))
    with pytest.raises(RecordError, match=r"0001\.json: does not agree with its own digest"):
        no(run, "explosion")


@pytest.mark.parametrize(
    ("name", "by", "note", "wanted"),
    [
        ("fire", " ", "video", "nobody's name"),
        ("fire", "lin", " ", "what was looked at"),
        ("fier", "lin", "video", "did you mean fire"),
        ("seen", "lin", "video", "no question 'seen'"),
    ],
)
def test_an_answer_without_a_question_a_name_or_a_ground_is_refused(
    run: Path, name: str, by: str, note: str, wanted: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        judge(run, name, answer=False, by=by, note=note, utc_s=WHEN_S)
    assert wanted in " ".join(f"{fault.error} {fault.fix}" for fault in caught.value.faults)
    assert not (run / "amendments").exists()


def test_a_run_that_asked_nobody_is_not_judged(tmp_path: Path) -> None:
    run = sealed_run(tmp_path / "run")
    with pytest.raises(RecordError, match=r"values\.json"):
        no(run, "fire")


def test_what_is_no_file_is_not_attached(run: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(ConfigError, match="no such file"):
            attach(run, path, what="photo", by="lin", utc_s=WHEN_S)


def test_the_same_file_may_be_attached_twice_and_is_kept_once(run: Path) -> None:
    assert add_video(run) == add_video(run)
    assert len(list((run / "amendments" / "files").iterdir())) == 1
    assert verify(run).status is VerifyStatus.INTACT


@settings(max_examples=25, deadline=None)
@given(name=st.text(min_size=1, max_size=20))
def test_no_file_name_reaches_beyond_the_folder(
    unjudged: Path, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("named")
    try:
        source = folder / f"x.{name}"
        source.write_bytes(b"1")
    except (OSError, ValueError, UnicodeEncodeError):
        return
    run = shutil.copytree(unjudged, folder / "run")
    path = attach(run, source, what="other", by="lin", utc_s=WHEN_S).file
    assert (run / path).resolve().parent == (run / "amendments" / "files").resolve()
    assert verify(run).status is VerifyStatus.INTACT


ADDING = """
from pathlib import Path
from bench.later_evidence import judge
def work():
    judge(Path(sys.argv[1]), "fire", answer=False, by=sys.argv[2], note="video", utc_s=1.8e9)
"""


def test_two_people_who_judge_at_once_do_so_one_after_the_other(run: Path) -> None:
    together(ADDING, [(str(run), name) for name in ("a", "b", "c")])
    found = verify(run)
    assert (found.status, found.amendments) == (VerifyStatus.INTACT, 3)
    assert [said(run, n)["supersedes"] for n in (1, 2, 3)] == [None, "amendments/0001.json", "amendments/0002.json"]
    assert {said(run, n)["by"] for n in (1, 2, 3)} == {"a", "b", "c"}
