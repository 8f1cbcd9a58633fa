"""How records show: one line, a table in a terminal, a table in a notebook."""

from __future__ import annotations

from typing import Final

from .._engines.scan import Scan
from .._printable import one_line
from .page import columns_of_scan, page_of
from .table import Table
from .text import cut, plural

__all__ = ["records_line", "records_table"]

#: The line names so many columns.
_NAMED: Final = 20


def records_line(scan: Scan) -> str:
    """How many rows there are, and the columns with their kinds."""
    kinds = columns_of_scan(scan)
    named = [f"{cut(one_line(flat.name), 40)} {kind.name}" for flat, kind in kinds.items()]
    if len(named) > _NAMED:
        named[_NAMED:] = [f"and {len(named) - _NAMED:,} more"]
    shape = f"{plural(scan.row_count(), 'row')}, {plural(len(kinds), 'column')}"
    return f"<Records: {shape}: {', '.join(named)}>" if named else f"<Records: {shape}>"


def records_table(scan: Scan) -> Table:
    """The first and the last rows."""
    page = page_of(scan)
    last = range(page.total - len(page.last), page.total)
    return Table(
        title=f"{plural(page.total, 'row')}, {plural(len(page.kinds), 'column')}",
        names=list(page.kinds),
        keys=page.names,
        rows=[*page.first, *page.last],
        numbers=[*range(len(page.first)), *last],
        kinds=[kind.name for kind in page.kinds.values()],
    )
