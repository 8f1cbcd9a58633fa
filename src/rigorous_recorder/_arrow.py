"""pyarrow and its modules: each loads when the first of its names is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy_module

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from pyarrow import csv, ipc
else:
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")
    pq = lazy_module("pyarrow.parquet")
    csv = lazy_module("pyarrow.csv")
    ipc = lazy_module("pyarrow.ipc")

__all__ = ["csv", "ipc", "pa", "pc", "pq"]
