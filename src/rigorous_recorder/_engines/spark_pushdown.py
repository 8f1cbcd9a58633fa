"""Which columns Spark must not push conditions down to, as its Parquet reader would lose rows."""

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
    """Whether a file reports which of its columns have special floats, and is written for them."""
    return SpecialFloats.of_file(metadata_of(file.schema)) is not None


def misread_columns(file: ParquetFragment, columns: list[Column]) -> set[Column]:
    """Those of some columns of a file of which a pushed condition could miss values.

    In a file that reports nothing these are all floats: its statistics pass over NaN, and its
    dictionaries can have -0.0. In any other Spark looks for the bits of a literal in dictionaries, and
    so misses 0.0 where the literal is -0.0.
    """
    floats = {file.columns[c]: c for c in columns if c.kind == FLOAT and c in file.columns}
    if not floats or not is_reported(file):
        return set(floats.values())
    try:
        return {floats[name] for name in _with_zeros_in_dictionaries(file) if name in floats}
    except UNREADABLE:  # compacted away meanwhile, which Spark reports
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
