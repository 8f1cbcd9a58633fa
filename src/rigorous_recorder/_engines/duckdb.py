"""DuckDB: views over the sealed Parquet files and the live rows, joined to the resolved nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from .._lazy import lazy_module
from .._live.column import NODE, Column
from .._store.fragments import Fragment, Sealed
from .._tree import keys_of
from .._values.arrays import ArrayKind, dtype_of
from .._values.kinds import FLOAT, INT, NULL, TIMEDELTA, Kind, ZonedDatetime
from .._values.promote import meet
from .arrow import flat_table, flat_type
from .scan import Moment, Piece, Scan, experiment_positions, flat_column
from .sql import identifier, literal, sql_names

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    duckdb = lazy_module("duckdb")
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")

__all__ = ["collection_sql", "records_sql"]

_NOTHING_FROM_OUTSIDE: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false"
}


def records_sql(scan: Scan, query: str) -> duckdb.DuckDBPyRelation:
    """The result of a query over the table ``records``, lazily."""
    connection = _connect()
    _add_records(connection, scan)
    return connection.sql(query)


def collection_sql(scan: Scan, root: int, query: str) -> duckdb.DuckDBPyRelation:
    """The result of a query over ``records``, ``experiments`` and ``nodes``, lazily."""
    connection = _connect()
    _add_records(connection, scan)
    _register(connection, "nodes", _nodes_table(scan.moment), fixed=2)
    positions = experiment_positions(scan.moment, root)
    _register(connection, "experiments", _resolved_table(scan.moment, positions))
    return connection.sql(query)


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config=_NOTHING_FROM_OUTSIDE)
    connection.execute("SET TimeZone = 'UTC'")  # not in the config: it loads an extension first
    return connection


# --- nodes and experiments -------------------------------------------------------------------


def _nodes_table(moment: Moment) -> pa.Table:
    """One row for each node: its id, its parent's, and all that it has or inherits."""
    nodes = moment.nodes
    table = _resolved_table(moment, pa.array(range(nodes.count), pa.int64()))
    arrays = [nodes.ids, nodes.ids.take(nodes.parents), *table.columns]
    return pa.Table.from_arrays(arrays, names=[NODE, "_parent", *table.column_names])


def _resolved_table(moment: Moment, positions: pa.Array) -> pa.Table:
    keys = moment.nodes.keys_above(positions)
    kinds = {key: meet(moment.nodes.kinds(key, positions)) for key in keys}
    arrays = [_resolved(moment, key, kind, positions) for key, kind in kinds.items()]
    fields = [pa.field(key, flat_type(kind)) for key, kind in kinds.items()]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _resolved(moment: Moment, key: str, kind: Kind, positions: pa.Array) -> pa.Array:
    variants = moment.nodes.resolved(key, positions)
    return flat_column(variants, kind, len(positions))


def _register(
    connection: duckdb.DuckDBPyConnection, view: str, table: pa.Table, fixed: int = 0
) -> None:
    """Register an Arrow table under names that SQL can tell apart; the first ``fixed`` stay."""
    kept, keys = table.column_names[:fixed], table.column_names[fixed:]
    names = [*kept, *sql_names(keys, taken=kept).values()]
    columns = [_as_list(column) for column in table.columns]
    if not columns:  # DuckDB has no table without columns
        columns, names = [pa.nulls(table.num_rows)], ["_empty"]
    connection.register(view, pa.Table.from_arrays(columns, names=names))


# --- records ---------------------------------------------------------------------------------


def _add_records(connection: duckdb.DuckDBPyConnection, scan: Scan) -> None:
    if scan.conditions or not scan.flat_kinds:
        _register(connection, "records", flat_table(scan))
    else:
        _RecordsView(connection, scan).create()


class _RecordsView:
    """The view ``records``: what each file has, brought to one list of columns, and the nodes."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, scan: Scan) -> None:
        self._connection = connection
        self._scan = scan
        self._own = {key: f"r{i}" for i, key in enumerate(keys_of(scan.record_columns))}
        self._inherited = {key: f"n{i}" for i, key in enumerate(scan.node_keys)}

    def create(self) -> None:
        """Create the view in the connection."""
        self._connection.register("_resolved", self._resolved())
        join = "LEFT JOIN" if self._scan.node_ids is None else "JOIN"
        branches = " UNION ALL ".join(self._branches()) or self._empty_branch()
        self._connection.execute(
            f"CREATE VIEW records AS SELECT {self._columns()} FROM ({branches}) AS r"
            f" {join} _resolved AS n ON r._node = n._node"
        )

    def _columns(self) -> str:
        names = sql_names(self._scan.flat_kinds)
        return ", ".join(f"{self._value(key)} AS {identifier(name)}" for key, name in names.items())

    def _value(self, key: str) -> str:
        own, inherited = self._own.get(key), self._inherited.get(key)
        if own and inherited:
            return f"coalesce(r.{own}, n.{inherited})"
        return f"r.{own}" if own else f"n.{inherited}"

    def _resolved(self) -> pa.Table:
        """The nodes that the records of the scope belong to, with their resolved values."""
        moment = self._scan.moment
        ids = moment.nodes.ids if self._scan.node_ids is None else self._scan.node_ids
        positions = moment.nodes.positions(ids)
        arrays = [ids]
        for key in self._inherited:
            kind = self._scan.flat_kinds[key]
            arrays.append(_as_list(_resolved(moment, key, kind, positions)))
        return pa.Table.from_arrays(arrays, names=[NODE, *self._inherited.values()])

    def _branches(self) -> Iterator[str]:
        """SELECTs that each read some fragments, all with the same columns."""
        groups: dict[tuple[Column, ...], list[Sealed]] = {}
        for number, fragment in enumerate(self._scan.moment.snapshot.records):
            # DuckDB looks at no checksum: what is damaged is read here, which warns.
            if isinstance(fragment, Sealed) and self._is_native(fragment) and fragment.is_sound:
                groups.setdefault(tuple(fragment.columns), []).append(fragment)
            else:
                yield self._through_arrow(fragment, f"_fragment_{number}")
        for columns, files in groups.items():
            yield self._from_files(columns, files)

    def _is_native(self, fragment: Fragment) -> bool:
        """Whether DuckDB can bring all columns of a file to the flat kinds by itself."""
        kinds = self._scan.flat_kinds
        return all(
            column.kind in {kinds[column.key], NULL}
            or (column.kind == INT and kinds[column.key] == FLOAT)
            or (
                isinstance(column.kind, ZonedDatetime)
                and isinstance(kinds[column.key], ZonedDatetime)
            )
            for column in fragment.columns
            if isinstance(column.key, str) and column.key in self._own
        )

    def _from_files(self, columns: tuple[Column, ...], files: list[Sealed]) -> str:
        paths = ", ".join(literal(str(file.path)) for file in files)
        # Columns by position: names that differ only in case, or are empty, are no trouble then.
        aliases = ", ".join(["_node", *(f"c{i}" for i in range(len(columns)))])
        values = ", ".join(
            f"{self._file_value(key, columns)} AS {name}" for key, name in self._own.items()
        )
        selected = f"_node, {values}" if values else "_node"
        return f"SELECT {selected} FROM read_parquet([{paths}]) AS t({aliases})"

    def _file_value(self, key: str, columns: tuple[Column, ...]) -> str:
        flat = self._scan.flat_kinds[key]
        found = [
            _cast(f"c{i}", column.kind, flat)
            for i, column in enumerate(columns)
            if column.key == key and column.kind != NULL
        ]
        return f"coalesce({', '.join(found)})" if len(found) > 1 else (*found, "NULL")[0]

    def _through_arrow(self, fragment: Fragment, name: str) -> str:
        """Read a fragment here: rows in memory, or kinds that only meet as JSON."""
        tables = [
            self._own_table(Piece(self._scan, fragment, table))
            for table in fragment.tables(self._scan.record_columns)
        ]
        if not tables:
            return self._empty_branch()
        self._connection.register(name, pa.concat_tables(tables))
        return f"SELECT * FROM {name}"

    def _own_table(self, piece: Piece) -> pa.Table:
        arrays = [piece.node_ids]
        for key in self._own:
            kind = self._scan.flat_kinds[key]
            arrays.append(_as_list(flat_column(piece.own(key), kind, piece.rows)))
        return pa.Table.from_arrays(arrays, names=[NODE, *self._own.values()])

    def _empty_branch(self) -> str:
        nulls = "".join(f", NULL AS {name}" for name in self._own.values())
        return f"SELECT 0::BIGINT AS _node{nulls} WHERE false"


def _cast(column: str, kind: Kind, flat: Kind) -> str:
    if kind == INT and flat == FLOAT:
        return f"CAST({column} AS DOUBLE)"
    if kind == TIMEDELTA:  # Parquet has no duration: a file holds the microseconds
        return f"to_microseconds({column})"
    return column


def _as_list(column: pa.Array) -> pa.Array:
    """Fixed-shape arrays as the lists that Parquet files have in their place."""
    if not pa.types.is_fixed_size_list(column.type):
        wide = _without_float16(column.type)
        return column if wide == column.type else column.cast(wide)
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    shape, inner = [], array.type
    while pa.types.is_fixed_size_list(inner):
        shape.append(inner.list_size)
        inner = inner.value_type
    return _as_list(ArrayKind.of(dtype_of(inner), tuple(shape)).file(array))


def _without_float16(kind: pa.DataType) -> pa.DataType:
    """The type that DuckDB reads float16, which it has not, as; the same for any other."""
    if pa.types.is_list(kind):
        return pa.list_(_without_float16(kind.value_type))
    return pa.float32() if pa.types.is_float16(kind) else kind
