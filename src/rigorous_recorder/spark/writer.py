"""Writing: the rows of a DataFrame as records of an experiment, visible all at once or not at all."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql.datasource import DataSourceArrowWriter, WriterCommitMessage
from pyspark.sql.types import StructType

from .._engines.source import Source
from .._experiments_lock import changing_experiments
from .._lifecycle import set_whole
from .._store.node_ids import DELETED
from .._store.store import FolderStore
from ..errors import ArgumentError, DeletedError, SaveError
from .write_job import TaskWriter, WriteJob, gathered, nodes_of, visible_nodes
from .write_options import WriteOptions, check_inherited, experiment_node

__all__ = ["BatchWriter", "batch_writer_of"]


def batch_writer_of(
    options: Mapping[str, str], schema: StructType, *, overwrite: bool
) -> BatchWriter:
    """A writer of rows of a schema; all checks that can be made on the driver are made here.

    Raises:
        ArgumentError: an option is not known, or has a value that can't be used.
        ReservedKeyError: a column is named like an attribute that the collection sets itself.
        UnsupportedTypeError, UnsupportedValueError: a column can't be stored as it is.
        NotACollectionError: something else is at the path.
        SaveError: the folder can't be written.
    """
    if overwrite:
        message = (
            "mode('overwrite') would delete what others logged: use mode('append'), and delete"
            " experiments with ExperimentCollection(path).delete(number)"
        )
        raise ArgumentError(message)
    wanted = WriteOptions.of(options, schema, ["experiment"])
    number = wanted.others["experiment"]
    if number is not None and wanted.info:
        message = "option 'info' is for a new experiment and can't be combined with 'experiment'"
        raise ArgumentError(message)
    with contextlib.closing(FolderStore(wanted.path)) as store:
        nodes = Source(store).now().nodes
        above = None if number is None else experiment_node(nodes, number)
        check_inherited(nodes, above, schema)
        held = store.new_node()
        store.hold(held)
        store.require_saved()
        job = WriteJob(str(wanted.path), store.identity, tuple(schema.fields), wanted.parents)
    return BatchWriter(job, held, above, wanted.info, time.time())


@dataclass(frozen=True)
class BatchWriter(TaskWriter, DataSourceArrowWriter):
    """Writes rows below a node that is excluded from query results; a commit moves them in one step.

    Attributes:
        held: the node below which tasks write; what is not committed stays there and is deleted.
        above: the node of the experiment that rows are added to; None for a new one.
        info: attributes of the new one.
        start: when it began, in seconds since the epoch.
    """

    held: int
    above: int | None
    info: Mapping[str, Any]
    start: float

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        """Make all that was written visible, in one step.

        Raises:
            DeletedError: it was discarded before.
            SaveError: the folder can't be written, or what a task wrote is not visible here.
        """
        with contextlib.closing(self.job.store()) as store, changing_experiments(store):
            if self.held not in visible_nodes(store, messages).deletion.waiting_tops:
                message = "what was written was discarded before it was committed; write it again"
                raise DeletedError(message)
            with gathered(store, messages) as top:
                if self.above is None:
                    set_whole(store, top, self.info, self.start)
                else:
                    store.set_attributes(top, {}, self.above)
            # Visible from now on: what can't be tidied is left, and excluded from query results.
            with contextlib.suppress(SaveError):
                store.delete([self.held])

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        """Make nothing of it ever visible; also if a commit failed at its end."""
        with contextlib.closing(self.job.store()) as store, changing_experiments(store):
            nodes = Source(store).now().nodes.with_deleted
            above = {nodes.parent(node) for node in nodes_of(messages)} - {DELETED, self.held}
            store.delete([self.held, *(node for node in above if node is not None)])
