"""Where the daemon of a data folder is to be found: a file that it keeps while it serves."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from drivers.errors import ConfigError, Fault, RecordError

FILE = "daemon.json"


@dataclass(frozen=True, slots=True)
class Address:
    """``certificate`` is the daemon's own, for a client to trust; None without TLS."""

    url: str
    pid: int
    certificate: Path | None = None


def keep_address(data: Path, url: str, certificate: Path | None = None) -> None:
    """For the account that keeps the bench, and root. Raises RecordError."""
    path = data / FILE
    new = path.with_suffix(".new")
    shown = {"url": url, "pid": os.getpid(), "certificate": None if certificate is None else str(certificate.resolve())}
    try:
        data.mkdir(parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(json.dumps(shown) + "\n")
        new.replace(path)
    except OSError as error:
        said = f"the daemon's address cannot be kept: {error.strerror}"
        raise RecordError(said, str(path), "mend the rights of the data folder") from None


def forget_address(data: Path) -> None:
    """The daemon serves no more. A daemon that came after it keeps its own."""
    try:
        if address_of(data).pid == os.getpid():
            (data / FILE).unlink(missing_ok=True)
    except (ConfigError, OSError):
        return


def address_of(data: Path) -> Address:
    """Raises ConfigError: no daemon serves this data folder."""
    path = data / FILE
    try:
        kept = json.loads(path.read_text())
        certificate = kept["certificate"]
        return Address(str(kept["url"]), int(kept["pid"]), None if certificate is None else Path(certificate))
    except (OSError, ValueError, KeyError, TypeError):
        fix = "start one with `cellbench serve`, or name the data folder of the one that runs with --data"
        raise ConfigError([Fault("no daemon serves this data folder", str(data), fix)]) from None


def served(data: Path) -> bool:
    """Whether a daemon that still lives serves this data folder."""
    try:
        os.kill(address_of(data).pid, 0)
    except (ConfigError, ProcessLookupError):
        return False
    except PermissionError:  # it lives, under another account
        return True
    return True
