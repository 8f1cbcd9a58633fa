"""The experiments of a collection: their attributes, and lookup by number."""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, SupportsIndex

from ._arrow import pa, pc
from ._engines.attempts import Attempt, last_attempts
from ._keys import ERROR_KEYS, EXPERIMENT_KEYS
from ._labels import ARCHIVED, listed_name_in, tags_in
from ._live.column import Column
from ._once import once
from ._status import Status, status_at_end
from ._store.deletion import Deleted
from ._store.node_ids import DELETED, writer_of
from ._store.union import ReadableStore
from ._tree.nodes import Nodes
from ._values.chunks import int64_array, int64_scalar
from ._values.kinds import INT
from .errors import UnknownExperimentError

__all__ = [
    "NUMBER",
    "Past",
    "Runs",
    "deleted_of",
    "is_running",
    "last_deleted",
    "nth_number",
    "past_experiments",
    "status_of",
]

NUMBER: Final = EXPERIMENT_KEYS[0]
#: How many numbers an error message lists at each end.
_LISTED: Final = 10


class Past(NamedTuple):
    """An experiment that was started before, with its attributes.

    Attributes:
        last: the node of its last attempt; its own if it was never resumed.
        attempts: the number of attempts; 1 if it was never resumed.
        ended: the status of its last attempt; None if it has not ended.
        goes_on: whether it is resumed after a failure, instead of restarted under its number.
        job: the scheduler job that began it.
        name: its name in lists.
        tags: its tags.
        is_archived: whether it is only listed among all.
        error: the error of the last attempt: ``error_type``, ``error_message``, ``error_traceback``.
    """

    node: int
    number: int
    error_number: int
    had_error: bool
    ended: Status | None
    start: float | None
    duration: float | None
    last: int
    attempts: int
    goes_on: bool
    job: str | None
    error: dict[str, str]
    name: str | None = None
    tags: tuple[str, ...] = ()
    is_archived: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether its last attempt has ended."""
        return self.ended is not None


class Runs:
    """The experiments in one snapshot, read lazily: at least one pass over a column.

    Several can share a number: those that failed, and the one that was begun after them.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        positions = nodes.positions_below_roots()
        numbers = _numbers(nodes, positions)
        self._positions = positions.filter(numbers.is_valid())
        self._numbers = numbers.drop_null()

    @property
    def highest(self) -> int:
        """The highest number; 0 if there are no experiments."""
        return pc.max(self._numbers).as_py() or 0

    @once
    def numbers(self) -> tuple[int, ...]:
        """The distinct numbers in order."""
        return tuple(sorted(pc.unique(self._numbers).to_pylist()))

    @property
    def nodes(self) -> list[tuple[int, int]]:
        """For each experiment, in order of start, its node and that of its last attempt."""
        last = last_attempts(self._nodes)
        at = self._positions.to_pylist()
        newest = [last[each].position if each in last else each for each in at]
        ids = self._nodes.ids
        found = (ids.take(int64_array(each)).to_pylist() for each in (at, newest))
        return list(zip(*found, strict=True))

    def all(self) -> list[Past]:
        """All of them, in order of start."""
        return self._past(self._positions)

    def numbered(self, number: int) -> list[Past]:
        """Those with a number, in order of start."""
        return self._past(self._positions.filter(pc.equal(self._numbers, int64_scalar(number))))

    def of_nodes(self, nodes: Sequence[int]) -> list[Past]:
        """Those among some nodes."""
        return self._past(self._nodes.positions_of(nodes).drop_null())

    def _past(self, positions: pa.Array) -> list[Past]:
        last = last_attempts(self._nodes)
        ids, data = self._nodes.ids.take(positions), self._nodes.own_data(positions)
        return [
            _past(self._nodes, node, attributes, last.get(at))
            for node, at, attributes in zip(
                ids.to_pylist(), positions.to_pylist(), data, strict=True
            )
        ]


def past_experiments(nodes: Nodes) -> list[Past]:
    """The experiments of a collection, in order of start."""
    return Runs(nodes).all()


def deleted_of(nodes: Nodes) -> Deleted | None:
    """What a compaction drops: everything that was deleted, except for the used numbers."""
    if (deleted := nodes.deletion.for_good) is None:
        return None
    return Deleted(deleted, nodes.deletion.tops, Column(NUMBER, INT))


def last_deleted(nodes: Nodes) -> int:
    """The highest number of a deleted experiment; 0 if there is none."""
    everything = nodes.with_deleted
    return pc.max(_numbers(everything, everything.child_positions(DELETED))).as_py() or 0


def is_running(store: ReadableStore, past: Past) -> bool:
    """Whether an experiment has not ended and its process is alive."""
    return not past.has_ended and store.reader.is_alive(writer_of(past.last))


def status_of(store: ReadableStore, past: Past) -> Status:
    """The status of an experiment, unless it has ended since it was read."""
    if past.ended is not None:
        return past.ended
    return Status.RUNNING if is_running(store, past) else Status.CRASHED


def nth_number(numbers: Collection[int], wanted: SupportsIndex, *, advice: str = "") -> int:
    """The number of an experiment; -1 is the last number, and so on.

    Args:
        wanted: an int of any library.
        advice: what the error for other types adds.

    Raises:
        UnknownExperimentError: there is no such number.
    """
    known = tuple(sorted(numbers))
    try:
        is_truth = type(wanted).__name__ in {"bool", "bool_"}  # numpy's is an int, or warns
        place = None if is_truth else operator.index(wanted)
    except TypeError:
        place = None
    if place is None:
        message = f"{wanted!r} is not a valid experiment number; {_there(known)}{advice}"
        raise UnknownExperimentError(message)
    number = known[place] if -len(known) <= place < 0 else place
    if number not in known:
        message = f"there is no experiment {number}; {_there(known)}"
        raise UnknownExperimentError(message)
    return number


def _there(numbers: tuple[int, ...]) -> str:
    if len(numbers) < 2:
        return f"there is only {numbers[0]}" if numbers else "there are no experiments"
    return f"there are {_listed(numbers)}"


def _listed(numbers: tuple[int, ...]) -> str:
    if len(numbers) <= 2 * _LISTED:
        return ", ".join(map(str, numbers))
    first, last = (", ".join(map(str, some)) for some in (numbers[:_LISTED], numbers[-_LISTED:]))
    return f"{first}, ..., {last}"


def _numbers(nodes: Nodes, positions: pa.Array) -> pa.Array:
    """The numbers of the experiments at positions; null for other nodes."""
    for column, values in nodes.own(NUMBER, positions).items():
        if column.kind == INT:
            return values
    return pa.nulls(len(positions), pa.int64())


def _past(nodes: Nodes, node: int, data: Mapping[str, Any], last: Attempt | None) -> Past:
    errors = data.get("error_number")
    return Past(
        node=node,
        number=data["experiment_number"],
        error_number=errors if isinstance(errors, int) else 0,
        had_error=data.get("had_error") is not False,
        ended=status_at_end(data),
        start=_seconds(data.get("experiment_start_time")),
        duration=_seconds(data.get("experiment_duration")),
        last=nodes.ids[last.position].as_py() if last else node,
        attempts=last.number if last else 1,
        goes_on="experiment_attempt" in data,
        job=data.get("experiment_job"),
        error={
            key.removeprefix("experiment_"): text
            for key in ERROR_KEYS
            if isinstance(text := data.get(key), str)
        },
        name=listed_name_in(data),
        tags=tags_in(data),
        is_archived=data.get(ARCHIVED) is True,
    )


def _seconds(value: object) -> float | None:
    """A time in seconds; None for values of other kinds, which a user may have set."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None
