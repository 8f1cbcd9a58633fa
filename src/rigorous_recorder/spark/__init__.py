"""Spark: collections as a data source, logging from tasks, and compaction by workers.

``spark.read.format("rigorous").load(path)`` works where this package is installed; ``register``
is for sessions that did not find it by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_module
from .compaction import compact
from .tasks import TaskLog
from .waiting import discard_unfinished

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from . import installed
else:
    installed = lazy_module(f"{__name__}.installed")  # an older PySpark does all but that

__all__ = ["TaskLog", "compact", "discard_unfinished", "register"]


def register(spark: SparkSession) -> None:
    """Let a session know the format ``rigorous``.

    Raises:
        MissingPackageError: PySpark is too old.
    """
    source = installed.RigorousSource
    spark.dataSource.register(source)
