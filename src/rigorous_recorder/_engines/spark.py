"""Spark: the flat table as a DataFrame with a native query plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from .._arrow import pa
from .._lazy_imports import sf
from .arrow import flat_table
from .scan import Scan
from .spark_files import OwnColumns
from .spark_nodes import inherited
from .spark_types import (
    for_spark,
    require_spark,
    spark_fields,
    spark_kinds,
    spark_schema,
    spark_type,
)
from .sql import numbered_names

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = ["spark_frame"]


def spark_frame(scan: Scan, spark: SparkSession) -> DataFrame:
    """The flat table of the scan's snapshot as a DataFrame.

    Spark reads the sealed files itself, with one explicit schema: only the columns that a query
    uses, and the rows that may meet its conditions on the records' own keys. Unsealed rows are
    sent from here.

    Raises:
        MissingPackageError: PySpark is not installed, or too old.
        ArgumentError: ``spark`` is not a session.
    """
    require_spark(spark)
    scan.warn_of_mixed(scan.flats)
    names = numbered_names(scan.flats)
    if scan.row_conditions:
        return _whole(scan, spark, names)
    flats, kinds = list(scan.flats.values()), spark_kinds(scan)
    of_records = {f.name: f"r{at}" for at, f in enumerate(flats) if scan.own_columns(f)}
    of_nodes = {f.name: f"n{at}" for at, f in enumerate(flats) if scan.inherits(f)}
    nodes = inherited(spark, scan, of_nodes)
    columns = OwnColumns(spark, scan, of_records, nodes.of_nodes)
    rows = nodes.added(columns.rows())
    values = []
    for flat in flats:
        hiding = [sf.col(columns.lost[flat.key])] if flat.key in columns.lost else []
        others = (of_records[e.name] for e in scan.siblings(flat) if e.name in of_records)
        hiding += [sf.col(other).isNotNull() for other in others]
        value = _value(of_records.get(flat.name), of_nodes.get(flat.name), hiding)
        if value is None:
            value = sf.lit(None).cast(spark_type(kinds[flat.name]))
        values.append(value.alias(names[flat.name]))
    return rows.select(*values)


def _value(own: str | None, above: str | None, hiding: Sequence[Column]) -> Column | None:
    """The records' own values, else the inherited ones if nothing hides them.

    Args:
        hiding: for each row, whether its own value is of another kind or can't be read.
    """
    if above is None:
        return sf.col(own) if own else None
    inherited = sf.col(above)
    if hiding:
        inherited = sf.when(~reduce(lambda one, other: one | other, hiding), inherited)
    return sf.coalesce(sf.col(own), inherited) if own else inherited


def _whole(scan: Scan, spark: SparkSession, names: Mapping[str, str]) -> DataFrame:
    """The rows that meet conditions on the records' own values, read here."""
    table = flat_table(scan)
    arrays = [for_spark(column.combine_chunks()) for column in table.columns]
    named = pa.Table.from_arrays(arrays, names=list(names.values()))
    return spark.createDataFrame(named, spark_schema(spark_fields(scan)))
