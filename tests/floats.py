"""NaN and -0.0: values, conditions on them in several languages, and what each should find."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import pandas as pd
import polars as pl
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

__all__ = ["COLUMNS", "CONDITIONS", "Condition", "plain_readers", "wanted"]

NAN: Final = float("nan")
#: Columns of floats, each of which a reader that trusts statistics or dictionaries gets wrong.
COLUMNS: Final[dict[str, list[float | None]]] = {
    "NaN among few": [0.5, 0.25, NAN],
    "NaN and null": [None, NAN, 0.5],
    "nothing but NaN": [NAN, NAN, NAN],
    "the NaN of a processor": [0.5, 0.25, -NAN],
    "-0.0 that comes back": [-0.0, 1.0, 2.0] * 700,
    "both zeros": [-0.0, 0.0, 3.0] * 700,
    "nothing but -0.0": [-0.0] * 8,
    "infinities": [math.inf, -math.inf, 0.5],
    "plain": [0.0, 1.0, 2.0] * 700,
}


class Condition(NamedTuple):
    """A condition on ``x`` in SQL, for Polars and for Arrow.

    Attributes:
        by_order: whether a value meets it where NaN equals itself and is the greatest of all.
        by_ieee: whether it does where a comparison with NaN is false.
    """

    sql: str
    polars: pl.Expr
    arrow: pc.Expression
    by_order: Callable[[float | None], bool]
    by_ieee: Callable[[float | None], bool]


def _is_nan(x: float | None) -> bool:
    return x is not None and math.isnan(x)


def _number(test: Callable[[float], bool]) -> Callable[[float | None], bool]:
    return lambda x: x is not None and test(x)


def _or_nan(test: Callable[[float], bool]) -> Callable[[float | None], bool]:
    return lambda x: _is_nan(x) or (x is not None and test(x))


_PL, _PA = pl.col("x"), pc.field("x")
_ZERO: Final = _number(lambda x: x == 0)
CONDITIONS: Final = {
    "= 0": Condition("x = 0", _PL == 0, _PA == 0, _ZERO, _ZERO),
    "= -0.0": Condition("x = -0.0", _PL == -0.0, _PA == -0.0, _ZERO, _ZERO),
    "<> 0.5": Condition(
        "x <> 0.5",
        _PL != 0.5,
        _PA != 0.5,
        _number(lambda x: x != 0.5),
        _number(lambda x: x != 0.5),
    ),
    ">= 0": Condition(
        "x >= 0", _PL >= 0, _PA >= 0, _or_nan(lambda x: x >= 0), _number(lambda x: x >= 0)
    ),
    "<= 0": Condition(
        "x <= 0", _PL <= 0, _PA <= 0, _number(lambda x: x <= 0), _number(lambda x: x <= 0)
    ),
    "> 1": Condition("x > 1", _PL > 1, _PA > 1, _or_nan(lambda x: x > 1), _number(lambda x: x > 1)),
    "= NaN": Condition(
        "x = CAST('NaN' AS DOUBLE)", _PL == NAN, _PA == NAN, _is_nan, _number(lambda _: False)
    ),
    "NOT <= 1": Condition(
        "NOT (x <= 1)",
        ~(_PL <= 1),
        ~(_PA <= 1),
        _or_nan(lambda x: x > 1),
        _or_nan(lambda x: x > 1),
    ),
    "> 1 OR NULL": Condition(
        "x > 1 OR x IS NULL",
        (_PL > 1) | _PL.is_null(),
        (_PA > 1) | _PA.is_null(),
        lambda x: x is None or math.isnan(x) or x > 1,
        lambda x: x is None or x > 1,
    ),
    "IN (0.0, 5.0)": Condition(
        "x IN (0.0, 5.0)",
        _PL.is_in([0.0, 5.0]),
        # Arrow's own is_in tells -0.0 from 0.0, wherever the values are.
        (_PA == 0.0) | (_PA == 5.0),
        _ZERO,
        _ZERO,
    ),
    "isnan": Condition("isnan(x)", _PL.is_nan(), pc.is_nan(_PA), _is_nan, _is_nan),
}


def wanted(values: list[float | None], test: Callable[[float | None], bool]) -> int:
    """How many of the values meet a condition."""
    return sum(map(test, values))


def plain_readers(path: Path, condition: Condition) -> dict[str, tuple[int, Any]]:
    """How many rows of a Parquet file each reader finds, and the rule that it follows."""
    file, by_order, by_ieee = str(path), condition.by_order, condition.by_ieee
    with duckdb.connect() as connection:
        query = f"SELECT count(*) FROM '{file}' WHERE {condition.sql}"
        ((by_duckdb,),) = connection.sql(query).fetchall()
    lazy = pl.scan_parquet(file).filter(condition.polars)
    return {
        "duckdb": (by_duckdb, by_order),
        "polars": (pl.read_parquet(file).filter(condition.polars).height, by_order),
        "lazy polars": (lazy.collect().height, by_order),
        "streaming polars": (lazy.collect(engine="streaming").height, by_order),
        "arrow dataset": (ds.dataset(file).to_table(filter=condition.arrow).num_rows, by_ieee),
        "pyarrow": (pq.read_table(file, filters=condition.arrow).num_rows, by_ieee),
        "pandas": (len(pd.read_parquet(file, filters=condition.arrow)), by_ieee),
    }
