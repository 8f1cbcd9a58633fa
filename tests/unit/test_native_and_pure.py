"""The buffers of a live table and the way of a record into them: one body for both backends."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .twins import twin_called

GUARD = b"\xa5" * 64
NoneType = type(None)


@pytest.fixture(params=["pure", "native"])
def backend(request: pytest.FixtureRequest) -> ModuleType:
    """Each backend in turn."""
    return twin_called(request.param, "_live")


# --- a table whose bytes the tests can see -----------------------------------------------------


class Column(NamedTuple):
    """What one slot is made of; ``takes`` is the type that goes into it as it is."""

    key: Any
    cell: str
    takes: type | None
    block: tuple[str, tuple[int, ...]] | None = None

    @property
    def bits(self) -> int:
        if self.block is not None:
            return 8 * int(self.block[0][1]) * int(np.prod(self.block[1]))
        widths = {"int": 64, "float": 64, "int32": 32, "bool": 1, "null": 1}
        return widths.get(self.cell, 128)


COLUMNS = (
    Column("n", "int", int),
    Column("n", "float", float),
    Column("x", "float", float),
    Column("flag", "bool", bool),
    Column("gone", "null", NoneType),
    Column("text", "text", str),
    Column("data", "bytes", bytes),
    Column("array", "block", np.ndarray, ("f4", (2, 3))),
    Column("day", "int32", None),
)


class Memory:
    """Bytes for a buffer with others behind them, which nobody may touch."""

    def __init__(self, size: int) -> None:
        self.all = bytearray(size) + GUARD
        self.size = size

    @property
    def view(self) -> memoryview:
        return memoryview(self.all)[: self.size]

    @property
    def bytes(self) -> bytes:
        assert self.all[self.size :] == GUARD
        return bytes(self.all[: self.size])


class Cells:
    """One slot and its bytes."""

    def __init__(self, backend: ModuleType, column: Column, rows: int, spill: int) -> None:
        self.column = column
        self.values = Memory((rows * column.bits + 7) // 8)
        self.validity = Memory((rows + 7) // 8)
        self.spill = Memory(spill if column.cell in {"text", "bytes"} else 0)
        self.slot = backend.Slot(
            column.cell,
            self.values.view,
            self.validity.view,
            self.spill.view if column.cell in {"text", "bytes"} else None,
            column.block,
        )

    def is_there(self, row: int) -> bool:
        return bool(self.validity.bytes[row // 8] >> row % 8 & 1)

    def raw(self, row: int) -> Any:
        """The bytes of one cell, or its bit."""
        if self.column.bits == 1:
            return self.values.bytes[row // 8] >> row % 8 & 1
        width = self.column.bits // 8
        return self.values.bytes[row * width : (row + 1) * width]

    def value(self, row: int) -> Any:
        """What a reader finds in one cell."""
        raw = self.raw(row)
        match self.column.cell:
            case "bool" | "null":
                return bool(raw) if self.column.cell == "bool" else None
            case "block":
                return np.frombuffer(raw, self.column.block[0]).tolist()
            case "text" | "bytes":
                size, start = struct.unpack("<i8xi", raw)
                found = self.spill.bytes[start : start + size] if size > 12 else raw[4 : 4 + size]
                assert found[:4] == raw[4 : 4 + min(size, 4)]
                return found.decode() if self.column.cell == "text" else found
            case cell:
                return struct.unpack({"int": "q", "float": "d", "int32": "i"}[cell], raw)[0]


class Table:
    """Buffers over memory of our own, and the fast path to them."""

    def __init__(
        self,
        backend: ModuleType,
        columns: tuple[Column, ...] = COLUMNS,
        *,
        rows: int = 16,
        spill: int = 64,
        converters: dict[type, Callable[[Any], Any]] | None = None,
    ) -> None:
        self.nodes = Memory(8 * rows)
        self.cells = [Cells(backend, column, rows, spill) for column in columns]
        direct: dict[Any, dict[type, Any]] = {}
        for each in self.cells:
            if each.column.takes is not None:
                direct.setdefault(each.column.key, {})[each.column.takes] = each.slot
        self.buffers = backend.Buffers(self.nodes.view, direct, converters or {})
        self.fast_path = backend.FastPath()
        self.fast_path.buffers = self.buffers

    def __getitem__(self, place: tuple[str, str]) -> Cells:
        return next(each for each in self.cells if each.column[:2] == place)

    def append(self, node: int, **fields: Any) -> bool:
        return self.fast_path.append(node, fields)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What a reader sees; nothing may be seen of rows that are not there."""
        count = self.buffers.rows
        nodes = struct.unpack(f"{len(self.nodes.bytes) // 8}q", self.nodes.bytes)
        assert all(nodes[:count])
        assert not any(nodes[count:])
        for each in self.cells:
            assert not any(each.is_there(row) for row in range(count, 8 * each.validity.size))
        return [
            {"node": nodes[row]}
            | {e.column.key: e.value(row) for e in self.cells if e.is_there(row)}
            for row in range(count)
        ]

    @property
    def written(self) -> list[Any]:
        """The exact bytes of all that readers look at."""
        rows = range(self.buffers.rows)
        cells = [[e.raw(row) if e.is_there(row) else None for row in rows] for e in self.cells]
        spills = [each.spill.bytes[: each.slot.used] for each in self.cells]
        validities = [each.validity.bytes for each in self.cells]
        return [self.nodes.bytes, cells, spills, validities]


@pytest.fixture
def table(backend: ModuleType) -> Table:
    return Table(backend)


ARRAY = np.arange(6, dtype="float32").reshape(2, 3)
LONG = "more than twelve bytes"
FULL: dict[str, Any] = {
    "n": -(2**63),
    "x": 0.5,
    "flag": True,
    "gone": None,
    "text": LONG,
    "data": b"short",
    "array": ARRAY,
}


# --- append ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *FULL.items(),
        *(("n", each) for each in (0, 2**63 - 1, -1, -0.0, float("inf"), 5e-324)),
        ("flag", False),
        *(("text", each) for each in ("", "a" * 12, "a" * 13, "ä" * 6, "ä" * 7, "a\0b", "🦆" * 16)),
        *(("data", each) for each in (b"", b"\0" * 12, b"\xff" * 64)),
        ("array", np.full((2, 3), np.nan, "float32")),
    ],
)
def test_a_value_is_read_as_it_was_appended(table: Table, key: str, value: Any) -> None:
    """Each plain value of a kind that the table knows goes in, and is what a reader finds."""
    for node in (1, -(2**63), 2**63 - 1):  # a plan is made of what comes again
        table[("text", "text")].slot.used = table[("data", "bytes")].slot.used = 0
        assert table.append(node, **{key: value}) is True
        expected = {"node": node, key: value}
        if isinstance(value, np.ndarray):
            expected[key] = value.ravel().tolist()
        assert repr(table.rows[-1]) == repr(expected)


class Text(str):
    __slots__ = ()


class Number(float):
    __slots__ = ()


REFUSED: dict[str, dict[Any, Any]] = {
    "an int of 65 bits": {"n": 2**63},
    "a negative int of 65 bits": {"n": -(2**63) - 1},
    "a huge int": {"n": 10**10_000},
    "a bool as an int": {"n": True},
    "an int as a float": {"x": 1},
    "text as a float": {"x": "1"},
    "a subclass of float": {"x": Number(1)},
    "a subclass of str": {"text": Text("a")},
    "bytes as text": {"text": b"a"},
    "a bytearray": {"data": bytearray(b"a")},
    "None where it was never said": {"x": None},
    "an object": {"x": object()},
    "a list": {"n": [1]},
    "an unknown key": {"other": 1},
    "a key that is no text": {1: 1},
    "a key that can't be looked up": {(): 1},
    "a value for a slot that takes none as it is": {"day": 1},
    "a lone surrogate": {"text": "\ud800"},
    "a lone surrogate in a long text": {"text": "a" * 40 + "\udfff"},
    "text longer than the spill buffer": {"text": "a" * 65},
    "bytes longer than the spill buffer": {"data": b"a" * 65},
    "an array of another shape": {"array": ARRAY.T.copy()},
    "an array of other elements": {"array": ARRAY.astype("float64")},
    "an array of elements of the same size": {"array": ARRAY.view("int32")},
    "an array of bytes in another order": {"array": ARRAY.astype(">f4")},
    "an array of fewer dimensions": {"array": ARRAY.ravel()},
    "an array of objects": {"array": ARRAY.astype(object)},
    "an array without elements": {"array": ARRAY[:, :0]},
    "an array of times": {"array": np.zeros((2, 3), "datetime64[us]")},
    "an array of records": {"array": np.zeros((2, 3), [("a", "f4")])},
    "a subclass of array": {"array": ARRAY.view(np.recarray)},
}


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("place", ["alone", "first", "last"])
def test_a_refused_row_changes_nothing(table: Table, fields: dict[Any, Any], place: str) -> None:
    """What does not fit is left to Python; no bit, byte, row or node that a reader sees changes."""
    others = {key: value for key, value in FULL.items() if key not in fields}
    row = {"alone": fields, "first": {**fields, **others}, "last": {**others, **fields}}[place]
    assert table.append(1, **FULL)
    for each in table.cells:
        each.slot.used = 0  # room for the texts of the row, written or not
    for _ in range(4):  # also where a plan is made, and used
        before = [table.rows, [each.validity.bytes for each in table.cells], table.nodes.bytes]
        assert table.fast_path.append(2, row) is False
        after = [table.rows, [each.validity.bytes for each in table.cells], table.nodes.bytes]
        assert after == before
        assert [each.slot.used for each in table.cells] == [0] * len(table.cells)
    assert table.append(3, n=7)
    assert table.rows[1:] == [{"node": 3, "n": 7}]


def test_a_row_of_the_same_fields_is_refused_after_others_were_taken(table: Table) -> None:
    """A value that can't be written is refused also where many rows of its shape went in before."""
    for n in range(5):
        assert table.append(1, n=n, x=1.0)
    for bad in (2**63, 2.5j, "text", True):
        assert table.append(1, n=bad, x=1.0) is False
    assert table.append(1, n=1.5, x=2**70) is False
    assert [row["n"] for row in table.rows] == list(range(5))
    assert table.append(1, n=1.5, x=1.0)  # another kind that the key knows
    assert table.append(1, n=6, x=1.0)
    assert table.rows[5:] == [{"node": 1, "n": 1.5, "x": 1.0}, {"node": 1, "n": 6, "x": 1.0}]


@pytest.mark.parametrize("rows", [8, 16])
def test_a_full_table_takes_no_row(backend: ModuleType, rows: int) -> None:
    """As many rows go in as there is room for, and then none, however they come."""
    table = Table(backend, rows=rows)
    assert table.buffers.capacity == rows
    for n in range(rows):
        assert table.append(n + 1, n=n, flag=n % 3 == 0)
    before = table.written
    assert table.append(9, n=1, flag=True) is False
    assert table.append(9, array=ARRAY) is False
    assert table.append(9) is False
    assert table.buffers.write(9, [(table["n", "int"].slot, 1)]) == -1
    with pytest.raises(ValueError):
        table.buffers.add_rows(memoryview(struct.pack("q", 9)))
    assert table.written == before
    assert [row["n"] for row in table.rows] == list(range(rows))


def test_a_full_spill_takes_short_texts_only(table: Table) -> None:
    """Long texts go in up to the last byte of the spill buffer; short ones need none."""
    assert table.append(1, text="a" * 40)
    assert table.append(1, text="b" * 25) is False
    assert table.append(1, text="b" * 24)
    assert table["text", "text"].slot.used == 64
    assert table.append(1, text="c" * 13) is False
    assert table.append(1, text="c" * 12)
    assert [row["text"] for row in table.rows] == ["a" * 40, "b" * 24, "c" * 12]


def test_a_row_without_fields_is_a_row(table: Table) -> None:
    """A record of nothing counts as one."""
    assert table.append(5)
    assert table.rows == [{"node": 5}]


def test_a_row_of_many_fields(backend: ModuleType) -> None:
    """Rows of more fields than have a place of their own go in, and are refused, like others."""
    keys = [f"key {n}" for n in range(300)]
    table = Table(backend, tuple(Column(key, "int", int) for key in keys))
    for count in (24, 25, 300):
        fields = dict.fromkeys(keys[:count], count)
        for _ in range(3):
            assert table.fast_path.append(1, fields)
            assert table.rows[-1] == {"node": 1} | fields
        before = table.written
        assert table.fast_path.append(1, fields | {"unknown": 1}) is False
        assert table.fast_path.append(1, fields | {keys[0]: 2**64}) is False
        assert table.written == before


def test_rows_of_many_shapes(backend: ModuleType) -> None:
    """More shapes of rows than are remembered, in turn: every value goes to its own column."""
    keys = [f"key {n}" for n in range(20)]
    table = Table(backend, tuple(Column(key, "int", int) for key in keys), rows=2048)
    expected = []
    for n in range(2000):
        start, step = n % 20, 1 + n % 7
        shape = dict.fromkeys(keys[start::step]) | dict.fromkeys(keys[:start:step])
        fields = {key: n + place for place, key in enumerate(shape)}
        assert table.fast_path.append(n + 1, fields)
        expected.append({"node": n + 1} | fields)
    assert table.rows == expected


def test_keys_made_at_run_time(table: Table) -> None:
    """A key is known by its text, not by the object that it is."""
    for n in range(8):
        key = "text!"[:-1]
        assert table.append(1, **{key: "a", "xn"[n:n] + "n": n})
        assert table.append(1, **{key: "b", key + key: n}) is False
    assert [row["n"] for row in table.rows] == list(range(8))


def test_keys_that_are_no_text(backend: ModuleType) -> None:
    """A key of the library's own is known by what it is; equal ones are not it."""

    class Equal:
        def __eq__(self, other: object) -> bool:
            raise AssertionError

        def __hash__(self) -> int:
            return hash("n")

    mark = object()
    table = Table(backend, (Column(mark, "int", int), Column("n", "int", int)))
    for _ in range(3):
        assert table.fast_path.append(1, {mark: 3, "n": 4})
        assert table.fast_path.append(1, {object(): 3}) is False
        assert table.fast_path.append(1, {Equal(): 3}) is False
    assert table.rows == [{"node": 1, mark: 3, "n": 4}] * 3


def test_a_shut_door_takes_nothing(backend: ModuleType) -> None:
    """Without buffers a fast path refuses every row; it leads where it was set to lead last."""
    fast_path = backend.FastPath()
    assert fast_path.buffers is None
    assert fast_path.append(1, {}) is False
    first, second = Table(backend), Table(backend)
    for table in (first, second, first):
        fast_path.buffers = table.buffers
        assert fast_path.buffers is table.buffers
        assert fast_path.append(1, {"n": 1}) is True
        fast_path.buffers = None
        assert fast_path.append(1, {"n": 1}) is False
    assert (len(first.rows), len(second.rows)) == (2, 1)


def test_the_node_is_written_last(backend: ModuleType) -> None:
    """While a value is looked at its row is not there; a reader finds whole rows only."""
    seen: list[tuple[int, bytes]] = []

    def convert(value: np.float64) -> float:
        seen.append((table.buffers.rows, table.nodes.bytes))
        return float(value)

    table = Table(backend, converters={np.float64: convert})
    for n in range(1, 4):
        assert table.append(n, n=n, x=np.float64(n), text=LONG[:13])
        assert seen[-1][0] == n - 1
        assert not any(seen[-1][1][8 * (n - 1) :])
    assert [row["x"] for row in table.rows] == [1.0, 2.0, 3.0]


# --- converters --------------------------------------------------------------------------------

CONVERTERS: dict[type, Callable[[Any], Any]] = {
    np.float32: float,
    np.float64: float,
    np.int64: int,
    np.uint64: int,
    np.bool_: bool,
}


def test_scalars_are_converted(backend: ModuleType) -> None:
    """Scalars with a converter go in as the plain value that it makes, wherever that fits."""
    table = Table(backend, converters=CONVERTERS)
    for _ in range(3):
        assert table.append(1, n=np.int64(7), x=np.float32(0.5), flag=np.bool_(1))
        assert table.append(1, n=np.float64(7.5), x=1.5)
        assert table.append(1, n=np.uint64(2**63)) is False  # beyond 64 bits with a sign
        assert table.append(1, x=np.int64(7)) is False  # an int under a key of floats
        assert table.append(1, n=1, x=np.float16(1)) is False  # nobody knows that type
    assert table.rows == [
        {"node": 1, "n": 7, "x": 0.5, "flag": True},
        {"node": 1, "n": 7.5, "x": 1.5},
    ] * 3  # fmt: skip


def test_a_converter_that_raises_refuses_the_row(backend: ModuleType) -> None:
    """An error of a converter leaves the row to Python; what is no error goes through."""

    class Value:
        pass

    def convert(value: Value) -> float:
        raise next(errors)

    errors = iter([ValueError(), KeyError(), RecursionError(), KeyboardInterrupt()])
    table = Table(backend, converters={Value: convert})
    assert table.append(1, n=1, x=1.0)
    before = table.written
    for _ in range(3):
        assert table.append(1, n=1, x=Value()) is False
    with pytest.raises(KeyboardInterrupt):
        table.append(1, n=1, x=Value())
    assert table.written == before
    assert table.append(1, n=2)


def test_a_converter_that_gives_what_nothing_takes(backend: ModuleType) -> None:
    """What a converter makes is not converted again, and refused where no slot takes it."""

    class Value:
        pass

    made: list[Any] = [Value(), 2**70, None, "x", [1]]
    table = Table(backend, converters={Value: lambda _: made.pop()})
    while made:
        assert table.append(1, n=Value()) is False
    assert table.rows == []


def test_a_converter_that_appends(backend: ModuleType) -> None:
    """Rows that a value's own code appends meanwhile are there, once, and none is mixed up."""

    class Value:
        pass

    def convert(value: Value) -> float:
        if len(inner) < 8:
            inner.append(len(inner))
            assert table.append(2, n=inner[-1], array=ARRAY + 1)
        return 0.5

    inner: list[int] = []

    table = Table(backend, converters={Value: convert})
    appended = [table.append(1, array=ARRAY, x=Value(), text=LONG[:13]) for _ in range(12)]
    rows = table.rows
    assert inner
    assert [row for row in rows if row["node"] == 2] == [
        {"node": 2, "n": n, "array": (ARRAY + 1).ravel().tolist()} for n in inner
    ]
    assert any(appended)
    assert [row for row in rows if row["node"] == 1] == [
        {"node": 1, "array": ARRAY.ravel().tolist(), "x": 0.5, "text": LONG[:13]}
    ] * sum(appended)


def test_a_row_that_is_refused_meanwhile_leaves_the_other_as_it_was(backend: ModuleType) -> None:
    """An array of a row that a value's own code tries in vain does not end up in the outer row."""

    class Value:
        pass

    def convert(value: Value) -> int:
        assert table.append(2, array=ARRAY + 1, n=2**64) is False
        return 5

    table = Table(backend, converters={Value: convert})
    for _ in range(3):
        if table.append(1, array=ARRAY, n=Value()):
            expected = {"node": 1, "array": ARRAY.ravel().tolist(), "n": 5}
            assert table.rows[-1] == expected
    assert table.append(1, n=1)


def test_a_converter_that_shuts_the_door(backend: ModuleType) -> None:
    """A row whose value leads the fast path elsewhere meanwhile is not written to the old buffers."""

    class Value:
        pass

    def convert(value: Value) -> float:
        table.fast_path.buffers = leads_to.pop()
        return 0.5

    table, other = Table(backend, converters={Value: convert}), Table(backend)
    leads_to = [other.buffers, None]
    assert table.append(1, n=1, x=Value()) is False
    table.fast_path.buffers = table.buffers
    assert table.append(1, n=1, x=Value()) is False
    assert (table.rows, other.rows) == ([], [])


# --- put and fill ------------------------------------------------------------------------------

PUT = {
    ("n", "int"): [3, -(2**63), 2**63 - 1],
    ("x", "float"): [0.5, float("-inf"), 3],
    ("flag", "bool"): [True, False],
    ("gone", "null"): [None],
    ("text", "text"): ["", LONG, "ä" * 6],
    ("data", "bytes"): [b"", b"\0" * 13],
    ("array", "block"): [ARRAY, np.ascontiguousarray(ARRAY[::-1])],
    ("day", "int32"): [-(2**31), 2**31 - 1, 0],
}


@pytest.mark.parametrize("place", PUT)
def test_put_writes_one_cell(table: Table, place: tuple[str, str]) -> None:
    """One cell is there afterwards, also one that was there before; its neighbours are not."""
    cells = table[place]
    for row in (0, 9, 15):
        for value in PUT[place]:
            cells.slot.used = 0
            cells.slot.put(row, value)
            expected = value.ravel().tolist() if isinstance(value, np.ndarray) else value
            assert cells.value(row) == expected
    assert [row for row in range(16) if cells.is_there(row)] == [0, 9, 15]


@pytest.mark.parametrize(
    ("place", "row", "value"),
    [
        (("n", "int"), 16, 1),
        (("n", "int"), 0, 2**63),
        (("n", "int"), 0, 1.5),
        (("n", "int"), 0, "1"),
        (("day", "int32"), 0, 2**31),
        (("x", "float"), 0, "1"),
        (("flag", "bool"), 16, True),
        (("text", "text"), 16, "x"),
        (("text", "text"), 0, "\ud800"),
        (("text", "text"), 0, "x" * 65),
        (("text", "text"), 0, 3),
        (("data", "bytes"), 0, 3),
        (("array", "block"), 0, ARRAY[:1]),
        (("array", "block"), 0, ARRAY.astype("float16")),
        (("array", "block"), 0, object()),
    ],
)
def test_put_refuses_what_does_not_fit(
    table: Table, place: tuple[str, str], row: int, value: Any
) -> None:
    """A value that a cell can't hold, or a row that there is no room for, is an error."""
    expected = (ValueError, TypeError, OverflowError, IndexError, AttributeError, struct.error)
    with pytest.raises(expected):
        table[place].slot.put(row, value)
    cells = table[place]
    assert not any(cells.is_there(each) for each in range(16))
    assert cells.slot.used == 0


def bits(values: list[bool]) -> bytes:
    whole = sum(1 << place for place, value in enumerate(values) if value)
    return whole.to_bytes((len(values) + 7) // 8, "little")


def arrow(place: tuple[str, str], values: list[Any]) -> tuple[bytes, bytes | None]:
    """Values as an Arrow column has them: its values, and of text its bytes."""
    cell = place[1]
    if cell in {"bool", "null"}:
        return bits([value is not False for value in values]), None
    if cell in {"text", "bytes"}:
        encoded = [v.encode() if isinstance(v, str) else v for v in values]
        ends = np.cumsum([0, *map(len, encoded)], dtype="int32")
        return ends.tobytes(), b"".join(encoded)
    if cell == "block":
        return b"".join(value.tobytes() for value in values), None
    return np.array(values, {"int": "i8", "float": "f8", "int32": "i4"}[cell]).tobytes(), None


FILL = {
    ("n", "int"): [n * 2**40 for n in range(40)],
    ("x", "float"): [n / 2 for n in range(40)],
    ("flag", "bool"): [n % 3 == 0 for n in range(40)],
    ("gone", "null"): [None] * 40,
    ("text", "text"): ["ä" * (n % 11) for n in range(40)],
    ("data", "bytes"): [b"\xff" * (n % 17) for n in range(40)],
    ("array", "block"): [ARRAY + n for n in range(40)],
    ("day", "int32"): list(range(-20, 20)),
}


@pytest.mark.parametrize("place", FILL)
@pytest.mark.parametrize("with_validity", [False, True])
@pytest.mark.parametrize(
    "piece",  # row, count, offset
    [
        (0, 40, 0),
        (0, 8, 8),
        (8, 24, 16),
        (0, 13, 3),
        (5, 11, 8),
        (3, 1, 39),
        (7, 22, 5),
        (40, 0, 7),
    ],
)
def test_fill_copies_rows(
    backend: ModuleType, place: tuple[str, str], with_validity: bool, piece: tuple[int, int, int]
) -> None:
    """Rows of a column go where they are told to, from any bit on, and nothing beside them."""
    row, count, offset = piece
    table = Table(backend, rows=40, spill=600)
    cells, source = table[place], FILL[place]
    there = [n % 5 != 2 for n in range(40)] if with_validity else [True] * 40
    values, data = arrow(place, source)
    buffers = (
        memoryview(bits(there)) if with_validity else None,
        memoryview(values),
        None if data is None else memoryview(data),
    )
    last = source[-1]
    for edge in {row - 1, row + count} & set(range(40)):
        cells.slot.put(edge, last)
    assert cells.slot.fill(row, count, offset, buffers) == 0
    for n in range(count):
        assert cells.is_there(row + n) == there[offset + n]
        if there[offset + n]:
            expected = source[offset + n]
            expected = expected.ravel().tolist() if place[1] == "block" else expected
            assert cells.value(row + n) == expected
    outside = set(range(40)) - set(range(row, row + count))
    edges = {row - 1, row + count} & outside
    assert {each for each in outside if cells.is_there(each)} == edges
    last = last.ravel().tolist() if place[1] == "block" else last
    assert all(cells.value(edge) == last for edge in edges)


def test_fill_says_how_much_spill_is_missing(table: Table) -> None:
    """Where long texts don't fit nothing is copied, and all bytes that they need are reported."""
    cells = table["text", "text"]
    values, data = arrow(("text", "text"), ["a" * 40, "b" * 5, "c" * 25])
    buffers = (None, memoryview(values), memoryview(data or b""))
    assert cells.slot.fill(0, 3, 0, buffers) == 65
    assert cells.slot.used == 0
    assert not any(cells.is_there(row) for row in range(16))
    assert cells.slot.fill(0, 2, 0, buffers) == 0
    assert cells.slot.used == 40
    assert cells.slot.fill(2, 1, 2, buffers) == 25
    assert [cells.value(row) for row in range(2)] == ["a" * 40, "b" * 5]


@pytest.mark.parametrize("place", [("n", "int"), ("flag", "bool"), ("array", "block")])
@pytest.mark.parametrize(("row", "count"), [(16, 1), (9, 8), (17, 0), (0, 17)])
def test_fill_refuses_rows_without_room(
    table: Table, place: tuple[str, str], row: int, count: int
) -> None:
    """Rows beyond the buffers are an error, and nothing behind them is touched."""
    values, _ = arrow(place, FILL[place][:24])
    if count:
        with pytest.raises(ValueError):
            table[place].slot.fill(row, count, 0, (None, memoryview(values), None))
    assert table.rows == []


@pytest.mark.parametrize("place", [("n", "int"), ("array", "block")])
def test_fill_refuses_a_short_column(table: Table, place: tuple[str, str]) -> None:
    """A column of fewer rows than it is said to have is an error."""
    values, _ = arrow(place, FILL[place][:8])
    with pytest.raises(ValueError):
        table[place].slot.fill(0, 9, 0, (None, memoryview(values), None))


# --- write and add_rows ------------------------------------------------------------------------


def test_write_adds_a_row(table: Table) -> None:
    """A row is written to the slots that it is told to be written to; 0 says that it is there."""
    targets = [(table[place].slot, values[0]) for place, values in PUT.items()]
    assert table.buffers.write(7, targets) == 0
    assert table.buffers.write(8, []) == 0
    assert table.buffers.write(9, [(table["n", "float"].slot, 1.5)]) == 0
    values = {place[0]: value[0] for place, value in PUT.items()}
    values["array"] = ARRAY.ravel().tolist()
    assert table.rows == [{"node": 7} | values, {"node": 8}, {"node": 9, "n": 1.5}]


def test_write_says_what_is_missing(backend: ModuleType) -> None:
    """-1 where no row is left, the bytes where long text does not fit; nothing is written then."""
    table = Table(backend, rows=8)
    text, number = table["text", "text"].slot, table["n", "int"].slot
    assert table.buffers.write(1, [(number, 3), (text, "a" * 65)]) == 65
    assert table.buffers.write(1, [(text, "a" * 50), (number, 3)]) == 0
    assert table.buffers.write(1, [(number, 3), (text, "b" * 15)]) == 15
    assert table.rows == [{"node": 1, "n": 3, "text": "a" * 50}]
    for _ in range(7):
        assert table.buffers.write(1, [(text, "b" * 12)]) == 0
    assert table.buffers.write(1, [(text, "b")]) == -1
    assert len(table.rows) == 8


def test_write_of_a_slot_twice_stays_in_its_buffers(table: Table) -> None:
    """Two long texts for one slot, each of which would fit alone, don't overflow it."""
    text = table["text", "text"].slot
    try:
        missing = table.buffers.write(1, [(text, "a" * 40), (text, "b" * 40)])
    except ValueError:
        missing = 40
    assert len(table["text", "text"].spill.bytes) == 64  # and what is behind it is untouched
    assert missing in {40, 80}
    assert table.rows == []


@pytest.mark.parametrize(
    ("place", "value", "error"),
    [
        (("n", "int"), "x", TypeError),
        (("n", "int"), 2**63, (OverflowError, ValueError)),
        (("text", "text"), "\ud800", UnicodeEncodeError),
        (("array", "block"), ARRAY[:1], ValueError),
    ],
)
def test_write_raises_what_a_value_raises(
    table: Table, place: tuple[str, str], value: Any, error: Any
) -> None:
    """A value that can't be written is an error of its own, and no row is added."""
    assert table.append(1, flag=True)
    before = table.written
    with pytest.raises(error):
        table.buffers.write(1, [(table["flag", "bool"].slot, True), (table[place].slot, value)])
    assert table.written == before


def test_add_rows_lets_readers_see_what_was_filled(table: Table) -> None:
    """Rows that were filled are there from the moment that they have a node."""
    numbers = memoryview(struct.pack("3q", 10, 11, 12))
    assert table.append(1, n=9)
    assert table["n", "int"].slot.fill(1, 3, 0, (None, numbers, None)) == 0
    assert table.buffers.rows == 1
    table.buffers.add_rows(memoryview(struct.pack("3q", 5, -6, 2**63 - 1)))
    assert table.append(1, n=13)
    table.buffers.add_rows(memoryview(b""))
    assert [row["n"] for row in table.rows] == [9, 10, 11, 12, 13]
    assert [row["node"] for row in table.rows] == [1, 5, -6, 2**63 - 1, 1]


@pytest.mark.parametrize("used", [2**31 - 10, 2**31, 2**31 + 8])
def test_spill_beyond_what_a_view_can_point_to(backend: ModuleType, used: int) -> None:
    """Text that would start beyond 2 GiB of spill is refused, not written with another address."""
    mmap = pytest.importorskip("mmap")
    spill = mmap.mmap(-1, 2**31 + 4096)  # pages that nobody touches cost nothing
    values, validity = Memory(16 * 8), Memory(1)
    with memoryview(spill) as view:
        slot = backend.Slot("text", values.view, validity.view, view)
        slot.used = used
        try:
            slot.put(0, LONG)
        except (ValueError, OverflowError, struct.error):
            assert not any(validity.bytes)
        else:
            size, start = struct.unpack("<i8xi", values.bytes[:16])
            assert (size, start) == (len(LONG), used)
        del slot
    spill.close()


# --- pusher ------------------------------------------------------------------------------------


def logger_of(backend: ModuleType, table: Table | None = None, node: int = 4) -> Any:
    """A pusher whose slow methods do just what they are told to, and count."""

    class Logger(backend.Pusher):
        slow = 0

        def _push_slowly(self, data: dict[str, Any] | None, fields: dict[str, Any]) -> Any:
            self.slow += 1
            found = {**self._pending, **(data or {}), **fields}
            if self._fast_path is None or not self._fast_path.append(self._node, found):
                raise LookupError(found)
            self._pending = {}
            return self

        def _add_slowly(self, data: dict[str, Any] | None, fields: dict[str, Any]) -> Any:
            self.slow += 1
            self._pending = {**self._pending, **(data or {}), **fields}
            return self

    logger = Logger()
    logger._node = node
    if table is not None:
        logger._fast_path = table.fast_path
    return logger


def test_push_from_alternating_places(backend: ModuleType) -> None:
    """Calls with other keywords, dicts of other orders and mixes of both find their columns."""
    table = Table(backend, rows=64)
    logger = logger_of(backend, table)
    expected = []
    for n in range(6):
        backwards = {"x": 0.5, "n": n}
        name = "te" + str(n)[:0] + "xt"
        assert logger.push(n=n, x=0.5) is logger
        assert logger.push(x=0.5, n=n) is logger
        assert logger.push({"n": n, "x": 0.5}) is logger
        assert logger.push(backwards) is logger
        assert logger.push(**backwards) is logger
        assert logger.push(n=n / 2) is logger
        assert logger.push({name: "a", "n": n}) is logger
        assert logger.push(**{name: "a"}, n=n) is logger
        assert logger.push({"n": 0, "flag": True}, n=n) is logger
        expected += [{"n": n, "x": 0.5}] * 5 + [{"n": n / 2}]
        expected += [{"n": n, "text": "a"}] * 2 + [{"n": n, "flag": True}]
    assert table.rows == [{"node": 4} | each for each in expected]
    if table.fast_path.is_atomic:
        assert logger.slow == 6  # only mapping and keywords together are left to Python


def test_push_leaves_to_python_what_it_can_not_do(backend: ModuleType) -> None:
    """Without a fast path, with a closed one, or of fields that don't fit, the slow method is called."""
    logger = logger_of(backend)
    for fields in ({"n": 1}, {}, {"other": object()}):
        with pytest.raises(LookupError) as caught:
            logger.push(**fields)
        assert caught.value.args == (fields,)
    table = Table(backend)
    logger._fast_path = table.fast_path
    table.fast_path.buffers = None
    with pytest.raises(LookupError):
        logger.push({"n": 1})
    table.fast_path.buffers = table.buffers
    with pytest.raises(LookupError):
        logger.push({"n": 1}, n=2**64)
    assert table.rows == []
    assert logger.push(n=1)._fast_path is table.fast_path


def test_push_takes_one_mapping(backend: ModuleType) -> None:
    """More than one positional argument is an error of the call."""
    logger = logger_of(backend, Table(backend))
    for call in (logger.push, logger.add):
        with pytest.raises(TypeError, match="positional argument"):
            call({}, {})
    with pytest.raises(TypeError):
        logger.commit({})
    with pytest.raises(TypeError):
        logger.commit(n=1)
    assert logger.slow == 0


def test_added_fields_wait_for_the_next_record(backend: ModuleType) -> None:
    """What was added goes with the next commit or push, once; the latest value under a key counts."""
    table = Table(backend)
    logger = logger_of(backend, table)
    assert logger._pending == {}
    assert logger.add(n=1) is logger
    assert logger.add({"x": 0.5, "n": 2}) is logger
    assert logger._pending == {"n": 2, "x": 0.5}
    assert logger.commit() is logger
    assert logger._pending == {}
    logger.add(n=3).push(flag=True)
    logger.add(n=4).push({"n": 5})
    logger.push(n=6)
    logger.add(n=7)
    logger.add()
    logger.add({})
    logger.commit().commit()
    assert table.rows == [
        {"node": 4, "n": 2, "x": 0.5},
        {"node": 4, "n": 3, "flag": True},
        {"node": 4, "n": 5},
        {"node": 4, "n": 6},
        {"node": 4, "n": 7},
        {"node": 4},
    ]


def test_a_commit_that_is_refused_keeps_what_was_added(backend: ModuleType) -> None:
    """Fields that can't be written now are still there to be committed later."""
    table = Table(backend)
    logger = logger_of(backend, table).add(n=1, other=2)
    with pytest.raises(LookupError):
        logger.commit()
    with pytest.raises(LookupError):
        logger.push(x=1.0)
    assert logger._pending == {"n": 1, "other": 2}
    logger._pending = {"n": 3}
    assert logger.commit()._pending == {}
    assert table.rows == [{"node": 4, "n": 3}]


def test_many_fields_are_added_at_once(backend: ModuleType) -> None:
    """However many fields are added together, all of them wait."""
    keys = [f"key {n}" for n in range(60)]
    table = Table(backend, tuple(Column(key, "int", int) for key in keys))
    logger = logger_of(backend, table)
    for count in (24, 25, 60):
        logger.add(dict.fromkeys(keys[:count], count)).commit()
        logger.add(**dict.fromkeys(keys[:count], count)).commit()
        expected = {"node": 4} | dict.fromkeys(keys[:count], count)
        assert table.rows[-2:] == [expected, expected]


def test_buffers_are_let_go_of(backend: ModuleType) -> None:
    """When nobody needs a table any more, nothing holds its memory."""
    table = Table(backend, converters=CONVERTERS)
    logger = logger_of(backend, table)
    for _ in range(4):
        logger.push(n=1, x=np.float32(1)).push({"text": LONG[:13]}).push(array=ARRAY)
    memories = [table.nodes, *(m for c in table.cells for m in (c.values, c.validity, c.spill))]
    for memory in memories:
        if memory.size:
            with pytest.raises(BufferError):
                memory.all.append(0)  # as long as somebody holds a view of it
    del logger, table
    for memory in memories:
        memory.all.append(0)


# --- both backends write the same -----------------------------------------------------------------

ORDINARY = {
    "n": st.integers(-(2**64), 2**64) | st.floats() | st.booleans() | st.none(),
    "x": st.floats() | st.integers(0, 1) | st.sampled_from([np.float32(0.5), np.int64(3)]),
    "flag": st.booleans() | st.sampled_from([np.True_, np.False_, 1]),
    "gone": st.none() | st.just(0),
    "text": st.text(max_size=30) | st.sampled_from(["\ud800", "a" * 100, b"bytes", "a" * 13]),
    "data": st.binary(max_size=30) | st.just("text"),
    "array": st.sampled_from([ARRAY, ARRAY * 2, ARRAY[0], ARRAY.astype("float64"), [1.0]]),
    "other": st.just(1),
}
rows_of_fields = st.lists(
    st.lists(
        st.sampled_from([*ORDINARY] * 3 + ["n", "x", "text"]), unique=True, max_size=7
    ).flatmap(
        lambda keys: (
            st.fixed_dictionaries({key: ORDINARY[key] for key in keys if key != "other"})
            | st.fixed_dictionaries({key: ORDINARY[key] for key in keys})
        )
    ),
    max_size=40,
)


@given(rows_of_fields, st.booleans())
def test_both_backends_write_the_same(rows: list[dict[str, Any]], by_keywords: bool) -> None:
    """The same rows are taken and refused, and leave the same bytes for readers."""
    tables = [
        Table(twin_called(name, "_live"), rows=24, spill=256, converters=CONVERTERS)
        for name in ("pure", "native")
    ]
    for node, fields in enumerate(rows, start=1):
        answers = [push(table, node, fields, by_keywords) for table in tables]
        assert answers[0] == answers[1], fields
    pure, native = tables
    assert repr(pure.rows) == repr(native.rows)
    assert pure.written == native.written


def push(table: Table, node: int, fields: dict[str, Any], by_keywords: bool) -> bool:
    if not by_keywords:
        return table.fast_path.append(node, fields)
    logger = logger_of(sys.modules[type(table.fast_path).__module__], table, node)
    try:
        logger.push(**fields)
    except LookupError:
        return False
    return True
