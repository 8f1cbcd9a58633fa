"""One live table's image with its buffers: rows are written to it, and read back as Arrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from .._arrow import pa, pc
from .._once import remembered
from .._values.arrays import ArrayKind
from .._values.foreign import CONVERTERS
from .._values.kinds import Kind
from .backing import Image
from .column import NODE, TIME, Column, field_metadata, file_names
from .device_values import Cells, PendingValues, warn_lost
from .implementation import Buffers, Slot
from .layout import Blank, Buffer, ImageMap, Layout, Places, map_of

__all__ = ["Segment", "SyncedState", "arrow_of", "live_array", "sealed_batch", "sealed_schema"]

_ZEROS: Final = memoryview(bytes(1 << 16))
#: Bytes of a view of text.
_VIEW: Final = 16


class SyncedState(NamedTuple):
    """What of a segment survives a loss of power.

    Attributes:
        state: the state of the segment when it was synced.
        rows: how many of its rows it has, with all their values.
    """

    state: tuple[int, int, int]
    rows: int


class Segment:
    """The rows of one live table from its start until it is sealed."""

    def __init__(self, number: int, layout: Layout, make: Callable[[Blank], Image]) -> None:
        self.number = number
        self.layout = layout
        self.image = make(layout.blank())
        self._map = map_of(pa.py_buffer(self.image.view), layout.columns)
        self._node, self._places = self._map
        #: Whether no more rows are added.
        self.is_full = False
        #: What survives a loss of power.
        self.synced: SyncedState | None = None
        self.late = PendingValues()
        self._resolved = 0
        self._heir: Segment | None = None
        self._stale: list[int] = []  # from which rows on cells were written after a flush
        self._flushed = 0
        self._flushed_spill: dict[Column, int] = {}
        self._targets: dict[Column, Slot] = {}
        self.buffers = self._buffers()

    @property
    def rows(self) -> int:
        """Number of rows written."""
        return self.buffers.rows

    @property
    def loose_rows(self) -> int:
        """Number of rows that are in no file that readers find."""
        if not self.image.is_persistent:
            return self.rows
        return 0 if self.image.is_mapped else self.rows - min([self._flushed, *self._stale])

    @property
    def whole_rows(self) -> int:
        """Number of rows before the first with a value that is still on a device."""
        return self.late.first_row(self.rows)

    @property
    def has_pending(self) -> bool:
        """Whether a value of any row is still on a device."""
        return bool(self.late) and self.whole_rows < self.rows

    @property
    def state(self) -> tuple[int, int, int]:
        """Changes with whatever is written."""
        return self.number, self.rows, self._resolved

    def as_synced(self) -> SyncedState:
        """What survives a loss of power once what is written now was synced.

        Taken before it is flushed: what is fetched from a device after it is not in it.
        """
        return SyncedState(self.state, self.whole_rows)

    @property
    def size(self) -> int:
        """Bytes of the image."""
        return len(self.image.view)

    def target(self, column: Column) -> Slot:
        """The cells of a column of the layout."""
        return self._targets[column]

    def fill(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> int:
        """Copy rows of columns of the sealed types behind the rows there are.

        Returns:
            0, or the bytes of long text that there is no room for; then nothing was added.
        """
        rows = self.rows
        try:
            for column, values in columns.items():
                if missing := self._fill(column, rows, values):
                    self._forget_from(rows)
                    return missing
            ids = memoryview(nodes.buffers()[1]).cast("B")[8 * nodes.offset :]
            self.buffers.add_rows(ids[: 8 * len(nodes)])
        except BaseException:
            if self.rows == rows:
                self._forget_from(rows)
            raise
        return 0

    def _fill(self, column: Column, row: int, values: pa.Array) -> int:
        raw = column.kind.live(values)
        views = [None if b is None else memoryview(b).cast("B") for b in (*raw.buffers, None)]
        validity, found, data = views[:3]
        buffers = (validity, found or memoryview(b""), data)
        return self._targets[column].fill(row, len(values), raw.offset, buffers)

    def _forget_from(self, row: int) -> None:
        """Take back the validity bits of rows that were not finished."""
        for places in self._places.values():
            bits = _slice(self.image.view, places.validity)
            if row % 8:
                bits[row // 8] &= (1 << row % 8) - 1
            _clear(bits[(row + 7) // 8 :])

    def copy_from(self, old: Segment) -> None:
        """Take over all rows of a segment whose columns are a part of this one's."""
        new_view, old_view = self.image.view, old.image.view
        if old.late:
            old._heir = self  # before the cells are copied: see settle
        self.late = old.late.below(old.rows)
        rows = old.rows
        for column in old._places:
            mine = [place for place in self._places[column] if place is not None]
            for place, (start, stop) in zip(mine, old._written(column, 0, rows, 0), strict=True):
                new_view[place.start : place.start + stop - start] = old_view[start:stop]
            self._targets[column].used = old._targets[column].used
        start = old._node.start
        self.buffers.add_rows(old_view[start : start + 8 * rows])

    def settle(self) -> None:
        """Fetch what is still on a device, many values at once, into its cells.

        Takes its time: better not called with the table's lock. It holds no lock, so nothing waits
        for it but its caller; who comes in the middle of another call, as a signal handler does or
        another thread, fetches the same values once more, and puts the same in the same cells.
        """
        if late := self.late.below(self.rows):
            self._settle(late)

    def _settle(self, late: PendingValues) -> None:
        found, lost = late.fetch()
        # Who replaced this segment meanwhile has copied its cells before or after they are put.
        line: list[Segment] = []
        each: Segment | None = self
        while each is not None:
            each._put(found)
            line.append(each)
            each = each._heir
        for each in line:
            each.late.drop(late)
        if lost:
            warn_lost(lost)

    def _put(self, found: Cells) -> None:
        for column, cells in found.items():
            put, raw = self._targets[column].put, column.kind.raw
            for row, value in cells:
                put(row, raw(value))
        if found and not self.image.is_mapped:
            self._stale.append(min(row for cells in found.values() for row, _ in cells))
        self._resolved += 1  # last: who sees it flushes them

    def flush(self) -> None:
        """Hand the rows written since the last flush to the operating system."""
        rows, stale = self.rows, self._stale[:]
        first = min([self._flushed, *stale])
        if rows == first or self.image.is_mapped:
            return
        used = {column: slot.used for column, slot in self._targets.items()}
        ranges: list[tuple[int, int]] = []
        for column in self._places:
            ranges += self._written(column, first, rows, self._flushed_spill.get(column, 0))
        start = self._node.start
        ranges.append((start + 8 * first, start + 8 * rows))
        self.image.flush(ranges)
        self._flushed, self._flushed_spill = rows, used
        del self._stale[: len(stale)]

    def start_sync(self) -> Callable[[], None]:
        """Flush, and give what to call, without any lock, to make the rows survive a power loss."""
        self.flush()
        return self.image.syncing()

    def sync(self) -> None:
        """Return when all rows survive a loss of power."""
        synced = self.as_synced()
        self.start_sync()()
        self.synced = synced

    def columns_in_use(self) -> tuple[Column, ...]:
        """The columns in which any row has a value, or will have it from a device."""
        late = self.late.columns()
        view, used = self.image.view, (self.rows + 7) // 8
        return tuple(
            column
            for column, places in self._places.items()
            if column in late or any(_slice(view, places.validity)[:used])
        )

    def batch(self, *, copy: bool) -> pa.RecordBatch:
        """The rows as Arrow, with the types of a sealed file; without columns that are all null.

        ``copy=False`` shares the image's memory: for a segment that no row is added to any more.
        """
        view = self.image.view
        used = {
            places.spill.start: self._targets[column].used
            for column, places in self._places.items()
            if places.spill is not None
        }

        def take(buffer: Buffer, size: int) -> pa.Buffer:
            size = min(size, buffer.size, used.get(buffer.start, size))
            piece = view[buffer.start : buffer.start + size]
            return pa.py_buffer(bytes(piece) if copy else piece)

        return arrow_of(self._map, self.rows, take, self.layout.metadata)

    def _written(
        self, column: Column, start_row: int, rows: int, spilled: int
    ) -> list[tuple[int, int]]:
        """The ranges of a column's bytes that belong to the rows from ``start_row`` on.

        Args:
            spilled: the bytes of long text that belong to those before.
        """
        places = self._places[column]
        first, last = start_row // 8, (rows + 7) // 8
        octet = 8 * places.values.size // self.layout.capacity
        validity, values = places.validity.start, places.values.start
        ranges = [
            (validity + first, validity + last),
            (values + first * octet, values + min(last * octet, places.values.size)),
        ]
        if places.spill is not None:
            start = places.spill.start
            ranges.append((start + spilled, start + self._targets[column].used))
        return ranges

    def _buffers(self) -> Buffers:
        self._targets = {c: self._slot(c.kind, places) for c, places in self._places.items()}
        direct: dict[Any, dict[type, Slot]] = {}
        for column, slot in self._targets.items():
            # Times that the library says itself are given as the numbers that their cells take.
            exact = (int,) if column.key is TIME else column.kind.direct
            for kind in exact:
                direct.setdefault(column.key, {}).setdefault(kind, slot)
        return Buffers(_slice(self.image.view, self._node), direct, CONVERTERS)

    def _slot(self, kind: Kind, places: Places) -> Slot:
        view = self.image.view
        values, validity = _slice(view, places.values), _slice(view, places.validity)
        if isinstance(kind, ArrayKind):
            return Slot(kind.cell, values, validity, None, (kind.element, kind.shape))
        spill = None if places.spill is None else _slice(view, places.spill)
        return Slot(kind.cell, values, validity, spill)


def arrow_of(
    where: ImageMap,
    rows: int,
    take: Callable[[Buffer, int], pa.Buffer],
    metadata: dict[bytes, bytes],
    *,
    check: bool = False,
) -> pa.RecordBatch:
    """The first ``rows`` rows of an image as Arrow with the types of a sealed file.

    Raises:
        pyarrow.ArrowInvalid: with ``check``, the bytes are not what their layout says.
    """
    nodes = pa.Array.from_buffers(pa.int64(), rows, [None, take(where.node, 8 * rows)])
    sealed: dict[Column, pa.Array] = {}
    for column, places in where.columns.items():
        live = live_array(column.kind, places, rows, take, check=check)
        if check:
            live.validate(full=True)
        if live.null_count < rows:
            sealed[column] = column.kind.seal(live)
    return sealed_batch(nodes, sealed, metadata)


def sealed_batch(
    nodes: pa.Array, columns: Mapping[Column, pa.Array], metadata: dict[bytes, bytes]
) -> pa.RecordBatch:
    """Rows as they are written to a sealed file, from columns of the sealed types."""
    arrays = [nodes, *(column.kind.file(values) for column, values in columns.items())]
    return pa.RecordBatch.from_arrays(arrays, schema=sealed_schema(list(columns), metadata))


def sealed_schema(columns: list[Column], metadata: dict[bytes, bytes]) -> pa.Schema:
    """The Arrow schema of a sealed file with these columns."""
    named = zip(columns, file_names(columns), strict=True)
    fields = [_sealed_field(column, name) for column, name in named]
    node = pa.field(NODE, pa.int64(), nullable=False)
    return pa.schema([node, *fields], metadata=metadata)


@remembered(4096)
def _sealed_field(column: Column, name: str) -> pa.Field:
    return pa.field(name, column.kind.file_type, metadata=field_metadata(column))


def live_array(
    kind: Kind,
    places: Places,
    rows: int,
    take: Callable[[Buffer, int], pa.Buffer],
    *,
    check: bool,
) -> pa.Array:
    """The first ``rows`` rows of a column of an image, with the type that it has there."""
    validity = take(places.validity, (rows + 7) // 8)
    if isinstance(kind, ArrayKind):
        return _block_array(kind, rows, validity, take(places.values, rows * kind.width))
    if places.spill is None:
        values = take(places.values, (rows * kind.live_type.bit_width + 7) // 8)
        return pa.Array.from_buffers(kind.live_type, rows, [validity, values])
    values = take(places.values, rows * _VIEW)
    if check:
        values = _without_hidden_views(rows, validity, values)
    buffers = [validity, values, take(places.spill, places.spill.size)]
    return pa.Array.from_buffers(kind.live_type, rows, buffers)


def _without_hidden_views(rows: int, validity: pa.Buffer, views: pa.Buffer) -> pa.Buffer:
    """Views of text with nothing where no value is: pyarrow checks none there, and follows them all.

    Raises:
        pyarrow.ArrowInvalid: there are not as many as rows.
    """
    cells = pa.Array.from_buffers(pa.binary(_VIEW), rows, [validity, views])
    cells.validate()
    return pc.coalesce(cells, pa.scalar(bytes(_VIEW), pa.binary(_VIEW))).buffers()[1]


def _block_array(kind: ArrayKind, rows: int, validity: pa.Buffer, data: pa.Buffer) -> pa.Array:
    shape, innermost = [rows, *kind.shape], kind.live_type
    while pa.types.is_fixed_size_list(innermost):
        innermost = innermost.value_type
    count = rows * kind.width // (innermost.bit_width // 8)
    array = pa.Array.from_buffers(innermost, count, [None, data])
    for depth in range(len(kind.shape) - 1, 0, -1):
        array = pa.FixedSizeListArray.from_arrays(array, shape[depth + 1])
    return pa.Array.from_buffers(kind.live_type, rows, [validity], children=[array])


def _slice(view: memoryview, buffer: Buffer) -> memoryview:
    return view[buffer.start : buffer.start + buffer.size]


def _clear(view: memoryview) -> None:
    """Zeros, in small pieces: other threads come between."""
    for start in range(0, len(view), len(_ZEROS)):
        piece = view[start : start + len(_ZEROS)]
        piece[:] = _ZEROS[: len(piece)]
