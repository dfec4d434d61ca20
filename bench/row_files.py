"""The rows of a bundle: sealed Parquet segments, and windows of JSON lines that no segment has taken over yet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import RawIOBase
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from bench import parquet, schemas
from bench.chain import GENESIS, digest
from bench.disk import Disk
from bench.event_files import SUSPECT

READINGS = "readings"
READINGS_SCHEMA = schemas.newest("readings")
#: The columns in front of the channels, in every row.
FIXED_COLUMNS = ("mono_s", "utc_s", "step")
#: A segment is made of so much of its window at a time, a row group each: what is in memory at once.
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RowPart:
    """One stretch of rows. ``segment`` is the event's data where a Parquet file holds it; else it is the window
    ``path``, of which ``limit`` rows count (None: all), and ``unsealed`` the event's data if it can be no segment."""

    path: Path
    segment: Mapping[str, Any] | None = None
    unsealed: Mapping[str, Any] | None = None
    limit: int | None = None


def segment_path(folder: Path, window: int) -> Path:
    return folder / READINGS / f"{window:04d}.parquet"


def window_path(folder: Path, window: int) -> Path:
    return folder / READINGS / f"window-{window:04d}.jsonl"


def row_parts(folder: Path, events: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[RowPart, ...]:
    """Every stretch of rows in order, by the events (kind and data) and by what lies in the folder."""
    parts: list[RowPart] = []
    limits: dict[str, int] = {}
    done: set[int] = set()
    for kind, data in events:
        if kind == SUSPECT:
            limits[str(data["file"])] = int(data["records"])
        elif kind == "segment":
            parts.append(RowPart(folder / str(data["path"]), segment=data))
            done.add(int(Path(str(data["path"])).stem))
        elif kind == "unsealed":
            parts.append(RowPart(folder / str(data["file"]), unsealed=data, limit=int(data["rows"])))
            done.add(_number(Path(str(data["file"]))))
    windows = sorted((folder / READINGS).glob("window-*.jsonl"))
    # where a segment stands already, only the removal of its window did not come about
    open_ = (path for path in windows if _number(path) not in done)
    return (*parts, *(RowPart(path, limit=limits.get(f"{READINGS}/{path.name}")) for path in open_))


def _number(window: Path) -> int:
    return int(window.stem[-4:])


def window_lines(path: Path, limit: int | None = None) -> Iterator[bytes]:
    """The whole lines of a window that count, one after the other. Raises OSError."""
    with path.open("rb") as file:
        for line in islice(file, limit):
            if not line.endswith(b"\n") or b"\0" in line:  # torn, or a hole that a power cut left
                return
            yield line[:-1]


def seal_window(
    disk: Disk, folder: Path, window: int, columns: Sequence[str], *, durable: bool, limit: int | None = None
) -> dict[str, Any]:
    """Turn what stands in a window's file into its Parquet segment, and say what that is.

    The file itself is read back, not a copy in memory: what is sealed is what was recorded. It touches nothing but
    files, so that a thread may do it. Raises OSError, and ValueError if the rows that should be there are not.
    """
    path = segment_path(folder, window)
    part = path.with_suffix(".part")
    blocks = _Blocks(window_path(folder, window), limit)
    try:
        if part.exists():  # of a program that died here
            disk.remove(part)
        sink = _Sink(disk, part)
        about = {"schema": READINGS_SCHEMA, "window": str(window)}
        try:
            parquet.write_blocks(cast("IO[bytes]", sink), blocks, columns, whole=frozenset({"step"}), metadata=about)
            if durable:
                disk.sync(sink.handle)
        finally:
            sink.close()
        if limit is not None and blocks.rows != limit:
            raise ValueError(f"{blocks.rows} rows of {limit} can be read back")
    except (OSError, ValueError):
        with suppress(OSError):
            disk.remove(part)
        raise
    disk.rename(part, path)
    if durable:
        disk.sync_folder(path.parent)
    return {
        "path": f"{READINGS}/{path.name}",
        "sha256": sink.hashed.hexdigest(),
        "rows": blocks.rows,
        "prev": blocks.prev,
        "head": blocks.head,
    }


class _Blocks:
    """The whole lines of a window that count, many at a time; counts them and keeps both ends of their chain."""

    def __init__(self, path: Path, limit: int | None) -> None:
        self._path = path
        self._limit = limit
        self.rows = 0
        self.prev = self.head = GENESIS

    def __iter__(self) -> Iterator[bytes]:
        """Raises OSError, and ValueError where a block does not carry the hash of what stands before it."""
        rest = b""
        with self._path.open("rb", buffering=0) as file:
            while data := file.read(BLOCK_BYTES):
                data = rest + data
                hole = data.find(b"\0")  # torn, or a hole that a power cut left
                end = data.rfind(b"\n", 0, hole if hole >= 0 else len(data)) + 1
                block, rest = self._counted(data[:end]), data[end:]
                if block:
                    yield block
                if hole >= 0 or self.rows == self._limit:
                    return

    def _counted(self, block: bytes) -> bytes:
        rows = block.count(b"\n")
        if self._limit is not None and self.rows + rows > self._limit:
            rows = self._limit - self.rows
            block = b"".join(line + b"\n" for line in block.split(b"\n")[:rows])
        if rows:
            prev = block[: block.index(b"\n")][-66:-2].decode("ascii", "replace")  # ..., "hash"]
            if not self.rows:
                self.prev = prev
            elif prev != self.head:
                raise ValueError(f"row {self.rows} does not carry the hash of the row before it")
            self.rows += rows
            self.head = digest(block[block.rfind(b"\n", 0, -1) + 1 : -1])
        return block


class _Sink(RawIOBase):
    """A new file of the disk as pyarrow wants one; hashes what goes through."""

    def __init__(self, disk: Disk, path: Path) -> None:
        super().__init__()
        self._disk = disk
        self._at = 0
        self.hashed = hashlib.sha256()
        self.handle = disk.create(path)

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        self.hashed.update(view)
        while view:
            view = view[self._disk.write(self.handle, view) :]
        self._at += size
        return size

    def close(self) -> None:
        if self.handle >= 0:
            handle, self.handle = self.handle, -1
            self._disk.close(handle)
        super().close()
