"""Logging from tasks: records below a recorder of the driver's, once, however often a task is tried."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from pyspark import TaskContext
from pyspark.accumulators import Accumulator, AccumulatorParam

from .._recorder import Recorder, place_of, recorder_known
from .._store.store import FolderStore
from ..errors import ArgumentError, ClosedError

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

__all__ = ["TaskLog"]

#: Stores that the task which runs in this process logged to: one writer, however many blocks it has.
_USED: Final[set[FolderStore]] = set()


class Place(NamedTuple):
    """Where attempts of a job's tasks hang until they count.

    Attributes:
        path: the folder of the collection, as every machine sees it.
        identity: the id of the collection.
        node: the node below which they are; it is excluded from query results.
    """

    path: str
    identity: str
    node: int


class TaskLog:
    """Lets the tasks of Spark jobs log below a recorder; what a task logged counts once, or not.

    To be entered on the driver, around the actions. In a task, ``log.recorder(...)`` gives, by
    ``with``, a recorder below that of the driver::

        with TaskLog(spark, experiment) as log:

            def train(rows):
                with log.recorder(part=1) as recorder:
                    for row in rows:
                        recorder.push(loss=row.loss)

            data.foreachPartition(train)

    Records of a block are excluded from query results before Spark has accepted the task as done, and are in all
    of them from then on; a driver that is killed later keeps them. Those of an attempt that failed,
    was killed, or came second (speculation, a stage that is computed again) are excluded from query results, nor are
    those of a block that an exception ended. A compaction drops them when the log was left.

    Each action that runs a function anew logs anew: cache what several actions need. A generator that
    is not taken to its end, as under a limit, does not end its block.

    Args:
        spark: the session, or its context; not one of Spark Connect.
        recorder: a recorder in a collection whose folder every executor sees under the same path.

    Raises:
        ArgumentError: ``spark`` is one of Spark Connect, or ``recorder`` is in no collection.
    """

    def __init__(self, spark: SparkSession | SparkContext, recorder: Recorder) -> None:
        place = place_of(recorder)
        if place is None:
            message = (
                f"{recorder!r} is in no collection, where tasks of other processes could log to: give"
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
        place = Place(str(store.folder.path), store.identity, node)
        accepting = _Accepting(weakref.WeakMethod(self._accept))
        ended = self._context.accumulator(_Ended(), accepting)
        self._tasks = _Tasks(place, ended)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changing:
            tasks, self._tasks = self._entered(), None
        self._store.delete([tasks.place.node])
        if self._trouble is not None and error is None:
            raise self._trouble

    def recorder(
        self, data: Mapping[str, Any] | None = None, /, **local_data: Any
    ) -> AbstractContextManager[Recorder]:
        """A new recorder below that of the driver, to be entered in a task by ``with``.

        On leaving, all that was logged below it is on disk.

        Args:
            data: what is known of it; also as keywords, which win over ``data``.

        Raises:
            TypeError, ValueError: a key is not text, or a value can't be stored.
            NotACollectionError: this machine does not see the collection.
            SaveError: on leaving, its folder can't be written; so the task fails.
        """
        return self._entered().recorder(data, **local_data)

    def __reduce__(self) -> tuple[Any, ...]:
        """What a task gets of it."""
        return self._entered().__reduce__()

    def _entered(self) -> _Tasks:
        if self._tasks is None:
            message = (
                "tasks log while the log is entered: with TaskLog(spark, recorder) as log: ..."
            )
            raise ClosedError(message)
        return self._tasks

    def _accept(self, ended: _Ended) -> None:
        """Let blocks count of an attempt that Spark accepts as that of its task."""
        with self._changing:
            for block in ended:
                if self._tasks is None:
                    return
                if block.task is not None and not self._is_first(block, *block.task):
                    continue
                try:
                    self._store.see_time(block.time)
                    self._store.set_attributes(block.node, {}, self._parent)
                except Exception as trouble:  # noqa: BLE001 - raised on leaving
                    self._trouble = trouble

    def _is_first(self, block: _Block, stage: int, partition: int) -> bool:
        """Whether a block is of the first attempt at a task that was accepted."""
        if stage not in self._computed:
            self._computed[stage] = _computed_by(self._context, stage)
        task = self._computed[stage], partition
        return self._won.setdefault(task, block.attempt) == block.attempt


def _computed_by(context: Any, stage: int) -> int:
    """What a stage computes: what was lost with an executor another stage may compute again.

    That is a stage whose output others read; the last stage of an action is one of its own, also
    where the action before it was on the same data. Spark asks while it holds what is read here.
    Where it does not tell, each stage is one of its own.
    """
    try:
        known = context._jsc.sc().dagScheduler().stageIdToStage().apply(stage)
        is_last = known.getClass().getSimpleName() == "ResultStage"
        return -1 - stage if is_last else int(known.rdd().id())
    except Exception:  # noqa: BLE001 - whatever Java raises
        return -1 - stage


class _Block(NamedTuple):
    """A block of a task that came to its end.

    Attributes:
        node: the top node of what it logged.
        time: when it said anything last, in microseconds since the epoch, by its own clock.
        task: the task's stage and partition; None of what the driver did itself.
        attempt: which attempt at the task it is.
    """

    node: int
    time: int
    task: tuple[int, int] | None
    attempt: int


class _Ended(list[_Block]):
    """The blocks that came to their end; handed to Spark when the task's work is done."""

    def __reduce__(self) -> tuple[Any, ...]:
        if self:
            while _USED:  # tidy, no more: all is on disk; no worker of Spark ends as processes do
                with contextlib.suppress(Exception):
                    _USED.pop().seal()
        return _Ended, (list(self),)


class _Accepting(AccumulatorParam[_Ended]):
    """Brings what ended in tasks to the driver; of each task Spark takes what one attempt gave.

    Args:
        accept: on the driver, what lets it count. Spark keeps this object for good, and not the log.
    """

    def __init__(self, accept: weakref.WeakMethod[Callable[[_Ended], None]] | None = None) -> None:
        self._accept = accept

    def __reduce__(self) -> tuple[Any, ...]:
        return _Accepting, ()

    def zero(self, value: _Ended) -> _Ended:  # noqa: ARG002 - Spark's
        """Nothing ended."""
        return _Ended()

    def addInPlace(self, value1: _Ended, value2: _Ended) -> _Ended:  # noqa: N802 - Spark's
        """In a task, keep what ended; on the driver, let it count."""
        if self._accept is None:
            value1 += value2
        elif (accept := self._accept()) is not None:
            accept(value2)
        return value1


class _Tasks:
    """What tasks have of a log."""

    def __init__(self, place: Place, ended: Accumulator[_Ended]) -> None:
        self.place = place
        self._ended = ended

    def __reduce__(self) -> tuple[Any, ...]:
        return _Tasks, (self.place, self._ended)

    @contextlib.contextmanager
    def recorder(
        self, data: Mapping[str, Any] | None = None, /, **local_data: Any
    ) -> Iterator[Recorder]:
        """See ``TaskLog.recorder``."""
        path, identity, node = self.place
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
        return _Block(node, store.last_time, None, 0)
    task = context.stageId(), context.partitionId()
    return _Block(node, store.last_time, task, context.taskAttemptId())


def _context_of(spark: Any) -> SparkContext:
    """The context of a session.

    Raises:
        ArgumentError: it is a session of Spark Connect, which has none.
    """
    try:
        context: SparkContext = getattr(spark, "sparkContext", spark)
        context.accumulator  # noqa: B018 - one of Spark Connect raises
    except Exception as error:
        message = (
            "a session of Spark Connect does not say which attempt at a task counts. Give rows back"
            " from tasks, as by mapInArrow, and write them: df.write.format('rigorous')"
        )
        raise ArgumentError(message) from error
    else:
        return context
