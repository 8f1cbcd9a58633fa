"""Packs: the cells of many keys, of which each row has few, in both backends."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from .test_native_and_pure import Memory
from .twins import twin_called

ROWS, ROOM, SPILL = 16, 12, 64
KEYS = ("loss", "a key of many letters", "another key of many letters")
LONG = "a text of many letters"


@pytest.fixture(params=["pure", "native"])
def backend(request: pytest.FixtureRequest) -> ModuleType:
    """Each backend in turn."""
    return twin_called(request.param, "_live")


class Packed:
    """A table with a dense key, and a pack over memory that the tests can see."""

    def __init__(self, backend: ModuleType, cell: str = "float", takes: type = float) -> None:
        self.nodes, self.offsets = Memory(8 * ROWS), Memory(4 * (ROWS + 1))
        self.steps, self.has_step = Memory(8 * ROWS), Memory(ROWS // 8)
        self.views, self.key_texts = Memory(16 * ROOM), Memory(SPILL)
        self.cell = cell
        self.cells = Memory({"float": 8, "int": 8, "text": 16}.get(cell, 1) * ROOM)
        self.texts = Memory(SPILL)
        keys = backend.Slot("text", self.views.view, None, self.key_texts.view)
        spill = self.texts.view if cell == "text" else None
        self.values = backend.Slot(cell, self.cells.view, None, spill)
        self.pack = backend.Pack(self.offsets.view, keys, self.values)
        self.step = backend.Slot("int", self.steps.view, self.has_step.view)
        direct = {"step": {int: self.step}}
        self.buffers = backend.Buffers(self.nodes.view, direct, {}, (self.pack,))
        self.slots = {key: self.pack.slot(key) for key in KEYS}
        for key, slot in self.slots.items():
            self.buffers.add(key, takes, slot)
        self.fast_path = backend.FastPath()
        self.fast_path.buffers = self.buffers

    def append(self, **fields: Any) -> bool:
        return self.fast_path.append(7, fields)

    def write(self, **fields: Any) -> int:
        return self.buffers.write(7, [(self.slots[key], value) for key, value in fields.items()])

    @property
    def rows(self) -> list[list[tuple[str, Any]]]:
        """The cells of each row, as a reader finds them."""
        count = self.buffers.rows
        offsets = struct.unpack(f"{ROWS + 1}i", self.offsets.bytes)
        return [
            [self._cell_at(place) for place in range(offsets[row], offsets[row + 1])]
            for row in range(count)
        ]

    def _cell_at(self, place: int) -> tuple[str, Any]:
        key = _text(self.views.bytes, place, self.key_texts.bytes)
        match self.cell:
            case "text":
                return key, _text(self.cells.bytes, place, self.texts.bytes)
            case "bool" | "null":
                return key, bool(self.cells.bytes[place // 8] >> place % 8 & 1)
            case cell:
                form = "d" if cell == "float" else "q"
                return key, struct.unpack_from(form, self.cells.bytes, 8 * place)[0]


def _text(views: bytes, place: int, spill: bytes) -> str:
    size, start = struct.unpack_from("<i8xi", views, 16 * place)
    inline = views[16 * place + 4 : 16 * place + 4 + size]
    return (spill[start : start + size] if size > 12 else inline).decode()


@pytest.mark.parametrize(
    ("cell", "values"),
    [
        ("float", [0.5, -0.0, 1e300]),
        ("int", [1, -(2**63), 2**63 - 1]),
        ("bool", [True, False, True]),
        ("text", ["a", LONG, ""]),
    ],
)
def test_a_row_has_the_cells_of_its_keys_in_their_order(
    backend: ModuleType, cell: str, values: list[Any]
) -> None:
    """Rows by the fast path and by given slots alike; a row without any has none."""
    table = Packed(backend, cell, type(values[0]))
    records = [
        {KEYS[1]: values[0], KEYS[0]: values[1]},
        {},
        {KEYS[2]: values[2]},
        {KEYS[0]: values[0], KEYS[1]: values[1], KEYS[2]: values[2]},
    ]
    for record in records[:2]:
        assert table.append(**record)
    for record in records[2:]:
        assert table.write(**record) == 0
    assert table.append(step=3)
    assert table.rows == [list(record.items()) for record in records] + [[]]
    assert [slot.count for slot in table.slots.values()] == [2, 2, 2]


def test_a_row_without_room_in_a_pack_changes_nothing(backend: ModuleType) -> None:
    table = Packed(backend)
    for row in range(ROOM):
        assert table.append(**{KEYS[row % 3]: float(row)})
    before = table.rows
    assert not table.append(loss=1.0)
    assert table.write(loss=1.0) == backend.NO_CELLS
    assert table.append(step=1)  # needs no cell
    assert table.rows == [*before, []]


def test_texts_of_a_row_share_the_spill_of_a_pack(backend: ModuleType) -> None:
    """Two that would fit alone, but not together, are refused together, and leave no trace."""
    table = Packed(backend, "text", str)
    half = "x" * (SPILL // 2 + 1)
    for _ in range(3):
        assert not table.append(**{KEYS[0]: half, KEYS[1]: half})
        assert table.write(**{KEYS[0]: half, KEYS[1]: half}) > 0
    assert table.append(**{KEYS[0]: half})
    assert table.rows == [[(KEYS[0], half)]]


def test_a_key_without_room_for_its_text_gets_no_slot(backend: ModuleType) -> None:
    table = Packed(backend)
    assert table.pack.slot("k" * (SPILL + 1)) is None
    assert table.pack.slot("short") is not None


def test_a_row_that_fails_leaves_a_pack_as_it_was(backend: ModuleType) -> None:
    table = Packed(backend)
    assert table.append(loss=0.5)
    assert not table.append(loss=1.5, step="no number")
    with pytest.raises(TypeError):
        table.write(**{KEYS[1]: 2.5, KEYS[2]: "no number"})
    assert table.append(**{KEYS[1]: 3.5})
    assert table.rows == [[("loss", 0.5)], [(KEYS[1], 3.5)]]


def test_rows_are_skipped_and_resumed(backend: ModuleType) -> None:
    """Rows added at once have no cells; a copy goes on behind the cells that it has."""
    table = Packed(backend)
    assert table.append(loss=0.5)
    table.pack.skip(1, 2)
    table.buffers.add_rows(memoryview(struct.pack("2q", 7, 7)))
    assert table.append(loss=1.5)
    expected = [[("loss", 0.5)], [], [], [("loss", 1.5)]]
    assert table.rows == expected
    copy = Packed(backend)
    for name in ("offsets", "views", "cells"):
        getattr(copy, name).view[:] = getattr(table, name).view
    copy.pack.resume(4)
    copy.buffers.add_rows(memoryview(struct.pack("4q", 7, 7, 7, 7)))
    assert copy.append(loss=2.5)
    assert copy.rows == [*expected, [("loss", 2.5)]]


def test_a_key_gets_a_slot_for_another_type_later(backend: ModuleType) -> None:
    table = Packed(backend)
    assert table.append(step=1)
    assert not table.append(step=0.5)
    table.buffers.add("step", float, table.pack.slot("step"))
    assert table.append(step=0.5)
    assert table.append(step=2)
    assert table.rows == [[], [("step", 0.5)], []]


def test_native_refuses_what_would_leave_its_buffers() -> None:
    native = twin_called("native", "_live")
    table, other = Packed(native), Packed(native)
    loss = other.slots["loss"]
    with pytest.raises(TypeError, match="does not take"):
        table.buffers.add("other", float, loss)
    with pytest.raises(ValueError, match="another table"):
        table.buffers.write(7, [(loss, 0.5)])
    with pytest.raises(ValueError, match="twice"):
        table.buffers.write(7, 2 * [(table.slots["loss"], 0.5)])
    for slot in (table.values, table.slots["loss"]):
        with pytest.raises(ValueError, match="no row"):
            slot.put(0, 0.5)
        with pytest.raises(ValueError, match="no room"):
            slot.fill(0, 1, 0, (None, memoryview(bytes(8)), None))
    with pytest.raises(ValueError, match="no room"):
        table.pack.skip(ROWS, 1)
    table.offsets.view[4:8] = struct.pack("i", ROOM + 1)
    for row in (-1, 1, ROWS + 1):
        with pytest.raises(ValueError, match="no cells"):
            table.pack.resume(row)


def test_new_keys_are_accepted_by_the_type_of_their_value(backend: ModuleType) -> None:
    """Up to a number of keys, except reserved ones, and types that no pack takes."""
    table = Packed(backend)
    table.buffers.accept({float: table.pack}, frozenset({"reserved"}), 5)
    assert table.append(new=0.5, loss=1.5)
    assert not table.append(reserved=0.5)
    assert not table.append(text="text")
    assert not table.append(**{"lone \ud800": 0.5})
    assert table.append(fifth=2.5)
    assert not table.append(sixth=2.5)
    assert table.append(new=3.5)
    assert list(table.pack.known) == [*KEYS, "new", "fifth"]
    assert table.rows == [[("new", 0.5), ("loss", 1.5)], [("fifth", 2.5)], [("new", 3.5)]]


def test_a_new_key_without_room_is_not_accepted(backend: ModuleType) -> None:
    table = Packed(backend)
    table.buffers.accept({float: table.pack}, frozenset(), 100)
    assert not table.append(**{"k" * (SPILL + 1): 0.5})
    assert list(table.pack.known) == list(KEYS)


def test_a_pure_row_that_is_interrupted_leaves_no_cell() -> None:
    """Wherever Ctrl-C comes, the next row has the cells of its own keys alone."""
    pure = twin_called("pure", "_live")
    for step in range(200):
        table = Packed(pure, "text", str)
        assert table.append(loss=LONG)
        interrupted = _interrupted_at(step, lambda t=table: t.append(**{KEYS[1]: LONG, "loss": ""}))
        kept = table.rows[1:]
        assert kept in ([], [[(KEYS[1], LONG), ("loss", "")]])
        assert table.append(loss="x")
        assert table.rows == [[("loss", LONG)], *kept, [("loss", "x")]]
        if not interrupted:
            assert step > 20
            return
    pytest.fail("the row never ended")


def _interrupted_at(step: int, action: Callable[[], object]) -> bool:
    """Whether Ctrl-C came at the step-th line that the action ran."""
    left = [step]

    def trace(_frame: Any, event: str, _arg: Any) -> Any:
        if event == "line":
            left[0] -= 1
            if left[0] == -1:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False
