"""Spark: collections as a data source, logging from tasks, and compaction by workers.

``spark.read.format("rigorous").load(path)`` works where this package is installed; ``register``
is for sessions that have not found the format automatically.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_module
from .._lazy_imports import spark_sql
from .cleanup import discard_unfinished
from .compaction import compact
from .tasks import TaskLog

if TYPE_CHECKING:
    from . import version_gate
else:
    version_gate = lazy_module(f"{__name__}.version_gate")  # an older PySpark does all but that

__all__ = ["TaskLog", "compact", "discard_unfinished", "register"]


def register(spark: spark_sql.SparkSession) -> None:
    """Register the format ``rigorous`` in a session.

    Raises:
        MissingPackageError: PySpark is too old.
    """
    source = version_gate.RigorousSource
    spark.dataSource.register(source)
