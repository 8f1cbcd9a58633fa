"""Which columns of the flat table have NaN or -0.0, found out before a file of it is begun."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from .._lazy import lazy_module
from .._store.fragments import Fragment, Sealed
from .._store.seal import about
from .._store.special_floats import SpecialFloats
from .._values.kinds import FLOAT
from .scan import Scan, flat_column

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")

__all__ = ["special_floats"]


def special_floats(scan: Scan) -> SpecialFloats:
    """Columns, by their keys, that have special floats in rows of the scan, or near these.

    Sealed files report it, unless an older version sealed them. Read are values of nodes, rows
    that are not sealed yet, and floats of old files.
    """
    keys = {key for key, kind in scan.flat_kinds.items() if kind == FLOAT}
    found = [_of_fragment(fragment, keys) for fragment in scan.fragments]
    return SpecialFloats.union([_of_nodes(scan, keys & set(scan.node_keys)), *found])


def _of_nodes(scan: Scan, keys: Collection[str]) -> SpecialFloats:
    nodes, positions = scan.moment.nodes, scan.node_positions
    if positions is None:
        positions = pc.indices_nonzero(nodes.ids.is_valid())
    columns = {
        key: flat_column(nodes.resolved(key, positions), FLOAT, len(positions)) for key in keys
    }
    return SpecialFloats.of(pa.table(columns))


def _of_fragment(fragment: Fragment, keys: Collection[str]) -> SpecialFloats:
    named = {c: n for c, n in fragment.columns.items() if c.kind == FLOAT and c.key in keys}
    known = None
    if isinstance(fragment, Sealed):
        known = SpecialFloats.of_file(about(fragment.schema))
    if known is None:
        known = SpecialFloats.union(map(SpecialFloats.of, fragment.tables(list(named))))
    return known.renamed({name: str(column.key) for column, name in named.items()})
