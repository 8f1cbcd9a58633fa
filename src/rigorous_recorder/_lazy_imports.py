"""Lazy modules other than pyarrow's: each is imported on first use.

If an optional one is missing, its first use raises ``MissingPackageError`` with what to install.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._lazy import lazy_module

if TYPE_CHECKING:
    import ctypes
    import decimal
    import difflib
    import html
    import inspect
    import shutil
    import textwrap
    import traceback
    import zoneinfo
    from concurrent import futures

    import duckdb
    import pandas as pd
    import polars as pl
    import pyspark.sql as spark_sql
    import pyspark.sql.functions as sf
    import pyspark.sql.types as st
    from duckdb import sqltypes
    from polars.io import plugins
else:
    ctypes = lazy_module("ctypes")
    decimal = lazy_module("decimal")
    difflib = lazy_module("difflib")
    futures = lazy_module("concurrent.futures")
    html = lazy_module("html")
    inspect = lazy_module("inspect")
    shutil = lazy_module("shutil")
    textwrap = lazy_module("textwrap")
    traceback = lazy_module("traceback")
    zoneinfo = lazy_module("zoneinfo")

    duckdb = lazy_module("duckdb")
    sqltypes = lazy_module("duckdb.sqltypes")
    pd = lazy_module("pandas", install="rigorous-recorder[pandas]")
    pl = lazy_module("polars", install="rigorous-recorder[polars]")
    plugins = lazy_module("polars.io.plugins", install="rigorous-recorder[polars]")
    spark_sql = lazy_module("pyspark.sql", install="rigorous-recorder[spark]")
    sf = lazy_module("pyspark.sql.functions", install="rigorous-recorder[spark]")
    st = lazy_module("pyspark.sql.types", install="rigorous-recorder[spark]")

#: Untyped: a logger accepts values of any type.
np: Any = lazy_module("numpy", install="numpy")

__all__ = [
    "ctypes",
    "decimal",
    "difflib",
    "duckdb",
    "futures",
    "html",
    "inspect",
    "np",
    "pd",
    "pl",
    "plugins",
    "sf",
    "shutil",
    "spark_sql",
    "sqltypes",
    "st",
    "textwrap",
    "traceback",
    "zoneinfo",
]
