"""The only module that knows pyarrow: columns of numbers to a Parquet file and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

Column = Sequence[float | None] | Sequence[str]


def write(path: Path, columns: Mapping[str, Column], *, whole: frozenset[str], metadata: Mapping[str, str]) -> None:
    """Write columns of one length, zstd: text as text, those named in ``whole`` as int64, all others as float64.

    None and NaN become null. The same columns and metadata give the same bytes. Raises OSError.
    """
    kinds = {name: _kind(values, whole=name in whole) for name, values in columns.items()}
    schema = pa.schema(list(kinds.items()), metadata=dict(metadata))
    arrays = [pa.array(values, type=kinds[name], from_pandas=True) for name, values in columns.items()]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="zstd", store_schema=True)


def write_parts(
    sink: IO[bytes],
    parts: Iterable[Mapping[str, Sequence[float | None]]],
    names: Sequence[str],
    *,
    whole: frozenset[str],
    metadata: Mapping[str, str],
) -> None:
    """Write columns of numbers as they come, a row group a part, into an open file: no more than a part is in memory.

    The same parts and metadata give the same bytes. Raises what ``sink`` raises.
    """
    kinds = {name: _kind((), whole=name in whole) for name in names}
    schema = pa.schema(list(kinds.items()), metadata=dict(metadata))
    with pq.ParquetWriter(sink, schema, compression="zstd", store_schema=True) as writer:
        for part in parts:
            arrays = [pa.array(part[name], type=kinds[name], from_pandas=True) for name in names]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _kind(values: Column, *, whole: bool) -> Any:
    if values and isinstance(values[0], str):
        return pa.string()
    return pa.int64() if whole else pa.float64()


def read(path: Path) -> tuple[dict[str, list[float | None]], dict[str, str]]:
    """The columns, null as None, and the metadata. Raises OSError, or ValueError if it is not a Parquet file."""
    table = pq.read_table(path, use_threads=False)
    columns: dict[str, list[float | None]] = {name: table.column(name).to_pylist() for name in table.column_names}
    metadata = {
        key.decode(): value.decode()
        for key, value in (table.schema.metadata or {}).items()
        if not key.startswith((b"ARROW:", b"pandas"))
    }
    return columns, metadata


def read_parts(path: Path, names: Sequence[str]) -> Iterator[tuple[list[float | None], ...]]:
    """The columns of those names, a row group at a time, null as None. Raises OSError, ValueError, KeyError."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=list(names), use_threads=False)
            yield tuple(table.column(name).to_pylist() for name in names)
