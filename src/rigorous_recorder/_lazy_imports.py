"""Packages other than pyarrow: each loads when the first of its names is used.

Where an optional one is missing, the first use raises ``MissingPackageError`` with what to install.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._lazy import lazy_module

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyspark.sql.functions as sf
    import pyspark.sql.types as st
    from duckdb import sqltypes
    from polars.io import plugins
else:
    duckdb = lazy_module("duckdb")
    sqltypes = lazy_module("duckdb.sqltypes")
    pd = lazy_module("pandas", install="rigorous-recorder[pandas]")
    pl = lazy_module("polars", install="rigorous-recorder[polars]")
    plugins = lazy_module("polars.io.plugins", install="rigorous-recorder[polars]")
    sf = lazy_module("pyspark.sql.functions", install="rigorous-recorder[spark]")
    st = lazy_module("pyspark.sql.types", install="rigorous-recorder[spark]")

#: Not typed: a value of any type is what a logger takes.
np: Any = lazy_module("numpy", install="numpy")

__all__ = ["duckdb", "np", "pd", "pl", "plugins", "sf", "sqltypes", "st"]
