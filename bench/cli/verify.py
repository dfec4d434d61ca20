"""``cellbench verify``: is a bundle what it was when it was closed, and who says so?"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.ending import examples_of, output, print_json, told
from bench.cli.options import DATA, JSON, RUN

if TYPE_CHECKING:
    from bench.results import VerifyResult
    from bench.signature import Trust


def add_to(app: typer.Typer) -> None:
    app.command(
        "verify",
        epilog=examples_of(
            "cellbench verify cellbench-data/runs/0001-gbt31486-2024-room-capacity",
            "cellbench verify 0001-gbt31486-2024-room-capacity --trust bench7.pub",
        ),
    )(command)


def command(
    run: RUN,
    trust: Annotated[
        list[Path] | None,
        typer.Option("--trust", help="A file of public keys that count, such as a bench's keys/seal.pub."),
    ] = None,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Check every file, both log chains, the seal, what came after it, and every signature.

    Without --trust the data folder's own key counts. 0 intact and signed by a known key, 1 altered, 2 not a bundle or a
    newer program's, 3 whole but signed by an unknown key or not signed, 5 not closed.
    """
    with told(as_json=as_json):
        from bench.verify import verify, verify_result

        result = verify_result(verify(run, _trusted(trust or [], data)))
        if as_json:
            print_json(result)
        else:
            output.print(f"{run}: {_said(result)}", markup=False, soft_wrap=True)
            for problem in result.problems:
                output.print(f"  {problem}", markup=False, soft_wrap=True)
        raise typer.Exit(result.exit_code)


def _trusted(files: list[Path], data: Path | None) -> Trust:
    """The keys of the files, or the data folder's own where there are none; its memory in both cases."""
    from bench.data_folder import DataFolder
    from bench.seal_key import trust_of
    from bench.signature import read_trust

    own = trust_of(DataFolder.choose(data, os.environ).keys)
    named: dict[str, str] = {}
    for file in files:
        named |= read_trust(file)
    return replace(own, names=named) if files else own


def _said(result: VerifyResult) -> str:
    from bench.results import VerifyStatus
    from bench.signature import KEY_PREFIX

    words = [result.status.value.replace("_", " ")]
    if result.status in {VerifyStatus.UNKNOWN_KEY, VerifyStatus.UNSIGNED}:
        words = ["nothing is damaged, but it cannot be told whose it is"]
    if result.amendments:
        words.append(f"{result.amendments} amendments")
    by_signer: dict[str, list[str]] = {}
    for row in result.signatures:
        if row.name is not None:
            signer = f"signed by {row.name} ({KEY_PREFIX}{row.key})"
        else:
            signer = "not signed" if row.key is None else f"signed by unknown key {KEY_PREFIX}{row.key}"
        by_signer.setdefault(signer, []).append(row.file)
    if result.status is not VerifyStatus.ALTERED:
        words += [f"{', '.join(files)} {signer}" for signer, files in by_signer.items()]
    return "; ".join(words)
