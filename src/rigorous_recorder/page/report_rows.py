"""The rows of a report: the first of each collection, with images and sounds."""

from __future__ import annotations

from typing import Any, Final

from ..errors import RigorousError
from .plain import plain
from .report_file import text_of
from .rows import RowsRequest, rows
from .values import Values, media_type
from .workspace import Workspace

__all__ = ["RowsInside"]

_MOST_ROWS: Final = 1_000
_ROWS_AT_ONCE: Final = 500
#: Images and sounds: of each, and of all together.
_LARGEST: Final = 1 << 20
_MEDIA_BYTES: Final = 8 << 20
#: Text is cut sooner once there is so much of it.
_MANY_CHARACTERS: Final = 4 << 20
_LONG, _SHORT = 20_000, 200


class RowsInside:
    """The first rows of all collections that meet a condition.

    Attributes:
        rows: by collection, what the page would get of them; ``all`` is the number of all rows.
        media: by name, images and sounds as addresses with their data.
        left_out, media_left_out: how many rows and media are not there.
    """

    def __init__(self, workspace: Workspace, where: str) -> None:
        self._workspace, self._values = workspace, Values(workspace)
        self._characters = self._bytes = 0
        self.media: dict[str, str] = {}
        self.left_out = self.media_left_out = 0
        self.rows = {each.name: self._of(each.name, where) for each in workspace.opened}

    def _of(self, name: str, where: str) -> dict[str, Any]:
        found: dict[str, Any] = {"rows": [], "total": 0, "columns": []}
        try:
            for first in range(0, _MOST_ROWS, _ROWS_AT_ONCE):
                request = RowsRequest(name, where, first, _ROWS_AT_ONCE)
                part = rows(self._workspace, request, self._cell)
                found = part | {"rows": [*found["rows"], *part["rows"]]}
        except RigorousError as error:  # such as a condition on a key that only others have
            return {**found, "all": 0, "error": str(error)}
        count = len(found["rows"])
        self.left_out += found["total"] - count
        return found | {"total": count, "all": found["total"]}

    def _cell(self, value: Any) -> Any:
        if isinstance(value, (bytes, bytearray, memoryview)):
            found = self._values.cell(value)
            return {**found, "id": self._medium(bytes(value), found.get("id"))}
        if getattr(value, "shape", None) is not None:
            return self._values.cell(value)
        found = plain(value, _LONG if self._characters < _MANY_CHARACTERS else _SHORT)
        self._characters += len(found) if isinstance(found, str) else 0
        return found

    def _medium(self, content: bytes, name: str | None) -> str | None:
        if name is None or name in self.media:
            return name
        if len(content) > min(_LARGEST, _MEDIA_BYTES - self._bytes):
            self.media_left_out += 1
            return None
        self._bytes += len(content)
        self.media[name] = f"data:{media_type(content)};base64,{text_of(content)}"
        return name
