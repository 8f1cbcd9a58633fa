"""Frames and columns of every library: values that mean something are stored, others refused by name."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from rigorous_recorder import Recorder
from rigorous_recorder.errors import RigorousError, UnsupportedTypeError, UnsupportedValueError

from ..property.strategies import exact


def _stored(data: Any) -> list[Any]:
    """What the records have under ``x`` after they were logged at once."""
    return [row["x"] for row in Recorder().extend(data).records]


def _same(found: list[Any], expected: list[Any]) -> bool:
    return [exact(each) for each in found] == [exact(each) for each in expected]


DAY, NOON = dt.date(2026, 1, 1), dt.datetime(2026, 1, 1, 12)

#: Columns of objects, and what Arrow makes of them by itself is another thing.
MIXED: dict[str, list[Any]] = {
    "numbers and text": [1, "n/a", None],
    "int and float": [1, 2.5],
    "bool and int": [True, 1],
    "date and datetime": [DAY, NOON],
    "dicts of other keys": [{"a": 1}, {"b": 2}],
    "lists of other lengths": [[1], [[2], 3]],
    "bytes and text": [b"a", "a"],
    "texts with a gap": ["a", None, "ab" * 20],
    "one of each": [None, 1, 2.5, "a", b"a", DAY, NOON, dt.timedelta(1), [1], {"a": None}],
    "nothing": [None, None],
    "arrays": [np.array([1.5]), np.array([1, 2])],
}


def _objects(values: list[Any]) -> Any:
    column = np.empty(len(values), object)
    column[:] = values
    return column


#: Ways to give a column of any objects.
HOW: dict[str, Callable[[list[Any]], Any]] = {
    "list": lambda values: {"x": values},
    "array of objects": lambda values: {"x": _objects(values)},
    "pandas series": lambda values: {"x": pd.Series(_objects(values), dtype=object)},
    "pandas frame": lambda values: pd.DataFrame({"x": pd.Series(_objects(values), dtype=object)}),
    "Polars objects": lambda values: {"x": pl.Series("x", values, dtype=pl.Object)},
    "Polars frame": lambda values: pl.DataFrame([pl.Series("x", values, dtype=pl.Object)]),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", MIXED)
def test_objects_are_stored_each_as_it_is(how: str, name: str) -> None:
    """As if each had been pushed: no int becomes a float, no date loses its time, no set a list."""
    assert _same(_stored(HOW[how](MIXED[name])), MIXED[name])


PLAIN: dict[str, tuple[Any, Any]] = {
    "PosixPath": (Path("a.ckpt"), "a.ckpt"),
    "UUID": (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "set": ({2, 1}, [1, 2]),
    "time": (dt.time(1), "01:00:00"),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", PLAIN)
def test_objects_that_have_a_plain_form_are_stored_in_it(how: str, name: str) -> None:
    """As a push stores them."""
    value, plain = PLAIN[name]
    assert _same(_stored(HOW[how]([value, None])), [plain, None])


REFUSED: dict[str, Any] = {
    "object": object(),
    "Period": pd.Period("2026-01", "M"),
    "Interval": pd.Interval(0, 1),
    "complex": 1j,
    "Timestamp": pd.Timestamp(1),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", REFUSED)
def test_objects_that_can_not_be_stored_are_refused_by_name(how: str, name: str) -> None:
    """With the column's name and the type: never stored as an address or a storage."""
    with pytest.raises(RigorousError, match=f"'x'.*{name}"):
        Recorder().extend(HOW[how]([REFUSED[name], None]))


def _one_column(values: Any) -> dict[str, Any]:
    return {"x": values}


FRAMES: dict[str, Callable[[], tuple[Any, list[Any]]]] = {
    "Polars Categorical": lambda: (
        pl.DataFrame({"x": ["b", "a", None, "b"]}, schema={"x": pl.Categorical}),
        ["b", "a", None, "b"],
    ),
    "Polars Enum": lambda: (
        pl.DataFrame({"x": ["b", "a"]}, schema={"x": pl.Enum(["a", "b"])}),
        ["b", "a"],
    ),
    "Polars Categorical in several chunks": lambda: (
        pl.concat(
            [pl.DataFrame({"x": [x]}, schema={"x": pl.Categorical}) for x in ("b", "a")],
            rechunk=False,
        ),
        ["b", "a"],
    ),
    "Polars Categorical in lists": lambda: (
        pl.DataFrame({"x": [["b", "a"], []]}, schema={"x": pl.List(pl.Categorical)}),
        [["b", "a"], []],
    ),
    "Polars Int128": lambda: (
        _one_column(pl.Series([2**40, None, -1], dtype=pl.Int128)),
        [2**40, None, -1],
    ),
    "Polars Int128 in a struct": lambda: (
        pl.DataFrame({"x": [{"a": 1}]}, schema={"x": pl.Struct({"a": pl.Int128})}),
        [{"a": 1}],
    ),
    "dictionary of string views": lambda: (
        pa.table(
            {
                "x": pa.DictionaryArray.from_arrays(
                    pa.array([1, None, 0], pa.uint32()), pa.array(["a", "b"], pa.string_view())
                )
            }
        ),
        ["b", None, "a"],
    ),
    "dictionary of binary views": lambda: (
        pa.table(
            {
                "x": pa.DictionaryArray.from_arrays(
                    pa.array([1, 0]), pa.array([b"a", b"b"], pa.binary_view())
                )
            }
        ),
        [b"b", b"a"],
    ),
    "runs": lambda: (
        pa.table({"x": pa.RunEndEncodedArray.from_arrays([2, 3], [1.5, 2.5])}),
        [1.5, 1.5, 2.5],
    ),
    "pandas category of ints": lambda: (
        pd.DataFrame({"x": pd.Series([2, 1, None], dtype="category")}),
        [2, 1, None],
    ),
    "pandas category of objects": lambda: (
        pd.DataFrame({"x": pd.Categorical([1, "a", None])}),
        [1, "a", None],
    ),
    "pandas nullable ints": lambda: (pd.DataFrame({"x": pd.array([1, pd.NA])}), [1, None]),
    "pandas sparse": lambda: (
        pd.DataFrame({"x": pd.arrays.SparseArray([0.0, 0.0, 1.5])}),
        [0.0, 0.0, 1.5],
    ),
    "pandas of Arrow": lambda: (
        pd.DataFrame({"x": pd.array([1, None], "int64[pyarrow]")}),
        [1, None],
    ),
    "bytes in another order": lambda: (
        pd.DataFrame({"x": np.array([1.5, 2.5], ">f8")}),
        [1.5, 2.5],
    ),
    "ints in another order": lambda: (_one_column(np.array([2**40, -1], ">i8")), [2**40, -1]),
    "masked, in another order": lambda: (
        _one_column(np.ma.array([1, 2], ">i4", mask=[False, True])),
        [1, None],
    ),
    "masked": lambda: (_one_column(np.ma.array([1.0, 9.0], mask=[False, True])), [1.0, None]),
    "masked of two dimensions": lambda: (
        _one_column(np.ma.array([[1.0, 9.0], [2.0, 3.0]], mask=[[False, True], [False, False]])),
        [[1.0, None], np.array([2.0, 3.0])],
    ),
    "masked texts": lambda: (_one_column(np.ma.array(["a", "b"], mask=[True, False])), [None, "b"]),
    "times of days": lambda: (
        _one_column(np.array(["2026-01-01", "NaT"], "datetime64[h]")),
        [dt.datetime(2026, 1, 1), None],
    ),
    "durations of weeks": lambda: (
        _one_column(np.array([1, "NaT"], "timedelta64[W]")),
        [dt.timedelta(weeks=1), None],
    ),
    "JSON of Arrow": lambda: (
        pa.table({"x": pa.array(['{"a": 1}'], pa.json_(pa.string()))}),
        ['{"a": 1}'],
    ),
    "bools of 8 bits": lambda: (
        pa.table({"x": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], "int8"))}),
        [True, False, None],
    ),
    "nulls of pandas": lambda: (
        pd.DataFrame({"x": pd.Series([pd.NA, pd.NaT, None, float("nan"), 1], dtype=object)}),
        [None, None, None, None, 1],
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_columns_that_mean_something_are_stored(name: str) -> None:
    """Whatever their library has as the type of them."""
    data, expected = FRAMES[name]()
    assert _same(_stored(data), expected)


BAD: dict[str, tuple[Callable[[], Any], type[RigorousError], str]] = {
    "period": (
        lambda: pd.DataFrame({"x": pd.period_range("2026-01", periods=1, freq="M")}),
        UnsupportedTypeError,
        r"'x'.*period.*astype\(str\)",
    ),
    "interval": (
        lambda: pd.DataFrame({"x": pd.interval_range(0, 2)}),
        UnsupportedTypeError,
        r"'x'.*interval.*astype\(str\)",
    ),
    "UUID of Arrow": (
        lambda: pa.table({"x": pa.array([bytes(16)], pa.uuid())}),
        UnsupportedTypeError,
        "'x'.*arrow.uuid",
    ),
    "an extension that nobody knows": (
        lambda: pa.table(
            [pa.array([b"12345678"], pa.binary(8))],
            pa.schema([pa.field("x", pa.binary(8), metadata={"ARROW:extension:name": "a.b"})]),
        ),
        UnsupportedTypeError,
        "'x'.*'a.b'",
    ),
    "complex": (lambda: pd.DataFrame({"x": [1j]}), UnsupportedTypeError, "'x'.*complex"),
    "longdouble": (
        lambda: pd.DataFrame({"x": np.ones(1, "longdouble")}),
        UnsupportedTypeError,
        "'x'.*longdouble",
    ),
    "nanoseconds": (
        lambda: pd.DataFrame({"x": pd.to_datetime([1], unit="ns")}),
        UnsupportedValueError,
        "'x'.*lose data",
    ),
    "picoseconds": (
        lambda: {"x": np.array([1], "timedelta64[ps]")},
        UnsupportedValueError,
        "'x'.*microsecond",
    ),
    "years": (
        lambda: {"x": np.array([1], "timedelta64[Y]")},
        UnsupportedTypeError,
        "'x'.*years",
    ),
    "the year 20000": (
        lambda: pa.table({"x": pa.array([568971820800], pa.timestamp("s"))}),
        UnsupportedValueError,
        "'x'.*9999",
    ),
    "the day 10000-01-01": (
        lambda: pa.table({"x": pa.array([2932897], pa.int32()).cast(pa.date32())}),
        UnsupportedValueError,
        "'x'.*9999",
    ),
    "a zone that there is not": (
        lambda: pa.table({"x": pa.array([0], pa.timestamp("s", "Moon/Tycho"))}),
        UnsupportedValueError,
        "'x'.*Moon/Tycho.*UTC",
    ),
    "months": (
        lambda: pa.table({"x": pa.array([(1, 2, 3)], pa.month_day_nano_interval())}),
        UnsupportedTypeError,
        "'x'.*month_day_nano_interval.*months",
    ),
    "times of a day": (
        lambda: pa.table({"x": pa.array([1], pa.time64("ns"))}),
        UnsupportedValueError,
        "'x'.*time.*microseconds",
    ),
    "times of a day in lists": (
        lambda: pa.table(
            {"x": pa.array([[{"a": 1}]], pa.list_(pa.struct({"a": pa.time64("ns")})))}
        ),
        UnsupportedValueError,
        "'x'.*time.*microseconds",
    ),
    "named fields": (
        lambda: {"x": np.zeros(2, [("a", "i4"), ("b", "i4")])},
        UnsupportedTypeError,
        "'x'.*named fields",
    ),
    "array without dimensions": (lambda: {"x": np.array(1.5)}, UnsupportedTypeError, r"'x'.*\[x\]"),
    "set": (lambda: {"x": {3, 1, 2}}, UnsupportedTypeError, "'x'.*no order.*sorted"),
    "generator": (lambda: {"x": (i for i in [1])}, UnsupportedTypeError, r"'x'.*list\(x\)"),
    "pandas series alone": (
        lambda: pd.Series([1.0], name="x"),
        UnsupportedTypeError,
        "Series is one column.*extend",
    ),
    "pandas index alone": (lambda: pd.Index([1.0]), UnsupportedTypeError, "Index is one column"),
    "Polars series alone": (
        lambda: pl.Series("x", [1.0]),
        UnsupportedTypeError,
        "Series is one column.*extend",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_columns_that_can_not_be_stored_are_refused(name: str) -> None:
    """With the column's name, the type and the way out, as errors of this library."""
    data, error, said = BAD[name]
    recorder = Recorder()
    with pytest.raises(error, match=said):
        recorder.extend(data())
    assert len(recorder.records) == 0


def test_a_named_index_is_a_column() -> None:
    """As what was grouped by, or set as the index, is."""
    frame = pd.DataFrame({"model": ["a", "b", "b"], "epoch": [1, 1, 2], "loss": [0.1, 0.2, 0.4]})
    means = frame.groupby("model").mean()
    several = frame.set_index(["model", "epoch"])
    days = frame.set_index(pd.DatetimeIndex(["2026-01-01"] * 3, name="day"))
    steps = pd.DataFrame({"loss": [1.5]}, index=pd.RangeIndex(5, 6, name="step"))
    found = [
        [dict(row) for row in Recorder().extend(each).records]
        for each in (means, several, days, steps)
    ]
    assert [row["model"] for row in found[0]] == ["a", "b"]
    assert [(row["model"], row["epoch"], row["loss"]) for row in found[1]] == [
        ("a", 1, 0.1),
        ("b", 1, 0.2),
        ("b", 2, 0.4),
    ]
    assert found[2][0] == {"day": dt.datetime(2026, 1, 1), "model": "a", "epoch": 1, "loss": 0.1}
    assert found[3] == [{"step": 5, "loss": 1.5}]


def test_an_index_that_counts_rows_is_none() -> None:
    """Also of a frame from which some were taken."""
    frame = pd.DataFrame({"x": [1, 2, 3]})
    assert [dict(row) for row in Recorder().extend(frame[frame.x > 1]).records] == [
        {"x": 2},
        {"x": 3},
    ]


def test_an_index_without_a_name_that_has_values_is_refused() -> None:
    """What it says would be dropped in silence."""
    for index in (["a", "b"], [0.5, 1.5], pd.MultiIndex.from_tuples([(1, 2), (3, 4)])):
        with pytest.raises(UnsupportedValueError, match=r"no name.*rename_axis.*reset_index"):
            Recorder().extend(pd.DataFrame({"x": [1, 2]}, index=index))


def test_an_index_of_a_column_s_name_is_refused() -> None:
    """Which of both is meant nobody knows."""
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index([3, 4], name="x"))
    with pytest.raises(UnsupportedValueError, match="more than one column has the name 'x'"):
        Recorder().extend(frame)


def test_what_can_not_be_read_as_a_stream_is_an_error_of_ours() -> None:
    """Whatever another library's stream raises."""

    class Broken:
        def __arrow_c_stream__(self, _schema: object = None) -> object:
            raise RuntimeError("no stream today")

    with pytest.raises(UnsupportedTypeError, match="Broken.*no stream today"):
        Recorder().extend(Broken())
