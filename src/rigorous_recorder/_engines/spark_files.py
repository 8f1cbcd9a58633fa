"""The records' own columns in Spark: from files that it reads natively, and from others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .._arrow import pa
from .._lazy_imports import sf, st
from .._live.column import NODE, SPARSE_COLUMNS, Column
from .._prefetch import ALL_CORES, ahead
from .._store.corruption import UNREADABLE
from .._store.fragments import Fragment
from .._store.parquet_fragment import ParquetFragment
from .._store.sealed_files import open_sealed
from .._tree.columns import by_key, column_in
from .._values.bigints import BIGINT
from .._values.chunks import one_array
from .._values.kinds import FLOAT, INT, NULL, TIMEDELTA, Kind
from .._values.promote import family_of
from .._values.sparse import SparseKind
from ..errors import DamagedFileError
from .mixed import flat_column
from .piece import Piece
from .scan import Scan
from .spark_pushdown import is_reported, misread_columns
from .spark_tasks import in_tasks
from .spark_types import for_spark, spark_kinds, spark_schema, spark_type

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["OwnColumns"]

#: Up to this many bytes of files, the driver verifies checksums before Spark reads them, as SQL
#: does; for more, the executors verify page checksums as they read.
_MOST_CHECKED: Final = 2 * 1024**3
#: Read files from any tool: dates before 1582 as they are, paths not as patterns.
_OPTIONS: Final = {
    "datetimeRebaseMode": "CORRECTED",
    "int96RebaseMode": "CORRECTED",
    "mergeSchema": "false",
    "ignoreCorruptFiles": "false",
    "ignoreMissingFiles": "false",
    "parquet.page.verify-checksum.enabled": "true",
    "__globPaths__": "false",
}
#: The type that numbers are cast to if others under the key are of another kind.
_CASTS: Final[dict[tuple[Kind, Kind], str]] = {
    (INT, FLOAT): "double",
    (BIGINT, FLOAT): "double",
    (INT, BIGINT): "decimal(38, 0)",
}


class OwnColumns:
    """The records' own values, with the node of each record.

    Args:
        keys: the columns of the flat table, each with its column name here.
        of_nodes: selects the rows of the scan's nodes.

    Attributes:
        lost: the keys with own values that can't be read, each with the name of the column that
            flags those rows; known once ``rows`` was called.
    """

    def __init__(
        self,
        spark: SparkSession,
        scan: Scan,
        keys: Mapping[str, str],
        of_nodes: Callable[[DataFrame], DataFrame],
    ) -> None:
        self.lost: dict[str, str] = {}
        self._spark = spark
        self._scan = scan
        self._of_nodes = of_nodes
        wanted = {scan.flats[flat].key for flat in keys}
        self._columns = [column for column in scan.record_columns if column.key in wanted]
        kinds = spark_kinds(scan)
        #: For each column here its key, and the kind that its values are unified to.
        self._kinds = {name: (scan.flats[flat].key, kinds[flat]) for flat, name in keys.items()}
        flat = spark_schema({name: kind for name, (_, kind) in self._kinds.items()})
        self._schema = st.StructType([st.StructField(NODE, st.LongType()), *flat])

    def rows(self) -> DataFrame:
        """The rows of all fragments."""
        parts = list(self._parts())
        return reduce(lambda one, other: one.unionAll(other), parts or [self._nothing()])

    def _parts(self) -> Iterator[DataFrame]:
        intact = self._intact_ids()
        self._find_lost(intact)
        native: dict[tuple[Any, ...], list[ParquetFragment]] = {}
        others: dict[bool, list[ParquetFragment]] = {}
        here: dict[bool, list[Fragment]] = {}
        for fragment in self._scan.fragments:
            is_whole = self._scan.takes_whole(fragment)
            if not isinstance(fragment, ParquetFragment) or id(fragment) not in intact:
                here.setdefault(is_whole, []).append(fragment)
            elif _is_readable(fragment):
                key = is_whole, is_reported(fragment), *fragment.file_columns.stored.items()
                native.setdefault(key, []).append(fragment)
            else:
                others.setdefault(is_whole, []).append(fragment)
        for (is_whole, *_), files in native.items():
            yield self._scoped(self._sure(self._read_by_spark(files)), is_whole)
        for is_whole, files in others.items():
            yield self._scoped(self._sure(self._read_by_workers(files)), is_whole)
        for is_whole, fragments in here.items():
            yield self._scoped(self._read_here(fragments), is_whole)

    def _scoped(self, rows: DataFrame, is_whole: bool) -> DataFrame:
        return rows if is_whole else self._of_nodes(rows)

    def _intact_ids(self) -> set[int]:
        """Ids of the files that Spark reads in place; damaged ones are read here, with a warning.

        Files that were compacted away are read here, too, from the file that has their rows now.
        """
        sizes = {id(file): _size(file.path) for file in self._scan.files}
        files = [file for file in self._scan.files if sizes[id(file)] is not None]
        if sum(size or 0 for size in sizes.values()) > _MOST_CHECKED:
            return set(map(id, files))
        intact = ahead(lambda file: file.is_sound(self._columns), files, threads=ALL_CORES)
        return {id(file) for file, is_sound in zip(files, intact, strict=True) if is_sound}

    def _find_lost(self, intact: set[int]) -> None:
        damaged = [file for file in self._scan.files if id(file) not in intact]
        columns = by_key(self._columns)
        for name, (key, _) in self._kinds.items() if damaged else ():
            if not all(file.is_sound(columns.get(key, ())) for file in damaged):
                self.lost.setdefault(key, f"lost_{name}")

    def _sure(self, rows: DataFrame) -> DataFrame:
        """Rows whose values could all be read."""
        return rows.select("*", *(sf.lit(False).alias(name) for name in self.lost.values()))

    # --- by Spark itself ------------------------------------------------------------------------

    def _read_by_spark(self, files: Sequence[ParquetFragment]) -> DataFrame:
        """Files that have the same columns under the same names."""
        stored = files[0].file_columns.stored
        sparse = {SPARSE_COLUMNS[c.kind] for c in self._columns if c.kind in SPARSE_COLUMNS}
        columns = [column for column in stored if column in sparse.union(self._columns)]
        fields = [st.StructField(NODE, st.LongType())]
        fields += [st.StructField(stored[c], _type_in_file(c.kind)) for c in columns]
        reader = self._spark.read.options(**_OPTIONS).schema(st.StructType(fields))
        read = reader.parquet(*(f"file://{file.path.absolute()}" for file in files))
        # By position, so names in files do not matter.
        names = [f"c{number}" for number in range(len(columns))]
        numbered = read.toDF(NODE, *names)
        places = dict(zip(columns, map(sf.col, names), strict=True))
        for column in self._misread(files):
            # Equal, but no condition is pushed down through it; x + 0 would lose -0.0.
            places[column] = sf.nanvl(places[column], places[column])
        places |= _unpacked(self._columns, places)
        own = by_key(places)
        values = [
            _value({column: places[column] for column in own.get(key, ())}, kind).alias(name)
            for name, (key, kind) in self._kinds.items()
        ]
        return numbered.select(NODE, *values)

    def _misread(self, files: Sequence[ParquetFragment]) -> set[Column]:
        """Columns that no condition may be pushed down to."""
        found = ahead(lambda f: misread_columns(f, self._columns), files, threads=ALL_CORES)
        return set[Column]().union(*found)

    # --- by others ------------------------------------------------------------------------------

    def _read_by_workers(self, files: Sequence[ParquetFragment]) -> DataFrame:
        """Files that Spark can't read natively, one row group per Python task."""
        groups = [(f.path.absolute(), n) for f in files for n in range(len(f.group_rows))]
        read = partial(_read_group, self._columns, self._kinds)
        return in_tasks(self._spark, read, groups, self._schema)

    def _read_here(self, fragments: Sequence[Fragment]) -> DataFrame:
        """Rows that are in no sealed file, and the readable part of damaged files."""
        batches = [
            batch
            for fragment in fragments
            for table in fragment.tables(self._columns)
            for batch in self._with_lost_flags(fragment, table).to_batches()
        ]
        if not batches:
            return self._nothing()
        flags = [st.StructField(name, st.BooleanType()) for name in self.lost.values()]
        schema = st.StructType([*self._schema, *flags])
        return self._spark.createDataFrame(pa.Table.from_batches(batches), schema)

    def _with_lost_flags(self, fragment: Fragment, table: pa.Table) -> pa.Table:
        own = _own_table(fragment, table, self._kinds)
        for key, name in self.lost.items():
            is_lost = Piece(self._scan, fragment, table).is_lost(key)
            own = own.append_column(name, pa.repeat(pa.scalar(is_lost), table.num_rows))
        return own

    def _nothing(self) -> DataFrame:
        return self._sure(self._spark.createDataFrame([], self._schema))


def _size(path: Path) -> int | None:
    """Size of a file in bytes; None if it no longer exists."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _is_readable(file: ParquetFragment) -> bool:
    """Whether Spark can read a file natively."""
    names = [NODE, *file.file_columns.stored.values()]
    # Spark compares names without case, by Java's rules.
    are_distinct = (
        len({name.casefold() for name in names})
        == len(names)
        == len({name.lower() for name in names})
    )
    are_names = all(name and "\0" not in name for name in names)
    return are_distinct and are_names and not any(map(_is_half, file.file_columns.stored))


def _unpacked(
    columns: Sequence[Column], places: Mapping[Column, SparkColumn]
) -> dict[Column, SparkColumn]:
    """The columns whose values are in sparse ones, or in those and their own."""
    found: dict[Column, SparkColumn] = {}
    for column in columns:
        maps = SPARSE_COLUMNS.get(column.kind)
        if maps is not None and maps in places:
            sparse = sf.try_element_at(places[maps], sf.lit(column.key))
            found[column] = sf.coalesce(places[column], sparse) if column in places else sparse
    return found


def _is_half(column: Column) -> bool:
    """Whether a column has 16-bit floats."""
    return "halffloat" in str(column.kind.storage_type)


def _type_in_file(kind: Kind) -> st.DataType:
    """The Spark type of a column in a file."""
    if isinstance(kind, SparseKind):
        return st.MapType(st.StringType(), _type_in_file(kind.kind))
    return st.LongType() if kind == TIMEDELTA else spark_type(kind)


def _value(places: Mapping[Column, SparkColumn], flat: Kind) -> SparkColumn:
    """The flat column of a key, from the columns that a file has of it."""
    found = [
        _to_flat(column.kind, place, flat)
        for column, place in places.items()
        if family_of(column.kind) == family_of(flat)
    ]
    if not found:
        return sf.lit(None).cast(spark_type(flat))
    return found[0] if len(found) == 1 else sf.coalesce(*found)


def _to_flat(kind: Kind, column: SparkColumn, flat: Kind) -> SparkColumn:
    """A column of a file, converted to the type of the flat kind."""
    if kind == TIMEDELTA:
        return column * sf.expr("INTERVAL '0.000001' SECOND")
    cast = _CASTS.get((kind, flat))
    return column if cast is None else column.cast(cast)


def _own_table(
    fragment: Fragment, table: pa.Table, kinds: Mapping[str, tuple[str, Kind]]
) -> pa.Table:
    """The records' own flat columns, in types that Spark accepts."""
    arrays = [one_array(table.column(NODE))]
    read = set(table.column_names)
    for key, kind in kinds.values():
        by_kind = {
            column: column_in(table, fragment, column)
            for column in fragment.columns.of(key)
            if column.kind != NULL and fragment.columns[column] in read
        }
        arrays.append(for_spark(flat_column(by_kind, kind, table.num_rows)))
    return pa.Table.from_arrays(arrays, names=[NODE, *kinds])


def _read_group(
    columns: Sequence[Column], kinds: Mapping[str, tuple[str, Kind]], group: tuple[Path, int]
) -> list[pa.RecordBatch]:
    """Read a row group in a worker, given its file and number.

    Raises:
        DamagedFileError: it can't be read.
    """
    path, number = group
    try:
        file = open_sealed(path, _no_successor)
    except UNREADABLE as error:
        raise _damaged(path) from error
    table = file.table(number, columns)
    if table is None:
        raise _damaged(path)
    found: list[pa.RecordBatch] = _own_table(file, table, kinds).combine_chunks().to_batches()
    return found


def _damaged(path: Path) -> DamagedFileError:
    return DamagedFileError(
        f"{path} can't be read: collection.verify() lists what is damaged, and"
        " ExperimentCollection.repair saves what can be saved"
    )


def _no_successor(file: ParquetFragment) -> ParquetFragment | None:
    """Raise for a file that was compacted away while Spark was reading it."""
    message = f"{file.path} was compacted away after the query was planned: create the query again"
    raise FileNotFoundError(message)
