"""Values of numpy, pandas, Arrow and Polars that are none, or know more than plain ones."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import pytz

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.errors import RigorousError, UnsupportedTypeError, UnsupportedValueError

from ..property.strategies import exact

MISSING: dict[str, Any] = {
    "masked": np.ma.masked,
    "a mean of nothing": np.ma.masked_greater([1.0, 2.0], 0).mean(),
    "a masked array without dimensions": np.ma.array(5.0, mask=True),
    "a masked element": np.ma.array([5.0, 6.0], mask=[True, False])[0],
    "NA": pd.NA,
    "NaT": pd.NaT,
    "datetime64": np.datetime64("NaT"),
    "datetime64[ns]": np.datetime64("NaT", "ns"),
    "timedelta64": np.timedelta64("NaT"),
    "timedelta64[Y]": np.timedelta64("NaT", "Y"),
    "an array of NaT without dimensions": np.array("NaT", "datetime64[s]"),
    "a null of Arrow": pa.scalar(None, pa.int64()),
    "the null of Arrow": pa.NA,
}

#: Values that know more than the plain ones that they look like, and what the refusal says.
MORE: dict[str, tuple[Any, type[RigorousError], str]] = {
    "Timestamp": (
        pd.Timestamp("2026-01-01 00:00:00.123456789"),
        UnsupportedValueError,
        r"nanoseconds.*floor",
    ),
    "Timestamp with a zone": (
        pd.Timestamp("2026-01-01 00:00:00.123456789", tz=zoneinfo.ZoneInfo("Europe/Berlin")),
        UnsupportedValueError,
        r"nanoseconds.*floor",
    ),
    "Timedelta": (pd.Timedelta(1, "ns"), UnsupportedValueError, r"nanoseconds.*floor"),
    "Timestamp of the year 20000": (
        pd.Timestamp(np.datetime64("20000-01-01", "s")),
        UnsupportedValueError,
        r"years 1 to 9999.*str\(x\)",
    ),
    "timedelta64 of a year": (np.timedelta64(1, "Y"), UnsupportedTypeError, "years.*int64"),
    "timedelta64 of a month": (np.timedelta64(1, "M"), UnsupportedTypeError, "months.*int64"),
    "timedelta64 of no unit": (np.timedelta64(5), UnsupportedTypeError, "no unit.*int64"),
    "datetime64 that wraps in microseconds": (
        np.datetime64(10**15, "D"),
        UnsupportedValueError,
        "9999",
    ),
    "timedelta64 that wraps in microseconds": (
        np.timedelta64(10**15, "D"),
        UnsupportedValueError,
        "64 bits",
    ),
    "longdouble": (np.longdouble(1), UnsupportedTypeError, r"longdouble.*float\(x\)"),
    "array with fields": (
        np.array([(1, 2)], [("a", "i4"), ("b", "i4")]),
        UnsupportedTypeError,
        r"fields.*x\['name'\]",
    ),
    "series with labels": (
        pd.Series([1.0, 2.0], index=["a", "b"]),
        UnsupportedTypeError,
        r"Series with an index.*to_dict.*to_numpy",
    ),
    "series with a named index": (
        pd.Series([1.0, 2.0], index=pd.Index([3, 4], name="step")),
        UnsupportedTypeError,
        r"Series with an index.*to_dict.*to_numpy",
    ),
    "scalar with fields": (
        np.array([(1, 2)], [("a", "i4"), ("b", "i4")])[0],
        UnsupportedTypeError,
        r"fields.*x\['name'\]",
    ),
}

#: Values of other libraries' types that plain ones equal.
PLAIN: dict[str, tuple[Any, Any]] = {
    "Timestamp": (
        pd.Timestamp("2026-01-01 00:00:00.123456"),
        dt.datetime(2026, 1, 1, microsecond=123456),
    ),
    "Timestamp with a zone": (
        pd.Timestamp("2026-07-01", tz=zoneinfo.ZoneInfo("Europe/Berlin")),
        dt.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    ),
    "Timestamp in the hour that comes twice": (
        pd.Timestamp("2024-10-27 00:30", tz="UTC").tz_convert(zoneinfo.ZoneInfo("Europe/Berlin")),
        dt.datetime(2024, 10, 27, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    ),
    "Timedelta": (pd.Timedelta(-1, "us"), dt.timedelta(microseconds=-1)),
    "datetime64 of a year": (np.datetime64("2026"), dt.datetime(2026, 1, 1)),
    "timedelta64 of weeks": (np.timedelta64(2, "W"), dt.timedelta(weeks=2)),
    "masked array without dimensions": (np.ma.array(5.0), 5.0),
    "number of another byte order": (np.array(1.5, ">f8"), 1.5),
    "scalar of Arrow": (pa.scalar(3, pa.int8()), 3),
    "masked array": (np.ma.array([1.0, 999.0], mask=[False, True]), [1.0, None]),
    "masked array of two dimensions": (
        np.ma.array([[1, 2], [3, 4]], mask=[[False, True], [False, False]]),
        [[1, None], [3, 4]],
    ),
    "masked array of bools": (np.ma.array([True, False], mask=[True, False]), [None, False]),
    "series that only counts": (pd.Series([1.0, 2.0, 3.0])[1:], np.array([2.0, 3.0])),
    "masked array that hides nothing": (
        np.ma.array([1, 2], "int8", mask=[False, False]),
        np.array([1, 2], "int8"),
    ),
}


@pytest.fixture(params=["in memory", "in a collection"])
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A recorder, in memory or in a collection."""
    if request.param == "in memory":
        yield Recorder(top=True)
        return
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment() as experiment:
            yield experiment.child(top=True)


def _push(recorder: Recorder, value: Any) -> Any:
    return recorder.push(x=value).records[-1]


def _add(recorder: Recorder, value: Any) -> Any:
    return recorder.add(x=value).commit().records[-1]


def _push_with_a_plan(recorder: Recorder, value: Any) -> Any:
    """Where this place in the program has logged values of other types, and this one, before."""
    for each in (1.5, 2.5, np.float64(3.5), np.zeros(2), dt.datetime.min, value, value):
        recorder.push(x=each)
    return recorder.records[-1]


def _child(recorder: Recorder, value: Any) -> Any:
    child = recorder.child(x=value).push(y=1)
    assert exact(child["x"]) == exact(child.records[0].get("x"))
    return child.records[0]


def _new(recorder: Recorder, value: Any) -> Any:
    new = Recorder(x=value)
    new.set_parent(recorder).push(y=1)
    return new.records[0]


def _set(recorder: Recorder, value: Any) -> Any:
    child = recorder.child().push(y=1)
    child["x"] = value
    assert exact(child.local_data["x"]) == exact(child.records[0].get("x"))
    return child.records[0]


def _extend(recorder: Recorder, value: Any) -> Any:
    return recorder.extend({"x": [value]}).records[-1]


def _objects(recorder: Recorder, value: Any) -> Any:
    """In a column of objects of numpy."""
    column = np.empty(1, object)
    column[0] = value
    return recorder.extend({"x": column}).records[-1]


WAYS: dict[str, Callable[[Recorder, Any], Any]] = {
    "push": _push,
    "push with a plan": _push_with_a_plan,
    "add": _add,
    "child": _child,
    "new recorder": _new,
    "recorder[key]=": _set,
    "extend": _extend,
    "extend with objects": _objects,
}


@pytest.mark.parametrize("way", WAYS)
def test_what_says_that_there_is_no_value_is_missing(recorder: Recorder, way: str) -> None:
    """Masked, NA, NaT and null are None, never a number that nobody measured."""
    for name, value in MISSING.items():
        row = WAYS[way](recorder, value)
        assert row["x"] is None, name
        assert "x" not in row, name


@pytest.mark.parametrize("way", WAYS)
def test_what_is_missing_inside_of_a_list_is_none(recorder: Recorder, way: str) -> None:
    """In dicts and lists alike."""
    for name, value in MISSING.items():
        assert WAYS[way](recorder, {"a": [value], "b": value})["x"] == {"a": [None], "b": None}, (
            name
        )


#: The ways by which attributes are set, which have the repr of what is of another type.
OF_ATTRIBUTES = {"child", "new recorder", "recorder[key]="}


@pytest.mark.parametrize("way", WAYS)
def test_what_knows_more_than_a_plain_value_is_refused(recorder: Recorder, way: str) -> None:
    """By name, with the reason and the way out; nothing is cut."""
    for value, error, said in MORE.values():
        if way in OF_ATTRIBUTES and error is UnsupportedTypeError:
            continue
        with pytest.raises(error, match=said) as caught:
            WAYS[way](recorder, value)
        assert "'x'" in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
def test_other_types_read_back_as_the_plain_value(recorder: Recorder, way: str) -> None:
    """Of the plain type, equal to what was logged."""
    for name, (value, plain) in PLAIN.items():
        assert exact(WAYS[way](recorder, value)["x"]) == exact(plain), name


def test_a_recorder_that_knows_nat_keeps_all_it_knows(recorder: Recorder) -> None:
    """A value that is none costs no other."""
    low = Recorder(model="m1", finished=pd.NaT).set_parent(recorder)
    low.push(step=0).push(step=1)
    assert [dict(row) for row in low.records] == [
        {**recorder.all_records[0], "step": step, "model": "m1"} for step in (0, 1)
    ]


def test_a_time_that_was_refused_leaves_nothing(recorder: Recorder) -> None:
    """Rows of a frame that has nanoseconds are refused, each whole."""
    frame = pd.DataFrame({"step": [0, 1], "at": pd.to_datetime([0, 1], unit="ns")})
    recorder.push(step=-1)
    for row in frame.to_dict("records"):
        if row["step"]:
            with pytest.raises(UnsupportedValueError, match="'at'.*nanoseconds"):
                recorder.push(row)
        else:
            recorder.push(row)
    assert [row["step"] for row in recorder.records] == [-1, 0]


UNITS = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"]


@pytest.mark.parametrize("unit", UNITS)
def test_times_of_numpy_inside_of_dicts_are_refused(unit: str) -> None:
    """In every unit, as a scalar, as an array and nested: none becomes an int or a text."""
    for time in (np.datetime64(3, unit), np.timedelta64(3, unit)):
        for value in ({"a": time}, [time], [[time]], {"a": np.array([time])}, [np.array(time)]):
            with pytest.raises(UnsupportedTypeError, match=rf"'x': a .*64\[{unit}\] inside"):
                Recorder().push(x=value)
        some = np.array([time, "NaT"], time.dtype)
        with pytest.raises(UnsupportedTypeError, match="inside"):
            Recorder().push(x=[some])


@pytest.mark.parametrize("value", [np.longdouble(1), np.array([1.0], "longdouble")])
def test_a_longdouble_inside_of_a_dict_is_refused_by_name(value: Any) -> None:
    """Not as what is nested too deeply."""
    with pytest.raises(UnsupportedTypeError, match=r"'x': a longdouble inside"):
        Recorder().push(x={"a": value})


class WithUnit(np.ndarray):  # type: ignore[type-arg]
    """Numbers with a unit, as those of astropy and pint have."""

    unit = "m"


class Masked(np.ndarray):  # type: ignore[type-arg]
    """Numbers with a mask that is not numpy's, as those of astropy have."""

    @property
    def unmasked(self) -> Any:
        return np.asarray(self)


@pytest.mark.parametrize(("kind", "said"), [(WithUnit, "a unit"), (Masked, "a mask")])
def test_units_and_other_masks_are_refused(kind: Any, said: str) -> None:
    """What numbers alone don't tell is not dropped in silence."""
    for shape in ((), (2,)):
        value = np.zeros(shape).view(kind)
        for fields in ({"x": value}, {"x": [value]}):
            with pytest.raises(UnsupportedTypeError, match=f"'x': a {kind.__name__} with {said}"):
                Recorder().push(fields)


def test_conditions_that_are_no_value_ask_for_records_without_one() -> None:
    """As None does."""
    recorder = Recorder().push(i=0, x=1).push(i=1).push(i=2, x=np.ma.masked)
    for value in (None, *MISSING.values()):
        assert [row["i"] for row in recorder.records.where(x=value)] == [1, 2]


@pytest.mark.parametrize("month", [1, 7])
def test_zones_of_pytz_keep_their_name(month: int) -> None:
    """As those of zoneinfo and of a frame's column; where the offset is another one, it counts."""
    zone = pytz.timezone("Europe/Berlin")
    plain = dt.datetime(2026, month, 1, 10)
    run = Recorder().push(at=zone.localize(plain)).push(at=plain.replace(tzinfo=zone))
    good, odd = (row["at"] for row in run.records)
    assert good == plain.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    assert str(good.tzinfo) == "Europe/Berlin"
    assert odd == plain.replace(tzinfo=zone)
    assert odd.utcoffset() == dt.timedelta(minutes=53)
