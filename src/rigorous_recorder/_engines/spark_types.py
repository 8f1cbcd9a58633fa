"""Spark types of the flat table's columns, and conversion of their values for Spark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from .._arrow import pa
from .._keys import EXPERIMENT_KEYS
from .._lazy import lazy_module
from .._lazy_imports import st
from .._once import remembered
from .._values.arrays import ArrayKind
from .._values.kinds import BOOL, FLOAT, INT, NULL, Kind
from ..errors import ArgumentError, MissingPackageError
from .arrow import flat_type
from .scan import Scan
from .sql import numbered_names

if TYPE_CHECKING:
    import pyspark
    from pyspark.sql import SparkSession
else:
    pyspark = lazy_module("pyspark", install="rigorous-recorder[spark]")

__all__ = [
    "for_spark",
    "require_spark",
    "spark_fields",
    "spark_kinds",
    "spark_schema",
    "spark_type",
]

#: Spark has no unsigned or 16-bit numbers: they become the next larger type.
_WIDER: Final = {
    "uint8": "int16",
    "uint16": "int32",
    "uint32": "int64",
    "halffloat": "float32",
}
#: Attributes that a collection sets on its experiments.
_EXPERIMENTS: Final = dict(zip(EXPERIMENT_KEYS, (INT, INT, BOOL, FLOAT, FLOAT, FLOAT), strict=True))
#: The first PySpark with columns computed by Arrow functions.
_LEAST_CLIENT: Final = (4, 1)
#: The first Spark whose vectorized reader supports BYTE_STREAM_SPLIT and DELTA encodings.
_LEAST_SERVER: Final = (4, 3)
_VECTORIZED: Final = "spark.sql.parquet.enableVectorizedReader"


def require_spark(spark: SparkSession) -> None:
    """Raise for a session that could not read the files.

    Raises:
        ArgumentError: ``spark`` is not a session.
        MissingPackageError: PySpark, or the Spark that it is connected to, is too old.
    """
    if not hasattr(spark, "createDataFrame"):
        message = f"to_spark takes a SparkSession, not a {type(spark).__name__}"
        raise ArgumentError(message)
    if _version(pyspark.__version__) < _LEAST_CLIENT:
        message = (
            f"PySpark {pyspark.__version__} is too old, 4.1 or newer is needed:"
            " pip install 'rigorous-recorder[spark]'"
        )
        raise MissingPackageError(message)
    if _version(spark.version) < _LEAST_SERVER and spark.conf.get(_VECTORIZED, "true") == "true":
        message = (
            f"Spark {spark.version} reads these Parquet files only after"
            f" spark.conf.set('{_VECTORIZED}', 'false'); 4.3 or newer needs no setting"
        )
        raise MissingPackageError(message)


def _version(text: str) -> tuple[int, ...]:
    major, minor, *_ = text.split(".")
    return int(major), int(minor)


def spark_kinds(scan: Scan) -> dict[str, Kind]:
    """The Spark kind of each column of the flat table, in order.

    The end of an experiment has its kind even before any experiment ended.
    """
    return {
        name: _EXPERIMENTS.get(name, kind) if kind == NULL else kind
        for name, kind in scan.flat_kinds.items()
    }


def spark_fields(scan: Scan) -> Mapping[str, Kind]:
    """The same by unique names: Spark compares names without case."""
    kinds = spark_kinds(scan)
    return {name: kinds[flat] for flat, name in numbered_names(kinds).items()}


def spark_schema(kinds: Mapping[str, Kind]) -> st.StructType:
    """The Spark schema of columns of these kinds."""
    return st.StructType([st.StructField(name, spark_type(kind)) for name, kind in kinds.items()])


def spark_type(kind: Kind) -> st.DataType:
    """The Spark type of a flat column of this kind.

    JSON, and columns that contain only ``None``, are text.
    """
    return _named(taken_type(flat_type(kind)))


@remembered(1024)
def taken_type(kind: pa.DataType) -> pa.DataType:
    """The Arrow type that Spark accepts and that holds every value of this one."""
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(taken_type(kind.value_type))
    if pa.types.is_uint64(kind):
        return pa.decimal128(20, 0)
    return pa.type_for_alias(_WIDER[str(kind)]) if str(kind) in _WIDER else kind


def for_spark(column: pa.Array) -> pa.Array:
    """A flat column in a type that Spark accepts."""
    if pa.types.is_fixed_size_list(column.type):
        column = ArrayKind.of_type(column.type).to_storage(column)
    wanted = taken_type(column.type)
    return column if column.type == wanted else column.cast(wanted)


def _named(kind: pa.DataType) -> st.DataType:
    """The Spark type of an Arrow type."""
    if pa.types.is_list(kind):
        return st.ArrayType(_named(kind.value_type))
    if pa.types.is_timestamp(kind):
        return st.TimestampType() if kind.tz else st.TimestampNTZType()
    if pa.types.is_decimal(kind):
        return st.DecimalType(kind.precision, kind.scale)
    return _plain()[str(kind)]


@remembered(1)
def _plain() -> dict[str, st.DataType]:
    return {
        "bool": st.BooleanType(),
        "int8": st.ByteType(),
        "int16": st.ShortType(),
        "int32": st.IntegerType(),
        "int64": st.LongType(),
        "float": st.FloatType(),
        "double": st.DoubleType(),
        "string": st.StringType(),
        "binary": st.BinaryType(),
        "date32[day]": st.DateType(),
        "duration[us]": st.DayTimeIntervalType(),
    }
