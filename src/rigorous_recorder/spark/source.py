"""The format ``rigorous``: what Spark asks for those that write."""

from __future__ import annotations

from pyspark.sql.datasource import DataSource, DataSourceStreamWriter, DataSourceWriter
from pyspark.sql.types import StructType

from .stream_writer import stream_writer_of
from .writer import writer_of

__all__ = ["RigorousSource"]


class RigorousSource(DataSource):
    """A collection as Spark writes it."""

    @classmethod
    def name(cls) -> str:
        """What ``df.write.format`` is given."""
        return "rigorous"

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:
        """Writes rows so that all of them are seen, or none."""
        return writer_of(self.options, schema, overwrite=overwrite)

    def streamWriter(self, schema: StructType, overwrite: bool) -> DataSourceStreamWriter:  # noqa: N802
        """Writes batches of a stream, each once."""
        return stream_writer_of(self.options, schema, overwrite=overwrite)
