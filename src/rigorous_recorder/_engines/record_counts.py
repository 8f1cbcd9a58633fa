"""Record counts: how many records each of some nodes has below it, and with which keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from .._arrow import pa, pc, pq
from .._keys import FIRST_KEYS
from .._live.column import NODE, Column
from .._store.corruption import UNREADABLE
from .._store.fragments import Fragment
from .._store.parquet_fragment import ParquetFragment, open_parquet
from .._tree.nodes import Nodes
from .._values.chunks import int64_array, int64_scalar, no_rows, one_array
from .._values.kinds import NULL
from .snapshot import Snapshot

__all__ = ["Usage", "usage_below"]


class Usage(NamedTuple):
    """The number of records at and below a node, and the keys that occur there."""

    records: int
    keys: list[str]


def usage_below(snapshot: Snapshot, ids: Sequence[int]) -> list[Usage]:
    """The usage at and below each node, in one pass over all records.

    It reads record values only if a file's footer does not have the counts.
    """
    owners = _Owners(snapshot.nodes, ids)
    keys = _Keys(len(ids))
    _add_node_keys(keys, snapshot.nodes, owners)
    records = Counter[int]()
    fragments = snapshot.fragments.records
    for fragment, counts in zip(fragments, _by_fragment(fragments, owners), strict=True):
        records.update(counts)
        if counts:
            _add_record_keys(keys, fragment, owners, counts)
    return [Usage(records[at], keys.of(at)) for at in range(len(ids))]


class _Keys:
    """The keys of each owner, in order of first occurrence."""

    def __init__(self, owners: int) -> None:
        self._found: list[dict[str, None]] = [{} for _ in range(owners)]

    def add(self, key: str, owners: Iterable[int]) -> None:
        for owner in owners:
            self._found[owner][key] = None

    def of(self, owner: int) -> list[str]:
        return list(self._found[owner])


class _Owners:
    """For every node, the index of the requested node that it is or is below."""

    def __init__(self, nodes: Nodes, ids: Sequence[int]) -> None:
        self._nodes = nodes
        owner = pc.index_in(nodes.ids, value_set=int64_array(ids)).cast(pa.int64())
        above = nodes.parents
        while above.null_count < len(above):  # twice as many levels up each time
            owner = pc.coalesce(owner, owner.take(above))
            above = above.take(above)
        self.of_positions = owner

    def of_nodes(self, ids: pa.Array) -> pa.Array:
        """The owner of each node by id; null if it has none."""
        return self.of_positions.take(self._nodes.positions(ids))

    def where(self, mask: pa.Array, owners: pa.Array) -> list[int]:
        """The owners of the selected positions."""
        found: list[int] = pc.unique(owners.filter(mask)).drop_null().to_pylist()
        return found


def _add_node_keys(keys: _Keys, nodes: Nodes, owners: _Owners) -> None:
    for key in nodes.keys:
        if key not in FIRST_KEYS:
            for values in nodes.own(key).values():
                keys.add(key, owners.where(values.is_valid(), owners.of_positions))


def _by_fragment(fragments: Sequence[Fragment], owners: _Owners) -> list[dict[int, int]]:
    """For each fragment how many records each owner has in it."""
    counted = [no_rows(_pairs())]
    for number, fragment in enumerate(fragments):
        counted += _node_counts(number, fragment)
    table = pa.concat_tables(counted)
    found = table.append_column("owner", owners.of_nodes(table["node"].combine_chunks()))
    grouped = found.group_by(["fragment", "owner"]).aggregate([("count", "sum")])
    result: list[dict[int, int]] = [{} for _ in fragments]
    for row in grouped.to_pylist():
        if row["owner"] is not None:
            result[row["fragment"]][row["owner"]] = row["count_sum"]
    return result


def _pairs() -> pa.Schema:
    names = ("fragment", "node", "count")
    return pa.schema([pa.field(name, pa.int64()) for name in names])


def _node_counts(number: int, fragment: Fragment) -> Iterator[pa.Table]:
    for table in fragment.tables([]):
        found = pc.value_counts(one_array(table.column(NODE)))
        numbers = pa.repeat(int64_scalar(number), len(found))
        columns = [numbers, found.field("values"), found.field("counts")]
        yield pa.Table.from_arrays(columns, schema=_pairs())


def _add_record_keys(
    keys: _Keys, fragment: Fragment, owners: _Owners, present: Mapping[int, int]
) -> None:
    is_of_one = list(present.values()) == [fragment.rows]
    columns = [c for c in fragment.columns if isinstance(c.key, str) and c.kind != NULL]
    known = _missing(fragment, columns)
    unsure = []
    for column in columns:
        missing = known.get(column)
        if missing == 0 or (missing not in {None, fragment.rows} and is_of_one):
            keys.add(str(column.key), present)
        elif missing != fragment.rows:
            unsure.append(column)
    if unsure:
        _read_record_keys(keys, fragment, owners, unsure)


def _read_record_keys(
    keys: _Keys, fragment: Fragment, owners: _Owners, columns: Sequence[Column]
) -> None:
    for table in fragment.tables(columns):
        of_rows = owners.of_nodes(one_array(table.column(NODE)))
        for column in columns:
            values = one_array(table.column(fragment.columns[column]))
            keys.add(str(column.key), owners.where(values.is_valid(), of_rows))


def _missing(fragment: Fragment, columns: Sequence[Column]) -> dict[Column, int]:
    """The null count of each column, for those columns whose counts are in the file's footer."""
    if not isinstance(fragment, ParquetFragment):
        return {}
    try:
        with open_parquet(fragment.path) as file:
            footer = file.metadata
    except UNREADABLE:
        return {}  # damaged, or compacted away: the rows that can be read are read
    counts = _null_counts(footer)
    # The path of a list element has dots; so a top-level name with a dot is read instead.
    names = {column: fragment.columns[column] for column in columns}
    return {column: counts[name] for column, name in names.items() if name in counts}


def _null_counts(footer: pq.FileMetaData) -> dict[str, int]:
    """The null count of each column that is not nested."""
    found = Counter[str]()
    silent = set[str]()
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            statistics = chunk.statistics
            if "." in chunk.path_in_schema or statistics is None or not statistics.has_null_count:
                silent.add(chunk.path_in_schema)
            else:
                found[chunk.path_in_schema] += statistics.null_count
    return {name: count for name, count in found.items() if name not in silent}
