"""The name by which Spark 4 discovers the format ``rigorous``.

Spark imports it whenever it looks up any data source, so importing it must never fail.
"""

from __future__ import annotations

__all__ = ["DefaultSource"]

try:
    from rigorous_recorder.spark.version_gate import RigorousSource as DefaultSource
except ImportError as error:
    from pyspark.sql.datasource import DataSource

    _REASON = str(error)

    class DefaultSource(DataSource):  # type: ignore[no-redef]
        """Raises an error that explains why the format is not available."""

        @classmethod
        def name(cls) -> str:
            """The name for ``spark.read.format``."""
            return "rigorous"

        def schema(self) -> str:
            """Raise an error.

            Raises:
                ImportError: always.
            """
            raise ImportError(_REASON)
