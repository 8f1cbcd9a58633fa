"""Live tables so small that few records grow them, fill them, and make keys sparse."""

from __future__ import annotations

from collections.abc import Callable

import rigorous_recorder._live.table as live_table
from rigorous_recorder._live import split
from rigorous_recorder._store import own_files

__all__ = ["make_small"]


def make_small(
    patch: Callable[[object, str, int], None], *, rows: int = 48, dense: int = 6
) -> None:
    """Let live tables have few rows, cells and columns; of sealed files two of a size are merged.

    Args:
        patch: sets an attribute of a module.
        rows: after so many a table is sealed.
        dense: of the keys of later records so many get columns of their own; of the first, twice that.
    """
    patch(live_table, "FIRST_ROWS", 8)
    patch(live_table, "MOST_ROWS", rows)
    patch(live_table, "GROWTH", 2)
    patch(live_table, "FIRST_SPILL", 64)
    patch(live_table, "FIRST_CELLS", 8)
    patch(live_table, "MOST_LISTS", 16)
    patch(split, "FEW_DENSE", dense)
    patch(split, "_MANY_RARE", 2)
    for module in (split, live_table):
        patch(module, "MOST_DENSE", 2 * dense)
        patch(module, "MOST_COUNTED", 2 * dense)
    patch(own_files, "_FAN", 2)
