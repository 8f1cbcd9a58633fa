"""The policy of a live table: when it widens, grows, and is sealed to start anew."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    NamedTuple,
    ParamSpec,
    Protocol,
    TypeVar,
)

from .._values.arrays import ArrayKind, ListKind
from .._values.classify import check_key, classify
from ..errors import SaveError
from .backing import Image
from .column import PARENT_COLUMN, TIME_COLUMN, Column, Mark, column_of
from .layout import Layout, row_width
from .pure import Buffers, SpillFullError
from .segment import Segment, sealed_batch

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Home", "LiveTable", "Part", "describe"]

#: A live table starts with so many rows and bytes of long text, grows by copying, and is sealed
#: when it has so many rows or bytes. Only one of few bytes is copied for the sake of a new column.
FIRST_ROWS: Final = 1024
MOST_ROWS: Final = 262_144
FIRST_SPILL: Final = 64 * 1024
MOST_BYTES: Final = 32 * 1024 * 1024
WIDEN_BYTES: Final = 16 * 1024 * 1024
GROWTH: Final = 8

_T = TypeVar("_T")
_P = ParamSpec("_P")

_EMPTY: Final = Buffers(memoryview(bytearray()).cast("q"), 0)


class Part(NamedTuple):
    """Rows that are not in a sealed file yet: of which segment, as Arrow."""

    number: int
    batch: pa.RecordBatch


class Home(Protocol):
    """Where a live table's images and sealed rows go: a folder, or memory."""

    #: Whether rows go to files: an image is then free again once its rows are sealed.
    is_durable: bool
    #: What was complained of last.
    trouble: str

    def metadata(self, table: str) -> dict[bytes, bytes]:
        """What every file of that table says of itself."""

    def open(self) -> None:
        """Be ready to write; called before the first row and after a fork.

        Raises:
            ClosedError: the place was closed.
        """

    def image(self, table: str, number: int, data: bytes) -> Image:
        """An image with these bytes, not yet published; in memory where nothing else works."""

    def publish(self, table: str, number: int, image: Image) -> None:
        """Let readers find an image under its segment's number."""

    def seal(self, table: str, number: int, batch: pa.RecordBatch) -> None:
        """Keep the rows of a segment for good.

        Raises:
            OSError: they can't be kept now; the caller holds on to them.
        """

    def complain(self, error: OSError) -> None:
        """Tell the user, once, that data waits in memory."""


def _alone(
    method: Callable[Concatenate[LiveTable, _P], None],
) -> Callable[Concatenate[LiveTable, _P], None]:
    """Let a method run while no other changes the table, also in this same thread.

    A signal handler, or a value's own method, can call for a change in the middle of another
    one: that change is then made right after.
    """

    @wraps(method)
    def run(self: LiveTable, /, *args: _P.args, **named: _P.kwargs) -> None:
        with self.lock:
            if self._is_busy:
                self._deferred.append(partial(method, self, *args, **named))
                return
            try:
                self._is_busy = True
                method(self, *args, **named)
            finally:
                self._leave()

    return run


class LiveTable:
    """One table (records or nodes) of one writer, as it fills.

    Safe to use from many threads, and from signal handlers. ``append`` is the way of every record.
    """

    def __init__(self, name: str, home: Home) -> None:
        self.name = name
        self._home = home
        self.start_anew()

    def start_anew(self) -> None:
        """Begin with nothing written and a free lock: for a new writer, or after a fork."""
        self.lock = threading.RLock()
        self._is_busy = False
        self._deferred: list[Callable[[], None]] = []
        self._buffers = _EMPTY
        self._segment: Segment | None = None
        self._next: Segment | None = None
        self._waiting: list[tuple[Part, Segment | None]] = []
        self._columns: tuple[Column, ...] = ()
        self._next_number = 0

    def forget_rows(self) -> None:
        """Drop all rows: they are kept elsewhere now."""
        with self.lock:
            self._buffers, self._segment = _EMPTY, None
            self._waiting = []

    def free_lock(self) -> None:
        """Keep all there is, with a free lock: in a forked child, of what is only in memory."""
        self.lock = threading.RLock()

    # --- rows ----------------------------------------------------------------------------------

    def append(self, node: int, fields: Mapping[Any, Any]) -> None:
        """Add one row. When this returns, the row survives the death of the process.

        Raises:
            KeyNotTextError, UnkeepableTypeError, UnkeepableValueError: nothing was added.
        """
        # As ``_alone``, spelled out: this is the way of every record.
        with self.lock:
            if self._is_busy:
                self._deferred.append(partial(self._append, node, dict(fields)))
                return
            try:
                self._is_busy = True
                if not self._try_append(node, fields):
                    self._append_carefully(node, describe(fields))
            finally:
                if self._deferred:
                    self._leave()
                self._is_busy = False

    @_alone
    def append_columns(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> None:
        """Add many rows at once, as columns of the sealed types: they become a sealed file."""
        self._home.open()
        self._seal()
        batch = sealed_batch(nodes, columns, self._home.metadata(self.name))
        self._waiting.append((Part(self._number_before_live_rows(), batch), None))
        self._retry()

    def parts(self) -> list[Part]:
        """The rows that are in no sealed file yet, in order."""
        with self.lock:
            if not self._is_busy:
                self._mend()
            parts = [part for part, _ in self._waiting]
            if self._segment is not None and self._segment.rows:
                parts.append(Part(self._segment.number, self._segment.batch(copy=True)))
            return parts

    @property
    def version(self) -> tuple[int, int]:
        """Changes with every row: the segment's number, and how many rows it has."""
        return self._next_number, self._buffers.rows

    # --- durability ----------------------------------------------------------------------------

    @_alone
    def flush(self) -> None:
        """Hand all rows to the operating system, where the file is not mapped."""
        if self._segment is not None:
            self._guarded(self._segment.flush)

    def sync(self) -> None:
        """Return when all rows survive a loss of power, or wait in memory and the user was told."""
        begun: list[tuple[Segment, tuple[int, int], Callable[[], None]]] = []
        self._begin_sync(begun)
        for segment, mark, finish in begun:  # without the lock: the device may take its time
            if self._guarded(finish) is not None:
                segment.synced = mark

    @_alone
    def _begin_sync(self, begun: list[tuple[Segment, tuple[int, int], Callable[[], None]]]) -> None:
        self._retry()
        self._bring_home()
        segment = self._segment
        if segment is None or segment.synced == (segment.number, segment.rows):
            return
        mark = segment.number, segment.rows
        if (started := self._guarded(segment.start_sync)) is not None:
            begun.append((segment, mark, started[0]))

    @_alone
    def seal(self) -> None:
        """Turn the rows there are into a sealed file; nothing is lost where that fails now."""
        self._seal()

    @_alone
    def close(self) -> None:
        """Seal all rows and take the live file away.

        Raises:
            SaveError: some can't be written; they are still in memory.
        """
        self._seal()
        self._require_saved()
        if self._segment is not None:
            self._segment.image.discard()
        self._segment, self._buffers = None, _EMPTY

    @_alone
    def require_saved(self) -> None:
        """Raise a SaveError where rows still wait in memory."""
        self._require_saved()

    def _seal(self) -> None:
        segment = self._segment
        if segment is None or not segment.rows:
            self._retry()
            return
        self._buffers = _EMPTY
        self._waiting.append((Part(segment.number, segment.batch(copy=False)), segment))
        self._segment = None
        self._retry()

    def _retry(self) -> None:
        """Try to keep what waits in memory, in order."""
        while self._waiting:
            part, segment = self._waiting[0]
            sealing = partial(self._home.seal, self.name, part.number, part.batch)
            if self._guarded(sealing) is None:
                return
            self._waiting.pop(0)
            if segment is not None:
                self._recycle(segment, part.batch)

    def _require_saved(self) -> None:
        self._retry()
        self._bring_home()
        rows = sum(part.batch.num_rows for part, _ in self._waiting)
        if self._segment is not None and not self._segment.image.is_kept:
            rows += self._segment.rows
        if rows:
            message = (
                f"{rows:,} rows of {self.name} could not be saved and are only in memory:"
                f" {self._home.trouble}. Make the folder writable again, then call save()"
            )
            raise SaveError(message)

    def _mend(self) -> None:
        """Finish what an exception from outside, as of Ctrl-C, left half done."""
        if self._next is not None:
            self._use(self._next)
        if self._waiting and self._waiting[-1][1] is self._segment:
            self._segment = None

    def _bring_home(self) -> None:
        """Give rows that are only in memory an image with a file, where that works again."""
        segment = self._segment
        if segment is not None and self._home.is_durable and not segment.image.is_kept:
            self._replace(segment.layout)

    def _guarded(self, action: Callable[[], _T]) -> tuple[_T] | None:
        """What ``action`` gives, in a tuple; None, and the user is told, where the disk fails."""
        try:
            return (action(),)
        except OSError as error:
            self._home.complain(error)
            return None

    def _recycle(self, segment: Segment, sealed: pa.RecordBatch) -> None:
        """Fill the pages again where the same columns are likely to come, else free them."""
        used = _used(segment.layout.columns, sealed)
        if self._segment is None:
            self._columns = used
        if not self._home.is_durable:
            return
        if self._segment is None and used == segment.layout.columns and segment.size <= MOST_BYTES:
            self._refill(segment)
        else:
            segment.image.discard()

    def _refill(self, segment: Segment) -> None:
        """Use the pages of a segment for the next one; free them where that fails."""
        self._segment, self._buffers = None, _EMPTY
        number = self._take_number()
        if self._guarded(partial(segment.clear, number)):
            self._use(segment)
        else:
            segment.image.discard()

    # --- room ----------------------------------------------------------------------------------

    def _leave(self) -> None:
        """End a change, after those that were called for in the middle of it, in their order."""
        try:
            while self._deferred:
                self._deferred.pop(0)()
        finally:
            self._is_busy = False

    def _append(self, node: int, fields: Mapping[Any, Any]) -> None:
        if not self._try_append(node, fields):
            self._append_carefully(node, describe(fields))

    def _try_append(self, node: int, fields: Mapping[Any, Any]) -> bool:
        try:
            return self._buffers.append(node, fields)
        except (ValueError, TypeError, OverflowError, SpillFullError):
            return False  # a cell refused its value: the careful way says why, or makes room

    def _append_carefully(self, node: int, row: list[tuple[Column, Any]]) -> None:
        self._home.open()
        self._mend()
        row = [(self._ragged(column), value) for column, value in row]
        columns = [column for column, _ in row]
        self._make_fit(columns)
        while not self._try_write(node, row):
            self._make_fit(columns)  # sealing forgets columns that had no value

    def _try_write(self, node: int, row: list[tuple[Column, Any]]) -> bool:
        segment = self._ready()
        try:
            if segment.buffers.write(node, [(segment.target(c), value) for c, value in row]):
                self._buffers = segment.buffers
                return True
            self._grow()
        except SpillFullError as error:
            self._grow(spill=error.needed)
        return False

    def _ready(self) -> Segment:
        if self._segment is None:
            self._use(self._segment_of(self._take_number(), self._layout(FIRST_ROWS, FIRST_SPILL)))
        assert self._segment is not None, "a segment was just put to use"
        return self._segment

    def _make_fit(self, columns: list[Column]) -> None:
        new = self._missing(columns)
        if not new:
            return
        segment = self._segment
        if segment is not None and segment.rows and not self._can_widen(segment, new):
            self._seal()
        wanted = self._known_columns() + self._missing(columns)
        if self._segment is None:
            self._columns = wanted
        elif wanted != self._segment.layout.columns:
            old, self._columns = self._segment.layout, wanted
            self._replace(self._layout(old.capacity, old.spill))

    def _known_columns(self) -> tuple[Column, ...]:
        """The columns of the segment that is filled, or of the next one."""
        return self._columns if self._segment is None else self._segment.layout.columns

    def _missing(self, columns: list[Column]) -> tuple[Column, ...]:
        known = set(self._known_columns())
        return tuple(dict.fromkeys(column for column in columns if column not in known))

    def _ragged(self, column: Column) -> Column:
        """Arrays of another shape than the first one under their key are kept as lists."""
        kind = column.kind
        if not isinstance(kind, ArrayKind) or column in (known := self._known_columns()):
            return column
        if any(c.key == column.key and isinstance(c.kind, (ArrayKind, ListKind)) for c in known):
            return Column(column.key, ListKind.of(kind.dtype, len(kind.shape)))
        return column

    def _can_widen(self, segment: Segment, new: tuple[Column, ...]) -> bool:
        wider = self._layout(segment.layout.capacity, segment.layout.spill, new)
        return wider.capacity >= segment.rows and wider.size <= WIDEN_BYTES

    def _grow(self, spill: int = 0) -> None:
        """Make room: in a larger image while that is small enough, else by sealing this one."""
        segment = self._ready()
        old = segment.layout
        if spill:
            larger = self._layout(old.capacity, GROWTH * old.spill + spill)
        else:
            larger = self._layout(GROWTH * old.capacity, old.spill)
        if larger != old and (larger.size <= MOST_BYTES or not segment.rows):
            self._replace(larger)
        else:
            self._seal()

    def _layout(self, capacity: int, spill: int, more: tuple[Column, ...] = ()) -> Layout:
        columns = self._columns + more
        most = min(MOST_ROWS, int(MOST_BYTES / row_width(columns)))
        rows = max(8, min(capacity, most) // 8 * 8)
        return Layout(columns, rows, spill, self._home.metadata(self.name))

    def _replace(self, layout: Layout) -> None:
        """Go on in another image, under the same number, with all rows copied."""
        old = self._ready()
        new = self._segment_of(old.number, layout)
        new.copy_from(old)
        if old.synced:
            self._guarded(new.sync)
        self._use(new)

    def _segment_of(self, number: int, layout: Layout) -> Segment:
        return Segment(number, layout, lambda data: self._home.image(self.name, number, data))

    def _use(self, segment: Segment) -> None:
        # Until the last line rows take the careful way, which mends what was interrupted here.
        self._next, self._buffers = segment, _EMPTY
        self._guarded(segment.flush)
        self._guarded(partial(self._home.publish, self.name, segment.number, segment.image))
        self._segment, self._columns = segment, segment.layout.columns
        self._next = None
        self._buffers = segment.buffers

    def _number_before_live_rows(self) -> int:
        """A number for rows of their own: below that of the segment that is filled next."""
        segment = self._segment
        if segment is None:
            return self._take_number()
        number = segment.number
        self._refill(segment)
        return number

    def _take_number(self) -> int:
        self._next_number += 1
        return self._next_number - 1


def describe(fields: Mapping[Any, Any]) -> list[tuple[Column, Any]]:
    """For each field its column and the plain value that the column's cell takes.

    Raises:
        KeyNotTextError, UnkeepableTypeError, UnkeepableValueError: a field can't be kept.
    """
    return [_describe(key, value) for key, value in fields.items()]


def _describe(key: Any, value: Any) -> tuple[Column, Any]:
    if isinstance(key, Mark):
        return (PARENT_COLUMN if key is Mark.PARENT else TIME_COLUMN), value
    name = check_key(key)
    kind, plain = classify(name, value)
    return Column(name, kind), plain


def _used(columns: tuple[Column, ...], batch: pa.RecordBatch) -> tuple[Column, ...]:
    """Those of ``columns`` of which the sealed rows had a value; the next rows likely have too."""
    used = {column_of(field) for field in batch.schema}
    return tuple(column for column in columns if column in used)
