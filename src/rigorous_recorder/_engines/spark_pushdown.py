"""Columns that Spark must not push conditions down to, because it would lose rows."""

from __future__ import annotations

from collections.abc import Iterator

from .._arrow import pq
from .._live.column import Column
from .._store.corruption import UNREADABLE
from .._store.footer import metadata_of
from .._store.parquet_fragment import ParquetFragment, open_parquet
from .._store.special_floats import SpecialFloats
from .._values.kinds import FLOAT

__all__ = ["is_reported", "misread_columns"]


def is_reported(file: ParquetFragment) -> bool:
    """Whether a file records which columns have special floats, and avoids Spark's misreading."""
    return SpecialFloats.of_file(metadata_of(file.schema)) is not None


def misread_columns(file: ParquetFragment, columns: list[Column]) -> set[Column]:
    """The columns of a file for which a pushed-down condition could miss values.

    In a file without special-float metadata these are all floats: its statistics ignore NaN, and
    its dictionaries can contain -0.0. In other files Spark looks up the bits of a literal in
    dictionaries, and so misses 0.0 if the literal is -0.0.
    """
    floats = {file.columns[c]: c for c in columns if c.kind == FLOAT and c in file.columns}
    if not floats or not is_reported(file):
        return set(floats.values())
    try:
        return {floats[name] for name in _with_zeros_in_dictionaries(file) if name in floats}
    except UNREADABLE:  # compacted away since, which Spark reports
        return set(floats.values())


def _with_zeros_in_dictionaries(file: ParquetFragment) -> Iterator[str]:
    with open_parquet(file.path) as opened:
        metadata = opened.metadata
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            for chunk in map(group.column, range(group.num_columns)):
                if chunk.has_dictionary_page and _may_have_zero(chunk.statistics):
                    yield chunk.path_in_schema


def _may_have_zero(statistics: pq.Statistics | None) -> bool:
    if statistics is None or not statistics.has_min_max:
        return True
    return not isinstance(statistics.min, float) or statistics.min <= 0 <= statistics.max
