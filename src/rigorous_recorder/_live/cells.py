"""The cells of an image's columns: where they are written, and which bytes belong to which rows."""

from __future__ import annotations

from typing import Final

from .._values.arrays import ArrayKind
from .._values.kinds import Kind
from .._values.sparse import SparseKind
from .implementation import Pack, Slot
from .layout import Buffer, ColumnBuffers, PackBuffers, values_size

__all__ = ["DenseCells", "PackedCells", "piece_of"]

_ZEROS: Final = memoryview(bytes(1 << 16))
_VIEW: Final = 16


class DenseCells:
    """A cell for each row."""

    def __init__(self, view: memoryview, kind: Kind, places: ColumnBuffers, capacity: int) -> None:
        self._view = view
        self._places = places
        self._octet = 8 * places.values.size // capacity
        self._validity = piece_of(view, places.validity)
        spill = None if places.spill is None else piece_of(view, places.spill)
        block = (kind.element, kind.shape) if isinstance(kind, ArrayKind) else None
        #: Where values are written.
        self.slot: Final = Slot(
            kind.cell, piece_of(view, places.values), self._validity, spill, block
        )

    @property
    def spills(self) -> list[Buffer]:
        """The buffers for long text."""
        return [] if self._places.spill is None else [self._places.spill]

    def spilled(self) -> tuple[int, ...]:
        """The bytes in use of each of them."""
        return () if self._places.spill is None else (self.slot.used,)

    def written(self, start: int, rows: int, spilled: tuple[int, ...]) -> list[tuple[int, int]]:
        """The ranges of the image's bytes that belong to the rows from ``start`` on."""
        places = self._places
        first, last = start // 8, (rows + 7) // 8
        validity, values = places.validity.start, places.values.start
        ranges = [
            (validity + first, validity + last),
            (values + first * self._octet, values + min(last * self._octet, places.values.size)),
        ]
        if places.spill is not None:
            ranges.append(_spill_range(places.spill, self.slot.used, spilled[:1]))
        return ranges

    def has_values(self, rows: int) -> bool:
        """Whether any of the rows has a value."""
        return any(self._validity[: (rows + 7) // 8])

    def count(self, rows: int) -> int:
        """How many of the rows have a value."""
        bits = int.from_bytes(self._validity[: (rows + 7) // 8], "little")
        return (bits & ((1 << rows) - 1)).bit_count()

    def copy_from(self, old: DenseCells, rows: int) -> None:
        """Continue with the cells of an image with fewer rows or less room."""
        _copy(old._view, old.written(0, rows, ()), self._view, self._starts)
        self.slot.used = old.slot.used

    @property
    def _starts(self) -> list[int]:
        return [place.start for place in self._places if place is not None]

    def forget_from(self, row: int) -> None:
        """Reset the validity bits of rows that were not finished."""
        bits = self._validity
        if row % 8:
            bits[row // 8] &= (1 << row % 8) - 1
        _clear(bits[(row + 7) // 8 :])


class PackedCells:
    """The cells of a sparse column: for each row those of its keys."""

    def __init__(self, view: memoryview, kind: SparseKind, places: PackBuffers) -> None:
        self._view = view
        self._places = places
        self._kind = kind.kind
        self._keys = Slot(
            "text", piece_of(view, places.keys), None, piece_of(view, places.key_texts)
        )
        spill = None if places.spill is None else piece_of(view, places.spill)
        self._values = Slot(kind.kind.cell, piece_of(view, places.values), None, spill)
        self._ends = piece_of(view, places.offsets).cast("i")
        self._counts_before: dict[str, int] = {}
        #: Where values are written; it has the slots of keys.
        self.pack: Final = Pack(piece_of(view, places.offsets), self._keys, self._values)

    def counts(self) -> dict[str, int]:
        """About how many rows have a value, for each key."""
        before = self._counts_before
        return {key: slot.count + before.get(key, 0) for key, slot in self.pack.known.items()}

    @property
    def spills(self) -> list[Buffer]:
        """The buffers for long keys and long text."""
        texts, spill = self._places.key_texts, self._places.spill
        return [texts] if spill is None else [texts, spill]

    def spilled(self) -> tuple[int, ...]:
        """The bytes in use of each of them."""
        keys = (self._keys.used,)
        return keys if self._places.spill is None else (*keys, self._values.used)

    def cells(self, rows: int) -> int:
        """The number of cells of the first rows."""
        return self._ends[rows]

    def written(self, start: int, rows: int, spilled: tuple[int, ...]) -> list[tuple[int, int]]:
        """The ranges of the image's bytes that belong to the rows from ``start`` on."""
        places = self._places
        first, last = self._ends[start], self._ends[rows]
        ends, keys, values = places.offsets.start, places.keys.start, places.values.start
        octets = [values_size(self._kind, 8 * each) for each in (first // 8, (last + 7) // 8)]
        ranges = [
            (ends + 4 * start, ends + 4 * (rows + 1)),
            (keys + _VIEW * first, keys + _VIEW * last),
            _spill_range(places.key_texts, self._keys.used, spilled[:1]),
            (values + octets[0], values + octets[1]),
        ]
        if places.spill is not None:
            ranges.append(_spill_range(places.spill, self._values.used, spilled[1:]))
        return ranges

    def has_values(self, rows: int) -> bool:
        """Whether any of the rows has a value."""
        return self.cells(rows) > 0

    def copy_from(self, old: PackedCells, rows: int) -> None:
        """Continue with the cells and keys of an image with fewer rows or less room."""
        starts = [place.start for place in self._places if place is not None]
        _copy(old._view, old.written(0, rows, ()), self._view, starts)
        self._counts_before = old.counts()
        for key, slot in old.pack.known.items():
            self._keys.used = slot.start  # so that its views stay the same
            self.pack.slot(key)
        self._keys.used, self._values.used = old._keys.used, old._values.used
        self.pack.resume(rows)


def _spill_range(spill: Buffer, used: int, before: tuple[int, ...]) -> tuple[int, int]:
    return spill.start + sum(before), spill.start + used


def _copy(
    source: memoryview, ranges: list[tuple[int, int]], target: memoryview, starts: list[int]
) -> None:
    for place, (start, stop) in zip(starts, ranges, strict=True):
        target[place : place + stop - start] = source[start:stop]


def piece_of(view: memoryview, buffer: Buffer) -> memoryview:
    """The bytes of a buffer of an image."""
    return view[buffer.start : buffer.start + buffer.size]


def _clear(view: memoryview) -> None:
    """Write zeros in small pieces, so that other threads can run."""
    for start in range(0, len(view), len(_ZEROS)):
        piece = view[start : start + len(_ZEROS)]
        piece[:] = _ZEROS[: len(piece)]
