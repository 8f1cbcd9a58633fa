"""Any value under any name reads back as it was logged: every engine, wherever it is stored."""

from __future__ import annotations

import datetime as dt
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rigorous_recorder import ExperimentCollection, Recorder, Records
from rigorous_recorder._engines.sql import sql_names
from rigorous_recorder._keys import EXPERIMENT_KEYS
from rigorous_recorder._values import json_floats
from rigorous_recorder.errors import MixedKindsWarning

from .strategies import KINDS, exact, flat_columns, keys, scratch_folder, simple_values, values

#: For tests that ask every engine, so that all of them together stay short.
FEWER = settings(max_examples=settings().max_examples // 3)
#: A key of every record, by which the rows of SQL are put in order.
NUMBER = "#"

Row = dict[str, Any]


class Logged(NamedTuple):
    """What was logged: data of a node, and the records pushed to it."""

    said: Row
    rows: list[Row]

    @property
    def expected(self) -> list[Row]:
        """The rows as they are to be read."""
        return [_present(self.said) | _present(row) for row in self.rows]


def _present(row: Row) -> Row:
    return {key: value for key, value in row.items() if value is not None}


@st.composite
def logs(draw: st.DrawFn) -> Logged:
    """Data in which each key has values of one kind."""
    names = draw(st.lists(keys, min_size=1, max_size=4, unique=True))
    kinds = {name: draw(draw(st.sampled_from(list(KINDS.values())))) for name in names}
    some = st.fixed_dictionaries({}, optional=kinds)
    rows = draw(st.lists(some, min_size=1, max_size=4))
    return Logged(draw(some), [{NUMBER: i, **row} for i, row in enumerate(rows)])


def _log(recorder: Recorder, logged: Logged) -> None:
    recorder.update(logged.said)
    for row in logged.rows:
        recorder.push(row)


@contextmanager
def in_memory(logged: Logged) -> Iterator[tuple[Records, Callable[[str], Any]]]:
    """Logged to a recorder without a collection."""
    recorder = Recorder()
    _log(recorder, logged)
    yield recorder.records, recorder.records.sql


@contextmanager
def live(logged: Logged) -> Iterator[tuple[Records, Callable[[str], Any]]]:
    """Logged to a collection, and in its live file."""
    with scratch_folder() as folder, ExperimentCollection(folder / "c") as collection:
        with collection.new_experiment() as experiment:
            _log(experiment.child(), logged)
        yield collection.records, collection.sql


@contextmanager
def saved(logged: Logged) -> Iterator[tuple[Records, Callable[[str], Any]]]:
    """Logged to a collection, and in a Parquet file; the half of it in another than the rest."""
    half = len(logged.rows) // 2
    with scratch_folder() as folder, ExperimentCollection(folder / "c") as collection:
        with collection.new_experiment() as experiment:
            child = experiment.child()
            _log(child, Logged({}, logged.rows[:half]))
            collection.save()
            _log(child, Logged(logged.said, logged.rows[half:]))
        collection.save()
        yield collection.records, collection.sql


@contextmanager
def reopened(logged: Logged) -> Iterator[tuple[Records, Callable[[str], Any]]]:
    """Logged to a collection that was closed, compacted, and is read by another object."""
    with scratch_folder() as folder:
        with ExperimentCollection(folder / "c") as collection:
            with collection.new_experiment() as experiment:
                _log(experiment.child(), logged)
        again = ExperimentCollection(folder / "c")
        again.compact()
        yield again.records, again.sql


PLACES = pytest.mark.parametrize("place", [in_memory, live, saved, reopened])


@PLACES
@given(logged=logs())
def test_rows_are_what_was_logged(place: Any, logged: Logged) -> None:
    """A row has just the keys and values that were logged, each of the type it had."""
    with place(logged) as (records, _):
        assert len(records) == len(logged.rows)
        for found in (list(records), [records[i] for i in range(len(records))], records[:]):
            assert [_exact(row) for row in found] == [_exact(row) for row in logged.expected]


@PLACES
@FEWER
@given(logged=logs())
@example(logged=Logged({}, [{NUMBER: 0}, {NUMBER: 1, "a": np.array([2**53 + 1])}]))
def test_tables_are_what_was_logged(place: Any, logged: Logged) -> None:
    """Arrow, SQL, Polars and pandas each have every name and every value, as they show it."""
    with place(logged) as (records, sql):
        table = records.to_arrow()
        names = table.column_names
        keys_there = {NUMBER, *logged.said, *_keys(logged)}
        assert set(names) - {*EXPERIMENT_KEYS} == keys_there - {*EXPERIMENT_KEYS}
        wanted = {name: [row.get(name) for row in logged.expected] for name in names}
        for name in EXPERIMENT_KEYS:
            wanted.pop(name, None)
        shown = {
            "arrow": {name: table[name].to_pylist() for name in names},
            "sql": _by_sql(sql, names),
            "records.sql": _by_sql(records.sql, names),
            "polars": _by_polars(records.to_polars()),
            "lazy polars": _by_polars(records.to_polars(lazy=True).collect()),
            "pandas": _by_pandas(records),
        }
        for engine, columns in shown.items():
            assert list(columns) == names, engine
            for name, column in wanted.items():
                found = [_as_logged(*pair) for pair in zip(columns[name], column, strict=True)]
                assert found == [_shown(value) for value in column], (engine, name)


@given(column=st.lists(values, min_size=1, max_size=5))
def test_rows_keep_mixed_kinds_apart(column: list[Any]) -> None:
    """Values of any kinds may stand under one key: each row has its own, of its own type."""
    recorder = Recorder()
    for value in column:
        recorder.push(x=value)
    assert [exact(row["x"]) for row in recorder.records] == [exact(v) for v in column]


@PLACES
@FEWER
@given(
    column=st.lists(simple_values, min_size=1, max_size=5)
    | st.lists(st.sampled_from(["a", 1, True]), min_size=11, max_size=24),
    above=simple_values,
)
@example(column=["a"] * 11 + [1], above=None)
@example(column=["a"] * 10 + [1], above=None)
@example(column=[None, True], above=0.5)
def test_mixed_kinds_have_columns_of_their_own(place: Any, column: list[Any], above: Any) -> None:
    """Numbers meet as double in the column of the key, other kinds in ``key:kind``."""
    logged = Logged({"x": above}, [{NUMBER: i, "x": v} for i, v in enumerate(column)])
    found = [row.get("x") for row in logged.expected]
    wanted = flat_columns("x", found, [*column, above])
    shown = {name: [_shown(value) for value in values] for name, values in wanted.items()}
    with place(logged) as (records, sql), _without_warning_of_kinds():
        assert [exact(row["x"]) for row in records] == [exact(value) for value in found]
        names = [name for name in records.columns if name.partition(":")[0] == "x"]
        assert sorted(names) == sorted(wanted)
        assert names[0] == "x"
        for engine, columns in _by_engine(records, sql, list(records.columns)).items():
            for name in names:
                values = [
                    _as_logged(*pair) for pair in zip(columns[name], wanted[name], strict=True)
                ]
                assert values == shown[name], (engine, name)


def _by_engine(
    records: Records, sql: Callable[[str], Any], names: list[str]
) -> dict[str, dict[str, list[Any]]]:
    """The columns, as every engine has them; each also by itself, where an engine reads just that."""
    table, lazy = records.to_arrow(), records.to_polars(lazy=True)
    return {
        "arrow": {name: table[name].to_pylist() for name in names},
        "sql": _by_sql(sql, names),
        "records.sql": _by_sql(records.sql, names),
        "one by sql": {name: _one_by_sql(sql, name) for name in names},
        "polars": _by_polars(records.to_polars()),
        "lazy polars": _by_polars(lazy.collect()),
        "one by lazy polars": {
            name: lazy.select(name).collect().to_series().to_list() for name in names
        },
        "pandas": _by_pandas(records),
    }


@contextmanager
def _without_warning_of_kinds() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixedKindsWarning)
        yield


@PLACES
def test_big_ints_beside_floats_stay_exact_in_rows(place: Any) -> None:
    """The flat column rounds to double, the rows don't; and True is not 1."""
    big = 2**53 + 1
    with place(Logged({}, [{NUMBER: 0, "x": big}, {NUMBER: 1, "x": 0.5}])) as (records, _):
        assert [row["x"] for row in records] == [big, 0.5]
        assert records.to_arrow()["x"].to_pylist() == [float(big), 0.5]
        assert len(records.where(x=big)) == 1
        assert len(records.where(x=float(big))) == 0
    with place(Logged({}, [{NUMBER: 0, "x": True}, {NUMBER: 1, "x": 1}])) as (records, _):
        assert [type(row["x"]) for row in records] == [bool, int]
        with pytest.warns(MixedKindsWarning, match=r"1 of int in 'x', 1 of bool in 'x:bool'"):
            table = records.to_arrow()
        assert table["x"].to_pylist() == [None, 1]
        assert table["x:bool"].to_pylist() == [True, None]
        assert [row[NUMBER] for row in records.where(x=1)] == [1]


@PLACES
def test_arrays_of_changing_shapes_meet_as_lists(place: Any) -> None:
    """Arrays of one dtype are one column of lists, of fixed size where all have one shape."""
    arrays = [np.array(each, "float32") for each in ([1, 2], [3], [])]
    rows = [{NUMBER: i, "x": each} for i, each in enumerate(arrays)]
    with place(Logged({}, rows)) as (records, sql):
        assert [exact(row["x"]) for row in records] == [exact(each) for each in arrays]
        assert records.to_arrow()["x"].to_pylist() == [[1, 2], [3], []]
        assert _by_sql(sql, [NUMBER, "x"])["x"] == [[1, 2], [3], []]


@given(value=values, key=keys)
def test_a_value_is_found_by_itself(value: Any, key: str) -> None:
    """``where`` with a value that was logged finds its record, also NaN, which equals nothing."""
    recorder = Recorder().push({key: value}).push({"other": "text"})
    # A list is a choice, so one that is meant itself stands in another one.
    found = recorder.records.where(**{key: [value] if isinstance(value, list) else value})
    if isinstance(value, (float, np.floating)) or not _has_nan(value):
        assert exact(value) in [exact(row[key]) for row in found]


@given(rows=st.lists(st.dictionaries(keys, values, max_size=4), max_size=4))
def test_extend_logs_what_push_does(rows: list[Row]) -> None:
    """Columns of lists give the records that pushing them one by one gives."""
    pushed, extended = Recorder(), Recorder()
    names = list(dict.fromkeys(name for row in rows for name in row))
    for row in rows:
        pushed.push({name: row.get(name) for name in names})
    extended.extend({name: [row.get(name) for row in rows] for name in names})
    if names:
        assert [_exact(row) for row in extended.records] == [_exact(row) for row in pushed.records]
        with _without_warning_of_kinds():
            assert extended.records.to_arrow().schema == pushed.records.to_arrow().schema


def _keys(logged: Logged) -> set[str]:
    return {key for row in logged.rows for key in row}


def _exact(row: Row) -> dict[str, str]:
    return {key: exact(row[key]) for key in sorted(row) if key not in EXPERIMENT_KEYS}


def _by_sql(sql: Callable[[str], Any], names: list[str]) -> dict[str, list[Any]]:
    quoted = {name: '"' + shown.replace('"', '""') + '"' for name, shown in _sql_names(sql, names)}
    relation = sql(f"SELECT {', '.join(quoted.values())} FROM records ORDER BY {quoted[NUMBER]}")
    found = relation.fetchall()
    return {name: [row[i] for row in found] for i, name in enumerate(names)}


def _one_by_sql(sql: Callable[[str], Any], name: str) -> list[Any]:
    found = sql(f'SELECT "{name}" FROM records ORDER BY "{NUMBER}"').fetchall()
    return [value for (value,) in found]


def _sql_names(sql: Callable[[str], Any], names: list[str]) -> list[tuple[str, str]]:
    shown = sql("FROM records").columns
    if len(shown) == len(names):
        assert list(sql_names(names).values()) == shown
        return list(zip(names, shown, strict=True))
    return [(name, name) for name in names]


def _by_polars(frame: pl.DataFrame) -> dict[str, list[Any]]:
    return {name: frame.get_column(name).to_list() for name in frame.columns}


def _by_pandas(records: Records) -> dict[str, list[Any]]:
    import pandas as pd

    frame = records.to_pandas()

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return [plain(each) for each in value]
        if value is pd.NA or value is pd.NaT:
            return None
        if isinstance(value, pd.Timestamp):
            return value.to_pydatetime()
        if isinstance(value, pd.Timedelta):
            return value.to_pytimedelta()
        return value.item() if isinstance(value, np.generic) else value

    return {name: [plain(value) for value in frame[name]] for name in frame.columns}


def _as_logged(found: Any, logged: Any) -> str:
    """What an engine shows, as the kind of value that was logged."""
    if logged is None:  # pandas shows a missing float as NaN
        return _shown(None if found is None or _has_nan(found) else found)
    if isinstance(logged, np.ndarray):
        return _shown(np.array(found, logged.dtype).reshape(np.shape(found)))
    if isinstance(logged, (dict, list)):
        return _shown(json_floats.loads(found))
    if type(logged) is int and isinstance(found, (Decimal, str)):
        return _shown(int(found))
    return _shown(found)


def _shown(value: Any) -> str:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return exact(value.astimezone(dt.UTC))
    return exact(value)


def _has_nan(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return _has_nan(value.tolist())
    if isinstance(value, dict):
        return any(_has_nan(each) for each in value.values())
    if isinstance(value, list):
        return any(_has_nan(each) for each in value)
    return isinstance(value, float) and math.isnan(value)


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2], []],
        [[1], [2, 3]],
        [[[1], [2]], [[1, 2], [3, 4]]],
        [[[1], [2]], [[3], [4]]],
        [[], []],
        [],
        [[1, 2], [3, 4]],
        [[1, None], [3, 4]],
    ],
    ids=str,
)
def test_lists_in_an_arrow_column_read_back_equal(value: list[Any]) -> None:
    """Also where those in one row are not of one length, as no array is."""
    depth = 3 if "[[[" in str(value) else 2
    kind: pa.DataType = pa.int64()
    for _ in range(depth):
        kind = pa.list_(kind)
    other = [[1]] if depth == 2 else [[[1]]]
    recorder = Recorder().extend({"x": pa.array([other, value, None, value], kind)})
    found = [row["x"] for row in recorder.records]
    plain = [each.tolist() if isinstance(each, np.ndarray) else each for each in found]
    assert plain == [other, value, None, value]
