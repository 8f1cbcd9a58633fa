"""Inherited values in Spark: looked up by a row's node in arrays, or by a broadcast join."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple

from .._arrow import pa, pc
from .._lazy_imports import sf, st
from .._live.column import NODE
from .._once import once
from .._store.fragments import between
from .mixed import flat_column
from .scan import Scan
from .spark_types import for_spark, spark_kinds, spark_type

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = ["Inherited", "inherited"]

_PLACE: Final = "_place"
#: If the ids of nodes form more dense ranges than this, they are joined.
_MOST_RANGES: Final = 16
#: Maximum total length of all ranges: each task gets the arrays that its query uses.
_MOST_PLACES: Final = 2_000_000
#: Maximum number of positions per node, plus some, so that ranges are not too sparse.
_SPARSE: Final = 4
_SPARE: Final = 4_096
#: Spark treats a local table with more bytes than this as a job, not as a constant.
_TABLE_BYTES: Final = 16 * 1024 * 1024
#: Text with up to this many distinct values and bytes is dictionary encoded: one byte per node.
_MOST_WORDS: Final = 128
_WORDS_BYTES: Final = 4_096
#: Rows of a table that is broadcast to every executor; for larger ones Spark decides.
_MOST_BROADCAST: Final = 20_000_000


class Inherited(ABC):
    """Adds own and inherited values of nodes to rows, by node id.

    Args:
        keys: the columns of the flat table, each with its column name here.
        ids: the nodes that can have rows, sorted.
    """

    def __init__(
        self, spark: SparkSession, scan: Scan, keys: Mapping[str, str], ids: pa.Array
    ) -> None:
        self._spark = spark
        self._scan = scan
        self._keys = keys
        self._kinds = spark_kinds(scan)
        self._ids = ids

    def of_nodes(self, rows: DataFrame) -> DataFrame:
        """The rows of the scan's nodes."""
        if self._scan.read_ids is not None:
            return self._of_these(rows)
        gone = self._scan.snapshot.nodes.deleted  # excludes nodes without attributes
        if gone is None:
            return rows
        table = self._spark.createDataFrame(
            pa.table({NODE: gone}), st.StructType([st.StructField(NODE, st.LongType())])
        )
        return rows.join(sf.broadcast(table), NODE, "left_anti")

    @abstractmethod
    def _of_these(self, rows: DataFrame) -> DataFrame:
        """The rows of any of the nodes."""

    @abstractmethod
    def added(self, rows: DataFrame) -> DataFrame:
        """Rows of these nodes with the inherited columns."""

    def _values(self, flat: str, ids: pa.Array) -> pa.Array:
        """Each node's own or inherited value; null if it has none."""
        nodes, meant = self._scan.snapshot.nodes, self._scan.flats[flat]
        found = nodes.resolved(meant.key, nodes.positions(ids), meant.takes)
        return for_spark(flat_column(found, self._kinds[flat], len(ids)))

    def _fields(self) -> list[st.StructField]:
        kinds = ((name, self._kinds[key]) for key, name in self._keys.items())
        return [st.StructField(name, spark_type(kind)) for name, kind in kinds]


def inherited(spark: SparkSession, scan: Scan, keys: Mapping[str, str]) -> Inherited:
    """The fastest lookup for these nodes.

    It only reads file footers, unless the query selects some of the rows.
    """
    if scan.read_ids is None:
        spans = _merged(span for each in scan.fragments for span in each.node_ranges)
        ids = _within_spans(_sorted(scan.among(scan.snapshot.nodes.ids)), spans)
        ranges = _one_range(spans) or _ranges_of(ids)
    else:
        ids = _sorted(scan.read_ids)
        ranges = _ranges_of(ids)
    places = sum(each.last - each.first + 1 for each in ranges)
    if 0 < len(ranges) <= _MOST_RANGES and places <= min(_MOST_PLACES, _SPARSE * len(ids) + _SPARE):
        return _ArrayLookup(spark, scan, keys, ids, ranges)
    return _BroadcastJoin(spark, scan, keys, ids)


class _Range(NamedTuple):
    """A dense range of ids, and the position of its first id."""

    first: int
    last: int
    place: int


def _sorted(ids: pa.Array) -> pa.Array:
    return ids.take(pc.sort_indices(ids))


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Disjoint ranges of ids, in order."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1] + 1:
            low, high = found[-1][0], max(high, found.pop()[1])  # noqa: PLW2901 - extends the range
        found.append((low, high))
    return found


def _within_spans(ids: pa.Array, spans: Iterable[tuple[int, int]]) -> pa.Array:
    """The sorted ids that are in any of the ranges."""
    return pa.concat_arrays([ids.slice(0, 0), *(between(ids, *span) for span in spans)])


def _one_range(spans: Sequence[tuple[int, int]]) -> list[_Range]:
    """The range of all rows' nodes if they are of one writer, else none."""
    if not spans or spans[0][0] >> 32 != spans[-1][1] >> 32:
        return []
    return [_Range(spans[0][0], spans[-1][1], 0)]


def _ranges_of(ids: pa.Array) -> list[_Range]:
    """The ranges of sorted ids, one for each writer of nodes."""
    ranges, start, place = [], 0, 0
    for count in pc.value_counts(pc.shift_right(ids, 32)).field("counts").to_pylist():
        first, last = ids[start].as_py(), ids[start + count - 1].as_py()
        ranges.append(_Range(first, last, place))
        start, place = start + count, place + last - first + 1
    return ranges


class _ArrayLookup(Inherited):
    """Arrays with a position for every node, of which a query gets those that it uses.

    It needs no hashing, and costs nothing if no inherited column is used: a join would remain.
    """

    def __init__(
        self,
        spark: SparkSession,
        scan: Scan,
        keys: Mapping[str, str],
        ids: pa.Array,
        ranges: list[_Range],
    ) -> None:
        super().__init__(spark, scan, keys, ids)
        self._ranges = ranges

    def _of_these(self, rows: DataFrame) -> DataFrame:
        is_one = pc.is_in(self._places, value_set=self._ids)
        there = self._tables({"is_one": (st.StructField("is_one", st.BooleanType()), is_one)})
        in_ranges = reduce(lambda a, b: a | b, map(_within, self._ranges))
        return rows.where(in_ranges).where(sf.get(there["is_one"], self._place()))

    def added(self, rows: DataFrame) -> DataFrame:
        if not self._keys:
            return rows
        columns, words = {}, {}
        for (key, name), field in zip(self._keys.items(), self._fields(), strict=True):
            values = self._values(key, self._places)
            numbered = _numbered(values)
            if numbered is None:
                columns[name] = field, values
            else:
                columns[name] = st.StructField(name, st.ByteType()), numbered.indices
                words[name] = sf.array(*map(sf.lit, numbered.dictionary.to_pylist()))
        tables = self._tables(columns)
        placed = rows.withColumn(_PLACE, self._place())
        found = {name: sf.get(tables[name], sf.col(_PLACE)) for name in columns}
        of_words = {name: sf.get(these, found[name]) for name, these in words.items()}
        return placed.withColumns(found | of_words)

    @once
    def _places(self) -> pa.Array:
        """The node id of each position."""
        parts = [pa.array(range(each.first, each.last + 1), pa.int64()) for each in self._ranges]
        return pa.concat_arrays(parts)

    def _place(self) -> Column:
        """The position of a row's node; null if it is another node.

        It is a CASE even for a single range: from a bare difference, Spark would derive
        ``_node IS NOT NULL`` and evaluate that on every page of the files.
        """
        places = [
            (_within(each), (sf.col(NODE) - sf.lit(each.first - each.place)).cast("int"))
            for each in self._ranges
        ]
        return reduce(lambda found, place: found.when(*place), places[1:], sf.when(*places[0]))

    def _tables(self, columns: Mapping[str, tuple[st.StructField, pa.Array]]) -> dict[str, Column]:
        """Columns as arrays in tables of one row, shared by queries."""
        found: dict[str, Column] = {}
        for names in _packed({name: values.nbytes for name, (_, values) in columns.items()}):
            arrays = [_in_one_row(columns[name][1]) for name in names]
            schema = st.StructType([_array_field(*columns[name]) for name in names])
            table = self._spark.createDataFrame(
                pa.Table.from_arrays(arrays, names=list(names)), schema
            )
            found |= {name: table.select(name).scalar() for name in names}
        return found


class _BroadcastJoin(Inherited):
    """A table of the nodes that is broadcast and joined to the rows."""

    def _of_these(self, rows: DataFrame) -> DataFrame:
        if not len(self._ids):
            return rows.where(sf.lit(False))
        low, high = self._ids[0].as_py(), self._ids[-1].as_py()
        near = rows.where(sf.col(NODE).between(low, high))
        return near.join(self._table({}), NODE, "left_semi")

    def added(self, rows: DataFrame) -> DataFrame:
        return rows.join(self._table(self._keys), NODE, "left") if self._keys else rows

    def _table(self, keys: Mapping[str, str]) -> DataFrame:
        arrays = [self._ids, *(self._values(key, self._ids) for key in keys)]
        fields = [st.StructField(NODE, st.LongType()), *(self._fields() if keys else [])]
        table = pa.Table.from_arrays(arrays, names=[field.name for field in fields])
        found = self._spark.createDataFrame(table, st.StructType(fields))
        return sf.broadcast(found) if len(self._ids) <= _MOST_BROADCAST else found


def _within(each: _Range) -> Column:
    return sf.col(NODE).between(each.first, each.last)


def _numbered(values: pa.Array) -> pa.DictionaryArray | None:
    """Dictionary-encode text with few distinct values, so that Spark has one object for each.

    Text in an array would be a new object for every row, copied again to be hashed.
    """
    if not pa.types.is_string(values.type):
        return None
    found = values.dictionary_encode()
    if not 0 < len(found.dictionary) <= _MOST_WORDS or found.dictionary.nbytes > _WORDS_BYTES:
        return None
    return pa.DictionaryArray.from_arrays(found.indices.cast(pa.int8()), found.dictionary)


def _array_field(field: st.StructField, values: pa.Array) -> st.StructField:
    """The field of these values as one array; not nullable if none is null."""
    kind = st.ArrayType(field.dataType, containsNull=values.null_count > 0)
    return st.StructField(field.name, kind)


def _in_one_row(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)


def _packed(sizes: Mapping[str, int]) -> Iterator[Sequence[str]]:
    """Groups of column names that fit into one table."""
    names: list[str] = []
    filled = 0
    for name, size in sizes.items():
        if names and filled + size > _TABLE_BYTES:
            yield names
            names, filled = [], 0
        names.append(name)
        filled += size
    if names:
        yield names
