"""Polars and pandas data frames, from the flat Arrow table, with all names and values preserved."""

from __future__ import annotations

from .._arrow import pa
from .._lazy_imports import pd, pl
from .._values.arrays import ArrayKind
from .._values.bigints import BIGINT

__all__ = ["to_pandas", "to_polars"]


def to_polars(table: pa.Table) -> pl.DataFrame:
    """A Polars DataFrame.

    Raises:
        MissingPackageError: Polars is not installed.
    """
    schema = pa.schema([field.with_type(_with_name(field.type)) for field in table.schema])
    named = table.cast(schema)
    frame = pl.DataFrame(named.rename_columns(_plain_names(table)))
    frame.columns = table.column_names
    return frame


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """A pandas DataFrame; ints and bools with missing values are ``Int64`` and ``boolean``.

    Integers beyond 64 bits are Python ints in an object column.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    # pandas' plain int64 and bool have no missing value: they would become float and object.
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    arrays = [_without_gaps(column) for column in table.columns]
    plain = pa.table(arrays, names=_plain_names(table))
    frame = pd.DataFrame(index=range(table.num_rows))
    columns = {
        name: plain.select([name]).to_pandas(
            types_mapper=nullable.get if plain[name].null_count else None
        )[name]
        for name in plain.column_names
    }
    for name in plain.column_names:
        if plain[name].type == BIGINT.sealed_type:
            columns[name] = pd.Series(BIGINT.values(plain[name]), dtype=object)
    frame = pd.DataFrame(columns, index=frame.index)
    frame.columns = table.column_names
    return frame


def _without_gaps(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Lists of ints without missing elements: pyarrow would convert the others to float."""
    if column.null_count and pa.types.is_fixed_size_list(column.type):
        return ArrayKind.of_type(column.type).to_storage(column.combine_chunks())
    return column


def _with_name(kind: pa.DataType) -> pa.DataType:
    """Timestamps with an offset as their zone, in UTC: Polars only takes named zones."""
    is_offset = pa.types.is_timestamp(kind) and (kind.tz or "")[:1] in {"+", "-"}
    return pa.timestamp(kind.unit, "UTC") if is_offset else kind


def _plain_names(table: pa.Table) -> list[str]:
    """Unique names, since Polars would change an empty one."""
    return [f"c{number}" for number in range(table.num_columns)]
