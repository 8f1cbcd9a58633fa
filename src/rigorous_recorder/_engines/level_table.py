"""The level of a key as a table: its recorders, with inherited attributes and record counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple, get_args

from .._arrow import pa, pc
from .._keys import FIRST_KEYS
from .._nested import root_of
from .._tree.columns import any_valid, keys_of
from .._values.chunks import int64_array, int64_scalar
from ..errors import ArgumentError, ArgumentTypeError, ColumnError
from .arrow import resolved_table
from .attempts import attempts, places_of
from .conditions import AnyCondition
from .known_keys import no_such_key
from .node_conditions import Bound, nodes_that_meet
from .rows import Row, rows_at
from .scan import Scan
from .scanned_rows import Scope
from .snapshot import Snapshot

__all__ = ["ATTEMPTS", "Attempts", "LevelScan"]

Attempts = Literal["last", "all"]
ATTEMPTS: Final[tuple[Attempts, ...]] = get_args(Attempts)
#: The column with the number of records; followed by ``_`` until it differs from all keys.
_COUNT: Final = "records"


class LevelScan(NamedTuple):
    """The recorders of a scan that have a key as an attribute of their own.

    Attributes:
        scan: the records that are counted; its conditions on keys that no record has itself select
            the recorders, too.
        key: the key.
        attempts: of recorders that later attempts at an experiment repeat, the last one or all.
        conditions: further conditions on own and inherited attributes.
    """

    scan: Scan
    key: str
    attempts: Attempts = "last"
    conditions: tuple[AnyCondition, ...] = ()

    def positions(self) -> pa.Array:
        """Positions of the recorders, in order of creation.

        Raises:
            RigorousError: see ``check``.
        """
        scan, nodes = self.scan, self.scan.snapshot.nodes
        self.check()
        positions = scan.node_positions
        if positions is None:
            positions = pc.indices_nonzero(nodes.ids.is_valid()).cast(pa.int64())
        own = any_valid(nodes.own(self.key, positions), len(positions))
        found = nodes_that_meet(nodes, self._conditions(), positions.filter(own))
        if self.attempts == "last":
            found = _last_of_each_place(scan.snapshot, found)
        return found.take(pc.sort_indices(nodes.attached.take(found)))

    def table(self) -> pa.Table:
        """A row for each: own and inherited attributes, then the number of records."""
        positions = self.positions()
        known = resolved_table(self.scan.snapshot, positions, self.scan.paths)
        return known.append_column(self._count_name, self._counts(positions))

    def keys(self) -> list[str]:
        """The keys of the rows, in order."""
        keys = self.scan.snapshot.nodes.keys_above(self.positions())
        return [*keys, *map(str, self.scan.paths), self._count_name]

    def columns_of(self, keys: Iterable[str], columns: Iterable[str]) -> list[str]:
        """Those columns of the table that have values of some keys, of any kind, in their order."""
        has_key, there = self.scan.snapshot.nodes.has_key, list(columns)
        return [
            name
            for key in keys
            for name in there
            if name == key or (name.startswith(f"{key}:") and not has_key(name))
        ]

    def rows(self) -> Iterator[Row]:
        """The same rows with the exact values."""
        positions = self.positions()
        counts = self._counts(positions).to_pylist()
        for row, count in zip(rows_at(self.scan.snapshot, positions), counts, strict=True):
            yield Row({**row, self._count_name: count})

    def check(self) -> None:
        """Raise unless there is such a level.

        Raises:
            ArgumentTypeError: the key is not text.
            ArgumentError: ``attempts`` is not valid, or records have the key themselves.
            ColumnError: no recorder of the collection has, or had, such an attribute.
        """
        if not isinstance(self.key, str):
            message = f"the key of a level is text, such as 'episode', not {self.key!r:.60}"
            raise ArgumentTypeError(message)
        if self.attempts not in ATTEMPTS:
            message = f"attempts={self.attempts!r}: expected one of {', '.join(ATTEMPTS)}"
            raise ArgumentError(message)
        snapshot = self.scan.snapshot
        if (
            snapshot.nodes.has_key(self.key)
            or self.key in FIRST_KEYS
            or not snapshot.fragments.records
        ):
            return
        if self.key in keys_of(snapshot.record_columns):
            message = (
                f"level({self.key!r}): records have {self.key!r} themselves, and no recorder has it as"
                " an attribute: query the records"
            )
        else:
            message = f"level({self.key!r}): {no_such_key(self.key, snapshot.nodes.keys)}"
        raise ColumnError(message)

    def _conditions(self) -> Iterable[Bound]:
        own = set(keys_of(self.scan.snapshot.record_columns))
        yield from (c for c in self.scan.bound if not own.intersection(map(root_of, c.keys)))
        yield from Scan(self.scan.snapshot, Scope(), self.conditions).bound

    @property
    def _count_name(self) -> str:
        name = _COUNT
        while self.scan.snapshot.nodes.has_key(name):
            name += "_"
        return name

    def _counts(self, positions: pa.Array) -> pa.Array:
        """How many records each has, including recorders below it."""
        nodes = self.scan.snapshot.nodes
        counts = [0] * nodes.count
        for at, count in _counts_by_position(self.scan):
            counts[at] += count
        parents = nodes.parents.to_pylist()
        for at in range(nodes.count - 1, -1, -1):  # descendants before their ancestors
            if counts[at] and parents[at] is not None:
                counts[parents[at]] += counts[at]
        return int64_array(counts).take(positions)


def _counts_by_position(scan: Scan) -> Iterator[tuple[int, int]]:
    """Record counts of nodes by position; a node can occur several times."""
    nodes, pairs = scan.snapshot.nodes, []
    for group in scan.groups:
        runs = [group.runs] if scan.takes_all(group) else []
        if not runs:
            runs = [piece.runs for piece in scan.read(group, scan.columns_for([]))]
        pairs += [_lengths(each) for each in runs]
    if not pairs:
        return
    table = pa.concat_tables(pairs).group_by("node").aggregate([("rows", "sum")])
    positions = nodes.positions(table["node"].combine_chunks()).to_pylist()
    for at, count in zip(positions, table["rows_sum"].to_pylist(), strict=True):
        if at is not None:
            yield at, count


def _lengths(runs: pa.RunEndEncodedArray) -> pa.Table:
    ends = runs.run_ends.cast(pa.int64())
    starts = pc.subtract(ends, pc.pairwise_diff(ends)).fill_null(int64_scalar(0))
    return pa.table({"node": runs.values, "rows": pc.subtract(ends, starts)})


def _last_of_each_place(snapshot: Snapshot, positions: pa.Array) -> pa.Array:
    """The positions without those that a later attempt at the experiment repeats."""
    found = attempts(snapshot.nodes)
    if not found:
        return positions
    places = places_of(snapshot.nodes, found, "")
    table = pa.table(
        {
            "at": positions,
            "place": places.place.take(positions),
            "attempt": places.attempt.take(positions).fill_null(int64_scalar(1)),
        }
    )
    single = table.filter(table["place"].is_null())
    shared = table.filter(table["place"].is_valid())
    last = shared.group_by("place").aggregate([("attempt", "max")])
    latest = shared.join(last, ["place", "attempt"], ["place", "attempt_max"], "inner")
    return pa.concat_arrays([*single["at"].chunks, *latest["at"].chunks, positions.slice(0, 0)])
