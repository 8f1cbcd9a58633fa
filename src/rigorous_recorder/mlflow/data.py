"""Data sets, for ``mlflow.log_input``: their names are logged, and not their contents."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = [
    "Dataset",
    "from_huggingface",
    "from_numpy",
    "from_pandas",
    "from_polars",
    "from_spark",
    "from_tensorflow",
    "load_delta",
]


class Dataset(NamedTuple):
    """A data set's name, its source, its digest if one was given, and the number of its rows."""

    name: str
    source: str | None = None
    digest: str | None = None
    rows: int | None = None


def from_pandas(
    data: Any = None,
    source: Any = None,
    targets: Any = None,
    name: str | None = None,
    digest: str | None = None,
    *_: Any,
    **__: Any,
) -> Dataset:
    """A data set that is in memory."""
    where = None if source is None else str(source)
    rows = len(data) if hasattr(data, "__len__") else None
    return Dataset(name or "dataset", where, digest, rows)


from_polars = from_numpy = from_huggingface = from_spark = from_tensorflow = load_delta = (
    from_pandas
)
