"""Rows of the flat table, a screen at a time, with a filter in SQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .. import Records
from .._keys import RESERVED
from ..errors import ArgumentError
from .given import LAST, count_in, requested, text_in
from .plain import plain
from .workspace import Workspace

__all__ = ["RowsRequest", "rows", "value"]

_MOST_ROWS: Final = 500
_MOST_COLUMNS: Final = 200
#: They come last, so that what was logged is in view.
_BUILT_IN: Final = RESERVED - {"experiment_number"}


class RowsRequest(NamedTuple):
    """Which rows: of a collection, that meet a condition in SQL, from the first one on."""

    collection: str
    where: str
    first: int
    most: int

    @classmethod
    def of(cls, given: Any) -> RowsRequest:
        """The request in JSON of the browser.

        Raises:
            ArgumentError: it is not a valid one.
        """
        try:
            given = requested(given)
            return cls(
                text_in(given, "collection"),
                text_in(given, "where"),
                count_in(given, "first", 0, LAST, default=0),
                count_in(given, "count", 0, _MOST_ROWS, default=100),
            )
        except ValueError as error:
            message = f"not a valid request of rows: {error}"
            raise ArgumentError(message) from None


def rows(
    workspace: Workspace, request: RowsRequest, cell: Callable[[Any], Any] = plain
) -> dict[str, Any]:
    """The columns, the number of all rows, and the requested ones as lists of cells.

    Args:
        cell: what a value is in JSON.

    Raises:
        ArgumentError: there is no such collection, or the condition is not a SQL condition.
    """
    records = _records(workspace, request)
    columns = sorted(records.columns, key=_BUILT_IN.__contains__)[:_MOST_COLUMNS]
    some = records[request.first : request.first + request.most]
    return {
        "columns": columns,
        "total": len(records),
        "rows": [[cell(row[key]) for key in columns] for row in some],
    }


def value(workspace: Workspace, request: RowsRequest, key: Any) -> Any:
    """A value of the first of the requested rows, as it was logged.

    Raises:
        ArgumentError: there is no such collection or row, or the condition is not a SQL condition.
    """
    try:
        row = _records(workspace, request)[request.first]
    except IndexError:
        message = f"there is no record {request.first:,} any more"
        raise ArgumentError(message) from None
    return row[key] if isinstance(key, str) else None


def _records(workspace: Workspace, request: RowsRequest) -> Records:
    records: Records = workspace.named(request.collection).collection.records
    return records.where(request.where) if request.where else records
