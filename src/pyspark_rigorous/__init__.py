"""Where Spark looks for the format ``rigorous`` by itself."""

from rigorous_recorder.spark.source import RigorousSource as DefaultSource

__all__ = ["DefaultSource"]
