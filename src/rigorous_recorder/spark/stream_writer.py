"""Writing a stream: each batch becomes visible whole and exactly once, however often it is retried."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pyspark.sql.datasource import DataSourceStreamArrowWriter, WriterCommitMessage
from pyspark.sql.types import StructType

from .._engines.source import Source
from .._experiments_lock import changing_experiments
from .._lifecycle import set_whole
from .._store.node_ids import ROOT
from .._store.store import FolderStore
from .._tree.columns import values_of
from .._tree.nodes import Nodes
from ..errors import ArgumentError, DeletedError, ReservedKeyError
from .option_parsing import local_path
from .write_job import TaskWriter, WriteJob, gathered, nodes_of, visible_nodes
from .write_options import WriteOptions, check_inherited

__all__ = ["StreamWriter", "stream_writer_of"]

#: The attributes of a stream's experiment and of each of its batches.
_STREAM: Final = "spark_stream"
_BATCH: Final = "spark_batch"
_QUERY: Final = "spark_query"


def stream_writer_of(
    options: Mapping[str, str], schema: StructType, *, overwrite: bool
) -> StreamWriter:
    """A writer of stream batches; all checks that can be made on the driver are made here.

    Raises:
        ArgumentError: an option is not known, or has a value that can't be used; or the stream was
            written from another checkpoint.
        ReservedKeyError: a column is named like an attribute that the writer sets itself.
        UnsupportedTypeError, UnsupportedValueError: a column can't be stored as it is.
        NotACollectionError: something else is at the path.
        SaveError: the folder can't be written.
    """
    if overwrite:
        message = "outputMode('complete') would write all rows again with each batch: use 'append'"
        raise ArgumentError(message)
    wanted = WriteOptions.of(options, schema, ["stream", "checkpointLocation"])
    name = wanted.others["stream"] or wanted.others["checkpointLocation"]
    if not name:
        message = (
            "a stream needs a name by which its batches are known when it is started again: give"
            " option('stream', ...), or option('checkpointLocation', ...)"
        )
        raise ArgumentError(message)
    query = _query_of(wanted.others["checkpointLocation"])
    for key in (_STREAM, _BATCH, _QUERY):
        if key in schema.names or key in wanted.info:
            message = (
                f"{key!r}: the writer sets this attribute of a stream itself; choose another name"
            )
            raise ReservedKeyError(message)
    with contextlib.closing(FolderStore(wanted.path)) as store:
        with changing_experiments(store):  # so that the folder is there
            nodes = Source(store).now().nodes
            experiment = _experiment(nodes, name)
            _check_query(nodes, experiment, name, query)
            check_inherited(nodes, experiment, schema)
        job = WriteJob(str(wanted.path), store.identity, tuple(schema.fields), wanted.parents)
    return StreamWriter(job, None, name, query, wanted.info, time.time())


@dataclass(frozen=True)
class StreamWriter(TaskWriter, DataSourceStreamArrowWriter):
    """Writes each batch below its own recorder, which has its number; a stream is an experiment.

    Attributes:
        name: the name of the stream.
        query: the query id in Spark's checkpoint; None if it can't be read here.
        info: attributes of its experiment.
        start: when it began, in seconds since the epoch.
    """

    name: str
    query: str | None
    info: Mapping[str, Any]
    start: float

    def commit(self, messages: list[WriterCommitMessage | None], batchId: int) -> None:  # noqa: N803
        """Make a batch visible in one step, unless it already is.

        Raises:
            DeletedError: it was discarded before.
            SaveError: the folder can't be written, or what a task wrote is not visible here.
        """
        with contextlib.closing(self.job.store()) as store, changing_experiments(store):
            nodes = visible_nodes(store, messages)
            experiment = _experiment(nodes, self.name)
            if experiment is not None and batchId in _batches(nodes, experiment):
                store.delete(nodes_of(messages))
                return
            if not nodes.deletion.waiting_tops.keys() >= set(nodes_of(messages)):
                message = "what was written was discarded before it was committed; start again"
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
        """Make what was written never visible; a batch that was committed before stays."""
        with contextlib.closing(self.job.store()) as store:
            tops = Source(store).now().nodes.deletion.waiting_tops
            waiting = [node for node in nodes_of(messages) if node in tops]
            if waiting:
                store.delete(waiting)


def _query_of(checkpoint: str | None) -> str | None:
    """The id of the query that owns a checkpoint; None if it can't be read here."""
    if not checkpoint:
        return None
    try:
        text = (local_path(checkpoint) / "metadata").read_text(encoding="utf-8")
        return str(json.loads(text)["id"])
    except (ArgumentError, OSError, ValueError, LookupError):
        return None


def _check_query(nodes: Nodes, experiment: int | None, name: str, query: str | None) -> None:
    """Raise if another query has numbered the batches of this stream.

    Raises:
        ArgumentError: the stream was written from another checkpoint.
    """
    if experiment is None or query is None:
        return
    known = _values_below(nodes, ROOT, _QUERY).get(experiment)
    if known not in (None, query):
        message = (
            f"stream {name!r} was written from another checkpoint, and batches are identified by their"
            " numbers: use that checkpoint, or another name by option('stream', ...)"
        )
        raise ArgumentError(message)


def _experiment(nodes: Nodes, name: str) -> int | None:
    """The node of a stream's experiment; None if it has none yet."""
    known = _values_below(nodes, ROOT, _STREAM)
    return next((node for node, attributes in known.items() if attributes == name), None)


def _batches(nodes: Nodes, experiment: int) -> set[Any]:
    """The numbers of the batches that are visible."""
    return set(_values_below(nodes, experiment, _BATCH).values())


def _values_below(nodes: Nodes, above: int, key: str) -> dict[int, Any]:
    """For each node directly below one, its value of a key."""
    below = nodes.children(above)
    positions = nodes.positions_of(below)
    return dict(zip(below, values_of(nodes.own(key, positions), len(below)), strict=True))
