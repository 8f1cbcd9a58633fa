"""Polars: a LazyFrame whose scan reads only what its query needs of records and nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from .._arrow import pa, pc
from .._lazy_imports import pl, plugins
from .._nested import Path, root_of
from .._once import once
from .._prefetch import ahead
from .._tree.columns import any_valid
from .._values.chunks import no_rows
from .arrow import flat_schema, flat_type
from .mixed import Flat, flat_column
from .pandas_polars import to_polars
from .piece import Group, Piece, spread
from .scan import Scan
from .sorted_nodes import SortedNodes

__all__ = ["lazy_frame"]


def lazy_frame(scan: Scan) -> pl.LazyFrame:
    """The flat table of the scan's snapshot as a LazyFrame.

    It reads only the columns that the query uses, and of these only the row groups with nodes that
    meet the query's conditions on inherited keys.

    Raises:
        MissingPackageError: Polars is not installed.
    """
    keys, schema = _schema(scan)
    frame = plugins.register_io_source(partial(_frames, scan, keys), schema=schema, is_pure=True)
    renamed = {name: key for name, key in keys.items() if name != key}
    return frame.rename(renamed) if renamed else frame


def _schema(scan: Scan) -> tuple[dict[str, str], dict[str, pl.DataType]]:
    """The keys of the columns by internal name, and their types; computed once per scan."""
    if (known := scan.cache.get(_schema.__name__)) is None:
        keys = _inner_names(list(scan.flats))
        types = to_polars(no_rows(flat_schema(scan))).dtypes
        known = scan.cache[_schema.__name__] = keys, dict(zip(keys, types, strict=True))
    return known


def _inner_names(keys: Sequence[str]) -> dict[str, str]:
    """For each column an internal name: some versions of Polars refuse names with a NUL."""
    found: dict[str, str] = {}
    for key in keys:
        name = key.replace("\0", "\u2400")
        while name != key and (name in found or name in keys):
            name += "_"
        found[name] = key
    return found


def _frames(
    scan: Scan,
    keys: dict[str, str],
    names: list[str] | None,
    predicate: pl.Expr | None,
    rows: int | None,
    _batch_rows: int | None,
) -> Iterator[pl.DataFrame]:
    """The callback that Polars reads from: some columns, and the rows that meet a predicate."""
    wanted = list(keys) if names is None else names
    if rows is None:
        yield from _FrameReader(scan, keys, wanted, predicate).frames()
        return
    # The limit counts rows before the predicate.
    used = list(
        dict.fromkeys([*wanted, *(predicate.meta.root_names() if predicate is not None else ())])
    )
    for frame in _FrameReader(scan, keys, used, None).frames():
        found = frame.head(rows)
        yield _columns(found.filter(predicate) if predicate is not None else found, wanted)
        rows -= found.height
        if not rows:
            return


def _columns(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    # not by select, in which a name such as "^.*$" is a pattern
    return pl.DataFrame({name: frame.get_column(name) for name in names})


class _FrameReader:
    """One pass over the records of a scan; ``keys`` maps internal names to columns."""

    def __init__(
        self, scan: Scan, keys: dict[str, str], names: Sequence[str], predicate: pl.Expr | None
    ) -> None:
        self._scan = scan
        self._names = list(names)
        self._nodes = _PolarsNodes.of(scan)
        flats = {name: scan.flats[column] for name, column in keys.items()}
        own, inherited = scan.own_keys, scan.inherited_keys
        above = {name: flat for name, flat in flats.items() if flat.key in inherited - own}
        self._ids: pa.Array | None = None
        self._rest: list[pl.Expr] = []
        for condition in [] if predicate is None else _conjuncts(predicate):
            ids = self._nodes.ids_where(condition, above, self._ids)
            if ids is None:
                self._rest.append(condition)
            else:
                self._ids = ids
        if self._ids is not None:
            self._ids = self._ids.take(pc.sort_indices(self._ids))
            self._places_of_ids = self._nodes.places(self._ids)
        used = {*names, *(name for each in self._rest for name in each.meta.root_names())}
        scan.warn_of_mixed(flat.key for name, flat in flats.items() if name in used)
        self._own = {name: flat for name, flat in flats.items() if flat.key in own and name in used}
        self._inherited = {
            name: flat for name, flat in flats.items() if flat.key in inherited and name in used
        }
        self._columns = scan.columns_for([flat.key for flat in self._own.values()])

    def frames(self) -> Iterator[pl.DataFrame]:
        """The rows, in batches."""
        for frames in ahead(self._read, self._groups()):
            yield from frames

    def _groups(self) -> Iterator[tuple[Group, pa.Array | None]]:
        """The groups that have any of the requested nodes, with these nodes (None: all)."""
        for group in self._scan.groups:
            among = None if self._ids is None else group.nodes_among(self._ids)
            if among is None or len(among):
                yield group, among

    def _read(self, wanted: tuple[Group, pa.Array | None]) -> list[pl.DataFrame]:
        group, among = wanted
        needs_nodes = bool(self._inherited)
        pieces = self._scan.read(group, self._columns, among=among, nodes=needs_nodes)
        frames = (self._frame(piece, group) for piece in pieces)
        return [frame for frame in frames if frame.height]

    def _frame(self, piece: Piece, group: Group) -> pl.DataFrame:
        columns = self._own_columns(piece)
        if self._inherited:
            inherit = self._inherit(piece, group)
            for name, flat in self._inherited.items():
                if piece.is_lost(flat.key):
                    continue
                above, own = inherit(self._nodes.column(flat)), columns.get(name)
                columns[name] = above if own is None else _nearest(own, above, piece, flat)
        frame = pl.DataFrame(columns)
        found = frame.filter(*self._rest) if self._rest else frame
        return found if found.columns == self._names else _columns(found, self._names)

    def _inherit(self, piece: Piece, group: Group) -> Callable[[pl.Series], pl.Series]:
        """A function that gives each row of a piece its node's value, from the values of all nodes."""
        places = self._places(piece, group)
        if len(places) == 1 and not places.null_count:
            return partial(pl.Series.new_from_index, index=places[0].as_py(), length=piece.rows)
        at = pl.Series(spread(piece.runs, places))
        # not by gather, which Polars runs as a query: slow inside a query
        return lambda values: values[at]

    def _places(self, piece: Piece, group: Group) -> pa.Array:
        """For each run of a piece the position of its node."""
        if piece.rows == group.rows:
            return self._nodes.places_of(group)
        ids = piece.runs.values
        if self._ids is None:
            return self._nodes.places(ids)
        return self._places_of_ids.take(pc.index_in(ids, value_set=self._ids))

    def _own_columns(self, piece: Piece) -> dict[str, pl.Series]:
        kinds = {flat: self._scan.flat_kind(flat.name) for flat in self._own.values()}
        piece.unpack(flat.key for flat in kinds)
        arrays = [
            flat_column(piece.own(flat.key), kind, piece.rows) for flat, kind in kinds.items()
        ]
        fields = [pa.field(flat.name, flat_type(kind)) for flat, kind in kinds.items()]
        frame = to_polars(pa.Table.from_arrays(arrays, schema=pa.schema(fields)))
        return dict(zip(self._own, frame.get_columns(), strict=True))


def _nearest(own: pl.Series, above: pl.Series, piece: Piece, flat: Flat) -> pl.Series:
    """The records' own values, else the inherited ones; an own value of any kind hides those."""
    hides = own.is_not_null()
    if flat.family is not None or isinstance(flat.key, Path):
        hides = pl.Series(any_valid(piece.own(root_of(flat.key)), piece.rows))
    if own.dtype not in {pl.String, pl.Binary}:
        return own.zip_with(hides, above)
    # Taking views of both by index copies no bytes: an inherited value is in memory once.
    both = pl.concat([own, above], rechunk=True)
    rows = pl.int_range(len(own), dtype=pl.UInt32, eager=True)
    return both[rows.zip_with(hides, rows + len(own))]


class _PolarsNodes(SortedNodes):
    """The nodes of a scan sorted by id, with the columns that were requested so far."""

    def __init__(self, scan: Scan) -> None:
        super().__init__(scan)
        self._scan = scan
        self._columns: dict[Flat, pl.Series] = {}
        self._places: dict[tuple[int, int], pa.Array] = {}
        self._sorted = pl.Series(self.ids)
        # Ids higher than all others get the place behind them, and equal none.
        self._ids_and_one = self._sorted.extend_constant(None, 1)

    @classmethod
    def of(cls, scan: Scan) -> _PolarsNodes:
        """The nodes of a scan, computed once."""
        if (known := scan.cache.get(cls.__name__)) is None:
            known = scan.cache[cls.__name__] = cls(scan)
        return known

    def column(self, flat: Flat) -> pl.Series:
        """Each node's own or inherited value in a column of the flat table."""
        if flat not in self._columns:
            kind = self._scan.flat_kind(flat.name)
            found, places = self._scan.snapshot.nodes.shared(flat.key, self.positions)
            values = flat_column(found, kind, len(next(iter(found.values()), ())))
            field = pa.field(flat.name, flat_type(kind))
            table = pa.Table.from_arrays([values], schema=pa.schema([field]))
            # Polars takes text as views: what many nodes inherit is in memory once.
            self._columns[flat] = to_polars(table).to_series().gather(pl.Series(places))
        return self._columns[flat]

    def ids_where(
        self, condition: pl.Expr, keys: dict[str, Flat], among: pa.Array | None
    ) -> pa.Array | None:
        """Ids of the nodes that have records and meet a condition.

        None if it is not a condition on nodes, so that it has to be evaluated for every row.

        Args:
            keys: the columns of nodes by internal name.
            among: the nodes to look at; None for all.
        """
        names = condition.meta.root_names()
        if not names or any(name not in keys for name in names):
            return None
        ids, at = self._with_records
        if among is not None:
            ids, at = among, self.places(among)
        places = pl.Series(at)
        frame = pl.DataFrame({name: self.column(keys[name])[places] for name in names})
        try:
            held = frame.select(condition.alias("held")).to_series()
        except pl.exceptions.PolarsError:  # it may hold after the conditions before it
            return None
        return ids.filter(held.to_arrow())

    @once
    def _with_records(self) -> tuple[pa.Array, pa.Array]:
        """Ids and positions of the nodes that have records."""
        ids = self._scan.sorted_nodes_of(self._scan.fragments)
        return ids, self.places(ids)

    def places(self, ids: pa.Array) -> pa.Array:
        """As for all engines, by bisection: few ids are looked up many times."""
        wanted = pl.Series(ids)
        at = self._sorted.search_sorted(wanted)
        is_there = self._ids_and_one[at].eq_missing(wanted)
        if not is_there.all():
            at = at.zip_with(is_there, pl.Series([None], dtype=at.dtype))
        return at.to_arrow()

    def places_of(self, group: Group) -> pa.Array:
        """The position of each run's node in a group; cached like the runs."""
        runs, key = group.runs, (id(group.fragment), group.number)
        if key in self._places:
            return self._places[key]
        places = self.places(runs.values)
        if runs is group.runs:
            self._places[key] = places
        return places


def _conjuncts(predicate: pl.Expr) -> Iterator[pl.Expr]:
    """The conditions joined by AND."""
    parts: list[Any] = predicate.meta.pop()
    if len(parts) == 2 and (parts[1] & parts[0]).meta.eq(predicate):
        for part in reversed(parts):
            yield from _conjuncts(part)
    else:
        yield predicate
