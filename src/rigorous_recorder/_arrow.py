"""pyarrow and its modules: each loads when the first of its names is used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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

__all__ = ["csv", "ipc", "pa", "pc", "pq", "without_pandas"]


@contextmanager
def without_pandas() -> Iterator[None]:
    """Convert values at exit: pyarrow would import pandas, which fails once no thread can start."""
    finder: Any = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _NoPandas:
    """A finder of modules with which pandas is as if it were not installed."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name in {"pandas", "pyarrow.pandas_compat"}:
            message = f"{name} is not imported at exit"
            raise ModuleNotFoundError(message, name=name)
