"""The only module that knows pyarrow: columns of numbers to a Parquet file and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

Column = Sequence[float | None] | Sequence[str]

_KINDS = {float: pa.float64(), int: pa.int64(), str: pa.string()}
#: The last column of a block's lines; no channel is called so.
_TEXT = "\0"

# Ctrl-C belongs to the program: reading CSV would take it over meanwhile.
pa.enable_signal_handlers(False)  # noqa: FBT003 - pyarrow gives it no name


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
    parts: Iterable[Mapping[str, Column]],
    kinds: Mapping[str, type],
    *,
    metadata: Mapping[str, str],
) -> None:
    """Write columns as they come, a row group a part, into an open file: no more than a part is in memory.

    ``kinds`` names the columns in order: float, int or str. None and NaN become null. The same parts and metadata give
    the same bytes. Raises what ``sink`` raises.
    """
    schema = pa.schema([(name, _KINDS[kind]) for name, kind in kinds.items()], metadata=dict(metadata))
    with pq.ParquetWriter(sink, schema, compression="zstd", store_schema=True) as writer:
        for part in parts:
            arrays = [pa.array(part[name], type=_KINDS[kind], from_pandas=True) for name, kind in kinds.items()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def write_blocks(
    sink: IO[bytes],
    blocks: Iterable[bytes],
    names: Sequence[str],
    *,
    whole: frozenset[str],
    metadata: Mapping[str, str],
) -> None:
    """Write blocks of JSON lines, each an array of numbers in the order of ``names`` and then one text, which is left
    out; a row group a block, null as null. Those named in ``whole`` become int64, all others float64.

    A line without its brackets is a line of CSV, and pyarrow reads that without holding up Python's other threads. The
    same blocks and metadata give the same bytes. Raises what ``sink`` raises, and ValueError for any other line.
    """
    kinds = {name: pa.int64() if name in whole else pa.float64() for name in names}
    schema = pa.schema(list(kinds.items()), metadata=dict(metadata))
    convert = csv.ConvertOptions(
        column_types={**kinds, _TEXT: pa.string()}, include_columns=list(names), null_values=["null"]
    )
    with pq.ParquetWriter(sink, schema, compression="zstd", store_schema=True) as writer:
        for block in blocks:
            read = csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=[*names, _TEXT])
            table = csv.read_csv(pa.py_buffer(block.translate(None, b"[]")), read_options=read, convert_options=convert)
            writer.write_table(table.replace_schema_metadata(schema.metadata))


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
