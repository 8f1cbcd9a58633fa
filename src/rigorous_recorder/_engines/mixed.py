"""Keys with values of several families: which column of the flat table holds which of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from .._arrow import pa, pc
from .._keys import EXPERIMENT_KEYS
from .._live.column import Column, Key
from .._nested import Path, inside
from .._report import warn
from .._store.fragments import Fragment
from .._store.parquet_fragment import ParquetFragment
from .._store.reader import StoreSnapshot
from .._tree.columns import ColumnsByKind
from .._tree.nodes import Nodes
from .._values.chunks import int64_array, one_array
from .._values.kinds import JSON, NULL, Kind
from .._values.promote import Family, family_of, in_order, main_family, meet, to_flat
from ..errors import MixedKindsWarning

__all__ = ["Flat", "MixedKeys", "flat_column"]


class Flat(NamedTuple):
    """A column of the flat table.

    Attributes:
        name: the key, or ``key:kind`` for values outside the key's main family.
        key: the key.
        family: the family of its values; None if the key has one family.
    """

    name: str
    key: str
    family: Family | None = None

    def takes(self, kind: Kind) -> bool:
        """Whether it holds values of this kind."""
        return self.family is None or family_of(kind) == self.family


class MixedKeys:
    """The columns of keys with values of several families, in one snapshot.

    The main family is decided by all values in the store, so it is the same for every part of the
    store and does not depend on the order of records or files.

    Args:
        warned: keys that a warning was issued for since the store was opened.
    """

    def __init__(self, snapshot: StoreSnapshot, nodes: Nodes, warned: set[str]) -> None:
        self._snapshot = snapshot
        self._nodes = nodes
        self.warned = warned
        self._counts: dict[str, Counter[Kind]] = {}
        self._columns: dict[Key, list[Column]] = {}

    def flats_of(self, key: str, kinds: Iterable[Kind]) -> list[Flat]:
        """The columns of a key in a part of the store with values of these kinds, main one first."""
        families = {family_of(kind) for kind in kinds if kind != NULL}
        return self.flats(key, families) if len(families) > 1 else [Flat(key, key)]

    def flats(self, key: str, families: Collection[Family]) -> list[Flat]:
        """The columns of a key with several kinds, in a part of the store with these families."""
        if len(families) == 1:
            return [Flat(key, key, next(iter(families)))]
        found = Counter[Family]()
        for kind, count in self.counts(key).items():
            found[family_of(kind)] += count
        main = main_family({family: found[family] for family in families or found})
        others = in_order(set(families) - {main})
        return [Flat(key, key, main), *(Flat(self._name(key, f), key, f) for f in others)]

    def counts(self, key: str) -> Counter[Kind]:
        """How many values of each kind a key has, in records and as attributes.

        Of sealed files it only reads the footers.
        """
        if key not in self._counts:
            found = Counter(self._nodes.value_counts(key))
            if isinstance(key, Path):
                found += self._counts_inside(key)
            for column in self._columns_of(key):
                for fragment in self._snapshot.records:
                    if column in fragment.columns:
                        found[column.kind] += fragment.count(column)
            self._counts[key] = found
        return self._counts[key]

    def _counts_inside(self, path: Path) -> Counter[Kind]:
        """How many values of each kind are nested in the dicts of records."""
        found = Counter[Kind]()
        for column in self._columns_of(path.root):
            for fragment in self._snapshot.records if column.kind == JSON else ():
                if column not in fragment.columns:
                    continue
                for table in fragment.tables([column]):
                    texts = one_array(table.column(fragment.columns[column]))
                    for each, values in inside(path, {column: texts}).items():
                        found[each.kind] += len(values) - values.null_count
        return found

    def warn(self, flats: Iterable[Flat], used: Iterable[str]) -> None:
        """Warn once for each used key that has values in more than one column.

        Args:
            flats: the columns of the queried table.
            used: the names of the columns that the query uses.
        """
        mixed = {each.key for each in flats if each.name != each.key}
        for key in mixed.intersection(used) - self.warned:
            self.warned.add(key)
            shown = [each for each in flats if each.key == key]
            report = self._report(key, shown)
            warn(report, MixedKindsWarning, stacklevel=_caller_level())

    def _report(self, key: str, flats: Iterable[Flat]) -> str:
        counts = self.counts(key)
        parts = []
        for flat in flats:
            kinds = [kind for kind in counts if flat.takes(kind)]
            values = sum(counts[kind] for kind in kinds)
            where = "" if flat.name == key else self._origin(key, kinds)
            parts.append(f"{values:,} of {meet(kinds).name} in {flat.name!r}{where}")
        return (
            f"values of several kinds were logged under {key!r}: {', '.join(parts)}. A query of"
            f" {key!r} reads the first; rows contain each value as it was logged"
        )

    def _origin(self, key: str, kinds: Collection[Kind]) -> str:
        """An experiment that has values of these kinds, if it is cheap to find."""
        number = self._in_nodes(key, kinds)
        if number is None:
            number = self._in_records(key, kinds)
        return "" if number is None else f" (experiment {number})"

    def _in_nodes(self, key: str, kinds: Collection[Kind]) -> int | None:
        for column, values in self._nodes.own(key).items():
            if column.kind in kinds and values.null_count < len(values):
                return self._experiment(pc.indices_nonzero(values.is_valid())[0].as_py())
        return None

    def _in_records(self, key: str, kinds: Collection[Kind]) -> int | None:
        for column in self._columns_of(key):
            for fragment in self._snapshot.records if column.kind in kinds else ():
                if column in fragment.columns and _is_readable(fragment, column):
                    node = _first_node(fragment, column)
                    position = None if node is None else self._nodes.position(node)
                    return None if position is None else self._experiment(position)
        return None

    def _experiment(self, position: int) -> int | None:
        found = self._nodes.resolved(EXPERIMENT_KEYS[0], int64_array([position]))
        numbers: list[int] = [n for each in found.values() for n in each.drop_null().to_pylist()]
        return numbers[0] if numbers else None

    def _name(self, key: str, family: Family) -> str:
        """``key:kind``, followed by ``_`` until it differs from all keys."""
        kinds = {column.kind for column in self._columns_of(key)} | set(self.counts(key))
        name = f"{key}:{meet(kind for kind in kinds if family_of(kind) == family).name}"
        while name in self._columns or self._nodes.has_key(name):
            name += "_"
        return name

    def _columns_of(self, key: str) -> list[Column]:
        """The physical columns of records with this key."""
        if not self._columns:
            found = dict.fromkeys(c for each in self._snapshot.records for c in each.columns)
            for column in found:
                self._columns.setdefault(column.key, [])
                if column.kind != NULL:
                    self._columns[column.key].append(column)
        return self._columns.get(key, [])


def flat_column(by_kind: ColumnsByKind, kind: Kind, rows: int) -> pa.Array:
    """Those of the values of one key that are of a kind's family, as one column of that kind."""
    family = family_of(kind)
    found = [
        to_flat(column.kind, values, kind)
        for column, values in by_kind.items()
        if values.null_count < rows and family_of(column.kind) == family
    ]
    if not found:
        return pa.nulls(rows, pa.null() if kind == NULL else kind.sealed_type)
    return found[0] if len(found) == 1 else pc.coalesce(*found)


def _caller_level() -> int:
    """The ``stacklevel`` of the code that called this library."""
    package, frame, level = __name__.partition(".")[0], sys._getframe(1), 1
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level


def _is_readable(fragment: Fragment, column: Column) -> bool:
    return not isinstance(fragment, ParquetFragment) or fragment.is_sound([column])


def _first_node(fragment: Fragment, column: Column) -> int | None:
    """The node of the first record with a value in a column."""
    for table in fragment.tables([column]):
        valid = pc.indices_nonzero(one_array(table.column(fragment.columns[column])).is_valid())
        if len(valid):
            return int(table.column(0)[valid[0].as_py()].as_py())
    return None
