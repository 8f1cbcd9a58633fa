"""Metrics of MLflow's databases: those of one call are one record."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from math import nan
from typing import Any, Final, NamedTuple

from rigorous_recorder._arrow import pa, pc

from .contract import Event, Position, Record, Rows, utc_time
from .mlflow_runs import SYSTEM, part_of

__all__ = ["COLUMNS", "Metrics"]

#: What ``Metrics`` takes of each row; text can also be bytes.
COLUMNS: Final = ("rowid", "run_uuid", "key", "value", "timestamp", "step", "is_nan")
_LARGEST: Final = sys.float_info.max
#: So many rows become columns while they are in the caches of a processor.
_AT_ONCE: Final = 1000
#: So many are looked at together, but for a call that has more.
_TOGETHER: Final = 16_000
_MOST_OF_CALL: Final = 1_000_000
#: If fewer rows than this are of the same run on average, records of several runs are given together.
_FEW: Final = 32
#: With more runs or keys than this among them, records are given one by one.
_MOST_RUNS: Final = 256
_MOST_KEYS: Final = 64
#: The milliseconds of the years 1 to 9999.
_FIRST_TIME: Final = -62_135_596_800_000
_LAST_TIME: Final = 253_402_300_799_999

#: What the id of a part with system metrics has after that of its run.
_PART: Final = part_of("").id

Row = tuple[Any, ...]
#: Runs, keys, values, times, steps, and whether a value is NaN.
_Arrays = tuple[Any, ...]


class Metrics:
    """The records of rows, in their order.

    Args:
        known: the runs; rows of others are counted in ``strays``.
        last: the number of the last row that was read before; None for a database without such numbers.
    """

    def __init__(self, known: Iterable[str], last: int | None) -> None:
        self._known = set(known)
        self._last = last
        #: The runs whose part with system metrics was given.
        self._parts: set[str] = set()
        self.strays = 0
        #: How many values are the largest float.
        self.ends = 0

    def events(self, rows: Iterator[Row]) -> Iterator[Event]:
        """The records, and how far they were read."""
        held: list[Row] = []
        arrays: _Arrays | None = None
        while more := list(islice(rows, _AT_ONCE)):
            now = _arrays_of(more)
            arrays = now if not held else _joined(arrays, now)
            held += more
            if len(held) >= _TOGETHER and (size := _size_of_whole(held)):
                yield from self._of(held[:size], arrays)
                held = held[size:]
                arrays = None if arrays is None else tuple(each[size:] for each in arrays)
        yield from self._of(held, arrays)
        if self._last is not None:
            yield Position({"row": self._last})

    def _of(self, rows: list[Row], arrays: _Arrays | None) -> Iterator[Event]:
        if not rows:
            return
        found = None if arrays is None else self._in_columns(arrays, len(rows))
        yield from self._one_by_one(rows) if found is None else found
        if self._last is not None:
            self._last = rows[-1][0]
            yield Position({"row": self._last})

    def _one_by_one(self, rows: list[Row]) -> Iterator[Event]:
        call: Row = ()
        fields: dict[str, Any] = {}
        for _, run, key, value, time, step, is_nan in rows:
            name = _text(key)
            now = _text(run), time, step, name.startswith(SYSTEM)
            if now != call or name in fields:
                if fields:
                    yield from self._given(call, fields)
                call, fields = now, {}
            if now[0] not in self._known:
                self.strays += 1
                continue
            self.ends += not is_nan and value in (_LARGEST, -_LARGEST)
            fields[name] = nan if is_nan else value
        if fields:
            yield from self._given(call, fields)

    def _given(self, call: Row, fields: dict[str, Any]) -> Iterator[Event]:
        """The record of a call, and before it the part of the run that it is of."""
        run, time, step, is_system = call
        if is_system:
            yield from self._part(run)
            run = part_of(run).id
        yield Record(run, fields, step, None if time is None else utc_time(time / 1000))

    def _part(self, run: str) -> Iterator[Event]:
        if run not in self._parts:
            self._parts.add(run)
            yield part_of(run)

    def _in_columns(self, arrays: _Arrays, size: int) -> list[Event] | None:
        """The records as columns, of one run each where many follow each other.

        None if they do not have the usual types and shape.
        """
        columns = _columns_of(tuple(each[:size] for each in arrays))
        if columns is None or columns.has_repeats():
            return None
        starts = columns.starts()
        runs = [_text(each) for each in columns.runs.dictionary.to_pylist()]
        above = {run: run.removesuffix(_PART) for run in runs if run not in self._known}
        if not self._known.issuperset(above.values()):
            return None
        self.ends += pc.sum(pc.equal(pc.abs(columns.values), _LARGEST)).as_py() or 0
        parts = [each for run in above.values() for each in self._part(run)]
        if len(starts) > 1 and size < _FEW * len(starts):
            return [*parts, columns.rows_of_several(runs)]
        ends = [*starts[1:], size]
        pieces = [columns.part(*each) for each in zip(starts, ends, strict=True)]
        return [*parts, *(each.rows(runs[each.runs.indices[0].as_py()]) for each in pieces)]


def _size_of_whole(rows: list[Row]) -> int:
    """How many rows are of calls that are whole: of the last one there may be more."""
    last = _call(rows[-1])
    for at in range(len(rows) - 1, 0, -1):
        if _call(rows[at - 1]) != last:
            return at
    return 0 if len(rows) < _MOST_OF_CALL else len(rows)


def _call(row: Row) -> Row:
    return row[1], row[4], row[5]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


class _Columns(NamedTuple):
    """The rows as columns: runs and keys as codes, and the number of the call of each row."""

    runs: Any
    keys: Any
    values: Any
    times: Any
    steps: Any
    is_first: Any
    calls: Any

    def has_repeats(self) -> bool:
        """Whether a call has a key twice, so that it is several."""
        size = pa.scalar(len(self.keys.dictionary), pa.int64())
        cells = pc.add(pc.multiply(self.calls, size), self.keys.indices)
        return bool(pc.count_distinct(cells).as_py() != len(cells))

    def starts(self) -> list[int]:
        """Where rows of another run begin than those before, the first row included."""
        found: list[int] = pc.indices_nonzero(_changes(self.runs.indices)).to_pylist()
        return found

    def part(self, start: int, stop: int) -> _Columns:
        """Some of the rows."""
        return _Columns(*(each[start:stop] for each in self))

    def rows_of_several(self, runs: list[str]) -> Rows:
        """The records, of any runs, whose ids are given by their codes."""
        of_calls = self.runs.indices.filter(self.is_first)
        return self.rows("")._replace(runs=pa.DictionaryArray.from_arrays(of_calls, runs))

    def rows(self, run: str) -> Rows:
        """The records, all of which are of one run."""
        steps, times, calls = (
            each.filter(self.is_first) for each in (self.steps, self.times, self.calls)
        )
        columns = {}
        for key in pc.unique(self.keys.indices).to_pylist():
            has = pc.equal(self.keys.indices, key)
            values = self.values.filter(has)
            if len(values) < len(calls):
                values = values.take(pc.index_in(calls, value_set=self.calls.filter(has)))
            columns[_text(self.keys.dictionary[key].as_py())] = values
        times = pc.multiply(times, 1000).cast(pa.timestamp("us", "UTC"))
        return Rows(run, len(calls), columns, steps, times)


def _arrays_of(rows: list[Row]) -> _Arrays | None:
    """The columns of some rows; None if they have other types than MLflow writes."""
    _, runs, keys, values, times, steps, are_nan = zip(*rows, strict=True)
    try:
        return (
            *(pa.array(each, pa.binary()) for each in (runs, keys)),
            pa.array(values, pa.float64()),
            *(pa.array(each, pa.int64()) for each in (times, steps)),
            pc.fill_null(pa.array(are_nan).cast(pa.bool_()), False),
        )
    except (pa.ArrowException, OverflowError, TypeError, UnicodeError):
        return None


def _joined(first: _Arrays | None, second: _Arrays | None) -> _Arrays | None:
    if first is None or second is None:
        return None
    return tuple(map(pa.concat_arrays, zip(first, second, strict=True)))


def _columns_of(arrays: _Arrays) -> _Columns | None:
    """None if there are many runs or keys, or missing values."""
    runs, keys, values, times, steps, is_nan = arrays
    if any(each.null_count for each in (runs, keys, values, times, steps)):
        return None
    of_keys = keys.dictionary_encode()
    of_runs = _with_parts(runs, of_keys).dictionary_encode()
    if not _is_usual(of_runs, of_keys, times):
        return None
    is_first = _changes(of_runs.indices, times, steps)
    calls = pc.cumulative_sum(is_first.cast(pa.int64()))
    values = pc.if_else(is_nan, nan, values)
    return _Columns(of_runs, of_keys, values, times, steps, is_first, calls)


def _with_parts(runs: Any, keys: Any) -> Any:
    """The runs of rows, or for system metrics their parts."""
    is_system = pc.starts_with(keys.dictionary, SYSTEM)
    if not pc.any(is_system).as_py():
        return runs
    parts = pc.binary_join_element_wise(runs, _PART.encode(), b"")
    return pc.if_else(is_system.take(keys.indices), parts, runs)


def _is_usual(runs: Any, keys: Any, times: Any) -> bool:
    range_ = pc.min_max(times).as_py()
    return (
        len(runs.dictionary) <= _MOST_RUNS
        and len(keys.dictionary) <= _MOST_KEYS
        and range_["min"] >= _FIRST_TIME
        and range_["max"] <= _LAST_TIME
    )


def _changes(*columns: Any) -> Any:
    """Where a row differs from the one before in one of the columns; true for the first."""
    first = pa.array([True])
    found = None
    for each in columns:
        differs = pc.not_equal(each[1:], each[:-1])
        found = differs if found is None else pc.or_(found, differs)
    return pa.concat_arrays([first, found])
