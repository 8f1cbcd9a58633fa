"""Imports any Parquet file: a record for each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rigorous_recorder._arrow import pa
from rigorous_recorder._lazy import lazy_module

from .contract import Event, Format, Report, Rows, Source
from .files import files_below, run_name
from .tables import Levels, options_of

if TYPE_CHECKING:
    import pyarrow.parquet as pq
else:
    pq = lazy_module("pyarrow.parquet")

_SUFFIXES: Final = (".parquet", ".pq")
_BATCH: Final = 16_384


def _find(path: Path, options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix.lower() in _SUFFIXES:
            yield Source(file, (file,), run_name(file, path), options_of(options))


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    levels = Levels(source)
    yield levels.top()
    try:
        with pq.ParquetFile(source.path) as file:
            for batch in file.iter_batches(_BATCH):
                if source.options.get("parent"):
                    for row in batch.to_pylist():
                        yield from levels.event(_present(row))
                elif batch.num_columns:
                    yield _rows(batch)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        report.add(source.path, f"can't be read further: {type(error).__name__}")


def _present(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}


def _rows(batch: Any) -> Rows:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    return Rows("", batch.num_rows, columns)


FORMAT: Final = Format("parquet", "Parquet", _find, _read, is_general=True, options=("parent",))
