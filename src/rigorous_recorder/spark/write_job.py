"""The task side of a write job, and how its results are gathered on the driver."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyspark.sql.datasource import WriterCommitMessage
from pyspark.sql.types import StructField

from .._arrow import pa
from .._engines.source import Source
from .._store.store import FolderStore
from .._tree.nodes import Nodes
from ..errors import SaveError
from .parent_rows import Grouped
from .schema import stored_columns

__all__ = ["TaskWriter", "WriteJob", "Written", "gathered", "nodes_of", "visible_nodes"]

#: Network file systems can delay the visibility of another machine's files by this much.
_PATIENCE_SECONDS: Final = 90.0
_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Written(WriterCommitMessage):
    """The result of a task.

    Attributes:
        node: the node above its rows; None if it had no rows.
    """

    node: int | None = None


@dataclass(frozen=True)
class WriteJob:
    """What the tasks of a write job need.

    Attributes:
        path: the folder of the collection, as every machine sees it.
        identity: the id of the collection.
        fields: the columns.
        parents: names of the parent columns, from the top down.
    """

    path: str
    identity: str
    fields: Sequence[StructField]
    parents: Sequence[str]

    def store(self) -> FolderStore:
        """Open a writer of the collection, to be closed by the caller.

        Raises:
            NotACollectionError: this machine does not see the collection.
        """
        return FolderStore.there(Path(self.path), self.identity)

    def write(self, batches: Iterator[pa.RecordBatch], above: int | None) -> Written:
        """Log the rows of a partition; when it returns they are in sealed files.

        Args:
            above: the parent node, which is excluded from query results; None to hold the rows back
                by a node of their own.

        Raises:
            NotACollectionError: this machine does not see the collection.
            SaveError: the folder can't be written.
            UnsupportedValueError: a value can't be stored.
        """
        filled = (batch for batch in batches if batch.num_rows)
        first = next(filled, None)
        if first is None:
            return Written()
        store = self.store()
        with contextlib.closing(store):
            top = store.new_node()
            if above is None:
                store.hold(top)
            else:
                store.set_attributes(top, {}, above)
            grouped = Grouped(store, top)
            self._log(store, grouped, first)
            for batch in filled:
                self._log(store, grouped, batch)
            return Written(top)

    def _log(self, store: FolderStore, grouped: Grouped, batch: pa.RecordBatch) -> None:
        by_name = {field.name: field for field in self.fields}
        levels = [
            level
            for name in self.parents
            for level in stored_columns(batch, [by_name.pop(name)]).items()
        ]
        columns = stored_columns(batch, by_name.values())
        store.records.append_columns(grouped.nodes_of(levels, batch.num_rows), columns)


@dataclass(frozen=True)
class TaskWriter:
    """What tasks of batches and of streams do alike.

    Attributes:
        job: what the tasks do.
        held: the node below which tasks write; None if each part is held back by a node of its own.
    """

    job: WriteJob
    held: int | None

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Written:
        """Log the rows of a partition; when it returns they are in sealed files.

        Raises:
            NotACollectionError: this machine does not see the collection.
            SaveError: the folder can't be written.
            UnsupportedValueError: a value can't be stored.
        """
        return self.job.write(iterator, self.held)


def nodes_of(messages: Collection[WriterCommitMessage | None]) -> list[int]:
    """The nodes above all that tasks wrote, as far as reported."""
    return [each.node for each in messages if isinstance(each, Written) and each.node is not None]


def visible_nodes(store: FolderStore, messages: Collection[WriterCommitMessage | None]) -> Nodes:
    """All nodes, once those that the tasks wrote are visible here.

    Raises:
        SaveError: they do not become visible.
    """
    wanted = pa.array(nodes_of(messages), pa.int64())
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        nodes = Source(store).now().nodes
        missing = nodes.with_deleted.positions(wanted).null_count
        if not missing:
            return nodes
        if time.monotonic() > end:
            message = (
                f"the driver does not see what {missing} of {len(wanted)} tasks wrote to"
                f" {store.folder.path}: is it one folder, shared by all machines?"
            )
            raise SaveError(message)
        time.sleep(_LOOK_SECONDS)
        store.reader.forget()


@contextlib.contextmanager
def gathered(store: FolderStore, messages: Collection[WriterCommitMessage | None]) -> Iterator[int]:
    """A new node with all that tasks wrote below it; the caller sets its parent.

    On return everything is on disk and becomes visible in one step; on failure everything is
    deleted. The tasks' nodes have been read before, so their updates have earlier times than this
    one, whatever their clocks.

    Raises:
        SaveError: the folder can't be written.
    """
    top = store.new_node()
    store.hold(top)
    try:
        if nodes := nodes_of(messages):
            parents = pa.repeat(pa.scalar(top, pa.int64()), len(nodes))
            store.set_many(pa.array(nodes, pa.int64()), parents, {})
        store.require_saved()
        yield top
        store.require_saved()
    except BaseException:
        store.delete([top])
        raise
