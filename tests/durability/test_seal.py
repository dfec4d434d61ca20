"""Who signed a bundle: the key, whom verify believes, and what a forger without the key is left with."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import bundle, signature
from bench.cli import main
from bench.later_evidence import judge
from bench.results import VerifyStatus
from bench.seal_key import SealKey, trust_of
from bench.signature import Trust
from bench.verify import Verification, verify, verify_result
from drivers.errors import ConfigError, RecordError
from tests.bench.synthetic_nail import sealed_nail
from tests.bench.synthetic_run import sealed_run
from tests.bench.test_verify import alone, reseal, stand_alone
from tests.bench.together import together

__all__ = ["stand_alone"]  # a fixture

WHEN_S = 1_790_100_000.0


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SealKey:
    return SealKey.at(tmp_path_factory.mktemp("data") / "keys")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> SealKey:
    return SealKey.at(tmp_path_factory.mktemp("other") / "keys")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, key: SealKey) -> Path:
    run = sealed_nail(tmp_path_factory.mktemp("runs") / "run", key=key)
    judge(run, "fire", answer=False, by="lin", note="video 3", utc_s=WHEN_S, key=key)
    judge(run, "explosion", answer=False, by="lin", note="video 3", utc_s=WHEN_S, key=key)
    return run


@pytest.fixture
def copy(sealed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed, tmp_path / "copy"))


def known(*keys: SealKey) -> Trust:
    return Trust({key.public: "bench 7" for key in keys})


def said(found: Verification) -> tuple[VerifyStatus, int]:
    return found.said, verify_result(found).exit_code


def test_the_key_is_made_once_for_its_owner_alone_and_outside_every_bundle(tmp_path: Path) -> None:
    key = SealKey.at(tmp_path / "data" / "keys")
    assert stat.S_IMODE((tmp_path / "data" / "keys" / "seal.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data" / "keys").stat().st_mode) == 0o700
    assert SealKey.at(tmp_path / "data" / "keys").public == key.public
    run = sealed_run(tmp_path / "data" / "runs" / "1", key=key)
    private = (tmp_path / "data" / "keys" / "seal.key").read_bytes().splitlines()[1]
    assert all(private not in path.read_bytes() for path in run.rglob("*") if path.is_file())


def test_two_processes_that_come_first_at_once_get_one_key(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom bench.seal_key import SealKey\n"
        "def work():\n    print(SealKey.at(Path(sys.argv[1])).public)"
    )
    assert len(set(together(code, [(str(tmp_path / "keys"),)] * 3))) == 1


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    SealKey.at(tmp_path)
    (tmp_path / "seal.key").chmod(0o640)
    with pytest.raises(RecordError, match="read by others"):
        SealKey.at(tmp_path)


@pytest.mark.fault("F76")
def test_a_spoiled_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    before = SealKey.at(tmp_path).public
    path = tmp_path / "seal.key"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(RecordError, match="not the private key"):
        SealKey.at(tmp_path)
    path.unlink()
    assert SealKey.at(tmp_path).public != before


def test_a_known_key_is_intact_and_an_unknown_one_never_is(copy: Path, key: SealKey, other: SealKey) -> None:
    assert said(verify(copy, known(key))) == (VerifyStatus.INTACT, 0)
    assert said(verify(copy, known(other))) == (VerifyStatus.UNKNOWN_KEY, 3)
    assert said(verify(copy)) == (VerifyStatus.UNKNOWN_KEY, 3)


def test_a_bundle_that_nobody_signed_says_so(tmp_path: Path, key: SealKey) -> None:
    run = sealed_run(tmp_path / "run")
    assert said(verify(run, known(key))) == (VerifyStatus.UNSIGNED, 3)


def test_openssl_accepts_the_signature(copy: Path, tmp_path: Path) -> None:
    """As docs/bundle.md says: the public key in the form of RFC 8410 is twelve fixed bytes and the key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    signed = json.loads((copy / "manifest.json.sig").read_text())
    (tmp_path / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100" + signed["key"]))
    (tmp_path / "raw.sig").write_bytes(bytes.fromhex(signed["signature"]))
    line = [openssl, "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", str(tmp_path / "key.der"), "-rawin"]
    line += ["-in", str(copy / "manifest.json"), "-sigfile", str(tmp_path / "raw.sig")]
    subprocess.run(line, check=True, capture_output=True)


def test_the_verifier_in_the_docs_checks_signatures_by_arithmetic_alone(
    stand_alone: Path, copy: Path, key: SealKey, other: SealKey
) -> None:
    done = alone(stand_alone, copy, key.public)
    assert (done.returncode, done.stdout.strip()) == (0, f"intact, signed by {key.public}"), done.stderr
    assert alone(stand_alone, copy, other.public).returncode == 3
    assert alone(stand_alone, copy).returncode == 3
    (copy / "amendments" / "0002.json.sig").write_bytes(other.sign((copy / "amendments" / "0002.json").read_bytes()))
    done = alone(stand_alone, copy, key.public, other.public)
    assert (done.returncode, "0002.json.sig" in done.stderr) == (1, True)
    signed = json.loads((copy / "manifest.json.sig").read_text())
    spoilt = f"{int(signed['signature'], 16) ^ 1:0128x}"
    (copy / "manifest.json.sig").write_bytes(signature.text(signed["key"], spoilt))
    done = alone(stand_alone, copy, key.public)
    assert (done.returncode, "manifest.json.sig" in done.stderr) == (1, True)


def resealed(folder: Path, **changes: Any) -> None:
    """A forgery that agrees with itself in everything but the signature."""
    reseal(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    listed = [entry for entry in manifest["files"] if not entry["path"].endswith((".sig", "SHA256SUMS"))]
    sums = "".join(f"{entry['sha256']}  {entry['path']}\n" for entry in listed)
    (folder / "SHA256SUMS").write_text(sums)
    size, sha256 = len(sums.encode()), bundle.sha256_of(folder / "SHA256SUMS")
    listed.append({"path": "SHA256SUMS", "size": size, "sha256": sha256})
    manifest |= {"files": sorted(listed, key=lambda entry: entry["path"]), **changes}
    manifest["digest"] = bundle.digest_of(manifest)
    (folder / "manifest.json").write_text(bundle.manifest_text(manifest))


def forged(folder: Path) -> None:
    shutil.rmtree(folder / "amendments")
    path = folder / "values.json"
    path.write_text(path.read_text().replace("run.peak_temperature", "run.other_temperature"))


@pytest.mark.fault("H15")
def test_a_forgery_with_a_new_manifest_does_not_carry_the_old_signature(copy: Path, key: SealKey) -> None:
    forged(copy)
    resealed(copy)
    found = verify(copy, known(key))
    assert found.said is VerifyStatus.ALTERED
    assert {problem.file for problem in found.problems} == {"manifest.json.sig"}


def test_a_forgery_that_nobody_signs_is_not_intact(copy: Path, key: SealKey) -> None:
    forged(copy)
    (copy / "manifest.json.sig").unlink()
    resealed(copy, signer=None)
    assert verify(copy, known(key)).said is VerifyStatus.UNSIGNED


def test_a_forgery_that_is_signed_by_its_forger_is_not_intact(copy: Path, key: SealKey) -> None:
    forged(copy)
    mine = Ed25519PrivateKey.generate()
    public = mine.public_key().public_bytes_raw().hex()
    resealed(copy, signer=public)
    signed = mine.sign((copy / "manifest.json").read_bytes())
    (copy / "manifest.json.sig").write_bytes(signature.text(public, signed.hex()))
    assert verify(copy, known(key)).said is VerifyStatus.UNKNOWN_KEY


def test_another_keys_signature_is_not_the_one_that_the_manifest_names(
    copy: Path, key: SealKey, other: SealKey
) -> None:
    (copy / "manifest.json.sig").write_bytes(other.sign((copy / "manifest.json").read_bytes()))
    found = verify(copy, known(key, other))
    assert [(it.file, it.error) for it in found.problems] == [
        ("manifest.json.sig", "is another key's than the manifest says")
    ]


def test_an_amendment_of_an_unknown_key_or_of_nobody_spoils_the_word_intact(
    copy: Path, key: SealKey, other: SealKey, tmp_path: Path
) -> None:
    again = Path(shutil.copytree(copy, tmp_path / "again"))
    judge(copy, "fire", answer=True, by="mallory", note="-", utc_s=WHEN_S, key=other)
    assert said(verify(copy, known(key))) == (VerifyStatus.UNKNOWN_KEY, 3)
    assert said(verify(copy, known(key, other))) == (VerifyStatus.INTACT, 0)
    judge(again, "fire", answer=True, by="mallory", note="-", utc_s=WHEN_S)
    assert said(verify(again, known(key))) == (VerifyStatus.UNSIGNED, 3)


def test_an_amendment_cannot_be_forged_in_place(copy: Path, key: SealKey) -> None:
    path = copy / "amendments" / "0002.json"
    data = json.loads(path.read_text())
    data["answer"] = True
    data["digest"] = bundle.digest_of(data)
    path.write_text(bundle.manifest_text(data))
    problem = verify(copy, known(key)).problems[0]
    assert (problem.file, problem.error) == ("amendments/0002.json.sig", "is not the signature of that file")


def take_away_last(folder: Path) -> None:
    for name in ("0002.json", "0002.json.sig"):
        (folder / "amendments" / name).unlink()


@pytest.mark.fault("H15")
def test_the_last_amendment_taken_away_whole_is_found_where_it_is_remembered(copy: Path, key: SealKey) -> None:
    """An earlier state agrees with itself: a copy elsewhere cannot know of what came after. docs/bundle.md says so."""
    take_away_last(copy)
    assert verify(copy, known(key)).said is VerifyStatus.INTACT
    found = verify(copy, trust_of(key.folder))
    assert found.said is VerifyStatus.ALTERED
    assert {problem.file for problem in found.problems} == {"amendments/0002.json"}


def test_an_addition_that_was_broken_off_before_its_name_is_cleared_by_the_next(
    copy: Path, key: SealKey, tmp_path: Path
) -> None:
    """Only where the register knows that it never came about."""
    mine = SealKey.at(Path(shutil.copytree(key.folder, tmp_path / "keys")))
    (copy / "amendments" / "0003.json.sig").write_bytes(key.sign(b"what never came"))
    assert verify(copy, known(key)).said is VerifyStatus.ALTERED
    with pytest.raises(RecordError, match="altered"):
        judge(copy, "fire", answer=True, by="lin", note="-", utc_s=WHEN_S)
    assert judge(copy, "fire", answer=True, by="lin", note="-", utc_s=WHEN_S, key=mine).amendment.endswith("0003.json")
    assert verify(copy, known(key)).said is VerifyStatus.INTACT


def test_trust_names_every_line_that_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.pub"
    path.write_text(f"# ours\n\ned25519:{'0' * 64} bench 7\ned25519:xyz\n{'1' * 64} bare\n")
    with pytest.raises(ConfigError) as caught:
        signature.read_trust(path)
    assert [fault.where.rsplit(", ", 1)[1] for fault in caught.value.faults] == ["line 4", "line 5"]
    path.write_text("# nothing\n")
    with pytest.raises(ConfigError, match="names no key"):
        signature.read_trust(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        signature.read_trust(tmp_path / "none")


def typed(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


def test_the_command_says_whose_it_is_and_never_just_intact(
    copy: Path, key: SealKey, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELLBENCH_DATA", str(tmp_path / "elsewhere"))
    assert typed("verify", copy) == 3
    words = capsys.readouterr().out
    assert f"signed by unknown key ed25519:{key.public}" in words
    assert "intact" not in words
    assert typed("verify", copy, "--trust", key.folder / "seal.pub") == 0
    assert "intact" in capsys.readouterr().out
    assert typed("verify", copy, "--data", key.folder.parent) == 0
    assert "this data folder's key" in capsys.readouterr().out
    assert typed("verify", copy, "--json") == 3
    shown = json.loads(capsys.readouterr().out)
    assert shown["status"] == "unknown_key"
    assert {row["key"] for row in shown["signatures"]} == {key.public}
    assert not (tmp_path / "elsewhere").exists(), "asking makes no key"
    assert typed("verify", copy, "--trust", copy / "result.json") == 2
