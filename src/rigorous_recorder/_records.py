"""Records: all records below a recorder as a flat table, evaluated lazily."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import islice
from os import PathLike
from threading import Event
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from ._arrow import pa
from ._display.records import records_line, records_table
from ._display.text import cut
from ._engines.arrow import flat_schema, flat_table, stream
from ._engines.conditions import AnyCondition, conditions_of
from ._engines.duckdb import records_sql
from ._engines.follow import Poll, follow
from ._engines.known_keys import no_such_key, require_known, warn_of_unknown
from ._engines.ordered import Cut
from ._engines.pages import row_at
from ._engines.pandas_polars import to_pandas, to_polars
from ._engines.polars import lazy_frame
from ._engines.rows import Row, all_rows, rows_from
from ._engines.scan import Scan
from ._engines.scanned_rows import Scope
from ._engines.snapshot import Snapshot
from ._engines.source import Latest, Source
from ._engines.spark import spark_frame
from ._engines.sql_conditions import SqlCondition
from ._engines.widths import fits
from ._flat_files import CsvOptions, save_flat
from ._keys import FIRST_KEYS
from ._lazy import lazy_module
from ._lazy_imports import duckdb, pd, pl, spark_sql
from ._paths import path_of
from ._pickles import PlainTree, restored, tree_of
from ._public import public
from ._records_view import RecordsView, order_by
from ._row_sequence import RowSequence
from ._row_table import checked_count, checked_keys
from ._store.node_ids import ROOT
from ._store.store import FolderStore, Place
from ._store.union import UnionPlace, UnionStore
from .errors import ArgumentError, ArgumentTypeError, ColumnError, RecordIndexError
from .plotting import Attempts, Band, Chart, Curves, chart_of, keys_of, look_of, smoothing_of

if TYPE_CHECKING:
    from . import _page_process as page_process
else:
    page_process = lazy_module(f"{__package__}._page_process")

__all__ = ["Records", "Row"]

#: Maximum bytes of inherited values that each row of a data frame gets a copy of.
_MOST_COPIED: Final = 1 << 30


@public
class Records(RowSequence):
    """Records with their inherited attributes: a sequence of read-only rows, and a table.

    Nothing is read in advance, and each iteration, query or ``to_...`` reads the latest snapshot,
    with rows pushed since by any process and attributes that parents got later. The records of a
    recorder that moves into a collection, or to another tree, are read from its new place.

    It has all methods of a sequence, but is not an instance of ``collections.abc.Sequence``, so that
    Polars takes the whole table. For ``random.sample`` draw indices: ``range(len(records))``.

    The columns of the table are the six keys of experiments, then the ancestors' from the root down,
    then the records' own. A missing value is null. Rows have the exact values that were logged; in
    a column of the table int and float become double, and values of other kinds than a key's main
    one are in their own column, such as ``loss:str`` (see ``docs/columns.md``).
    """

    def __init__(
        self,
        source: Source,
        scope: Scope,
        conditions: tuple[AnyCondition, ...] = (),
        unnested: tuple[str, ...] | None = None,
    ) -> None:
        #: The source and scope in one attribute, so that other threads see both consistently.
        self._place = source, scope
        self._conditions = conditions
        #: Keys whose dicts are unnested into columns; empty for all of them, None for none.
        self._unnested = unnested
        #: The scan of the latest snapshot that was read.
        self._known: Scan | None = None

    # --- rows ----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._latest().row_count

    def __iter__(self) -> Iterator[Row]:
        return all_rows(self._scan())

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            scan = self._scan()
            wanted = range(*index.indices(scan.row_count()))
            return _sliced(rows_from(scan, min(wanted, default=0)), wanted)
        at = _checked(index)
        row = _latest_row(self._latest(), at)
        return _row(self._scan(), at) if row is None else row

    def where(self, /, *conditions: str, **values: Any) -> Records:
        """The records that meet all conditions.

        A keyword selects records in which the key has a value, or one of several values in a list,
        tuple, set or range; to select a list, put it into a list. ``None`` selects records without
        the key. int and float are compared as numbers; ``True`` is not ``1``; NaN equals NaN. Arrays
        are compared by shape and elements, also with lists.

        Text is a SQL expression over the columns of the records, as after ``WHERE`` in ``sql``. Its
        columns are those of the whole collection's flat table, also for a part of it. It can use
        DuckDB's functions, but no queries and no files.

        Further conditions narrow the selection of earlier ones, whatever their keys.

        Raises:
            ArgumentTypeError: a condition without a key is not text.
            ArgumentError: a text is not a single SQL condition, or a range is too long.
            UnsupportedTypeError: a value's type can't be in a record.
            UnsupportedValueError: a value can't be in a record.

        Reading the records raises a ``ColumnError`` if a key is nowhere in the collection, once
        anything was logged to it, or if a value is of another kind than all values of its key, such
        as text for a number. It raises an ``ArgumentError`` if SQL can't be evaluated for a record,
        as when a cast fails. ``follow`` only warns of unknown keys, which may still be logged.

        Examples:
            >>> recorder.all_records.where(model=["m1", "m2"], training=True)  # doctest: +SKIP
            >>> collection.records.where("loss < 0.1 and model like 'cnn%'", seed=3)  # doctest: +SKIP
        """
        return self._that_meet(conditions_of(conditions, values))

    def _that_meet(self, conditions: tuple[AnyCondition, ...]) -> Records:
        return Records(*self._place, (*self._conditions, *conditions), self._unnested)

    def select(self, /, *keys: str) -> Records:
        """The same records with only these keys, in this order; nothing else is read.

        A key can be a path into dicts, such as ``config.lr``. A key with values of several kinds
        keeps all of its columns. Call ``where`` and other conditions on omitted keys before this.

        Raises:
            ArgumentTypeError: a key is not text.
            ArgumentError: there are no keys.
            ColumnError: a key is nowhere in the collection; the message suggests similar ones.

        Examples:
            >>> collection.records.select("epoch", "loss").to_polars()  # doctest: +SKIP
        """
        snapshot, (source, scope) = self._now()
        known: Sequence[str] | None = scope.keys
        if known is None and not any(each.rows for each in snapshot.fragments.records):
            known = keys  # any of them may still be logged
        if known is None:
            whole = source.scan(Scope()).naming(keys)
            known = list(dict.fromkeys([*FIRST_KEYS, *whole.keys, *map(str, whole.paths)]))
        found = checked_keys(keys, known, "select")
        return Records(source, scope._replace(keys=found), self._conditions)

    def sort(self, /, *keys: str, descending: bool | Sequence[bool] = False) -> RecordsView:
        """The same records sorted by columns, the first of them first.

        Records without a value, and with NaN, come last in any case; equal records stay in the order
        in which they were logged. Sorting needs memory for the columns to sort by, of all records,
        and for the selected rows (``.head(10)``).

        Args:
            keys: columns of the flat table.
            descending: whether the largest value comes first; a list has a value for each key.

        Raises:
            ArgumentTypeError: a key is not text.
            ArgumentError: there are no keys, or ``descending`` has another length.
            ColumnError: a key does not exist, or, on reading, its values can't be ordered.

        Examples:
            >>> collection.records.where(split="test").sort("loss").head(10)  # doctest: +SKIP
        """
        order = order_by(self._naming(keys), keys, descending)
        return RecordsView(partial(self._naming, keys), (order,))

    def head(self, n: int = 5) -> RecordsView:
        """The first ``n`` records; no others are read.

        Raises:
            ArgumentTypeError: ``n`` is not an int.
            ArgumentError: it is negative.
        """
        return RecordsView(self._scan, (Cut(checked_count(n, "head"), is_last=False),))

    def tail(self, n: int = 5) -> RecordsView:
        """The last ``n`` records; no others are read. Errors are those of ``head``."""
        return RecordsView(self._scan, (Cut(checked_count(n, "tail"), is_last=True),))

    def unnest(self, *keys: str) -> Records:
        """The same records, with columns for values in nested dicts.

        The value at ``d["lr"]`` of the dicts under ``config`` is in the column ``config.lr`` (see
        ``docs/columns.md``). ``where``, ``sql`` and ``plot`` accept such names without this. Rows
        stay as they were logged.

        Args:
            keys: the keys of the dicts, or single paths such as ``config.lr``; none for all dicts.

        Reading the records raises a ``ColumnError`` if one of the keys is nowhere.

        >>> collection.records.unnest("config").to_polars()  # doctest: +SKIP
        """
        if not all(isinstance(key, str) for key in keys):
            message = f"unnest takes keys, such as 'config', not {keys!r:.60}"
            raise ArgumentTypeError(message)
        wanted = () if not keys or self._unnested == () else (*(self._unnested or ()), *keys)
        return Records(*self._place, self._conditions, wanted)

    def follow(
        self, *, last: int | None = None, interval: float = 0.2, stop: Event | None = None
    ) -> Iterator[Row]:
        """Iterate over every row once, in order of appearance, as any process logs it.

        It waits for more rows, endlessly unless there is a ``stop``. A row has the attributes that
        its parents had when it appeared.

        Args:
            last: begin with this many of the last existing rows; None for all.
            interval: seconds between two polls; more if a poll takes long.
            stop: once it is set, the rows logged before are delivered, and the iteration ends.

        Raises:
            ArgumentError: ``last`` is negative, or ``interval`` is not above 0.
            CompactedError: the recorder has moved to another place meanwhile.

        Examples:
            >>> for row in collection.records.where(model="m1").follow(last=10):  # doctest: +SKIP
            ...     print(row["loss"])
        """
        warn_of_unknown(self._now()[0], self._conditions)
        return follow(self._poll, last=last, interval=interval, stop=stop)

    def __repr__(self) -> str:
        try:
            return records_line(self._scan())
        except ColumnError as error:
            return f"<Records: {error}>"

    def __str__(self) -> str:
        """The first and last rows, as a table that fits the terminal."""
        return records_table(self._scan()).text()

    def _repr_html_(self) -> str:
        return records_table(self._scan()).html()

    # --- tables --------------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of the table, in order."""
        return tuple(self._scan().flats)

    @property
    def schema(self) -> pa.Schema:
        """The names and Arrow types of the columns of the table, in order."""
        return flat_schema(self._scan())

    def to_arrow(self) -> pa.Table:
        """The flat table as a ``pyarrow.Table``.

        Raises:
            TooLargeError: it would exceed memory, since each row has a copy of what it inherits. A
                stream, ``save_to``, ``sql`` and ``to_polars`` don't have this limit.
        """
        return flat_table(self._whole_scan())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The flat table as an Arrow stream, batch by batch, for any library that accepts one."""
        return stream(self._whole_scan()).__arrow_c_stream__(requested_schema)

    @overload
    def to_polars(self, *, lazy: Literal[False] = False) -> pl.DataFrame: ...
    @overload
    def to_polars(self, *, lazy: Literal[True]) -> pl.LazyFrame: ...
    def to_polars(self, *, lazy: bool = False) -> pl.DataFrame | pl.LazyFrame:
        """The flat table as a Polars DataFrame.

        Args:
            lazy: return a LazyFrame, whose queries read only what they use. It has the rows that
                existed when it was created.

        Raises:
            MissingPackageError: Polars is not installed.
        """
        if lazy:
            return lazy_frame(self._scan())
        scan = self._whole_scan()
        if fits(scan, scan.row_count(), _MOST_COPIED):
            return to_polars(flat_table(scan))
        return lazy_frame(scan).collect()  # in which rows share inherited values

    def to_pandas(self) -> pd.DataFrame:
        """The flat table as a pandas DataFrame; ints and bools with gaps are nullable dtypes.

        Raises:
            TooLargeError: it would exceed memory, see ``to_arrow``.
            MissingPackageError: pandas is not installed.
        """
        return to_pandas(self.to_arrow())

    def to_spark(self, spark: spark_sql.SparkSession) -> spark_sql.DataFrame:
        """The flat table as a lazy Spark DataFrame; it has the rows that exist now.

        Spark's own readers read the sealed files, only the columns and row groups that a query
        needs; the files must have the same path on its executors. Names that differ only in case
        are renamed (see ``docs/columns.md``).

        Args:
            spark: the session; Spark Connect is supported, too.

        Raises:
            MissingPackageError: PySpark is not installed.
            ArgumentError: a path is selected, or unnested: Spark has no columns of nested values.

        Examples:
            >>> frame = collection.records.to_spark(spark)  # doctest: +SKIP
            >>> frame.where("episode = 2").groupBy("model").mean("reward").show()  # doctest: +SKIP
        """
        scan = self._scan()
        if self._unnested is not None or scan.selected_paths:
            message = (
                "unnest() and paths have no columns for Spark, which reads the files itself: take"
                " get_json_object('config', '$.lr') of the column of JSON text there"
            )
            raise ArgumentError(message)
        return spark_frame(scan, spark)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a DuckDB query over the table ``records``, as a lazy relation.

        Of keys that differ only in case, a query uses the one with the same spelling (see
        ``docs/columns.md``). Each query has its own connection: two relations can't be combined by
        their methods (join them in one query instead), and what a query creates or sets ends with
        it. The relation has the rows that exist now, even if files are compacted before it is read.

        The query runs with the rights of this process: it can read and write any file that the user
        can (``read_csv``, ``COPY ... TO``), so don't run queries of others.

        Raises:
            ColumnError: a name is ambiguous between keys that differ only in case.
            CompactedError: files were merged while a result was read in parts: query again.
            DeletedError: records were deleted and compacted away before they were read.
        """
        return records_sql(self._scan(), query)

    def view(self, *, opens_browser: bool | None = None) -> page_process.View:
        """The page of the collection, as ``collection.view()``.

        Of records that were selected by SQL conditions, such as ``where("loss > 1")``, it shows the
        rows that meet them.

        Args:
            opens_browser: whether to open it in the browser; None for outside of notebooks only.

        Raises:
            MissingPackageError: the extra is not installed.
            ArgumentError: the records are in memory only.
            NotACollectionError: nothing was logged to the collection yet.
        """
        source, _ = self._now()[1]
        texts = [each.text for each in self._conditions if isinstance(each, SqlCondition)]
        where = " AND ".join(f"({text})" for text in texts)
        return page_process.view_of(source.store, where=where, opens_browser=opens_browser)

    # --- files and charts ----------------------------------------------------------------------

    def save_to(
        self,
        path: str | PathLike[str],
        *,
        progress: Callable[[int, int], object] | None = None,
        separator: str | None = None,
        encoding: str | None = None,
    ) -> None:
        """Write the flat table to a file, in bounded memory; it appears whole or not at all.

        The suffix is the format: ``.parquet``, ``.arrow``, ``.csv``, ``.tsv`` or ``.jsonl``, the
        last three also compressed with a further ``.gz``, or ``.xlsx``. Text formats have text,
        numbers or JSON in place of bytes, times and arrays; so has Excel, and text in place of
        numbers that it would round.

        Args:
            path: the file; an existing one is replaced.
            progress: called with the number of rows written so far, and the total.
            separator: the separator of a ``.csv`` file; a comma by default.
            encoding: the encoding of a ``.csv`` file, such as ``utf-8-sig`` for Excel; UTF-8 by
                default.

        Raises:
            UnknownFileTypeError: the suffix is not one of these.
            ArgumentError: an option does not apply to the format.
            UnsupportedValueError: the encoding lacks a character, or a limit of Excel is exceeded.
            OSError: the file can't be written.
        """
        target = path_of(path, "a file", "run.parquet")
        options = CsvOptions.checked(separator, encoding)
        save_flat(self._scan(), target, progress, options=options)

    def plot(  # noqa: PLR0913 - a chart has this many options
        self,
        x: str,
        y: str | Sequence[str],
        by: str | Sequence[str] = (),
        *,
        band: Band = "std",
        points: int | None = 2_000,
        attempts: Attempts = "last",
        smooth: float | None = None,
        window: int | None = None,
        scatter: bool = False,
        log: str | Collection[str] = (),
        xlim: Sequence[Any] | None = None,
        ylim: Sequence[Any] | None = None,
        title: str | None = None,
        xlabel: str | None = None,
        ylabel: str | None = None,
        size: Sequence[float] | None = None,
        out: str | PathLike[str] | None = None,
    ) -> Curves:
        """A chart of the mean of one column over another, with a band; print it to see it.

        It includes all records that have both columns, and averages those with the same x and the
        same values of ``by``. A y that is an attribute of a recorder counts once at each x, however
        many records are below the recorder; if no key is a record's own, recorders without records
        count, too. NaN and infinities are left out and counted.

        Args:
            x: key of the x axis: numbers, times or dates.
            y: key or keys of the y axis: numbers; of bools the mean is the share of ``True``.
            by: key or keys that separate curves; without them there is one.
            band: ``std``, ``sem`` (standard error), ``minmax``, ``quantile`` (25 % to 75 %) or
                ``none``.
            points: the maximum number of points of a curve; None for no limit. Beyond it,
                neighbours are merged, lows and highs preserved, and the chart reports it.
            attempts: of a resumed experiment, ``last`` uses for each x the last attempt that has
                it, below recorders with the same initial attributes; ``all`` uses all attempts.
            smooth: weight of an exponential moving average over the points of a curve, from 0 to
                below 1, as in TensorBoard (``plotting.smoothing.ema``). The raw curve stays,
                faint, behind it.
            window: instead of ``smooth``, the mean of this many points around each.
            scatter: draw a dot for each record instead of lines of means.
            log: the logarithmic axes: ``"x"``, ``"y"`` or ``"x,y"``. Values that are not above 0
                are left out and counted.
            xlim, ylim: limits of the axes, ``(low, high)``, of which one can be None.
            title, xlabel, ylabel: labels in place of the keys.
            size: width and height of a picture in inches.
            out: a picture to save it as: ``.png``, ``.svg``, ``.pdf``, ``.pgf`` (for LaTeX, which
                it needs) or ``.html``.

        Raises:
            ColumnError: a column does not exist or can't be drawn, no record has both, or there
                are more than 50,000 dots.
            ArgumentTypeError: a key is not text.
            ArgumentError: a band, choice of attempts or axis does not exist, ``points`` is below 1,
                a weight is not in [0, 1), or limits or a size are not valid.
            UnknownFileTypeError: ``out`` has another suffix.
            MissingPackageError: matplotlib, which pictures need, is not installed.
            OSError: the picture can't be written.

        Examples:
            >>> print(collection.records.plot("epoch", "loss", by="model"))  # doctest: +SKIP
        """
        keys, ys, (x,) = keys_of("by", by), keys_of("y", y), keys_of("x", (x,))
        look = look_of(
            log=log,
            xlim=xlim,
            ylim=ylim,
            is_scatter=scatter,
            title=title,
            xlabel=xlabel,
            ylabel=ylabel,
            size=size,
        )
        points = None if scatter else points
        chart = Chart(x, "", keys, band, points, attempts, is_scatter=scatter)
        curves = chart_of(chart, ys, self._scan(), look, smoothing_of(smooth, window))
        if out is not None:
            curves.save_to(out)
        return curves

    # -------------------------------------------------------------------------------------------

    def _latest(self) -> Latest:
        """The scan of a snapshot, and the rows added since, which together are the latest ones.

        Raises:
            ColumnError: a condition's key is nowhere in the collection.
        """
        source, scope = self._place
        if self._conditions or self._unnested is not None or scope.keys is not None:
            return Latest(self._scan(), None, ())
        latest = source.latest(scope)
        if latest.scan is not self._known and self._has_moved(source, scope):
            return self._latest()
        self._known = latest.scan
        return latest

    def _scan(self) -> Scan:
        """The scan of the latest snapshot for an engine.

        Raises:
            ColumnError: a condition's key is nowhere in the collection.
        """
        source, scope = self._place
        scan = source.scan(scope, self._conditions)
        known = self._known
        if known is not None and known.snapshot is scan.snapshot:
            return known
        if self._has_moved(source, scope):
            return self._scan()
        require_known(scan.snapshot, self._conditions)
        if self._unnested is not None:
            scan = _unnested(scan, self._unnested)
        self._known = scan
        return scan

    def _naming(self, keys: Sequence[str]) -> Scan:
        """The same for a query that names keys, which can be paths in dicts."""
        return self._scan().naming(keys)

    def _whole_scan(self) -> Scan:
        """The same for an engine that reads all columns."""
        scan = self._scan()
        scan.warn_of_mixed(scan.flats)
        return scan

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a reference to the collection if it is in one, otherwise the whole tree."""
        snapshot, (source, scope) = self._now()
        store, options = source.store, (self._conditions, self._unnested)
        if isinstance(store, (FolderStore, UnionStore)):
            return records_in, (store.place, scope, *options)
        tree = tree_of(snapshot, scope.node if scope.node is not None else ROOT)
        return records_of, (tree, scope, *options)

    def _now(self) -> tuple[Snapshot, tuple[Source, Scope]]:
        """The latest snapshot of the records, with their source and scope."""
        while True:
            place = self._place
            snapshot = place[0].now()
            if not self._has_moved(*place):
                return snapshot, place

    def _has_moved(self, source: Source, scope: Scope) -> bool:
        """Whether the records have moved with their recorder; if so, they are read there from now."""
        moved = None if scope.node is None else source.store.moved_to(scope.node)
        if moved is not None:
            store, node = moved
            self._place = Source(store), scope._replace(node=node)
        return moved is not None

    def _poll(self) -> Poll:
        snapshot, (source, scope) = self._now()
        return Poll(source.store, snapshot, lambda part: Scan(part, scope, self._conditions))


def records_in(
    place: Place | UnionPlace,
    scope: Scope,
    conditions: tuple[AnyCondition, ...],
    unnested: tuple[str, ...] | None = None,
) -> Records:
    """Unpickle records of a collection, in any process."""
    store = place.store(is_any=scope.node is None)
    return Records(Source(store), scope, conditions, unnested)


def records_of(
    tree: PlainTree,
    scope: Scope,
    conditions: tuple[AnyCondition, ...],
    unnested: tuple[str, ...] | None = None,
) -> Records:
    """Unpickle records in memory, with the tree that they belong to."""
    store, node, _ = restored(tree)
    return Records(Source(store), scope._replace(node=node), conditions, unnested)


def _unnested(scan: Scan, keys: Sequence[str]) -> Scan:
    """A scan with columns for the values in the dicts under some keys, or at some paths.

    Raises:
        ColumnError: one of them is nowhere.
    """
    found = scan.naming(keys)
    missing = [key for key in keys if key not in found.flats]
    if missing and scan.row_count():
        raise ColumnError(no_such_key(missing[0], list(scan.unnested().flats)))
    roots = [key for key in keys if key in scan.flats]
    return found.unnested(roots) if roots or not keys else found


def _latest_row(latest: Latest, index: int) -> Row | None:
    """The row at an index; None if it can't be read without a new snapshot.

    Raises:
        RecordIndexError: there is none.
    """
    scan, added, places = latest
    if added is None:
        return _row(scan, index)
    more = len(places)
    count = scan.row_count() + more
    if not -count <= index < count:
        raise RecordIndexError(_no_row(index, count))
    at = index % count
    if at < added.start:
        return _row(scan, at)
    at -= added.start
    return added.row(places[at]) if at < more else _row(scan, at - more + added.start)


def _row(scan: Scan, index: int) -> Row:
    """The row of a scan at an index.

    Raises:
        RecordIndexError: there is none.
    """
    at = index if index >= 0 else index + scan.row_count()
    row = row_at(scan, at) if at >= 0 else None
    if row is None:
        raise RecordIndexError(_no_row(index, scan.row_count()))
    return row


def _no_row(index: int, count: int) -> str:
    return f"record {index} of {count:,}"


def _checked(index: Any) -> int:
    """Convert the index of a row to an int.

    Raises:
        TypeError: it is not an int.
    """
    try:
        return operator.index(index)
    except TypeError:
        shown = cut(repr(index), 60)
        message = f"{shown} is not a valid index of a record; expected an int or a slice"
        if isinstance(index, str):
            message += f"; for a column use records.to_arrow()[{shown}]"
        raise ArgumentTypeError(message) from None


def _sliced(rows: Iterator[Row], wanted: range) -> list[Row]:
    """The rows of ``wanted``, given an iterator that begins with the lowest index."""
    if not wanted:
        return []
    step = min(abs(wanted.step), sys.maxsize)  # with a larger step only one row is left
    found = list(islice(rows, 0, abs(wanted[-1] - wanted[0]) + 1, step))
    return found if wanted.step > 0 else found[::-1]
