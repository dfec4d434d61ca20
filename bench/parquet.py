"""The only module that knows pyarrow: columns of numbers to a Parquet file and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
