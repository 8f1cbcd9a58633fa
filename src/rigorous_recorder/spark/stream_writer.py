"""Writing a stream: each batch is seen as a whole or not at all, and once, however often it is tried."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pyspark.sql.datasource import DataSourceStreamArrowWriter, WriterCommitMessage
from pyspark.sql.types import StructType

from .._arrow import pa
from .._engines.source import Source
from .._experiments_lock import changing_experiments
from .._lifecycle import set_whole
from .._store.store import ROOT, FolderStore
from .._tree.columns import values_of
from .._tree.nodes import Nodes
from ..errors import ArgumentError, DeletedError, ReservedKeyError
from .option_parsing import local_path
from .write_job import WriteJob, Written, gathered, nodes_of, seen
from .write_options import WriteOptions, check_inherited

__all__ = ["StreamWriter", "stream_writer_of"]

#: What is set on the experiment of a stream, and of each of its batches.
_STREAM: Final = "spark_stream"
_BATCH: Final = "spark_batch"
_QUERY: Final = "spark_query"


def stream_writer_of(
    options: Mapping[str, str], schema: StructType, *, overwrite: bool
) -> StreamWriter:
    """What writes batches of a stream; all that can be refused is refused here, on the driver.

    Raises:
        ArgumentError: an option is not known, or has a value that can't be used; or the stream was
            written from another checkpoint.
        ReservedKeyError: a collection, or a stream, says itself what a column is named for.
        UnsupportedTypeError, UnsupportedValueError: a column can't be stored as it is.
        NotACollectionError: something else is at the path.
        SaveError: the folder can't be written.
    """
    if overwrite:
        message = "outputMode('complete') would write all rows again with each batch: use 'append'"
        raise ArgumentError(message)
    asked = WriteOptions.of(options, schema, ["stream", "checkpointLocation"])
    name = asked.others["stream"] or asked.others["checkpointLocation"]
    if not name:
        message = (
            "a stream needs a name by which its batches are known when it is started again: give"
            " option('stream', ...), or option('checkpointLocation', ...)"
        )
        raise ArgumentError(message)
    query = _query_of(asked.others["checkpointLocation"])
    for key in (_STREAM, _BATCH, _QUERY):
        if key in schema.names or key in asked.info:
            message = (
                f"{key!r}: the writer sets this attribute of a stream itself; choose another name"
            )
            raise ReservedKeyError(message)
    with contextlib.closing(FolderStore(asked.path)) as store:
        with changing_experiments(store):  # so that the folder is there
            nodes = Source(store).now().nodes
            experiment = _experiment(nodes, name)
            _check_query(nodes, experiment, name, query)
            check_inherited(nodes, experiment, schema)
        job = WriteJob(str(asked.path), store.identity, tuple(schema.fields), asked.parents)
    return StreamWriter(job, name, query, asked.info, time.time())


@dataclass(frozen=True)
class StreamWriter(DataSourceStreamArrowWriter):
    """Writes each batch below a recorder of its own, which knows its number; a stream is an experiment.

    Attributes:
        job: what the tasks do.
        name: what the stream is known by.
        query: the id that Spark keeps in the checkpoint; None where it can't be read here.
        info: what is known of its experiment.
        start: when it began, in seconds since the epoch.
    """

    job: WriteJob
    name: str
    query: str | None
    info: Mapping[str, Any]
    start: float

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Written:
        """Log the rows of a partition; when it returns they are in sealed files.

        Raises:
            NotACollectionError: this machine does not see the collection.
            SaveError: the folder can't be written.
            UnsupportedValueError: a value can't be stored.
        """
        return self.job.write(iterator, None)

    def commit(self, messages: list[WriterCommitMessage | None], batchId: int) -> None:  # noqa: N803
        """Let a batch be seen, in one step, unless it is already.

        Raises:
            DeletedError: it was discarded meanwhile.
            SaveError: the folder can't be written, or what a task wrote is not seen here.
        """
        with contextlib.closing(self.job.store()) as store, changing_experiments(store):
            nodes = seen(store, messages)
            experiment = _experiment(nodes, self.name)
            if experiment is not None and batchId in _batches(nodes, experiment):
                store.delete(nodes_of(messages))
                return
            if not nodes.deletion.waiting_tops.keys() >= set(nodes_of(messages)):
                message = "what was written has been discarded before it was committed; start again"
                raise DeletedError(message)
            with gathered(store, messages) as batch:
                self._show(store, batch, batchId, experiment)

    def _show(self, store: FolderStore, batch: int, number: int, experiment: int | None) -> None:
        if experiment is not None:
            store.set_attributes(batch, {_BATCH: number}, experiment)
            return
        top = store.new_node()
        store.hold(top)
        store.set_attributes(batch, {_BATCH: number}, top)
        store.require_saved()
        query = {} if self.query is None else {_QUERY: self.query}
        set_whole(store, top, {_STREAM: self.name, **query, **self.info}, self.start)

    def abort(self, messages: list[WriterCommitMessage | None], batchId: int) -> None:  # noqa: ARG002, N803
        """Let what was written never be seen; a batch that was committed before stays."""
        with contextlib.closing(self.job.store()) as store:
            tops = Source(store).now().nodes.deletion.waiting_tops
            waiting = [node for node in nodes_of(messages) if node in tops]
            if waiting:
                store.delete(waiting)


def _query_of(checkpoint: str | None) -> str | None:
    """The id of the query whose checkpoint that is; None where it can't be read here."""
    if not checkpoint:
        return None
    try:
        text = (local_path(checkpoint) / "metadata").read_text(encoding="utf-8")
        return str(json.loads(text)["id"])
    except (ArgumentError, OSError, ValueError, LookupError):
        return None


def _check_query(nodes: Nodes, experiment: int | None, name: str, query: str | None) -> None:
    """Refuse batches whose numbers another query has given to others.

    Raises:
        ArgumentError: the stream was written from another checkpoint.
    """
    if experiment is None or query is None:
        return
    known = _said(nodes, ROOT, _QUERY).get(experiment)
    if known not in (None, query):
        message = (
            f"stream {name!r} was written from another checkpoint, and batches are known by their"
            " numbers: use that checkpoint, or another name by option('stream', ...)"
        )
        raise ArgumentError(message)


def _experiment(nodes: Nodes, name: str) -> int | None:
    """The node of the experiment of a stream; None where it has none yet."""
    known = _said(nodes, ROOT, _STREAM)
    return next((node for node, attributes in known.items() if attributes == name), None)


def _batches(nodes: Nodes, experiment: int) -> set[Any]:
    """The numbers of the batches that are seen."""
    return set(_said(nodes, experiment, _BATCH).values())


def _said(nodes: Nodes, above: int, key: str) -> dict[int, Any]:
    """What was said under a key of the nodes directly below one."""
    below = nodes.children(above)
    positions = nodes.positions_of(below)
    return dict(zip(below, values_of(nodes.own(key, positions), len(below)), strict=True))
