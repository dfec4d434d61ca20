"""The key that a data folder signs with: made at first use, readable by its owner alone, never in a bundle.

``keys/seal.key`` is the private key (PKCS 8, PEM), ``keys/seal.pub`` its public half as ``verify --trust`` reads it.
Beside them ``keys/seals.jsonl`` remembers each bundle that was closed or amended with this key: a copy whose last
amendments were taken away *with their signatures* looks like an earlier state of the bundle, and only a memory outside
it can tell.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
from pathlib import Path

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from bench import signature
from bench.signature import KEY_PREFIX, Sealed, Trust
from drivers.errors import RecordError

KEY = "seal.key"
PUBLIC = "seal.pub"
REGISTER = "seals.jsonl"

_FIX = "mend the disk or the rights of the folder; no run is closed without its signature"


class SealKey:
    """A private key, and the folder that it lies in."""

    def __init__(self, folder: Path, private: Ed25519PrivateKey) -> None:
        self.folder = folder
        self._private = private
        self.public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    @classmethod
    def at(cls, folder: Path) -> SealKey:
        """The folder's key, made now if there is none. Two processes that come at once get the same one.

        Raises RecordError: not to be made, not readable, not a key, or readable for others.
        """
        path = folder / KEY
        try:
            if not path.exists():
                _make(path)
            private = _read(path)
            key = cls(folder, private)
            if not (folder / PUBLIC).exists():
                name = re.sub(r"[^A-Za-z0-9.-]+", "-", socket.gethostname()) or "bench"
                _put(folder / PUBLIC, f"{KEY_PREFIX}{key.public} {name}\n".encode(), 0o644)
        except OSError as error:
            said = f"the key of the seal cannot be kept: {error.strerror or error}"
            raise RecordError(said, str(path), _FIX) from error
        return key

    def sign(self, content: bytes) -> bytes:
        """The text of the ``.sig`` file of ``content``. The same content gives the same text."""
        return signature.text(self.public, self._private.sign(content).hex())

    def remember(self, manifest: str, sealed: Sealed) -> None:
        """Keep how far a bundle goes, by the sha256 of its manifest; on disk when this returns. Raises OSError."""
        line = orjson.dumps({"manifest": manifest, "amendments": sealed.amendments, "head": sealed.head}) + b"\n"
        handle = os.open(self.folder / REGISTER, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":  # what a power cut tore
                line = b"\n" + line
            os.write(handle, line)
            os.fdatasync(handle)
        finally:
            os.close(handle)


def trust_of(folder: Path) -> Trust:
    """What a data folder's ``keys`` know: its own key, and what it closed. Makes nothing. Raises ConfigError."""
    own = folder / PUBLIC
    names = dict.fromkeys(signature.read_trust(own), "this data folder's key") if own.is_file() else {}
    return Trust(names, remembered(folder))


def remembered(folder: Path) -> dict[str, Sealed]:
    """Each bundle's longest state in the folder's register; a torn line is left out."""
    try:
        lines = (folder / REGISTER).read_bytes().splitlines()
    except OSError:
        return {}
    found: dict[str, Sealed] = {}
    for line in lines:
        try:
            said = orjson.loads(line)
            sealed = Sealed(int(said["amendments"]), str(said["head"]))
            before = found.setdefault(str(said["manifest"]), sealed)
        except (orjson.JSONDecodeError, LookupError, TypeError, ValueError):
            continue
        if sealed.amendments > before.amendments:
            found[str(said["manifest"])] = sealed
    return found


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _put(path, pem, 0o600)


def _put(path: Path, content: bytes, mode: int) -> None:
    """Give a file that is not there yet its whole content at once; who comes second leaves the first one's."""
    part = path.with_name(f".{path.name}.{os.getpid()}.new")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        os.fchmod(handle, mode)
        os.write(handle, content)
        os.fsync(handle)
        try:
            os.link(part, path)
        except FileExistsError:
            return
    finally:
        os.close(handle)
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> Ed25519PrivateKey:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise RecordError("the key of the seal can be read by others", str(path), f"chmod 600 {path}")
        pem = file.read()
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        fix = "put the right key back from a backup; only if it is lost move this file away, a new key is then made"
        raise RecordError("is not the private key of a seal", str(path), fix)
    return private
