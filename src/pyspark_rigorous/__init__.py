"""By this name Spark 4 finds the format ``rigorous`` without being told of it."""

from __future__ import annotations

from rigorous_recorder.spark.source import RigorousSource as DefaultSource

__all__ = ["DefaultSource"]
