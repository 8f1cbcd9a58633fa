"""Rows of one node, of which those that nobody has any more are given again: one body for both backends."""

from __future__ import annotations

import array
import copy
import gc
import json
import pickle
import sys
from collections import deque
from collections.abc import Callable
from itertools import chain, islice
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigorous_recorder import Recorder
from rigorous_recorder._rows import implementation, pure

from .twins import twin_called

KNOWN = {"model": "m1", "episode": 2}
FORMS = {int: "q", float: "d", bool: "?"}


@pytest.fixture(params=["pure", "native"])
def rows(request: pytest.FixtureRequest) -> ModuleType:
    """Each backend in turn."""
    return twin_called(request.param, "_rows")


def in_memory(values: list[Any]) -> memoryview:
    """Numbers as they stand in a column of Arrow."""
    kind = type(values[0])
    data = bytes(values) if kind is bool else array.array(FORMS[kind], values).tobytes()
    return memoryview(data).cast(FORMS[kind])


def three(rows: ModuleType, count: int, make: Callable[..., Any] = dict) -> Any:
    """Rows with a number of each sort."""
    columns = (
        in_memory(list(range(count))),
        in_memory([i / 7 for i in range(count)]),
        [f"text {i}" for i in range(count)],
    )
    return rows.rows_of_node(make, KNOWN, ("n", "x", "text"), columns, 0, count, False)


def expected(index: int) -> dict[str, Any]:
    return {**KNOWN, "n": index, "x": index / 7, "text": f"text {index}"}


# --- the same as a list of dicts ---------------------------------------------------------------


class Drawn(NamedTuple):
    base: dict[str, Any]
    columns: dict[str, list[Any]]
    has_gaps: bool
    start: int
    stop: int
    kept: list[bool]

    def row(self, index: int) -> dict[str, Any]:
        """What the row must be."""
        own = {key: values[index] for key, values in self.columns.items()}
        present = {k: v for k, v in own.items() if v is not None or not self.has_gaps}
        return self.base | present


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    keys = st.sampled_from("abcdef")
    count = draw(st.integers(0, 600))
    has_gaps = draw(st.booleans())
    texts = st.lists(st.text(max_size=3), min_size=1, max_size=9)

    def column() -> list[Any]:
        kind = draw(st.sampled_from(["int", "float", "bool", "text"]))
        if kind == "int":
            start = draw(st.integers(-(2**62), 2**62))
            return [start + i for i in range(count)]
        if kind == "float":
            first = draw(st.floats())
            return [first * i for i in range(count)]
        if kind == "bool":
            return [i % 3 == 0 for i in range(count)]
        some: list[Any] = [*draw(texts), *([None] if draw(st.booleans()) else [])]
        return [some[i % len(some)] for i in range(count)]

    columns = {key: column() for key in draw(st.lists(keys, unique=True))}
    start = draw(st.integers(0, count))
    stop = draw(st.integers(start, count))
    kept = draw(st.lists(st.booleans(), min_size=1, max_size=7))
    base = draw(st.dictionaries(keys, st.integers()))
    return Drawn(base, columns, has_gaps, start, stop, kept)


@pytest.mark.parametrize("name", ["pure", "native"])
@given(data=drawn())
def test_rows_are_what_a_list_of_dicts_would_be(name: str, data: Drawn) -> None:
    """Each as it is given, and those that are kept for good, whichever they are."""
    columns = tuple(
        in_memory(values) if values and type(values[0]) in FORMS and None not in values else values
        for values in data.columns.values()
    )
    found = twin_called(name, "_rows").rows_of_node(
        dict, data.base, tuple(data.columns), columns, data.start, data.stop, data.has_gaps
    )
    kept, count = [], 0
    for index, row in enumerate(found, data.start):
        assert repr(row) == repr(data.row(index))  # in the same order; NaN is not NaN
        if data.kept[index % len(data.kept)]:
            kept.append((index, row))
        count += 1
    assert count == data.stop - data.start
    assert all(repr(row) == repr(data.row(index)) for index, row in kept)


def test_what_anybody_still_has_of_a_row_stays(rows: ModuleType) -> None:
    """The row, a view of it, an iterator, a method of it, or a tuple that it is in."""
    views = [row.items() for row in three(rows, 50)]
    iterators = [iter(row.values()) for row in three(rows, 50)]
    methods = [row.get for row in three(rows, 50)]
    pairs = list(zip(three(rows, 50), three(rows, 50), strict=True))
    for index in range(50):
        row = expected(index)
        assert dict(views[index]) == row
        assert list(iterators[index]) == list(row.values())
        assert methods[index]("n") == index
        assert pairs[index] == (row, row)
    assert deque(three(rows, 50), maxlen=3) == deque(map(expected, [47, 48, 49]))
    assert max(three(rows, 50), key=lambda row: -abs(row["n"] - 30)) == expected(30)


def test_a_loop_that_keeps_nothing_makes_two_rows() -> None:
    """That is what makes the native backend fast."""
    native = twin_called("native", "_rows")
    made = []

    def make(base: dict[str, Any]) -> dict[str, Any]:
        made.append(None)
        return dict(base)

    assert sum(row["n"] for row in three(native, 1_000, make)) == 499_500
    assert len(made) == 2
    assert len(list(three(native, 1_000, make))) == 1_000
    assert len(made) == 1_002


def test_what_anybody_still_has_of_a_float_stays(rows: ModuleType) -> None:
    """The value, a copy of the row, or the row itself, which is let go of later than the next ones."""
    expected_values = [index / 7 for index in range(50)]
    assert [row["x"] for row in three(rows, 50)] == expected_values
    assert [dict(row)["x"] for row in three(rows, 50)] == expected_values
    assert [{**row}["x"] for row in three(rows, 50)] == expected_values
    assert [
        x for row in three(rows, 50) for x in row.values() if type(x) is float
    ] == expected_values
    kept = deque[dict[str, Any]](maxlen=3)
    for row in three(rows, 50):
        kept.append(row)
        assert [each["x"] for each in kept] == expected_values[
            row["n"] - len(kept) + 1 : row["n"] + 1
        ]


def test_a_row_that_is_requested_while_one_is_filled_spoils_none() -> None:
    """Code can run when a value of the row before is freed, and that can ask for the next ones."""
    native = twin_called("native", "_rows")
    seen: list[dict[str, Any]] = []

    class Asking:
        def __del__(self) -> None:
            seen.extend(dict(row) for row in islice(found, 3))

    numbers = in_memory([index / 7 for index in range(100)])
    values: list[Any] = [Asking() if index % 9 == 0 else None for index in range(100)]
    columns = (list(range(100)), numbers, values, numbers)
    found = native.rows_of_node(dict, {}, ("n", "x", "value", "y"), columns, 0, 100, False)
    for row in found:
        seen.append(dict(row, value=None))
        values[row["n"]] = None
    at = sorted(row["n"] for row in seen)
    assert at == list(range(100))
    assert all(row["x"] == row["y"] == row["n"] / 7 for row in seen)


def test_rows_with_gaps_are_made_anew(rows: ModuleType) -> None:
    """No value of the row before is left where there is none."""
    columns = ([1, None, 3, None], [None, None, None, "d"])
    found = [dict(row) for row in rows.rows_of_node(dict, KNOWN, ("a", "b"), columns, 0, 4, True)]
    assert found == [KNOWN | {"a": 1}, KNOWN, KNOWN | {"a": 3}, KNOWN | {"b": "d"}]


# --- what can go wrong -------------------------------------------------------------------------


def test_what_makes_a_row_can_fail(rows: ModuleType) -> None:
    """Its error is raised."""

    def fail(_base: dict[str, Any]) -> dict[str, Any]:
        message = "no row"
        raise LookupError(message)

    with pytest.raises(LookupError, match="no row"):
        list(three(rows, 3, fail))


def test_a_row_that_asks_for_the_next_one_spoils_none() -> None:
    """Code can run while a row is made, and that can ask for one."""
    native = twin_called("native", "_rows")
    inner: list[Any] = []

    def make(base: dict[str, Any]) -> dict[str, Any]:
        if len(inner) < 3:
            inner.append(None)
            inner.append(next(found))
        return dict(base)

    found = three(native, 10, make)
    outer = list(found)
    rows = [row for row in inner if row is not None] + outer
    assert sorted(row["n"] for row in rows) == list(range(10))
    assert all(row == expected(row["n"]) for row in rows)


def test_rows_requested_in_the_middle_of_one_outlive_their_iterator() -> None:
    """Code that runs while a row is made can end the iterator that it is of: chain lets go of it."""
    native = twin_called("native", "_rows")
    inner: list[Any] = []

    def make(base: dict[str, Any]) -> dict[str, Any]:
        if base["node"] == 0 and not inner:
            inner.append(next(found))
        return dict(base)

    def of_node(node: int) -> Any:
        return native.rows_of_node(make, {"node": node}, ("n",), ([f"n{node}"],), 0, 1, False)

    found = chain.from_iterable(map(of_node, range(2)))
    assert next(found) == {"node": 0, "n": "n0"}
    assert inner == [{"node": 1, "n": "n1"}]


def test_what_is_added_to_a_row_by_force_is_in_no_other(rows: ModuleType) -> None:
    """As ``eval`` adds to what it is handed for the global names."""
    found = []
    for row in three(rows, 9):
        found.append(dict(row))
        if row["n"] == 0:
            assert eval("n + x", row) == 0
        if row["n"] == 1:
            dict.pop(row, "text")
    assert found == list(map(expected, range(9)))


@pytest.mark.parametrize(
    ("column", "error"),
    [
        (b"12345678", "format"),
        (memoryview(b"1234" * 4).cast("i"), "format"),
        (memoryview(b"12345678").cast("q"), "ends before"),
        (7, "bytes-like"),
    ],
)
def test_a_column_that_can_not_be_read_is_refused(column: Any, error: str) -> None:
    """No byte beyond its end is read. (The pure-Python fallback is never given such a one either.)"""
    native = twin_called("native", "_rows")
    with pytest.raises((TypeError, ValueError), match=error):
        native.rows_of_node(dict, {}, ("a",), (column,), 0, 2, False)


def test_a_list_that_ends_too_early_raises() -> None:
    """Whoever shortens it meanwhile."""
    native = twin_called("native", "_rows")
    values = [1, 2, 3]
    found = native.rows_of_node(dict, {}, ("a",), (values,), 0, 3, False)
    assert next(found) == {"a": 1}
    del values[1:]
    with pytest.raises(IndexError):
        next(found)


def test_calls_that_make_no_sense_are_refused() -> None:
    """Keys without columns, rows before the first one, and rows that are no dicts."""
    native = twin_called("native", "_rows")
    with pytest.raises(ValueError, match="a column for each key"):
        native.rows_of_node(dict, {}, ("a",), (), 0, 1, False)
    with pytest.raises(ValueError, match="from 0 on"):
        native.rows_of_node(dict, {}, (), (), -1, 1, False)
    with pytest.raises(TypeError, match="must be a dict"):
        next(native.rows_of_node(list, {}, (), (), 0, 1, False))
    with pytest.raises(TypeError, match="create"):
        type(native.rows_of_node(dict, {}, (), (), 0, 1, False))()


# --- references --------------------------------------------------------------------------------


def test_references_hold(rows: ModuleType) -> None:
    """After any number of rows, read to the end or not, all that was handed over is free again."""
    base, values = {"known": object()}, [object() for _ in range(5)]
    numbers = in_memory([1.5, 2.5, 3.5, 4.5, 5.5])
    key = f"a key {len(values)}"
    held = [base, base["known"], values, *values, key]

    def references() -> list[int]:
        return [sys.getrefcount(each) for each in held]

    before = references()
    for has_gaps in (False, True):
        for asked in (0, 1, 3, 5, 6):
            found = rows.rows_of_node(dict, base, (key, "n"), (values, numbers), 0, 5, has_gaps)
            deque(islice(found, asked), maxlen=0)
            del found
    assert references() == before
    numbers.release()  # raises where anybody still looks at it


def test_rows_in_a_circle_are_collected() -> None:
    """An iterator that its own rows lead to is freed with them."""
    native = twin_called("native", "_rows")

    class Value(list[Any]):
        """What can be referred to weakly."""

    values = [Value(), Value()]
    found = native.rows_of_node(dict, {}, ("a",), (values,), 0, 2, False)
    next(found)["a"].append(found)
    before = len([each for each in gc.get_objects() if type(each) is Value])
    del found, values
    gc.collect()
    assert len([each for each in gc.get_objects() if type(each) is Value]) == before - 2


# --- a dict that knows None of what it has not --------------------------------------------------


def test_a_missing_key_reads_as_none(rows: ModuleType) -> None:
    """And is nowhere else; all else is as of a dict."""
    known = rows.Known({"a": 1})
    assert known["a"] == 1
    assert known["b"] is None
    assert dict.__getitem__(known, "b") is None
    assert "b" not in known
    assert known.get("b", 5) == 5
    assert known == {"a": 1}
    assert json.dumps(known) == '{"a": 1}'
    assert {**known} == dict(known) == {"a": 1}
    with pytest.raises(TypeError, match="unhashable"):
        known[[]]


def test_rows_of_a_tree_can_be_stored_and_carried() -> None:
    """What nobody may change is changed by nobody, whichever backend makes it."""
    recorder = Recorder(model="m1")
    for index in range(5):
        recorder.push(n=index, x=index / 7)
    found = list(recorder.records)
    assert [row["n"] for row in found] == list(range(5))
    for row in found:
        assert pickle.loads(pickle.dumps(row)) == copy.deepcopy(row) == row
        with pytest.raises(TypeError, match="read-only"):
            row["n"] = 1
    kept = [row for row in recorder.records if row["n"] % 2]
    assert [row["n"] for row in kept] == [1, 3]


# --- which one runs ----------------------------------------------------------------------------


def test_both_backends_have_one_face() -> None:
    """The same names; and that which runs is the one that was requested."""
    native = twin_called("native", "_rows")
    names = sorted(name for name in vars(native) if not name.startswith("_"))
    assert names == sorted(pure.__all__) == sorted(implementation.__all__)
    assert implementation.rows_of_node in {native.rows_of_node, pure.rows_of_node}
    assert native.Known.__doc__ == pure.Known.__doc__


# --- what can be changed -----------------------------------------------------------------------

SHARED: dict[str, Any] = {"cfg": {"lr": 0.1, "sizes": [1, [2]]}, "list": [1], "n": 0, "name": "a"}


@pytest.mark.parametrize("has_gaps", [False, True])
def test_rows_have_copies_of_what_can_be_changed(rows: ModuleType, has_gaps: bool) -> None:
    """Also a row that is given again, whose values somebody still has."""
    base = copy.deepcopy(SHARED)
    kept = []
    for at, row in enumerate(
        rows.rows_of_node(dict, base, ("n",), ([0, 1, 2, 3],), 0, 4, has_gaps, ("cfg", "list"))
    ):
        assert row == {**SHARED, "n": at}
        row["cfg"]["sizes"][1].append(3)
        row["cfg"]["lr"] = 1
        row["list"].clear()
        kept += [row["cfg"], row["list"]]
    assert base == SHARED
    assert len(set(map(id, kept))) == 8


def test_own_values_win_over_copies(rows: ModuleType) -> None:
    """Where a record has a value of its own under a key of what its node knows."""
    columns = ([[5], None],)
    found = list(rows.rows_of_node(dict, {"list": [1]}, ("list",), columns, 0, 2, True, ("list",)))
    assert found == [{"list": [5]}, {"list": [1]}]
    columns = ([[5], [6]],)
    found = list(rows.rows_of_node(dict, {"list": [1]}, ("list",), columns, 0, 2, False, ("list",)))
    assert found == [{"list": [5]}, {"list": [6]}]


def test_fresh_values_equal_and_share_nothing(rows: ModuleType) -> None:
    """Dicts, lists and arrays with all inside; what can't be changed is the same object."""
    array = np.arange(3)
    value = {"a": [1, {"b": [None, True, 2**70, 0.5, "text"]}], "c": {}, "d": []}
    found = rows.fresh(value)
    assert found == value
    assert found["a"] is not value["a"]
    assert found["a"][1]["b"] is not value["a"][1]["b"]
    assert found["c"] is not value["c"]
    copied = rows.fresh(array)
    copied[0] = 9
    assert array[0] == 0
    for same in ("text", 1.5, 2**70, None, b"bytes", (1, 2)):
        assert rows.fresh(same) is same


def test_a_copy_that_fails_ends_the_loop(rows: ModuleType) -> None:
    """What a value raises while it is copied is raised; a key that is not there is an error."""

    class Broken:
        __array_interface__ = None

        def copy(self) -> Any:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        next(rows.rows_of_node(dict, {"a": Broken()}, (), (), 0, 1, False, ("a",)))
    with pytest.raises(KeyError):
        next(rows.rows_of_node(dict, {}, (), (), 0, 1, False, ("a",)))


def test_a_value_that_contains_itself_is_an_error(rows: ModuleType) -> None:
    """And no end of the process."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(RecursionError):
        rows.fresh(loop)
