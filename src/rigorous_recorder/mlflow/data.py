"""Data sets, for ``mlflow.log_input``: their names are logged, and not their contents."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Dataset", "from_huggingface", "from_numpy", "from_pandas", "from_polars"]


class Dataset(NamedTuple):
    """A data set's name, its source, and the number of its rows."""

    name: str
    source: str | None
    rows: int | None


def from_pandas(
    df: Any, source: Any = None, targets: Any = None, name: str | None = None, *_: Any, **__: Any
) -> Dataset:
    """A data set that is in memory."""
    where = None if source is None else str(source)
    return Dataset(name or "dataset", where, len(df) if hasattr(df, "__len__") else None)


from_polars = from_numpy = from_huggingface = from_pandas
