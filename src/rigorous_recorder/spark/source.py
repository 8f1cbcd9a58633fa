"""The format ``rigorous``: the entry point that Spark asks for a schema, readers and writers."""

from __future__ import annotations

from pyspark.sql.datasource import (
    DataSource,
    DataSourceReader,
    DataSourceStreamReader,
    DataSourceStreamWriter,
    DataSourceWriter,
)
from pyspark.sql.types import StructType

from .driver_snapshot import DriverSnapshot, short_errors
from .options import Options
from .reader import BatchReader
from .stream import StreamReader
from .stream_writer import stream_writer_of
from .writer import batch_writer_of

__all__ = ["RigorousSource"]


class RigorousSource(DataSource):
    """A collection as a Spark data source: reads the flat table, and writes records."""

    @classmethod
    def name(cls) -> str:
        """The name for ``spark.read.format`` and ``df.write.format``."""
        return "rigorous"

    def schema(self) -> StructType:
        """The current columns of the flat table, or the requested ones."""
        with short_errors():
            found = DriverSnapshot(Options.of(self.options)).schema()
        #: Whether the schema has all columns, rather than those that the user chose.
        self._is_all = "columns" not in self.options
        return found

    def reader(self, schema: StructType) -> DataSourceReader:
        """A reader of the rows that exist when a query is planned."""
        with short_errors():
            return BatchReader(Options.of(self.options), schema)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802 - Spark's
        """A reader of all rows, and then of new ones."""
        is_all = getattr(self, "_is_all", False)
        with short_errors():
            return StreamReader(Options.of(self.options), schema, is_all=is_all)

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:
        """A writer that makes all rows visible at once, or none."""
        return batch_writer_of(self.options, schema, overwrite=overwrite)

    def streamWriter(self, schema: StructType, overwrite: bool) -> DataSourceStreamWriter:  # noqa: N802
        """A writer of stream batches, each visible exactly once."""
        return stream_writer_of(self.options, schema, overwrite=overwrite)
