"""Records: the whole tree below a recorder as one flat table, lazily."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, overload

from ._arrow import pa
from ._display.records import records_line, records_table
from ._display.text import cut
from ._engines.arrow import flat_schema, flat_table, stream
from ._engines.conditions import AnyCondition, conditions_of
from ._engines.duckdb import records_sql
from ._engines.follow import Poll, follow
from ._engines.known_keys import no_such_key, require_known, warn_of_unknown
from ._engines.ordered import Cut
from ._engines.pandas_polars import to_pandas, to_polars
from ._engines.piece import Piece
from ._engines.polars import lazy_frame
from ._engines.rows import Row, all_rows, mutable_keys, rows_from, rows_of
from ._engines.scan import Scan
from ._engines.scanned_rows import Scope
from ._engines.snapshot import Snapshot
from ._engines.source import Source
from ._engines.spark import spark_frame
from ._engines.widths import BATCH_BYTES, fits
from ._flat_files import CsvOptions, save_flat
from ._keys import FIRST_KEYS
from ._lazy_imports import duckdb, pd, pl
from ._pickles import PlainTree, restored, tree_of
from ._public import public
from ._records_view import RecordsView, order_by
from ._row_table import checked_count, checked_keys
from ._store.node_ids import ROOT
from ._store.store import FolderStore, Place
from ._store.union import UnionPlace, UnionStore
from .errors import ArgumentError, ArgumentTypeError, ColumnError, RecordIndexError
from .plotting import Attempts, Band, Chart, Curves, chart_of, look_of, smoothing_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame as SparkDataFrame
    from pyspark.sql import SparkSession

__all__ = ["Records", "Row"]

#: Rows that are decoded together when one is asked for by its index.
_PAGE: Final = 4_096
#: Bytes of inherited values of which each row of a data frame is given a copy.
_MOST_COPIED: Final = 1 << 30


class _Page(NamedTuple):
    """Neighbouring rows that were read together, and may be asked for again."""

    scan: Scan | None
    #: The index of the first of them.
    first: int
    rows: list[Row]
    #: Keys of values that can be changed: whoever asks for a row gets copies of them.
    mutable: tuple[str, ...]


@public
class Records(Sequence[Row]):
    """Records with all that their ancestors know: a sequence of read-only rows, and a table.

    Nothing is read before it is asked for, and what is asked for is answered from the newest
    moment: rows pushed since, by this process or another, and late data of parents are in it.
    One iteration, one query, one ``to_...`` sees one moment. Records of a recorder that moves into a
    collection, or to another tree, are read where it is by then.

    The columns of the table: the six keys of experiments, then the ancestors' from the root down,
    then the records' own. A missing value is null. Rows have the exact values that were logged;
    in a column of the table int and float meet as double, and values of other kinds than the main
    one of a key are in a column of their own, such as ``loss:str``, as ``docs/columns.md`` says.
    """

    def __init__(
        self,
        source: Source,
        scope: Scope,
        conditions: tuple[AnyCondition, ...] = (),
        unnested: tuple[str, ...] | None = None,
    ) -> None:
        #: What they are read by and whose they are: one attribute, which other threads see whole.
        self._place = source, scope
        self._conditions = conditions
        #: Keys whose dicts have columns for their values; empty for all of them, None for none.
        self._unnested = unnested
        self._page = _Page(None, 0, [], ())

    # --- rows ----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._scan().row_count()

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
        return self._row(self._scan(), _checked(index))

    def where(self, /, *conditions: str, **values: Any) -> Records:
        """Those of the records that meet all conditions.

        A keyword asks for records in which that key has the value, or one of several: of a list,
        tuple, set or range. ``None`` asks for a missing one, a list of lists for one of these. int
        and float are compared as numbers; ``True`` is not ``1``; NaN finds NaN. Arrays are compared
        by shape and numbers, with lists as well.

        A text is a SQL expression over the columns of the records that is true of those that are
        meant, as behind ``WHERE`` in ``sql``. Its columns are those of the whole collection's flat
        table, in every part of it. It can use DuckDB's functions, but no query, and no file.

        All conditions hold: further ones narrow what earlier ones left, whatever their keys.

        Raises:
            ArgumentTypeError: a condition without a key is no text.
            ArgumentError: a text is not one SQL condition, or a range is too long.
            UnsupportedTypeError: a value is of a type that no record has.
            UnsupportedValueError: no record has the value.

        What reads the records raises a ``ColumnError`` where a key is nowhere in the collection,
        once anything was logged to it, or a value is of another kind than all that its key ever
        had, such as text for a number, and an ``ArgumentError`` where SQL can't be evaluated for a
        record, such as a cast that fails; ``follow`` warns of keys, for these may still come.

        Examples:
            >>> recorder.all_records.where(model=["m1", "m2"], training=True)  # doctest: +SKIP
            >>> collection.records.where("loss < 0.1 and model like 'cnn%'", seed=3)  # doctest: +SKIP
        """
        return self._that_meet(conditions_of(conditions, values))

    def _that_meet(self, conditions: tuple[AnyCondition, ...]) -> Records:
        return Records(*self._place, (*self._conditions, *conditions), self._unnested)

    def select(self, /, *keys: str) -> Records:
        """The same records with only these keys, in this order; nothing else is read.

        A key with values of several kinds has all of its columns. Conditions and charts can use the
        keys that are left out only if they come first.

        Raises:
            ArgumentTypeError: a key is no text.
            ArgumentError: there is none.
            ColumnError: a key is nowhere in the collection; the message has near ones.

        Examples:
            >>> collection.records.select("epoch", "loss").to_polars()  # doctest: +SKIP
        """
        snapshot, (source, scope) = self._now()
        known: Sequence[str] | None = scope.keys
        if known is None and not any(each.rows for each in snapshot.fragments.records):
            known = keys  # which may all still come
        if known is None:
            known = list(dict.fromkeys([*FIRST_KEYS, *source.scan(Scope()).keys]))
        found = checked_keys(keys, known, "select")
        return Records(source, scope._replace(keys=found), self._conditions)

    def sort(self, /, *keys: str, descending: bool | Sequence[bool] = False) -> RecordsView:
        """The same records ordered by the values of columns, the first of them first.

        Records without a value, and with NaN, come last in any case; records that are equal stay in
        the order in which they were logged. What is sorted is in memory while it is used: the columns
        that it is sorted by, of all records, and the rows that are left (``.head(10)``), whole.

        Args:
            keys: columns of the flat table.
            descending: whether the greatest comes first; a list has it for each key.

        Raises:
            ArgumentTypeError: a key is no text.
            ArgumentError: there is none, or ``descending`` has another length.
            ColumnError: a key is not there, or, when it is read, its values have no order.

        Examples:
            >>> collection.records.where(split="test").sort("loss").head(10)  # doctest: +SKIP
        """
        order = order_by(self._naming(keys), keys, descending)
        return RecordsView(partial(self._naming, keys), (order,))

    def head(self, n: int = 5) -> RecordsView:
        """The first so many of the records; no others are read.

        Raises:
            ArgumentTypeError: ``n`` is no int.
            ArgumentError: it is below 0.
        """
        return RecordsView(self._scan, (Cut(checked_count(n, "head"), is_last=False),))

    def tail(self, n: int = 5) -> RecordsView:
        """The last so many of the records; no others are read, and errors are as of ``head``."""
        return RecordsView(self._scan, (Cut(checked_count(n, "tail"), is_last=True),))

    def unnest(self, *keys: str) -> Records:
        """The same records, whose table has columns for the values inside of dicts, too.

        The value at ``d["lr"]`` of the dicts under ``config`` is in the column ``config.lr``, as
        ``docs/columns.md`` says. ``where``, ``sql`` and ``plot`` find such names without this. Rows
        stay as they were logged.

        Args:
            keys: the keys of the dicts, or single paths such as ``config.lr``; none for all dicts.

        What reads the records raises a ``ColumnError`` where one of them is nowhere.

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
        """Every row once, in order of appearance, as it is logged by this process or any other.

        It waits for more, and goes on for ever unless there is a ``stop``. A row has what its
        parents knew when it appeared.

        Args:
            last: begin with the last so many of the rows that are there; None is all of them.
            interval: seconds between two looks; more where a look takes long.
            stop: once it is set, what was logged before is still given, and then it ends.

        Raises:
            ArgumentError: ``last`` is below 0, or ``interval`` is not above 0.
            CompactedError: the recorder has moved to another place in the middle of it.

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
        """The first and the last rows, as a table that fits the terminal."""
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
            TooLargeError: it would be larger than memory, since each row has a copy of what it
                inherits. A stream, ``save_to``, ``sql`` and ``to_polars`` are not limited by that.
        """
        return flat_table(self._whole_scan())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The flat table as an Arrow stream, batch by batch, for any library that takes one."""
        return stream(self._whole_scan()).__arrow_c_stream__(requested_schema)

    @overload
    def to_polars(self, *, lazy: Literal[False] = False) -> pl.DataFrame: ...
    @overload
    def to_polars(self, *, lazy: Literal[True]) -> pl.LazyFrame: ...
    def to_polars(self, *, lazy: bool = False) -> pl.DataFrame | pl.LazyFrame:
        """The flat table as a Polars DataFrame.

        Args:
            lazy: a LazyFrame, of which a query reads just what it uses. Its rows are those that
                were there when it was made.

        Raises:
            MissingPackageError: Polars is not installed.
        """
        if lazy:
            return lazy_frame(self._scan())
        scan = self._whole_scan()
        if fits(scan, scan.row_count(), _MOST_COPIED):
            return to_polars(flat_table(scan))
        return lazy_frame(scan).collect()  # in which rows share what they inherit

    def to_pandas(self) -> pd.DataFrame:
        """The flat table as a pandas DataFrame; ints and bools with gaps are nullable dtypes.

        Raises:
            TooLargeError: it would be larger than memory, as of ``to_arrow``.
            MissingPackageError: pandas is not installed.
        """
        return to_pandas(self.to_arrow())

    def to_spark(self, spark: SparkSession) -> SparkDataFrame:
        """The flat table as a Spark DataFrame, lazily; its rows are those that are there now.

        Spark's own readers read the sealed files, just the columns and row groups that a query
        needs; the files must be at the same path on its executors. Names that differ only in case
        are told apart as ``docs/columns.md`` says.

        Args:
            spark: the session; one of Spark Connect as well.

        Raises:
            MissingPackageError: PySpark is not installed.
            ArgumentError: they were unnested: Spark has no columns of values inside of dicts.

        Examples:
            >>> frame = collection.records.to_spark(spark)  # doctest: +SKIP
            >>> frame.where("episode = 2").groupBy("model").mean("reward").show()  # doctest: +SKIP
        """
        if self._unnested is not None:
            message = (
                "unnest() has no columns for Spark, which reads the files itself: take"
                " get_json_object('config', '$.lr') of the column of JSON text there"
            )
            raise ArgumentError(message)
        return spark_frame(self._scan(), spark)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a DuckDB query over the table ``records``, as a lazy relation.

        Of keys that differ only in case a query gets the one that is spelled so, as
        ``docs/columns.md`` says. Each query has a connection of its own: two relations can't be
        combined by their methods (join them in one query instead), and what a query creates or sets
        ends with it. The relation has the rows of now, also where files are merged before it is
        read.

        The query runs with the rights of this process: it can read and write any file that the user
        can (``read_csv``, ``COPY ... TO``), so don't run queries of others.

        Raises:
            ColumnError: a name could mean several keys, which differ only in case.
            CompactedError: files were merged while a result was read part by part: ask again.
            DeletedError: records were deleted and compacted away before they were read.
        """
        return records_sql(self._scan(), query)

    # --- files and charts ----------------------------------------------------------------------

    def save_to(
        self,
        path: str | PathLike[str],
        *,
        progress: Callable[[int, int], object] | None = None,
        separator: str | None = None,
        encoding: str | None = None,
    ) -> None:
        """Write the flat table to a file, in bounded memory; it appears whole or not.

        The suffix names the format: ``.parquet``, ``.arrow``, ``.csv``, ``.tsv`` or ``.jsonl``, the
        last three compressed with ``.gz`` behind it, or ``.xlsx``. Text formats have text, numbers or
        JSON in place of bytes, times and arrays; so has Excel, and text in place of numbers that it
        would round.

        Args:
            path: the file; one that is there is replaced.
            progress: called with the number of rows written so far, and of all rows.
            separator: what stands between two cells of a ``.csv`` file; a comma where none is given.
            encoding: that of a ``.csv`` file, as ``utf-8-sig``, in which Excel finds all letters;
                UTF-8 where none is given.

        Raises:
            UnknownFileTypeError: another suffix.
            ArgumentError: an option that the file can't have.
            UnsupportedValueError: the encoding lacks a character, or a sheet of Excel the room.
            OSError: the file can't be written.
        """
        options = CsvOptions.checked(separator, encoding)
        save_flat(self._scan(), Path(path), progress, options=options)

    def plot(  # noqa: PLR0913 - a chart has so many sides
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
        """The mean of one column over another, with a band, as a chart; print it to see it.

        All records that have both columns are in it, and those that have the same x (and the same
        values of ``by``) meet in one mean. A value of y that a recorder knows counts once at each x,
        however many records are below the recorder; where no key is a record's own, recorders
        without records count, too. NaN and infinities are left out, and counted.

        Args:
            x: key of the x axis: numbers, times or dates.
            y: key or keys of the y axis: numbers; of bools the mean is the share of ``True``.
            by: key or keys that tell curves apart; without them there is one.
            band: ``std``, ``sem`` (standard error), ``minmax``, ``quantile`` (25 % to 75 %) or
                ``none``.
            points: of how many points a curve consists at most; None is no limit. Neighbours are
                brought together where there are more, lows and highs preserved, and the chart says so.
            attempts: of an experiment that was resumed, ``last`` takes for each x what the last
                attempt that has it logged, below recorders that were begun with the same
                attributes; ``all`` takes what every attempt logged.
            smooth: weight of an exponential moving average over the points of a curve, from 0 to
                below 1, as TensorBoard has it (``plotting.smoothing.ema``). The raw curve stays,
                faint, behind it.
            window: instead of ``smooth``, the mean of so many points around each.
            scatter: draw a dot for each record, instead of lines of means.
            log: the axes that are logarithmic: ``"x"``, ``"y"`` or ``"x,y"``. What is not above 0
                is left out there, and counted.
            xlim, ylim: ends of the axes, ``(low, high)``, of which one can be None.
            title, xlabel, ylabel: words in place of the keys.
            size: width and height of a picture in inches.
            out: a picture to save it as: ``.png``, ``.svg``, ``.pdf``, ``.pgf`` (for LaTeX, which
                it needs) or ``.html``.

        Raises:
            ColumnError: a column is not there, can't be drawn, no record has both, or dots are
                more than 50,000.
            ArgumentError: there is no such band, choice of attempts or axis, ``points`` is below 1,
                a weight is not in [0, 1), or limits or a size are not valid.
            UnknownFileTypeError: ``out`` has another suffix.
            MissingPackageError: matplotlib, which pictures need, is not installed.
            OSError: the picture can't be written.

        Examples:
            >>> print(collection.records.plot("epoch", "loss", by="model"))  # doctest: +SKIP
        """
        keys, ys = ((each,) if isinstance(each, str) else tuple(each) for each in (by, y))
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

    def _scan(self) -> Scan:
        """What an engine is to read, at the newest moment.

        Raises:
            ColumnError: a condition's key is nowhere in the collection.
        """
        source, scope = self._place
        scan = source.scan(scope, self._conditions)
        known = self._page[0]
        if known is not None and known.snapshot is scan.snapshot:
            return known
        if self._has_moved(source, scope):
            return self._scan()
        require_known(scan.snapshot, self._conditions)
        if self._unnested is not None:
            scan = _unnested(scan, self._unnested)
        self._page = _Page(scan, 0, [], ())
        return scan

    def _naming(self, keys: Sequence[str]) -> Scan:
        """The same for a query that names keys, which can be paths into dicts."""
        return self._scan().naming(keys)

    def _whole_scan(self) -> Scan:
        """The same for an engine that reads all columns."""
        scan = self._scan()
        scan.warn_of_mixed(scan.flats)
        return scan

    def __reduce__(self) -> tuple[Any, ...]:
        """Of a collection the place alone, where they are read anew, else all there is."""
        snapshot, (source, scope) = self._now()
        store, asked = source.store, (self._conditions, self._unnested)
        if isinstance(store, (FolderStore, UnionStore)):
            return records_in, (store.place, scope, *asked)
        tree = tree_of(snapshot, scope.node if scope.node is not None else ROOT)
        return records_of, (tree, scope, *asked)

    def _now(self) -> tuple[Snapshot, tuple[Source, Scope]]:
        """The newest snapshot of where the records are, and that place."""
        while True:
            place = self._place
            snapshot = place[0].now()
            if not self._has_moved(*place):
                return snapshot, place

    def _has_moved(self, source: Source, scope: Scope) -> bool:
        """Whether the records are elsewhere, with their recorder; from now on they are read there."""
        moved = None if scope.node is None else source.store.moved_to(scope.node)
        if moved is not None:
            store, node = moved
            self._place = Source(store), scope._replace(node=node)
        return moved is not None

    def _poll(self) -> Poll:
        snapshot, (source, scope) = self._now()
        return Poll(source.store, snapshot, lambda part: Scan(part, scope, self._conditions))

    def _row(self, scan: Scan, index: int) -> Row:
        at = index if index >= 0 else index + scan.row_count()
        known, first, rows, mutable = self._page  # at once: other threads put theirs in its place
        if known is not scan or not first <= at < first + len(rows):
            self._page = _, first, rows, mutable = _page_with(scan, at)
        if not rows or at < 0:
            message = f"record {index} of {scan.row_count():,}"
            raise RecordIndexError(message)
        row = rows[at - first]
        return row.with_fresh(mutable) if mutable else row


def records_in(
    place: Place | UnionPlace,
    scope: Scope,
    conditions: tuple[AnyCondition, ...],
    unnested: tuple[str, ...] | None = None,
) -> Records:
    """Records of a collection that were pickled, in whatever process this is."""
    store = place.store(is_any=scope.node is None)
    return Records(Source(store), scope, conditions, unnested)


def records_of(
    tree: PlainTree,
    scope: Scope,
    conditions: tuple[AnyCondition, ...],
    unnested: tuple[str, ...] | None = None,
) -> Records:
    """Records in memory that were pickled, with all that they belong to."""
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


def _page_with(scan: Scan, index: int) -> _Page:
    """The rows around ``index`` that are read together."""
    for first, piece in scan.located(index):
        start, page = index - first, _page_rows(piece, scan)
        start -= start % page
        rows = list(rows_of(piece.slice(start, page), scan))
        return _Page(scan, first + start, rows, mutable_keys(scan))
    return _Page(scan, 0, [], ())


def _page_rows(piece: Piece, scan: Scan) -> int:
    """How many rows are kept together: of larger ones fewer."""
    own, nodes = piece.own_bytes // max(1, piece.rows), scan.snapshot.nodes
    copied = sum(nodes.widest(key) for key in mutable_keys(scan) if key in scan.shown_node_keys)
    return max(1, min(_PAGE, BATCH_BYTES // max(1, own + copied)))


def _checked(index: Any) -> int:
    """The index of a row as an int.

    Raises:
        TypeError: it is something else.
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
    """The rows of ``wanted``, of which the first that ``rows`` gives is the least."""
    if not wanted:
        return []
    step = min(abs(wanted.step), sys.maxsize)  # from which on only one is left
    found = list(islice(rows, 0, abs(wanted[-1] - wanted[0]) + 1, step))
    return found if wanted.step > 0 else found[::-1]
