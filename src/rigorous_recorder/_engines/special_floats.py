"""Which columns of the flat table contain NaN or -0.0, known before they are written to a file."""

from __future__ import annotations

from collections.abc import Mapping

from .._arrow import pa, pc
from .._store.footer import metadata_of
from .._store.fragments import Fragment
from .._store.parquet_fragment import ParquetFragment
from .._store.special_floats import SpecialFloats
from .._values.kinds import FLOAT
from .mixed import flat_column
from .scan import Scan

__all__ = ["special_floats"]


def special_floats(scan: Scan) -> SpecialFloats:
    """Columns of the flat table that may have special floats in the scan's rows.

    Sealed files record it, except those of older versions. Values of nodes, unsealed rows and
    floats of older files are read.
    """
    names = {scan.flats[name].key: name for name, k in scan.flat_kinds.items() if k == FLOAT}
    found = [_of_fragment(fragment, names) for fragment in scan.fragments]
    return SpecialFloats.union([_of_nodes(scan, names), *found])


def _of_nodes(scan: Scan, names: Mapping[str, str]) -> SpecialFloats:
    nodes, positions = scan.snapshot.nodes, scan.node_positions
    if positions is None:
        positions = pc.indices_nonzero(nodes.ids.is_valid())
    columns = {
        name: flat_column(
            nodes.resolved(key, positions, scan.flats[name].takes), FLOAT, len(positions)
        )
        for key, name in names.items()
        if key in scan.node_keys
    }
    return SpecialFloats.of(pa.table(columns))


def _of_fragment(fragment: Fragment, names: Mapping[str, str]) -> SpecialFloats:
    there, columns = fragment.file_columns, fragment.columns
    named = {c: names[str(c.key)] for c in columns if c.kind == FLOAT and c.key in names}
    known = None
    if isinstance(fragment, ParquetFragment):
        known = SpecialFloats.of_file(metadata_of(fragment.schema))
    if known is not None:  # of the columns of the file, which several keys can share
        each_of = (dict.fromkeys(there.names_storing([c]), name) for c, name in named.items())
        return SpecialFloats.union(map(known.renamed, each_of))
    known = SpecialFloats.union(map(SpecialFloats.of, fragment.tables(list(named))))
    return known.renamed({columns[column]: name for column, name in named.items()})
