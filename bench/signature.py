"""Signatures: one small file beside what it signs, and whose keys are known.

``NAME.sig`` is one JSON line: the public key and an Ed25519 signature (RFC 8032) over the bytes of ``NAME``, both in
hex. It is canonical, so that no byte of it may change either. The private half is in bench/seal_key.py and never in a
bundle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from drivers.errors import ConfigError, Fault

SCHEMA = "cellbench/signature/1"
#: What the name of a signature adds to the name of what is signed.
SUFFIX = ".sig"
#: How a public key is written where people read it.
KEY_PREFIX = "ed25519:"

_KEY = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a data folder remembers of a bundle that it closed: how many amendments there were, and the last one's
    sha256 (the manifest's if there were none)."""

    amendments: int
    head: str


@dataclass(frozen=True, slots=True)
class Trust:
    """Which public keys (hex) are known, each by the name it goes by, and what is remembered of bundles, by the
    sha256 of their manifest."""

    names: Mapping[str, str] = field(default_factory=dict)
    sealed: Mapping[str, Sealed] = field(default_factory=dict)


def text(key: str, signature: str) -> bytes:
    """A signature as it stands in its file."""
    return orjson.dumps({"schema": SCHEMA, "key": key, "signature": signature}) + b"\n"


def check(content: bytes, signature: bytes) -> tuple[str, str]:
    """The key that signed ``content``, and ""; or "" and why ``signature``, the file's bytes, does not hold."""
    try:
        said = orjson.loads(signature)
        key, signed = said["key"], said["signature"]
        whole = _KEY.fullmatch(key) and _SIGNATURE.fullmatch(signed) and signature == text(key, signed)
    except (orjson.JSONDecodeError, LookupError, TypeError):
        whole = None
    if not whole:
        return "", "is not a whole signature"
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signed), content)
    except (InvalidSignature, ValueError):
        return "", "is not the signature of that file"
    return key, ""


def read_trust(path: Path) -> dict[str, str]:
    """The public keys of a file, with their names: a line each, ``ed25519:KEY NAME``; # begins a remark.

    Raises ConfigError with every line that is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Fault(f"cannot be read: {error}", str(path), "give the seal.pub of a bench")]) from None
    names: dict[str, str] = {}
    faults: list[Fault] = []
    for at, line in enumerate(lines, 1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        word, _, name = said.partition(" ")
        key = word.removeprefix(KEY_PREFIX)
        if word == key or not _KEY.fullmatch(key):
            fix = f"write {KEY_PREFIX} and 64 digits, then a name; a bench's own line is keys/seal.pub"
            faults.append(Fault("is no public key", f"{path}, line {at}", fix))
        else:
            names[key] = name.strip() or path.name
    if not names and not faults:
        faults.append(Fault("names no key", str(path), "give the seal.pub of a bench"))
    if faults:
        raise ConfigError(faults)
    return names
