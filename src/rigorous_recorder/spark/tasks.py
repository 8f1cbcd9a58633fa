"""Logging from tasks: records below a recorder of the driver, counted once however often tasks run."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import pyspark
from pyspark import TaskContext
from pyspark.accumulators import Accumulator, AccumulatorParam

from .._lazy_imports import spark_sql
from .._recorder import Recorder, place_of, recorder_known
from .._store.store import FolderStore
from ..errors import ArgumentError, ClosedError

__all__ = ["TaskLog"]

#: Stores that the task in this process has logged to: one writer, however many blocks it has.
_USED: Final[set[FolderStore]] = set()


class AttemptParent(NamedTuple):
    """The node that holds attempts of a job's tasks until they count.

    Attributes:
        path: the folder of the collection, as every machine sees it.
        identity: the id of the collection.
        node: their parent; it is excluded from query results.
    """

    path: str
    identity: str
    node: int


class TaskLog:
    """Lets tasks of Spark jobs log below a recorder; the records of each task count exactly once.

    Enter it on the driver, around the actions. In a task, ``with log.recorder(...)`` gives a
    recorder below that of the driver::

        with TaskLog(spark, experiment) as log:

            def train(rows):
                with log.recorder(part=1) as recorder:
                    for row in rows:
                        recorder.push(loss=row.loss)

            data.foreachPartition(train)

    Records of a block are excluded from query results until Spark has accepted the task as done.
    From then on they are included, also if the driver is killed later. Records of attempts that
    failed, were killed, or came second (speculation, a recomputed stage), and of blocks that an
    exception ended, are excluded; a compaction after the end of the log drops them.

    Each action that runs a function again logs again: cache what several actions need. A generator
    that is not exhausted, as under a limit, does not end its block.

    Args:
        spark: the session, or its context; not one of Spark Connect.
        recorder: a recorder in a collection whose folder every executor sees under the same path.

    Raises:
        ArgumentError: ``spark`` is one of Spark Connect, or ``recorder`` is in no collection.
    """

    def __init__(
        self, spark: spark_sql.SparkSession | pyspark.SparkContext, recorder: Recorder
    ) -> None:
        place = place_of(recorder)
        if place is None:
            message = (
                f"{recorder!r} is in no collection that tasks in other processes could log to: pass"
                " an experiment's recorder, or one below it"
            )
            raise ArgumentError(message)
        self._context = _context_of(spark)
        self._recorder = recorder  # and so the store stays open
        self._store, self._parent = place
        self._changing = threading.Lock()
        self._won: dict[tuple[int, int], int] = {}
        self._computed: dict[int, int] = {}
        self._trouble: Exception | None = None
        self._tasks: _Tasks | None = None

    def __enter__(self) -> Self:
        store = self._store
        node = store.new_node()
        store.hold(node)
        store.require_saved()
        attempts = AttemptParent(str(store.folder.path), store.identity, node)
        accepting = _Accepting(weakref.WeakMethod(self._accept))
        ended = self._context.accumulator(_Ended(), accepting)
        self._tasks = _Tasks(attempts, ended)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changing:
            tasks, self._tasks = self._entered(), None
        self._store.delete([tasks.attempts.node])
        if self._trouble is not None and error is None:
            raise self._trouble

    def recorder(
        self, data: Mapping[str, Any] | None = None, /, **local_data: Any
    ) -> AbstractContextManager[Recorder]:
        """A new recorder below that of the driver, to enter in a task by ``with``.

        On leaving, all that was logged below it is on disk.

        Args:
            data: its attributes; also as keywords, which win over ``data``.

        Raises:
            TypeError, ValueError: a key is not text, or a value can't be stored.
            NotACollectionError: this machine does not see the collection.
            SaveError: on leaving, its folder can't be written; so the task fails.
        """
        return self._entered().recorder(data, **local_data)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only what tasks need."""
        return self._entered().__reduce__()

    def _entered(self) -> _Tasks:
        if self._tasks is None:
            message = (
                "tasks can only log inside the block: with TaskLog(spark, recorder) as log: ..."
            )
            raise ClosedError(message)
        return self._tasks

    def _accept(self, ended: _Ended) -> None:
        """Let the blocks of an attempt count that Spark has accepted."""
        with self._changing:
            for block in ended:
                if self._tasks is None:
                    return
                if block.task is not None and not self._is_first(block, *block.task):
                    continue
                try:
                    self._store.clock.observe(block.time)
                    self._store.set_attributes(block.node, {}, self._parent)
                except Exception as trouble:  # noqa: BLE001 - raised on leaving
                    self._trouble = trouble

    def _is_first(self, block: _Block, stage: int, partition: int) -> bool:
        """Whether a block is of the first attempt at its task that was accepted."""
        if stage not in self._computed:
            self._computed[stage] = _computed_by(self._context, stage)
        task = self._computed[stage], partition
        return self._won.setdefault(task, block.attempt) == block.attempt


def _computed_by(context: Any, stage: int) -> int:
    """What a stage computes, as an id that a recomputation by another stage shares.

    Stages whose output others read are identified by their RDD. The last stage of an action is
    unique, even if the action before it used the same data. Spark's scheduler holds its lock
    while this reads it. If the scheduler can't be read, each stage is unique.
    """
    try:
        known = context._jsc.sc().dagScheduler().stageIdToStage().apply(stage)
        is_last = known.getClass().getSimpleName() == "ResultStage"
        return -1 - stage if is_last else int(known.rdd().id())
    except Exception:  # noqa: BLE001 - whatever Java raises
        return -1 - stage


class _Block(NamedTuple):
    """A block of a task that ended normally.

    Attributes:
        node: the top node of what it logged.
        time: its last update, in microseconds since the epoch, by its own clock.
        task: the task's stage and partition; None for the driver.
        attempt: the number of the attempt.
    """

    node: int
    time: int
    task: tuple[int, int] | None
    attempt: int


class _Ended(list[_Block]):
    """The blocks that ended normally; passed to Spark when the task is done."""

    def __reduce__(self) -> tuple[Any, ...]:
        if self:
            while _USED:  # only tidying, all is on disk: workers of Spark skip exit handlers
                with contextlib.suppress(Exception):
                    _USED.pop().seal()
        return _Ended, (list(self),)


class _Accepting(AccumulatorParam[_Ended]):
    """Collects the blocks that ended in tasks on the driver; Spark accepts one attempt of each task.

    Args:
        accept: on the driver, the callback for accepted blocks. Weak: Spark never drops this object.
    """

    def __init__(self, accept: weakref.WeakMethod[Callable[[_Ended], None]] | None = None) -> None:
        self._accept = accept

    def __reduce__(self) -> tuple[Any, ...]:
        return _Accepting, ()

    def zero(self, value: _Ended) -> _Ended:  # noqa: ARG002 - Spark's
        """An empty list."""
        return _Ended()

    def addInPlace(self, value1: _Ended, value2: _Ended) -> _Ended:  # noqa: N802 - Spark's
        """In a task, collect blocks; on the driver, accept them."""
        if self._accept is None:
            value1 += value2
        elif (accept := self._accept()) is not None:
            accept(value2)
        return value1


class _Tasks:
    """The part of a log that is sent to tasks."""

    def __init__(self, attempts: AttemptParent, ended: Accumulator[_Ended]) -> None:
        self.attempts = attempts
        self._ended = ended

    def __reduce__(self) -> tuple[Any, ...]:
        return _Tasks, (self.attempts, self._ended)

    @contextlib.contextmanager
    def recorder(
        self, data: Mapping[str, Any] | None = None, /, **local_data: Any
    ) -> Iterator[Recorder]:
        """See ``TaskLog.recorder``."""
        path, identity, node = self.attempts
        store = FolderStore.shared(Path(path), identity)
        if TaskContext.get() is not None:
            _USED.add(store)
        above = recorder_known(store, node, {})
        recorder = Recorder(data, **local_data).set_parent(above)
        yield recorder
        store.require_saved()
        self._ended.add(_Ended([_block(store, recorder)]))


def _block(store: FolderStore, recorder: Recorder) -> _Block:
    place, context = place_of(recorder), TaskContext.get()
    node = 0 if place is None else place[1]
    if context is None:
        return _Block(node, store.clock.last, None, 0)
    task = context.stageId(), context.partitionId()
    return _Block(node, store.clock.last, task, context.taskAttemptId())


def _context_of(spark: Any) -> pyspark.SparkContext:
    """The context of a session.

    Raises:
        ArgumentError: it is a session of Spark Connect, which has none.
    """
    try:
        context: pyspark.SparkContext = getattr(spark, "sparkContext", spark)
        context.accumulator  # noqa: B018 - one of Spark Connect raises
    except Exception as error:
        message = (
            "a session of Spark Connect does not report which attempt at a task counts. Return rows"
            " from tasks, as by mapInArrow, and write them: df.write.format('rigorous')"
        )
        raise ArgumentError(message) from error
    else:
        return context
