"""Reports: a view as one file that needs no server, as the page itself or as pictures alone."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib import resources
from os import PathLike
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from ..errors import ColumnError
from .chart_library import library_files
from .chart_svg import chart_svg
from .charts import ChartRequest, charts
from .keys import keys_of
from .plain import json_bytes
from .rows import RowsRequest, rows
from .runs import runs_table
from .saved_views import find_view
from .table import RunTable, TableRequest
from .values import Values
from .workspace import Workspace

__all__ = ["report"]

_PIXELS: Final = 1_000
#: Charts of a report: in number, and in bytes.
_MOST_CHARTS: Final = 500
_CHART_BYTES: Final = 24 << 20
_MOST_ROWS: Final = 1_000
_ROWS_AT_ONCE: Final = 500
_MOST_LINES: Final = 3_000
_LINES_AT_ONCE: Final = 300
_TYPES: Final = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_POLICY: Final = (
    "default-src 'none'; script-src data: 'sha256-{digest}'; style-src data:; img-src data: blob:;"
    " base-uri 'none'; form-action 'none'"
)
_STYLE: Final = (
    "body{font:14px/1.4 system-ui,sans-serif;color:#1b1f24;background:#fff;margin:16px}"
    "h1{font-size:18px}h2{font-size:14px;margin:4px 0}svg{max-width:100%;height:auto}"
    "div.charts{display:flex;flex-wrap:wrap;gap:16px}"
)


class _View(NamedTuple):
    """The state of the page in an address."""

    given: Mapping[str, list[str]]

    def text(self, name: str, default: str = "") -> str:
        """A value; if it is missing a default."""
        return self.given.get(name, [default])[-1]

    def texts(self, name: str) -> list[str]:
        """All values of a name."""
        return list(self.given.get(name, ()))


def report(
    view: str = "", paths: Sequence[str | PathLike[str]] = (".",), *, static: bool = False
) -> str:
    """A view of collections as the text of one HTML file.

    It opens from disk and makes no request. The page is interactive there: runs can be hidden, charts
    zoomed and read. It has the charts of the view with all lows and highs of 1,000
    pixels each, and the first 1,000 rows of each collection.

    Args:
        view: the name of a saved view, or an address of the page with its ``#``; empty for the page
            as it is at first.
        paths: collections, or folders with collections.
        static: whether it has pictures of the charts alone, without any script.

    Raises:
        NotACollectionError: there is no collection at a path.
        ArgumentError: there is no view of this name.
    """
    workspace = Workspace(paths)
    try:
        address = view.partition("#")[2] if "#" in view or not view else None
        address = find_view(workspace, view).address if address is None else address
        made = _Report(workspace, _View(parse_qs(address)))
        return made.pictures() if static else made.page(address)
    finally:
        workspace.close()


class _Report:
    def __init__(self, workspace: Workspace, view: _View) -> None:
        self._workspace, self._view = workspace, view
        self._keys = keys_of(workspace)
        self._runs = runs_table(workspace)
        x = view.text("x") or self._keys["likely_x"]
        self._fixed: dict[str, Any] = {
            "x": "" if x == "#" else x,
            "by": view.texts("by"),
            "band": view.text("band", "std"),
            "smooth": _number(view.text("smooth", "0")),
            "from_start": bool(view.text("relative")),
            "levels_once": bool(view.text("once")),
        }

    def _charts(self) -> Iterator[tuple[str, bytes]]:
        """The messages of the charts of the view; pinned ones first."""
        words, x = self._view.text("search").lower(), self._fixed["x"]
        found = [key for key in self._keys["metrics"] if key != x and words in key.lower()]
        pinned = [key for key in self._view.texts("pinned") if key in found]
        size = 0
        for key in list(dict.fromkeys([*pinned, *found]))[:_MOST_CHARTS]:
            request = ChartRequest.of({**self._fixed, "y": [key], "pixels": _PIXELS})
            try:
                message = charts(self._workspace, request)
            except ColumnError:
                continue  # it has no values over this x
            size += len(message)
            if size > _CHART_BYTES:
                return
            yield key, message

    def _request(self) -> dict[str, Any]:
        """What the page requests of the table of runs, as in ``runs.js``."""
        view = self._view
        words = {"level": "level", "where": "rwhere", "words": "runs", "sort": "sort"}
        return {
            **{name: view.text(of) for name, of in words.items()},
            "filters": dict(each.partition("\t")[::2] for each in view.texts("filter")),
            "group": view.text("group"),
            "closed": view.texts("closed"),
            "columns": view.texts("cols"),
            **{name: bool(view.text(name)) for name in ("down", "differs", "archived")},
        }

    def _table(self) -> dict[str, Any]:
        table, request = RunTable(self._workspace), self._request()
        found: dict[str, Any] = {"lines": [], "total": 1}
        while len(found["lines"]) < min(found["total"], _MOST_LINES):
            first = len(found["lines"])
            part = table.page(TableRequest.of({**request, "first": first, "count": _LINES_AT_ONCE}))
            found = part | {"lines": [*found["lines"], *part["lines"]]}
            if not part["lines"]:
                break
        return found | {"request": request, "edit_token": None, "total": len(found["lines"])}

    def _names(self) -> dict[str, str]:
        named = {each["key"]: each["attributes"].get("name") for each in self._runs["runs"]}
        return {key: str(name) for key, name in named.items() if name is not None}

    def _rows(self) -> dict[str, Any]:
        values = Values(self._workspace)
        where = self._view.text("where")

        def cell(value: Any) -> Any:
            found = values.cell(value)
            return {**found, "id": None} if isinstance(found, dict) else found

        found: dict[str, Any] = {}
        for each in self._workspace.opened:
            name = each.name
            for first in range(0, _MOST_ROWS, _ROWS_AT_ONCE):
                request = RowsRequest(name, where, first, _ROWS_AT_ONCE)
                part = rows(self._workspace, request, cell)
                found.setdefault(name, part | {"rows": []})["rows"] += part["rows"]
            found[name]["total"] = len(found[name]["rows"])
        return found

    def page(self, address: str) -> str:
        """The page with its data inside."""
        table = self._table()
        data = {
            "answers": {
                "api/names": self._names(),
                "api/courses": {},
                "api/runs": {**self._runs, "edit_token": None},
                "api/keys": self._keys,
                "api/views": {"views": [], "edit_token": None},
            },
            "table": {key: each for key, each in table.items() if key != "request"},
            "request": table["request"],
            "fixed": self._fixed,
            "charts": {key: base64.b64encode(each).decode() for key, each in self._charts()},
            "rows": self._rows(),
            "where": self._view.text("where"),
            "address": address,
            "made": _now(),
        }
        return _with_data(data)

    def pictures(self) -> str:
        """The charts as pictures."""
        hidden = set(self._view.texts("hidden"))
        called = {
            each["key"]: f"{each['collection']} {each['number']}"
            for each in self._runs["runs"]
            if each["key"] not in hidden
        }
        is_log = bool(self._view.text("logx")), bool(self._view.text("logy"))
        found = [
            f"<figure>{chart_svg(key, self._fixed['x'], message, names=called, is_log=is_log)}</figure>"
            for key, message in self._charts()
        ]
        names = ", ".join(each.name for each in self._workspace.opened)
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src'
            f" 'sha256-{_digest(_STYLE)}'\">\n"
            f"<title>{escape(names)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
            f"<h1>{escape(names)}</h1>\n<p>{len(self._runs['runs']):,} runs, {_now()}</p>\n"
            f'<div class="charts">\n{chr(10).join(found)}\n</div>\n</body>\n</html>\n'
        )


def _number(text: str) -> float | int:
    try:
        value = float(text)
    except ValueError:
        return 0
    return 0 if not math.isfinite(value) else int(value) if value == int(value) else value


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _with_data(data: Mapping[str, Any]) -> str:
    """The page's files and its data in one; none of either can end an element."""
    folder = resources.files(__package__) / "static"
    files = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
    files |= library_files()
    modules = {
        f"rigorous/{name}": _address(name, _bare(content))
        for name, content in files.items()
        if name.endswith(".js") and not name.startswith("uplot")
    }
    imports = json.dumps({"imports": modules})
    text = files["index.html"].decode()
    text = re.sub(r'<link rel="(module)?preload"[^>]*>\n', "", text)
    files["main.js"] = b'import "rigorous/main.js";'

    def inline(match: re.Match[str]) -> str:
        return f'"{_address(match[1], files[match[1]])}"'

    text = re.sub(r'"static/([\w.]+)"', inline, text)
    inside = json_bytes(data).decode().replace("<", "\\u003c")
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="'
        f'{_POLICY.format(digest=_digest(imports))}">\n'
        f'<script type="importmap">{imports}</script>\n'
        f'<script type="application/json" id="inside">{inside}</script>\n'
    )
    for tab in ("sql", "tree", "compare"):
        text = text.replace(f'id="tab-{tab}"', f'id="tab-{tab}" hidden')
    return text.replace('<meta charset="utf-8">\n', f'<meta charset="utf-8">\n{head}', 1)


def _bare(content: bytes) -> bytes:
    """A module that imports others by names of the import map: data has no relative addresses."""
    return re.sub(rb'((?:from|import) |import\()"\./', rb'\1"rigorous/', content)


def _address(name: str, content: bytes) -> str:
    kind = _TYPES[name.rpartition(".")[2]]
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
