"""Keys with values of several families: in which column of the flat table which of them stand."""

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
from .._store.store import StoreSnapshot
from .._tree.columns import Variants
from .._tree.nodes import Nodes
from .._values.chunks import one_array
from .._values.kinds import JSON, NULL, Kind
from .._values.promote import Family, family_of, in_order, main_family, meet, to_flat
from ..errors import MixedKindsWarning

__all__ = ["Flat", "MixedKeys", "flat_column"]


class Flat(NamedTuple):
    """A column of the flat table.

    Attributes:
        name: its name: the key, or ``key:kind`` for what is not of the key's main family.
        key: the key whose values it has.
        family: the family of these values; None where all of the key are of one.
    """

    name: str
    key: str
    family: Family | None = None

    def takes(self, kind: Kind) -> bool:
        """Whether values of that kind stand in it."""
        return self.family is None or family_of(kind) == self.family


class MixedKeys:
    """The columns of the keys that have values of several families, at one moment.

    Which family is the main one is decided by all values in the store: it is the same for every
    part of it that has any of them, and does not depend on the order of records or of files.

    Args:
        warned: keys that were warned of, for as long as the store is open.
    """

    def __init__(self, snapshot: StoreSnapshot, nodes: Nodes, warned: set[str]) -> None:
        self._snapshot = snapshot
        self._nodes = nodes
        self.warned = warned
        self._counts: dict[str, Counter[Kind]] = {}
        self._columns: dict[Key, list[Column]] = {}

    def flats_of(self, key: str, kinds: Iterable[Kind]) -> list[Flat]:
        """The columns of a key in a part that has values of these kinds, the main one first."""
        families = {family_of(kind) for kind in kinds if kind != NULL}
        return self.flats(key, families) if len(families) > 1 else [Flat(key, key)]

    def flats(self, key: str, families: Collection[Family]) -> list[Flat]:
        """The columns of a key, of which there are several kinds, in a part with these families."""
        if len(families) == 1:
            return [Flat(key, key, next(iter(families)))]
        found = Counter[Family]()
        for kind, count in self.counts(key).items():
            found[family_of(kind)] += count
        main = main_family({family: found[family] for family in families or found})
        others = in_order(set(families) - {main})
        return [Flat(key, key, main), *(Flat(self._name(key, f), key, f) for f in others)]

    def counts(self, key: str) -> Counter[Kind]:
        """How many values of each kind are stored under a key, in records and as attributes.

        Of sealed files only the footers are read.
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
        """How many values of each kind are in the dicts of records."""
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
        """Warn once of each key of which values stand in other columns than that of its name.

        Args:
            flats: the columns of the table that is queried.
            used: the names of those that the query uses.
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
            f" {key!r} sees the first; rows give each value as it was logged"
        )

    def _origin(self, key: str, kinds: Collection[Kind]) -> str:
        """Which experiment has values of these kinds, where it is known at little cost."""
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
        found = self._nodes.resolved(EXPERIMENT_KEYS[0], pa.array([position], pa.int64()))
        numbers: list[int] = [n for each in found.values() for n in each.drop_null().to_pylist()]
        return numbers[0] if numbers else None

    def _name(self, key: str, family: Family) -> str:
        """``key:kind``, with ``_`` behind it until it is no key."""
        kinds = {column.kind for column in self._columns_of(key)} | set(self.counts(key))
        name = f"{key}:{meet(kind for kind in kinds if family_of(kind) == family).name}"
        while name in self._columns or self._nodes.has_key(name):
            name += "_"
        return name

    def _columns_of(self, key: str) -> list[Column]:
        """The physical columns of a key in records."""
        if not self._columns:
            found = dict.fromkeys(c for each in self._snapshot.records for c in each.columns)
            for column in found:
                self._columns.setdefault(column.key, [])
                if column.kind != NULL:
                    self._columns[column.key].append(column)
        return self._columns.get(key, [])


def flat_column(variants: Variants, kind: Kind, rows: int) -> pa.Array:
    """Those of the values of one key that are of a kind's family, as one column of that kind."""
    family = family_of(kind)
    found = [
        to_flat(column.kind, values, kind)
        for column, values in variants.items()
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
    """The node of the first record that has a value of a column."""
    for table in fragment.tables([column]):
        valid = pc.indices_nonzero(one_array(table.column(fragment.columns[column])).is_valid())
        if len(valid):
            return int(table.column(0)[valid[0].as_py()].as_py())
    return None
