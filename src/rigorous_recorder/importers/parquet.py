"""Imports any Parquet file: a record for each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rigorous_recorder._arrow import pa, pc
from rigorous_recorder._lazy import lazy_module

from .columns import plain
from .contract import Event, Format, Record, Report, Rows, Source
from .files import files_below, run_name
from .lines import distinct
from .tables import Levels, options_of

if TYPE_CHECKING:
    import pyarrow.parquet as pq
else:
    pq = lazy_module("pyarrow.parquet")

_SUFFIXES: Final = (".parquet", ".pq")
_BATCH: Final = 16_384
_FILE: Final = {"bytes", "path"}
#: Fewer rows than these are given one by one.
_FEWEST: Final = 8


def _find(path: Path, options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix.lower() in _SUFFIXES:
            yield Source(file, (file,), run_name(file, path), options_of(options))


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    levels = Levels(source, report)
    yield levels.top()
    try:
        with pq.ParquetFile(source.path) as file:
            for batch in file.iter_batches(_BATCH):
                columns = _columns(batch, source, report)
                if levels.keys:
                    yield from _by_levels(levels, columns, batch.num_rows)
                elif columns:
                    yield Rows("", batch.num_rows, columns)
        levels.end()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        report.add(source.path, f"can't be read further: {type(error).__name__}")


def _columns(batch: Any, source: Source, report: Report) -> dict[str, Any]:
    """The columns by names of their own; files, as in datasets of Hugging Face, as bytes and names."""
    found: dict[str, Any] = {}
    for name, column in zip(distinct(batch.schema.names), batch.columns, strict=True):
        if pa.types.is_struct(column.type) and {each.name for each in column.type} == _FILE:
            data, path = (pc.struct_field(column, each) for each in ("bytes", "path"))
            found |= {name: data, f"{name}/name": path}
        elif getattr(column.type, "unit", "") == "ns":
            found[name] = values = [plain(each) for each in column]
            if as_text := sum(type(each) is str for each in values):
                text = "times and durations with nanoseconds: as text"
                report.add(source.path, text, count=as_text)
        else:
            found[name] = column
    return found


def _by_levels(levels: Levels, columns: dict[str, Any], size: int) -> Iterator[Event]:
    """Rows that follow each other and are below the same recorder, as one event."""
    missing = [None] * size
    above = zip(*(map(plain, columns.pop(key, missing)) for key in levels.keys), strict=True)
    start = 0
    for values, same in groupby(above):
        run = yield from levels.above(values)
        stop = start + sum(1 for _ in same)
        if stop - start < _FEWEST:
            for at in range(start, stop):
                row = ((key, _value(each[at])) for key, each in columns.items())
                yield Record(run, {key: value for key, value in row if value is not None})
        else:
            rows = {key: each[start:stop] for key, each in columns.items()}
            yield Rows(run, stop - start, rows)
        start = stop


def _value(value: Any) -> Any:
    """A value in Python, and a list of numbers as the array that it is in a column."""
    of_lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if isinstance(value, pa.Scalar) and any(each(value.type) for each in of_lists):
        kind = value.type.value_type
        is_plain = any(each(kind) for each in (pa.types.is_integer, pa.types.is_floating))
        if value.is_valid and (is_plain or pa.types.is_boolean(kind)):
            return plain(value) if value.values.null_count else value.values.to_numpy(False)
    return plain(value)


FORMAT: Final = Format("parquet", "Parquet", _find, _read, is_general=True, options=("parent",))
