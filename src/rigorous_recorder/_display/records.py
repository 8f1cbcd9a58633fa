"""Display of records: one line, or a table in a terminal or notebook."""

from __future__ import annotations

from typing import Final

from .._arrow import pa, pc
from .._engines.scan import Scan
from .._printable import one_line
from .._values.promote import one_pattern
from .preview import columns_of_scan, preview_of
from .table import Table
from .text import cut, plural

__all__ = ["records_line", "records_table"]

#: Maximum number of columns in the line.
_NAMED: Final = 20
#: Up to this many recorders, all are compared to find out which attributes differ.
_FEW_NODES: Final = 100_000


def records_line(scan: Scan) -> str:
    """The number of rows, and the columns with their kinds."""
    kinds = columns_of_scan(scan)
    named = [f"{cut(one_line(flat.name), 40)} {kind.name}" for flat, kind in kinds.items()]
    if len(named) > _NAMED:
        named[_NAMED:] = [f"and {len(named) - _NAMED:,} more"]
    shape = f"{plural(scan.row_count(), 'row')}, {plural(len(kinds), 'column')}"
    return f"<Records: {shape}: {', '.join(named)}>" if named else f"<Records: {shape}>"


def records_table(scan: Scan) -> Table:
    """The first and last rows; values that all of them inherit are on a line above."""
    page = preview_of(scan)
    inherited = _inherited_alone(scan)
    last = range(page.total - len(page.last), page.total)
    return Table(
        title=f"{plural(page.total, 'row')}, {plural(len(page.kinds), 'column')}",
        names=list(page.kinds),
        keys=page.names,
        rows=[*page.first, *page.last],
        numbers=[*range(len(page.first)), *last],
        kinds=[kind.name for kind in page.kinds.values()],
        inherited=inherited,
        shared=_equal_everywhere(scan, inherited),
        whole="records[i][key]",
    )


def _inherited_alone(scan: Scan) -> list[str]:
    """The columns that no record has itself."""
    own = {column.key for column in scan.record_columns}
    return [flat.name for flat in scan.flats.values() if flat.key not in own]


def _equal_everywhere(scan: Scan, names: list[str]) -> list[str]:
    """Those of the inherited columns that may be equal in all rows."""
    if scan.conditions or scan.snapshot.nodes.count > _FEW_NODES:
        return names
    return [name for name in names if not _differs(scan, scan.flats[name].key)]


def _differs(scan: Scan, key: str) -> bool:
    """Whether recorders of the scope have different values of a key."""
    found = scan.snapshot.nodes.own(key, scan.node_positions).values()
    try:
        return sum(len(pc.unique(one_pattern(values.drop_null()))) for values in found) > 1
    except pa.ArrowNotImplementedError:  # lists and the like
        return False
