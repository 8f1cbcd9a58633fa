"""The format ``rigorous``: what Spark asks for a schema, and for those that read and write."""

from __future__ import annotations

from pyspark.sql.datasource import (
    DataSource,
    DataSourceReader,
    DataSourceStreamReader,
    DataSourceStreamWriter,
    DataSourceWriter,
)
from pyspark.sql.types import StructType

from .driver_snapshot import Sight, short_errors
from .options import Options
from .reader import Reader
from .stream import StreamReader
from .stream_writer import stream_writer_of
from .writer import writer_of

__all__ = ["RigorousSource"]


class RigorousSource(DataSource):
    """A collection as Spark reads it, the flat table, and as Spark writes it."""

    @classmethod
    def name(cls) -> str:
        """What ``spark.read.format`` and ``df.write.format`` are given."""
        return "rigorous"

    def schema(self) -> StructType:
        """The columns of the flat table as it is now, or those that are asked for."""
        with short_errors():
            found = Sight(Options.of(self.options)).schema()
        #: Whether the schema is all that there is, and not what the user chose.
        self._is_all = "columns" not in self.options
        return found

    def reader(self, schema: StructType) -> DataSourceReader:
        """Reads the rows that are there when a query is planned."""
        with short_errors():
            return Reader(Options.of(self.options), schema)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802 - Spark's
        """Reads all rows, and then those that come."""
        is_all = getattr(self, "_is_all", False)
        with short_errors():
            return StreamReader(Options.of(self.options), schema, is_all=is_all)

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:
        """Writes rows so that all of them are seen, or none."""
        return writer_of(self.options, schema, overwrite=overwrite)

    def streamWriter(self, schema: StructType, overwrite: bool) -> DataSourceStreamWriter:  # noqa: N802
        """Writes batches of a stream, each once."""
        return stream_writer_of(self.options, schema, overwrite=overwrite)
