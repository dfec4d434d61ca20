"""Every single mutation of a closed and amended bundle is found, by the bundle alone, in a copy anywhere.

Of 10 000 mutations a run draws 400 by the seed that is printed, unless CELLBENCH_ALL is set, which ``scripts/soak``
does. What is verified knows the bundle's key, but no register: nothing outside the copy helps.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from bench.later_evidence import attach, judge
from bench.results import VerifyStatus
from bench.seal_key import SealKey
from bench.signature import Trust
from bench.verify import verify
from tests.bench.synthetic_nail import sealed_nail
from tests.durability.mutations import done, drawn

SEED = int(os.environ.get("CELLBENCH_SEED", "20261123"))
ALL = 10_000
PART = 400
WHEN_S = 1_790_100_000.0


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SealKey:
    return SealKey.at(tmp_path_factory.mktemp("data") / "keys")


@pytest.fixture(scope="module")
def amended(tmp_path_factory: pytest.TempPathFactory, key: SealKey) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run = sealed_nail(folder / "run", key=key)
    judge(run, "fire", answer=False, by="lin", note="video 3", utc_s=WHEN_S, key=key)
    (folder / "nail.mp4").write_bytes(b"moving pictures" * 20)
    attach(run, folder / "nail.mp4", what="video", by="lin", utc_s=WHEN_S, key=key)
    judge(run, "explosion", answer=False, by="lin", note="video 3", utc_s=WHEN_S, key=key)
    return Path(shutil.copytree(run, folder / "elsewhere" / "copy"))


@pytest.mark.fault("H15", "F76")
def test_single_mutations_are_found(amended: Path, key: SealKey) -> None:
    trust = Trust({key.public: "bench 7"})
    assert verify(amended, trust).said is VerifyStatus.INTACT
    rng = random.Random(SEED)
    wanted = ALL if os.environ.get("CELLBENCH_ALL") else PART
    found = 0
    missed: list[str] = []
    mutations = drawn(amended, rng)
    while found + len(missed) < wanted:
        mutation = next(mutations)
        with done(amended, mutation, rng) as changed:
            if not changed:
                continue
            if verify(amended, trust).said is VerifyStatus.INTACT:
                missed.append(str(mutation))
            else:
                found += 1
    print(f"{found} of {wanted} mutations found (CELLBENCH_SEED={SEED}; {ALL} in all)")
    assert not missed, (SEED, missed[:10])
    assert verify(amended, trust).said is VerifyStatus.INTACT, "everything was undone"
