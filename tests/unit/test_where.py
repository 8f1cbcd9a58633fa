"""``where``: conditions narrow what is read, in every engine alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Recorder, Records
from rigorous_recorder._engines.conditions import Typed
from rigorous_recorder.errors import (
    ArgumentError,
    ColumnError,
    ColumnWarning,
    UnsupportedTypeError,
    UnsupportedValueError,
)

Conditions = dict[str, Any]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExperimentCollection]:
    """Experiments in a sealed file and in a live one; a key of a parent is a record's own, too."""
    with ExperimentCollection(tmp_path_factory.mktemp("where") / "c", quiet=True) as found:
        for number in range(2):
            with found.new_experiment(rate=0.1 * (1 + number)) as experiment:
                for model in ("a", "b"):
                    recorder = experiment.child(model=model, tag="of the parent")
                    for step in range(3):
                        recorder.push(i=100 * number + 10 * (model == "b") + step, step=step)
                    recorder.push(i=100 * number + 10 * (model == "b") + 3, tag="own")
            if not number:
                found.save()
        yield found


def _rows(records: Records) -> list[int]:
    return [row["i"] for row in records]


def _followed(records: Records) -> list[int]:
    stop = Event()
    stop.set()
    return [row["i"] for row in records.follow(stop=stop)]


def _saved(suffix: str) -> Callable[[Records, Path], list[int]]:
    def load(records: Records, folder: Path) -> list[int]:
        records.save_to(folder / f"x{suffix}")
        return _rows(Recorder.load_from(folder / f"x{suffix}").all_records)

    return load


def _plotted(records: Records) -> list[int]:
    return [x for curve in records.plot("i", "i", points=None).curves for x in curve.x]


ENGINES: dict[str, Callable[[Records, Path], list[int]]] = {
    "rows": lambda records, _: _rows(records),
    "slices": lambda records, _: [row["i"] for row in records[:]],
    "indices": lambda records, _: [records[at]["i"] for at in range(len(records))],
    "sql": lambda records, _: [i for (i,) in records.sql("SELECT i FROM records").fetchall()],
    "arrow": lambda records, _: records.to_arrow()["i"].to_pylist(),
    "polars": lambda records, _: records.to_polars()["i"].to_list(),
    "lazy polars": lambda records, _: (
        records.to_polars(lazy=True).select("i").collect()["i"].to_list()
    ),
    "pandas": lambda records, _: records.to_pandas()["i"].tolist(),
    "follow": lambda records, _: _followed(records),
    "parquet": _saved(".parquet"),
    "jsonl": _saved(".jsonl"),
    "plot": lambda records, _: _plotted(records),
}

CHAINS: list[list[Conditions]] = [
    [{"model": "a"}],
    [{"model": "a"}, {"rate": 0.2}],
    [{"model": "a"}, {"model": "a"}],
    [{"step": 1}, {"step": 1.0}],
    [{"tag": "own"}, {"model": "b"}],
    [{"model": "b"}, {"tag": "of the parent"}, {"step": 2}],
    [{"step": None}, {"tag": "own"}],
    [{"model": "a", "step": 0}, {"experiment_number": 2}],
]
NOTHING: list[list[Conditions]] = [
    [{"model": "a"}, {"model": "b"}],
    [{"step": 1}, {"step": 2}],
    [{"tag": "own"}, {"tag": "of the parent"}],
    [{"step": None}, {"step": 1}],
    [{"step": 1}, {"step": None}],
    [{"had_error": False}, {"had_error": True}],
    [{"experiment_number": 1}, {"experiment_number": 2}],
    [{"model": "a"}, {"model": "b"}, {"model": "a"}],
]


def _wanted(records: Records, chain: list[Conditions]) -> list[int]:
    """What the rows of the whole table say, one by one."""
    return [
        row["i"]
        for row in records
        if all(
            row[key] == value and isinstance(row[key], bool) == isinstance(value, bool)
            for conditions in chain
            for key, value in conditions.items()
        )
    ]


def _narrowed(records: Records, chain: list[Conditions]) -> Records:
    for conditions in chain:
        records = records.where(**conditions)
    return records


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chain", CHAINS)
def test_all_conditions_of_a_chain_hold(
    collection: ExperimentCollection, chain: list[Conditions], engine: str, tmp_path: Path
) -> None:
    """Whichever keys they are about, and in whatever order."""
    wanted = _wanted(collection.records, chain)
    assert wanted
    for each in (chain, chain[::-1]):
        assert ENGINES[engine](_narrowed(collection.records, each), tmp_path) == wanted


@pytest.mark.parametrize("engine", [each for each in ENGINES if each != "plot"])
@pytest.mark.parametrize("chain", NOTHING)
def test_conditions_that_exclude_each_other_leave_nothing(
    collection: ExperimentCollection, chain: list[Conditions], engine: str, tmp_path: Path
) -> None:
    """A later condition does not replace an earlier one on the same key."""
    records = _narrowed(collection.records, chain)
    assert ENGINES[engine](records, tmp_path) == _wanted(collection.records, chain) == []
    assert len(records) == 0


def test_an_experiments_records_are_not_widened(collection: ExperimentCollection) -> None:
    """``collection[n]`` stays that experiment."""
    first = collection[1]
    assert len(first) == 8
    assert len(first.where(experiment_number=1)) == 8
    assert len(first.where(experiment_number=2)) == 0
    assert len(first.where(model="a")) == 4


@pytest.mark.parametrize("is_deep", [True, False])
def test_conditions_narrow_a_part_of_the_tree(
    collection: ExperimentCollection, *, is_deep: bool
) -> None:
    """Of a recorder's own records as of all below it."""
    model = collection.recorder.children[0].children[1]
    records = model.all_records if is_deep else model.records
    assert _rows(records.where(model="b")) == [10, 11, 12, 13]
    assert _rows(records.where(model="b").where(step=1)) == [11]
    assert _rows(records.where(model="b").where(model="a")) == []
    assert _rows(records.where(experiment_number=2)) == []


def test_what_is_changed_later_changes_no_condition() -> None:
    """A list, a dict, an array belongs to the condition once it was given."""
    values: dict[str, Any] = {"a": [1, 2], "b": {"x": [1]}, "c": np.array([1.0, 2.0])}
    recorder = Recorder().push(values)
    records = recorder.records.where(**{**values, "a": [values["a"]]})
    values["a"].append(3)
    values["b"]["x"].append(3)
    values["c"][0] = 3
    assert len(records) == 1


def test_what_is_changed_later_changes_no_choice() -> None:
    """As little as it changes a single value."""
    recorder, one, other = Recorder().push(a=1, b=[1]), [1], [[1]]
    records = recorder.records.where(a=one, b=other)
    one.clear()
    other[0].append(2)
    assert len(records) == 1


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (lambda epoch: epoch > 1, UnsupportedTypeError),
        (1j, UnsupportedTypeError),
        (int, UnsupportedTypeError),
        ([object()], UnsupportedTypeError),
        ("\ud800", UnsupportedValueError),
        (dt.timedelta.max, UnsupportedValueError),
    ],
)
def test_a_value_that_no_record_has_is_refused_at_once(value: Any, error: type[Exception]) -> None:
    """The message is about conditions, not about logging."""
    records = Recorder().push(epoch=1).records
    with pytest.raises(error, match=r"where\(epoch=.*: no record can have this value") as told:
        records.where(epoch=value)
    assert "kept" not in str(told.value)
    assert "stored" not in str(told.value)


# --- keys that are nowhere -----------------------------------------------------------------------

READERS: dict[str, Callable[[Records], object]] = {
    "len": len,
    "rows": list,
    "slice": lambda records: records[:2],
    "index": lambda records: records[0],
    "columns": lambda records: records.columns,
    "str": str,
    "arrow": lambda records: records.to_arrow(),
    "stream": lambda records: records.__arrow_c_stream__(),
    "polars": lambda records: records.to_polars(),
    "lazy polars": lambda records: records.to_polars(lazy=True),
    "pandas": lambda records: records.to_pandas(),
    "sql": lambda records: records.sql("FROM records"),
    "plot": lambda records: records.plot("i", "i"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("value", ["a", None])
def test_a_key_that_is_nowhere_is_refused(
    collection: ExperimentCollection, reader: str, value: Any
) -> None:
    """Whoever reads is told which key was perhaps meant; to ask for a missing one is no excuse."""
    records = collection.records.where(modle=value)
    with pytest.raises(ColumnError, match=r"no column 'modle'; did you mean 'model'\?"):
        READERS[reader](records)
    with pytest.raises(ColumnError, match="no column 'quux'; there are 'experiment_number'"):
        READERS[reader](collection[1].where(quux=value, step=1))


def test_no_file_is_written_of_what_is_refused(
    collection: ExperimentCollection, tmp_path: Path
) -> None:
    """Nothing is there afterwards."""
    with pytest.raises(ColumnError):
        collection.records.where(modle="a").save_to(tmp_path / "x.csv")
    assert not list(tmp_path.iterdir())


def test_the_repr_of_what_is_refused_says_why(collection: ExperimentCollection) -> None:
    """A debugger that shows it does not fail."""
    assert "did you mean 'model'?" in repr(collection.records.where(modle="a"))


@pytest.mark.parametrize(
    "key", ["experiment_attempt", "had_error", "elsewhere", "taken_back", "only_none"]
)
def test_a_key_that_is_somewhere_is_not_refused(key: str) -> None:
    """In another part of the tree, in the past, always as ``None``, or of experiments alone."""
    root = Recorder()
    root.child(elsewhere=1).push(i=1, only_none=None)
    here = root.child(taken_back=1).push(i=2)
    here["taken_back"] = None
    assert len(here.records.where(**{key: 5})) == 0
    assert len(here.records.where(**{key: None})) == 1


def test_where_nothing_was_logged_yet_nothing_is_refused(tmp_path: Path) -> None:
    """A view may be made before the first record."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        records = collection.records.where(model="a")
        assert (len(records), records.to_polars().height) == (0, 0)
        with collection.new_experiment() as experiment:
            assert len(records) == 0
            experiment.child(model="a").push(i=1)
            assert len(records) == 1


def test_who_follows_is_warned_for_a_key_may_still_come() -> None:
    """And gets the rows once it has."""
    recorder, stop = Recorder().push(i=1), Event()
    with pytest.warns(ColumnWarning, match="where.model=.*no column 'model'.*may still be logged"):
        rows = recorder.all_records.where(model="a").follow(stop=stop)
    recorder.child(model="a").push(i=2)
    assert next(rows)["i"] == 2
    stop.set()
    assert list(rows) == []


# --- values of every kind ------------------------------------------------------------------------

_TOKYO = dt.timezone(dt.timedelta(hours=9))
#: A value, one that is equal to it, how it is typed, and some that are not equal to it.
VALUES: dict[str, tuple[Any, Any, list[str], list[Any]]] = {
    "bool": (True, True, ["true"], [False]),
    "int": (3, 3.0, ["3", "3.0"], [3.5]),
    "float": (0.5, 0.5, ["0.5", "5e-1"], [0]),
    "nan": (float("nan"), np.float32("nan"), ["NaN", '"NaN"', "nan"], [0.0]),
    "nan of the other sign": (-float("nan"), float("nan"), ["NaN"], [0.0]),
    "zero of the other sign": (-0.0, 0.0, ["0.0", "-0"], [float("nan"), 5e-324]),
    "infinity": (float("-inf"), float("-inf"), ["-Infinity", '"-Infinity"'], [float("inf")]),
    "text": ("m 1", "m 1", ["m 1", '"m 1"'], ["m1"]),
    "text of a number": ("1", "1", ["1", '"1"'], ["2"]),
    "bytes": (b"\x00\xff", bytearray(b"\x00\xff"), ["00ff", '"00FF"'], [b"\x00"]),
    "date": (dt.date(2026, 1, 2), dt.date(2026, 1, 2), ["2026-01-02"], [dt.date(2026, 1, 1)]),
    "time": (
        dt.datetime(2026, 1, 2, 3, 4, 5, 6),
        dt.datetime(2026, 1, 2, 3, 4, 5, 6),
        ["2026-01-02T03:04:05.000006", '"2026-01-02 03:04:05.000006"'],
        [dt.datetime(2026, 1, 2, 3, 4, 5)],
    ),
    "time with a zone": (
        dt.datetime(2026, 1, 2, 12, tzinfo=_TOKYO),
        dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC),
        ["2026-01-02T12:00:00+09:00", "2026-01-02T03:00:00Z"],
        [dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)],
    ),
    "duration": (
        dt.timedelta(seconds=1.5),
        dt.timedelta(milliseconds=1500),
        ["1.5"],
        [dt.timedelta(seconds=1)],
    ),
    "list": (
        ["a", 1, None, [True, float("nan")]],
        ("a", 1.0, None, [True, float("nan")]),
        ['["a", 1, null, [true, NaN]]'],
        [["a", True, None, [True]], ["a", 1, None, [1]], []],
    ),
    "dict": (
        {"a": 1, "b": [2]},
        {"b": [2.0], "a": 1},
        ['{"b": [2], "a": 1}'],
        [{"a": True, "b": [2]}, {"a": 1}, {}],
    ),
    "array": (
        np.array([[1, 2], [3, 4]]),
        np.array([[1.0, 2], [3, 4]], "float32"),
        ["[[1, 2], [3, 4]]"],
        [np.array([1, 2]), np.array([[1, 2], [3, 5]]), [[1, 2], [3]]],
    ),
    "array with gaps": (
        np.array([0.5, np.nan], "float32"),
        np.array([0.5, np.nan]),
        ["[0.5, NaN]", '[0.5, "NaN"]'],
        [np.array([0.5, 0.5])],
    ),
    "array of bools": (np.array([True, False]), [True, False], ["[true, false]"], [[1, 0]]),
}


def _logged(value: Any, folder: Path) -> ExperimentCollection:
    """The value in a record of a live file, in one of a sealed file, and of a parent; and others."""
    collection = ExperimentCollection(folder / "c", quiet=True)
    with collection.new_experiment() as experiment:
        experiment.push(i=0, x=value).push(i=1)
        collection.save()
        experiment.push(i=2, x=value).push(i=3, other=1)
    collection.recorder.child(y=value).push(i=4)
    return collection


@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_every_kind_is_found_in_python(name: str, tmp_path: Path) -> None:
    """By an equal one; what is not equal finds nothing."""
    value, equal, _, others = VALUES[name]
    with _logged(value, tmp_path) as collection:
        is_list = isinstance(value, (list, np.ndarray))  # one of which is asked for in a list
        for wanted in [[value], (equal,), [*others, equal]] + [value, equal] * (not is_list):
            assert _rows(collection.records.where(x=wanted)) == [0, 2]
            assert _rows(collection.records.where(y=wanted)) == [4]
        for other in [[], others, *([each] for each in others)] + others * (not is_list):
            assert _rows(collection.records.where(x=other)) == []
            assert _rows(collection.records.where(y=other)) == []


@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_every_kind_is_found_as_it_is_typed(name: str, tmp_path: Path) -> None:
    """Its text is read by the kinds that the key has."""
    value, _, texts, _ = VALUES[name]
    with _logged(value, tmp_path) as collection:
        for text in texts:
            assert _rows(collection.records.where(x=Typed(text))) == [0, 2], text
            assert _rows(collection.records.where(y=Typed(text))) == [4], text


def test_an_array_is_found_whatever_shapes_others_have() -> None:
    """Also where they stand in one column as lists."""
    recorder = Recorder()
    for i, shape in enumerate((2, 3, (2, 2), 0)):
        recorder.push(i=i, x=np.ones(shape))
    for i, shape in enumerate((2, 3, (2, 2), 0)):
        assert _rows(recorder.records.where(x=np.ones(shape))) == [i]


def test_a_typed_value_is_all_that_it_can_be() -> None:
    """A number, and text, where a key has both."""
    values = [1, 1.0, "1", True, "true", dt.timedelta(seconds=1), b"\x11", "11"]
    recorder = Recorder()
    for i, value in enumerate(values):
        recorder.push(i=i, x=value)
    for text, found in (("1", [0, 1, 2, 5]), ("true", [3, 4]), ("11", [6, 7]), ('"1"', [2])):
        assert _rows(recorder.records.where(x=Typed(text))) == found


@pytest.mark.parametrize(
    ("value", "text", "message"),
    [
        (dt.datetime(2026, 1, 1), "2026-01-01", "are datetime; expected an ISO 8601 time without"),
        (dt.datetime(2026, 1, 1), "2026-01-01T00:00:00Z", "expected an ISO 8601 time without"),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "2026-01-01T00:00:00", "ISO 8601 time with a"),
        (dt.date(2026, 1, 1), "2026-01-01T00:00:00", "are date; expected an ISO 8601 date"),
        (1, "one", "are int; expected a number such as 0.5"),
        (b"x", "xyz", "are bytes; expected hexadecimal"),
        (True, "1", "are bool; expected true or false"),
        ([1], "1", "are json; expected a JSON list or object"),
        (np.zeros(2), "0", "expected a JSON list of numbers"),
        (dt.timedelta(1), "1 day", "are timedelta; expected seconds such as 1.5"),
        (dt.timedelta(1), "1e300", "expected seconds such as 1.5"),
    ],
)
def test_a_typed_value_that_is_none_of_the_keys_kinds_is_refused(
    value: Any, text: str, message: str
) -> None:
    """With the kinds of the key, and how their values are typed."""
    recorder = Recorder().push(x=value)
    with pytest.raises(ColumnError, match=message):
        len(recorder.records.where(x=Typed(text)))


@pytest.mark.parametrize(
    ("logged", "asked", "message"),
    [
        (3, "3", r"where\(\w='3'\): its values are int; .* kind str .*expected a number"),
        (3, True, "its values are int; .* kind bool .*expected a number"),
        (0.5, dt.timedelta(1), "its values are float; .* kind timedelta"),
        (True, 1, "its values are bool; .* kind int .*expected true or false"),
        ("1", 1, "its values are str; .* kind int .*expected text"),
        (dt.date(2026, 1, 1), dt.datetime(2026, 1, 1), "are date; .*expected an ISO 8601 date"),
        ([1], 1, "are json; .*expected a JSON list"),
        (b"x", "x", "are bytes; "),
        (2**70, "x", "are bigint; "),
    ],
)
def test_a_value_of_another_kind_than_its_keys_is_refused(
    logged: Any, asked: Any, message: str
) -> None:
    """As on a command line; once a value of its kind was logged the answer may be empty."""
    recorder = Recorder(y=logged).push(x=logged)
    with pytest.raises(ColumnError, match=message):
        len(recorder.records.where(x=asked))
    with pytest.raises(ColumnError, match=message):
        len(recorder.records.where(y=asked))
    recorder.push(x=asked, y=asked)
    assert len(recorder.records.where(x=asked)) == len(recorder.records.where(y=asked)) == 1
    assert len(recorder.records.where(x=logged)) == 1


def test_a_list_is_a_choice_and_a_list_of_lists_one_of_them() -> None:
    """Where that can't be meant the message names what can."""
    recorder = Recorder().push(model="a", tags=["a"], x=1).push(model="b", x=2.0).push(model="c")
    records = recorder.records
    for choice in (["a", "b"], ("a", "b"), {"b", "a"}, frozenset("ab"), np.array(["a"]).tolist()):
        wanted = sorted(choice)
        assert [row["model"] for row in records.where(model=choice)] == wanted
    for numbers, found in (
        (range(2), 1),
        (range(1, 3), 2),
        ([None], 1),
        ([None, 2], 2),
    ):
        assert len(records.where(x=numbers)) == found
    assert len(records.where(tags=[["a"]])) == len(records.where(tags=[["b"], ["a"]])) == 1
    with pytest.raises(ColumnError, match=r"its values are lists.* put it into another one: \[\["):
        len(records.where(tags=["a"]))
    point = NamedTuple("point", [("x", int)])(1)
    assert len(Recorder().push(at=point).records.where(at=point)) == 1
    for wrong in ({"a": 1}, np.array([1, 2]), [["a", "b"]]):
        with pytest.raises(
            ColumnError, match="none of its values is a list, dict or array, they are"
        ):
            len(records.where(model=wrong))
    with pytest.raises(ArgumentError, match=r"x BETWEEN 0 AND 999999999'"):
        records.where(x=range(10**9))
    with pytest.raises(ArgumentError, match=r"BETWEEN 2 AND \d+ AND \(x - 2\) % 2 = 0'"):
        records.where(x=range(10**30, 0, -2))
    assert len(records.where(x=range(10**30, 0))) == 0


def test_who_follows_finds_a_kind_that_comes_later() -> None:
    """What was typed is read anew for each kind."""
    recorder, stop = Recorder().push(i=0), Event()
    stop.set()
    with pytest.warns(ColumnWarning):
        rows = recorder.records.where(t=Typed("2026-01-01T00:00:00")).follow(stop=stop)
    recorder.push(i=1, t=dt.datetime(2026, 1, 1))
    assert [row["i"] for row in rows] == [1]
