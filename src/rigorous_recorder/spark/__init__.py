"""Spark: collections as a data source, and logging from tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .source import RigorousSource
from .tasks import TaskLog
from .waiting import discard_unfinished

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["TaskLog", "discard_unfinished", "register"]


def register(spark: SparkSession) -> None:
    """Let a session know the format ``rigorous``."""
    spark.dataSource.register(RigorousSource)
