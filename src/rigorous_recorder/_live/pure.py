"""The buffers of a live table, and appending to them, in pure Python.

This is the same narrow interface that ``native.c`` implements: it gets writable buffers, knows the
cell layout of each kind, and has no policy. It leaves rare cases to its caller, without having changed
anything that readers see.
"""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol, Self

__all__ = ["NO_CELLS", "NO_ROWS", "ArrowBuffers", "Buffers", "FastPath", "Pack", "Pusher", "Slot"]

ArrowBuffers = tuple[memoryview | None, memoryview, memoryview | None]

#: What is missing for a row, other than bytes of text.
NO_ROWS: Final = -1
NO_CELLS: Final = -2

_INLINE: Final = 12
_MOST_SPILL: Final = 2**31 - 1  # the limit of a view's offset
_pack_view: Final = struct.Struct("<i4sii").pack_into
_pack_inline: Final = struct.Struct("<i12s").pack_into


class _NoRoomError(ValueError):
    """There is no room for the bytes of a long text: this many more are needed; or no cell."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


class _Cells(Protocol):
    """The values of one column, by row."""

    def __setitem__(self, row: int, value: Any, /) -> None: ...


class _Bits:
    """One bit per row."""

    def __init__(self, values: memoryview) -> None:
        self._values = values

    def __setitem__(self, row: int, value: Any) -> None:
        if value:
            self._values[row >> 3] |= 1 << (row & 7)
        else:
            self._values[row >> 3] &= ~(1 << (row & 7))


class _SetBits(_Bits):
    """One bit per row, which is set for any value."""

    def __setitem__(self, row: int, value: Any) -> None:
        super().__setitem__(row, True)


class _Blocks:
    """Blocks of bytes of equal size: arrays of one type and shape."""

    def __init__(self, values: memoryview, element: str, shape: tuple[int, ...]) -> None:
        self._values = values
        self._element = element
        self._shape = shape

    def __setitem__(self, row: int, value: Any) -> None:
        dtype = value.dtype
        element = f"{dtype.kind}{dtype.itemsize}"
        if element != self._element or value.shape != self._shape or not dtype.isnative:
            message = "an array of another type or shape"
            raise ValueError(message)
        data = value.tobytes()
        self._values[row * len(data) : (row + 1) * len(data)] = data


class _Views:
    """Arrow views: up to 12 bytes in the row itself, longer ones in the spill buffer."""

    def __init__(self, values: memoryview, spill: memoryview) -> None:
        self._values = values
        self._spill = spill
        self.used = 0
        self._last = -1, 0

    def take_back(self, row: int) -> None:
        """Reuse the bytes of a row that was not finished."""
        last, start = self._last
        if last == row:
            self.used = start

    def shared_view(self, value: str) -> bytes | None:
        """A view for any number of cells with this text; None if there is no room for it."""
        one = _Views(memoryview(bytearray(16)), self._spill)
        one.used = self.used
        try:
            one[0] = value
        except _NoRoomError:
            return None
        self.used = one.used
        return bytes(one._values)

    def __setitem__(self, row: int, value: str | bytes) -> None:
        data = value.encode() if isinstance(value, str) else value
        size = len(data)
        if size <= _INLINE:
            _pack_inline(self._values, row * 16, size, data)
            return
        start = self.used
        if start + size > min(len(self._spill), _MOST_SPILL):
            raise _NoRoomError(size)
        self._spill[start : start + size] = data
        self.used = start + size
        self._last = row, start
        _pack_view(self._values, row * 16, size, data[:4], 0, start)


class Slot:
    """The cells of one column, by row, with values, validity bits and long texts.

    Args:
        cell: the cell layout: int, int32, float, bool, null, text, bytes or block.
        values: the bytes of all rows.
        validity: one bit per row; None in a pack, whose cells all have values.
        spill: for text and bytes, the buffer of values longer than 12 bytes.
        block: the kind (f, i or u) and size of a block's elements, and its shape.
    """

    _CODES: ClassVar[dict[str, Any]] = {"int": "q", "int32": "i", "float": "d"}
    #: How the elements of an Arrow column are laid out in a buffer: bytes per row.
    _WIDTHS: ClassVar[dict[str, int]] = {"int": 8, "int32": 4, "float": 8}

    def __init__(
        self,
        cell: str,
        values: memoryview,
        validity: memoryview | None,
        spill: memoryview | None = None,
        block: tuple[str, tuple[int, ...]] | None = None,
    ) -> None:
        self._values = values
        self._width = self._WIDTHS.get(cell, 0)
        self.validity = memoryview(b"") if validity is None else validity
        self.cells: _Cells
        if cell in self._CODES:
            self.cells = values.cast(self._CODES[cell])
        elif cell == "bool":
            self.cells = _Bits(values)
        elif cell == "null":
            self.cells = _SetBits(values)
        elif cell == "block" and block is not None:
            self._width = math.prod(block[1]) * int(block[0][1])
            self.cells = _Blocks(values, *block)
        elif spill is not None:
            self.cells = _Views(values, spill)
        else:
            message = f"there are no cells called {cell}"
            raise ValueError(message)

    @property
    def count(self) -> int:
        """The number of values that a key in a pack got."""
        return self.cells.count if isinstance(self.cells, _Packed) else 0

    @property
    def start(self) -> int:
        """Where the text of a key in a pack begins."""
        return self.cells.start if isinstance(self.cells, _Packed) else 0

    @property
    def used(self) -> int:
        """The used bytes of the spill buffer."""
        return self.cells.used if isinstance(self.cells, _Views) else 0

    @used.setter
    def used(self, size: int) -> None:
        if isinstance(self.cells, _Views):
            self.cells.used = size

    def put(self, row: int, value: Any) -> None:
        """Write the value of a row, possibly of an existing one."""
        self.cells[row] = value
        self.validity[row >> 3] |= 1 << (row & 7)

    def fill(self, row: int, count: int, offset: int, buffers: ArrowBuffers) -> int:
        """Copy rows of an Arrow column to the rows from ``row`` on.

        Args:
            row: the first target row.
            count: the number of rows to copy.
            offset: the first row of the column to copy.
            buffers: the column's validity (None: no nulls) and values, and the bytes of text.

        Returns:
            0, or the bytes that the spill buffer lacks; then nothing was copied.
        """
        validity, values, data = buffers
        if isinstance(self.cells, _Views):
            if missing := self._fill_views(row, count, offset, values, data or memoryview(b"")):
                return missing
        elif self._width:
            piece = values[offset * self._width : (offset + count) * self._width]
            self._values[row * self._width : (row + count) * self._width] = piece
        else:
            _copy_bits(self._values, row, values, offset, count)
        if validity is None:
            ones = memoryview(b"\xff" * ((count + 7) // 8))
            _copy_bits(self.validity, row, ones, 0, count)
        else:
            _copy_bits(self.validity, row, validity, offset, count)
        return 0

    def _fill_views(
        self, row: int, count: int, offset: int, values: memoryview, data: memoryview
    ) -> int:
        assert isinstance(self.cells, _Views)
        offsets = values.cast("i")[offset : offset + count + 1]
        sizes = [offsets[i + 1] - offsets[i] for i in range(count)]
        before = self.cells.used
        try:
            for i in range(count):
                self.cells[row + i] = bytes(data[offsets[i] : offsets[i + 1]])
        except _NoRoomError:
            self.cells.used = before
            return sum(size for size in sizes if size > _INLINE)
        return 0


class _Packed:
    """The cells of one key in a pack."""

    def __init__(self, pack: Pack, view: bytes, start: int) -> None:
        self._pack = pack
        self._view = view
        self.start = start
        self.count = 0

    def __setitem__(self, row: int, value: Any) -> None:
        pack = self._pack
        place = pack.next
        if place >= pack.room:
            raise _NoRoomError(NO_CELLS)
        pack.values[place] = value
        pack.views[16 * place : 16 * place + 16] = self._view
        pack.next = place + 1
        self.count += 1


class _PackedSlot(Slot):
    """A slot without cells of its own."""

    def __init__(self, cells: _Packed, validity: memoryview) -> None:
        self.cells = cells
        self.validity = validity


class Pack:
    """The cells of many keys, of which each row has few, as in an Arrow map.

    Args:
        offsets: for each row its first cell, and at the end that of the next row.
        keys: a slot of text, without validity.
        values: a slot without validity, with a cell beside each of those.
    """

    def __init__(self, offsets: memoryview, keys: Slot, values: Slot) -> None:
        if not isinstance(keys.cells, _Views) or isinstance(values.cells, _Blocks):
            message = "a pack has keys that are text, and no arrays"
            raise TypeError(message)
        self._offsets = offsets.cast("B").cast("i")
        self._keys = keys.cells
        self._texts = values.cells if isinstance(values.cells, _Views) else None
        self._ignored = memoryview(bytearray((len(self._offsets) + 7) // 8))
        self._begun = -1, 0  # the row that is written, and the bytes of text before it
        self.views, self.values = keys._values, values.cells
        #: The slots of keys, in the order they came.
        self.known: dict[str, Slot] = {}
        #: The number of cells there is room for.
        self.room = len(self.views) // 16
        #: Where the next value of the row that is written goes.
        self.next = 0

    def slot(self, key: str) -> Slot | None:
        """The slot for the values of a key; None if there is no room for the text of the key."""
        if key in self.known:
            return self.known[key]
        start = self._keys.used
        view = self._keys.shared_view(key)
        if view is None:
            return None
        # If interrupted before, the next attempt wastes the bytes of the text.
        return self.known.setdefault(key, _PackedSlot(_Packed(self, view, start), self._ignored))

    def begin(self, row: int) -> None:
        """Begin a row, or begin it again."""
        self.next = self._offsets[row]
        if self._texts is not None:
            if self._begun[0] == row:
                self._texts.used = self._begun[1]
            self._begun = row, self._texts.used

    def end(self, row: int) -> None:
        """Let the next row begin behind the cells that were written."""
        self._offsets[row + 1] = self.next

    def skip(self, row: int, count: int) -> None:
        """Make rows from ``row`` on empty."""
        for each in range(row, row + count):
            self._offsets[each + 1] = self._offsets[row]

    def resume(self, row: int) -> None:
        """Go on behind the cells of so many rows, which were copied."""
        self.begin(row)


class _EndedRows:
    """The nodes of rows that have cells in packs, which are complete before readers see a row."""

    def __init__(self, nodes: memoryview, packs: Sequence[Pack]) -> None:
        self._nodes = nodes
        self._packs = packs

    def __setitem__(self, row: int, node: int) -> None:
        for pack in self._packs:
            pack.end(row)
        self._nodes[row] = node


class Buffers:
    """The writable side of a live table.

    Args:
        nodes: the ``_node`` of every row, 0 if it is not written yet.
        direct: the slots for keys and exact types of values that need no conversion.
        converters: functions that make plain values, by the exact type of other values.
        packs: the packs of the slots.
    """

    def __init__(
        self,
        nodes: memoryview,
        direct: Mapping[Any, Mapping[type, Slot]],
        converters: Mapping[type, Callable[[Any], Any]],
        packs: Sequence[Pack] = (),
    ) -> None:
        self._ids = nodes.cast("q")
        self._nodes: _Cells = _EndedRows(self._ids, packs) if packs else self._ids
        self._direct = {key: dict(by_type) for key, by_type in direct.items()}
        self._packs = tuple(packs)
        self._converters = converters
        self._slots = {
            id(slot): slot for by_type in direct.values() for slot in by_type.values()
        }.values()
        #: By the ids of types, since those of users may have no hash.
        self._accepted: Mapping[int, Pack] = {}
        self._reserved: frozenset[str] = frozenset()
        self._most_keys = 0
        self.capacity = len(self._ids)
        #: The number of written rows.
        self.rows = 0

    def add(self, key: Any, kind: type, slot: Slot) -> None:
        """Let values of exactly this type under a key go to a slot, if none has them."""
        self._direct.setdefault(key, {}).setdefault(kind, slot)

    def accept(self, packs: Mapping[type, Pack], reserved: frozenset[str], most: int) -> None:
        """Let values under new keys go to packs, by their exact types.

        Args:
            packs: for each type the pack.
            reserved: keys that are not accepted.
            most: the number of keys that a pack accepts.
        """
        self._accepted = {id(kind): pack for kind, pack in packs.items()}
        self._reserved, self._most_keys = reserved, most

    def accept_new(self, fields: Mapping[Any, Any]) -> None:
        """Give slots to new keys, as far as they are accepted."""
        for key, value in fields.items():
            pack = self._accepted.get(id(type(value)))
            is_new = type(key) is str and key not in self._direct and key not in self._reserved
            if pack is not None and is_new and len(pack.known) < self._most_keys:
                with contextlib.suppress(UnicodeEncodeError):  # the slow path reports it
                    if (slot := pack.slot(key)) is not None:
                        self.add(key, type(value), slot)

    def append(self, node: int, fields: Mapping[Any, Any]) -> bool | None:
        """Write a row, its ``_node`` last; False if it needs the slow path.

        None if there is no slot for a key or the type of its value.

        Raises:
            BaseException: not an Exception, such as Ctrl-C; the row is complete or does not exist.
        """
        try:
            if self._packs:
                self._begin()
            return self._append(node, fields)
        except KeyError:
            return None
        except Exception:  # noqa: BLE001 - the slow path reports what is wrong with a value
            return False

    def _begin(self) -> None:
        for pack in self._packs:
            pack.begin(self.rows)

    def _append(self, node: int, fields: Mapping[Any, Any]) -> bool:
        row = self.rows
        if row >= self.capacity:
            return False
        direct, byte, bit = self._direct, row >> 3, 1 << (row & 7)
        try:
            for key, value in fields.items():
                slot = direct[key][type(value)]
                slot.cells[row] = value
                slot.validity[byte] |= bit
            self._nodes[row] = node
            self.rows = row + 1
        except BaseException:  # including Ctrl-C
            if self.rows == row:
                self._clear(row)
            raise
        return True

    def plain(self, fields: Mapping[Any, Any]) -> dict[Any, Any] | None:
        """Fields with other libraries' values converted to plain ones; None if impossible."""
        try:
            return dict(self._plain(fields))
        except Exception:  # noqa: BLE001 - see above
            return None

    def _plain(self, fields: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
        for key, value in fields.items():
            kind = type(value)
            is_plain = kind in self._direct[key]
            yield key, value if is_plain else self._converters[kind](value)

    def write(self, node: int, targets: list[tuple[Slot, Any]]) -> int:
        """Write a row to the given slots, each with the value for its cell.

        Returns:
            0; or what is missing: bytes of spill, NO_ROWS or NO_CELLS.

        Raises:
            Exception: whatever a value raised on writing; no row was added.
        """
        row = self.rows
        if row >= self.capacity:
            return NO_ROWS
        try:
            self._begin()
            for slot, value in targets:
                slot.put(row, value)
            self._nodes[row] = node
            self.rows = row + 1
        except _NoRoomError as error:
            self._clear(row, targets)
            return error.needed
        except BaseException:
            if self.rows == row:
                self._clear(row, targets)
            raise
        return 0

    def add_rows(self, nodes: memoryview) -> None:
        """Make rows visible whose slots were filled: one for each 64-bit id in ``nodes``."""
        ids = nodes.cast("B").cast("q")
        self._ids[self.rows : self.rows + len(ids)] = ids
        self.rows += len(ids)

    def _clear(self, row: int, targets: list[tuple[Slot, Any]] | None = None) -> None:
        self._nodes[row] = 0
        byte, others = row >> 3, ~(1 << (row & 7)) & 0xFF
        for slot in (*self._slots, *(slot for slot, _ in targets or ())):
            slot.validity[byte] &= others
            if isinstance(slot.cells, _Views):
                slot.cells.take_back(row)


class FastPath:
    """Appends rows directly; closed before a table changes."""

    #: Whether ``append`` can be called without the table's lock.
    is_atomic = False

    def __init__(self) -> None:
        #: None while the fast path is closed.
        self.buffers: Buffers | None = None

    def append(self, node: int, fields: dict[Any, Any]) -> bool:
        """Append a row directly; False if that is not possible."""
        buffers = self.buffers
        if buffers is None:
            return False
        found = buffers.append(node, fields)
        if found is None:
            buffers.accept_new(fields)
            plain = buffers.plain(fields)  # a value's own code can close the fast path
            found = plain is not None and self.buffers is buffers and buffers.append(node, plain)
        return bool(found)


class Pusher:
    """Logs records of a node; what the fast path can't do goes to methods of a subclass."""

    __slots__ = ("_fast_path", "_node", "_pending")

    #: The target of the records; None until there is a store.
    _fast_path: FastPath | None
    #: The id of the node in its store.
    _node: int
    #: The fields that were added and are not committed yet.
    _pending: dict[str, Any]

    def __new__(cls, *_data: Any, **_local_data: Any) -> Self:
        self = super().__new__(cls)
        self._fast_path, self._node, self._pending = None, 0, {}
        return self

    def push(self, data: object | None = None, /, **fields: Any) -> Self:
        """Log a record: these fields, and those passed to ``add`` since the last one.

        When this returns, the record survives the death of the process.

        Raises:
            TypeError, ValueError: a key is not text, or a value can't be stored; nothing is logged.
            ClosedError: the collection was closed.
        """
        return self._push_slowly(data, fields)

    def add(self, data: object | None = None, /, **fields: Any) -> Self:
        """Add fields to the record that the next ``commit`` or ``push`` logs.

        Raises:
            TypeError, ValueError: a key is not text, or a value can't be stored; nothing is added.
        """
        return self._add_slowly(data, fields)

    def commit(self) -> Self:
        """Log the added fields as one record."""
        return self._push_slowly(None, {})

    def _push_slowly(self, data: object | None, fields: dict[str, Any]) -> Self:
        raise NotImplementedError

    def _add_slowly(self, data: object | None, fields: dict[str, Any]) -> Self:
        raise NotImplementedError


def _copy_bits(to: memoryview, row: int, source: memoryview, offset: int, count: int) -> None:
    """Copy bits, the lowest of each byte first, to those from ``row`` on."""
    first, last = offset // 8, (offset + count + 7) // 8
    bits = int.from_bytes(source[first:last], "little") >> (offset % 8) & ((1 << count) - 1)
    first, last = row // 8, (row + count + 7) // 8
    mask = ((1 << count) - 1) << (row % 8)
    others = int.from_bytes(to[first:last], "little") & ~mask
    to[first:last] = (others | bits << (row % 8)).to_bytes(last - first, "little")
