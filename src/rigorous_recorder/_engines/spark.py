"""Spark: the flat table as a DataFrame whose plan is Spark's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .._lazy import lazy_module
from .._live.column import NODE
from .arrow import flat_table
from .scan import Scan
from .spark_files import OwnColumns
from .spark_nodes import inherited
from .spark_types import for_spark, require_spark, spark_fields, spark_schema
from .sql import sql_names

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyspark.sql.functions as sf
    from pyspark.sql import Column, DataFrame, SparkSession
else:
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")
    sf = lazy_module("pyspark.sql.functions", install="rigorous-recorder[spark]")

__all__ = ["spark_frame"]


def spark_frame(scan: Scan, spark: SparkSession) -> DataFrame:
    """The flat table as a DataFrame, at the moment of the scan.

    Spark reads the sealed files itself, with one explicit schema, just the columns that a query
    uses, and of these what its conditions on the records' own keys leave. Rows that are not sealed
    yet are handed over here.

    Raises:
        MissingPackageError: PySpark is not installed, or too old.
        ArgumentError: it is no session.
    """
    require_spark(spark)
    names = sql_names(scan.keys)
    if scan.row_conditions:
        return _whole(scan, spark, names)
    own = {column.key for column in scan.record_columns}
    above = set(scan.node_keys)
    places = {key: number for number, key in enumerate(scan.keys)}
    of_records = {key: f"r{places[key]}" for key in names if key in own}
    of_nodes = {key: f"n{places[key]}" for key in names if key in above}
    nodes = inherited(spark, scan, of_nodes)
    columns = OwnColumns(spark, scan, of_records, nodes.of_nodes)
    rows = nodes.added(columns.rows())
    values = {
        name: _value(of_records.get(key), of_nodes.get(key), columns.lost.get(key))
        for key, name in names.items()
    }
    return rows.select(*(value.alias(name) for name, value in values.items()))


def _value(own: str | None, above: str | None, lost: str | None) -> Column:
    if own and above and lost:
        return sf.when(sf.col(lost), sf.col(own)).otherwise(sf.coalesce(sf.col(own), sf.col(above)))
    if own and above:
        return sf.coalesce(sf.col(own), sf.col(above))
    return sf.col(own or above or NODE)


def _whole(scan: Scan, spark: SparkSession, names: Mapping[str, str]) -> DataFrame:
    """The rows that meet conditions on what records have themselves, read here."""
    table = flat_table(scan)
    arrays = [for_spark(column.combine_chunks()) for column in table.columns]
    named = pa.Table.from_arrays(arrays, names=list(names.values()))
    return spark.createDataFrame(named, spark_schema(spark_fields(scan)))
