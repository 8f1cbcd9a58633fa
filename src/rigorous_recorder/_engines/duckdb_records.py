"""The view ``records`` in DuckDB: the columns of all files in one form, joined with the nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Final

from .._arrow import pa, pc
from .._live.column import NODE, SPARSE_COLUMNS, Column
from .._nested import Path, root_of
from .._prefetch import ALL_CORES, ahead
from .._store.fragments import Fragment
from .._store.parquet_fragment import ParquetFragment
from .._tree.columns import ColumnsByKind, by_key
from .._values.bigints import BIGINT
from .._values.chunks import bool_scalar, count_to, int64_array, no_rows
from .._values.kinds import FLOAT, INT, TIMEDELTA, Kind, ZonedDatetime
from .duckdb_values import DAY, MOST_MICROSECONDS, for_duckdb
from .mixed import Flat, flat_column
from .piece import Piece
from .scan import Scan
from .sql import identifier, literal
from .widths import is_large

__all__ = ["RecordsSelect", "rows_without_columns"]

#: Writers with at least this many records are joined to their nodes separately, up to this many
#: writers: the node ids of a writer are dense, so that DuckDB needs no hashing.
_LARGE: Final = 1_000_000
_MOST_LARGE: Final = 8
#: The type that numbers are cast to if others under the key are of another kind.
_CASTS: Final[dict[tuple[Kind, Kind], str]] = {
    (INT, FLOAT): "DOUBLE",
    (BIGINT, FLOAT): "DOUBLE",
    (INT, BIGINT): "DECIMAL(38, 0)",
}
#: For a query that uses no column: a table must have one.
_NO_COLUMN: Final = f"true AS {identifier(chr(1))}"


def rows_without_columns(scan: Scan) -> str | None:
    """A SELECT of rows without columns; None if rows have to be read to count them."""
    if scan.read_ids is not None or scan.row_conditions:
        return None
    return f"SELECT {_NO_COLUMN} FROM range({scan.row_count()})"


class RecordsSelect:
    """The SELECT behind the view, for the columns that a query uses.

    Args:
        names: the names that the query can use, each with its column of the flat table.
        table: creates a table in the database and returns its SQL name.

    Attributes:
        paths: the files that the text names.
    """

    def __init__(
        self,
        scan: Scan,
        names: Mapping[str, str],
        table: Callable[[str, Callable[[], pa.Table]], str],
    ) -> None:
        self._scan = scan
        self._names = names
        self._table = table
        flats = [scan.flats[name] for name in names.values()]
        inherited = [flat for flat in flats if scan.inherits(flat)]
        # A record's own value of any kind hides the inherited one.
        hiding = [each for flat in inherited for each in scan.siblings(flat)]
        every = dict.fromkeys([*scan.flats, *(flat.name for flat in hiding)])
        places = {name: i for i, name in enumerate(every)}
        #: The columns of records whose values are in a column of the flat table.
        self._stored = {flat: scan.own_columns(flat) for flat in [*flats, *hiding]}
        self._own = {flat: f"r{places[flat.name]}" for flat, own in self._stored.items() if own}
        self._inherited = {flat: f"n{places[flat.name]}" for flat in inherited}
        #: Columns with large values that many nodes inherit: a table has each value once.
        self._shared = {
            flat for flat in inherited if is_large(scan, flat, scan.snapshot.nodes.count)
        }
        stored = (
            scan.columns_for([flat.key]) if isinstance(flat.key, Path) else self._stored[flat]
            for flat in self._own
        )
        self._columns = list(dict.fromkeys(chain.from_iterable(stored)))
        self._places = {id(fragment): i for i, fragment in enumerate(scan.fragments)}
        self.paths: list[str] = []
        #: Columns that flag rows whose own value of a key can't be read: these inherit none.
        self._lost: dict[str, str] = {}

    def text(self) -> str:
        """The SELECT of the flat table."""
        if not self._names and (nothing := rows_without_columns(self._scan)) is not None:
            return nothing
        native = self._native_ids()
        self._find_lost(native)
        groups = self._groups() or [[]]
        parts = [self._group(number, each, native) for number, each in enumerate(groups)]
        return " UNION ALL ".join(parts)

    # --- grouping of files ----------------------------------------------------------------------

    def _groups(self) -> list[list[Fragment]]:
        """The fragments, with those of large writers and those with deleted records in own groups."""
        rows = Counter[str]()
        for fragment in self._scan.fragments:
            rows[fragment.origin.writer] += fragment.rows
        large = [writer for writer, count in rows.most_common(_MOST_LARGE) if count >= _LARGE]
        groups: dict[tuple[str, bool], list[Fragment]] = {}
        for fragment in self._scan.fragments:
            writer = fragment.origin.writer
            key = writer if writer in large else "", self._scan.takes_whole(fragment)
            groups.setdefault(key, []).append(fragment)
        return list(groups.values())

    def _native_ids(self) -> set[int]:
        """Ids of the fragments that DuckDB can read natively.

        It verifies no checksums, so damaged files are read here, with a warning. It opens files by
        name, so files that were compacted away are read here, from where their rows are now. So are
        rows that conditions filter.
        """
        if self._scan.row_conditions:
            return set()
        files = [f for f in self._scan.files if f.path.exists() and self._is_native(f)]
        intact = ahead(lambda file: file.is_sound(self._columns), files, threads=ALL_CORES)
        return {id(file) for file, is_sound in zip(files, intact, strict=True) if is_sound}

    def _find_lost(self, native: set[int]) -> None:
        damaged = [file for file in self._scan.files if id(file) not in native]
        keys = {flat.key for flat in self._inherited} if damaged else ()
        columns = by_key(self._columns)
        for flat in [each for each in self._own if each.key in keys]:
            if not all(file.is_sound(columns[root_of(flat.key)]) for file in damaged):
                self._lost.setdefault(flat.key, f"l{self._own[flat][1:]}")

    def _is_native(self, fragment: Fragment) -> bool:
        """Whether DuckDB can convert the columns of a file to the flat kinds."""
        return all(
            _is_castable(column.kind, self._scan.flat_kind(flat.name))
            for flat in self._own
            for column in self._stored[flat]
            if column in fragment.columns
        ) and not any(
            isinstance(flat.key, Path) and fragment.columns.of(flat.key.root) for flat in self._own
        )

    # --- the SELECTs ----------------------------------------------------------------------------

    def _group(self, number: int, fragments: Sequence[Fragment], native: set[int]) -> str:
        branches = " UNION ALL ".join(self._branches(fragments, native))
        if not self._inherited and all(map(self._scan.takes_whole, fragments)):
            return self._select(f"({branches})")
        return self._select(f"({branches})", self._joins(number, fragments))

    def _select(self, source: str, joins: str = "") -> str:
        flats = self._scan.flats
        values = [
            f"{self._value(flats[name])} AS {identifier(shown)}"
            for shown, name in self._names.items()
        ]
        return f"SELECT {', '.join(values) or _NO_COLUMN} FROM {source} AS r{joins}"

    def _value(self, flat: Flat) -> str:
        own, above = self._own.get(flat), self._inherited.get(flat)
        if above is None:
            return f"r.{own}" if own else "NULL"
        others = [self._own[each] for each in self._scan.siblings(flat) if each in self._own]
        conditions = [f"r.{other} IS NULL" for other in others]
        if lost := self._lost.get(flat.key):
            conditions.append(f"NOT r.{lost}")
        inherited = f"{above}.value" if flat in self._shared else f"n.{above}"
        if conditions:
            inherited = f"CASE WHEN {' AND '.join(conditions)} THEN {inherited} END"
        return f"coalesce(r.{own}, {inherited})" if own else inherited

    def _joins(self, number: int, fragments: Sequence[Fragment]) -> str:
        """Joins with a table of the nodes that have records in the fragments, and with values.

        No node is missing, so that an inner join, which is faster, loses no record.
        """
        names = list(self._inherited.values())
        name = "_".join(["resolved", str(number), *names])
        nodes = self._table(name, lambda: self._nodes_of(fragments))
        joins = f" JOIN {nodes} AS n ON r._node = n._node"
        for flat, name in self._inherited.items():
            if flat in self._shared:
                make = partial(self._values_of, flat, fragments)
                values = self._table(f"values_{number}_{name}", make)
                joins += f" LEFT JOIN {values} AS {name} ON n.{name} = {name}.number"
        return joins

    def _nodes_of(self, fragments: Sequence[Fragment]) -> pa.Table:
        every = [pc.max(each.nodes).as_py() for each in fragments if len(each.nodes)]
        found = self._scan.sorted_nodes_of(fragments)
        ids = _with_a_gap(found, max(every, default=0))
        nodes = self._scan.snapshot.nodes
        positions = nodes.positions(found)
        positions = pa.concat_arrays([positions, pa.nulls(len(ids) - len(found), pa.int64())])
        arrays = [ids]
        for flat in self._inherited:
            if flat in self._shared:
                arrays.append(nodes.shared(flat.key, positions)[1])
            else:
                found = nodes.resolved(flat.key, positions, flat.takes)
                arrays.append(self._flat(flat, found, len(ids)))
        return pa.Table.from_arrays(arrays, names=[NODE, *self._inherited.values()])

    def _values_of(self, flat: Flat, fragments: Sequence[Fragment]) -> pa.Table:
        """The distinct own and inherited values of the nodes, by number."""
        nodes = self._scan.snapshot.nodes
        found, _ = nodes.shared(flat.key, nodes.positions(self._scan.sorted_nodes_of(fragments)))
        count = len(next(iter(found.values()), ()))
        values = self._flat(flat, found, count)
        return pa.table({"number": count_to(count), "value": values})

    def _flat(self, flat: Flat, by_kind: ColumnsByKind, rows: int) -> pa.Array:
        return for_duckdb(flat_column(by_kind, self._scan.flat_kind(flat.name), rows))

    def _branches(self, fragments: Sequence[Fragment], native: set[int]) -> Iterator[str]:
        """SELECTs that each read some fragments, with the same columns."""
        alike: dict[tuple[Column, ...], list[ParquetFragment]] = {}
        others: list[Fragment] = []
        for fragment in fragments:
            if isinstance(fragment, ParquetFragment) and id(fragment) in native:
                alike.setdefault(tuple(fragment.file_columns.stored), []).append(fragment)
            else:
                others.append(fragment)
        if not alike or not all(map(self._has_all, alike)):
            yield f"SELECT * FROM {self._typed()}"
        for columns, files in alike.items():
            yield self._from_files(columns, files)
        for fragment in others:
            yield self._through_arrow(fragment, f"fragment_{self._places[id(fragment)]}")

    def _has_all(self, stored: Iterable[Column]) -> bool:
        places = dict.fromkeys(stored, "")
        own = [self._stored[flat] for flat in self._own]
        return all(any(_values_in(column, places) for column in each) for each in own)

    def _typed(self) -> str:
        """An empty table that sets the types of columns that no file has."""
        fields = [pa.field(NODE, pa.int64())]
        for flat, name in self._own.items():
            fields.append(pa.field(name, self._flat(flat, {}, 0).type))
        fields += [pa.field(name, pa.bool_()) for name in self._lost.values()]
        table = no_rows(pa.schema(fields))
        return self._table("_".join(["typed", *self._own_names]), lambda: table)

    def _from_files(self, columns: tuple[Column, ...], files: list[ParquetFragment]) -> str:
        here = [str(file.path) for file in files]
        self.paths += here
        paths = ", ".join(map(literal, here))
        # By position: names that differ only in case, or are empty, do not matter then.
        places = {column: f"c{i}" for i, column in enumerate(columns)}
        aliases = ", ".join(["_node", *places.values()])
        values = "".join(
            f", {self._file_value(flat, places)} AS {name}" for flat, name in self._own.items()
        )
        values += "".join(f", false AS {name}" for name in self._lost.values())
        # Statistics of files ignore NaN, which DuckDB orders above all other numbers.
        source = f"read_parquet([{paths}], can_have_nan = true)"
        return f"SELECT _node{values} FROM {source} AS t({aliases})"

    def _file_value(self, flat: Flat, places: Mapping[Column, str]) -> str:
        kind = self._scan.flat_kind(flat.name)
        found = [
            _cast(value, column.kind, kind)
            for column in self._stored[flat]
            for value in _values_in(column, places)
        ]
        return f"coalesce({', '.join(found)})" if len(found) > 1 else (*found, "NULL")[0]

    def _through_arrow(self, fragment: Fragment, name: str) -> str:
        """Read a fragment here: rows in memory, or kinds that DuckDB can't unify."""
        tables = list(map(self._own_table, self._pieces(fragment)))
        if not tables:
            return f"SELECT * FROM {self._typed()}"
        name = "_".join([name, *self._own_names])
        return f"SELECT * FROM {self._table(name, lambda: pa.concat_tables(tables))}"

    def _pieces(self, fragment: Fragment) -> Iterator[Piece]:
        if self._scan.row_conditions:
            columns = self._scan.columns_for([flat.key for flat in self._own])
            for group in self._scan.groups:
                if group.fragment is fragment:
                    yield from self._scan.read(group, columns)
        else:
            for table in fragment.tables(self._columns):
                yield Piece(self._scan, fragment, table)

    def _own_table(self, piece: Piece) -> pa.Table:
        piece.unpack(flat.key for flat in self._own)
        arrays = [piece.node_ids]
        arrays += [self._flat(flat, piece.own(flat.key), piece.rows) for flat in self._own]
        arrays += [
            pa.repeat(bool_scalar(value=piece.is_lost(key)), piece.rows) for key in self._lost
        ]
        return pa.Table.from_arrays(arrays, names=[NODE, *self._own_names])

    @property
    def _own_names(self) -> list[str]:
        """Names of the columns of a branch, after ``_node``."""
        return [*self._own.values(), *self._lost.values()]


def _with_a_gap(ids: pa.Array, highest: int) -> pa.Array:
    """Sorted ids, with one that no record has behind them if they have no gap.

    Args:
        highest: the highest id of any record, which may be one that is left out.

    Where each number of a range is a key of a join, DuckDB copies the values for each row; otherwise
    rows refer to them, and grouping by them takes half of the time.
    """
    if not len(ids) or ids[-1].as_py() - ids[0].as_py() >= len(ids):
        return ids
    return pa.concat_arrays([ids, int64_array([highest + 2])])


def _is_castable(kind: Kind, flat: Kind) -> bool:
    if isinstance(flat, ZonedDatetime):
        return isinstance(kind, ZonedDatetime)
    return kind == flat or (kind, flat) in _CASTS


def _values_in(column: Column, places: Mapping[Column, str]) -> list[str]:
    """Where a file has the values of a column: in its own, and in a sparse one.

    Args:
        places: the columns of the file, each with its name in the SELECT.
    """
    maps = SPARSE_COLUMNS.get(column.kind)
    found = [places[column]] if column in places else []
    if maps is not None and maps in places:
        found.append(f"{places[maps]}[{literal(str(column.key))}]")
    return found


def _cast(column: str, kind: Kind, flat: Kind) -> str:
    if cast := _CASTS.get((kind, flat)):
        return f"CAST({column} AS {cast})"
    if kind == TIMEDELTA:  # Parquet has no duration type: a file contains microseconds
        return _interval(column)
    return column


def _interval(column: str) -> str:
    """Microseconds as an interval, with separate days if they are many.

    DuckDB converts an interval to Arrow in nanoseconds and days; beyond 292 years the nanoseconds of
    one without days would overflow silently.
    """
    days = f"to_days(({column} // {DAY})::INTEGER) + to_microseconds({column} % {DAY})"
    is_short = f"{column} BETWEEN {-MOST_MICROSECONDS} AND {MOST_MICROSECONDS}"
    return f"CASE WHEN {is_short} THEN to_microseconds({column}) ELSE {days} END"
