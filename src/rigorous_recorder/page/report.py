"""Reports: a view as one file that needs no server, as the page itself or as pictures alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike
from threading import Event
from typing import Any, Final

from ..errors import ColumnError
from .chart_request import ChartRequest
from .chart_svg import chart_svg
from .charts import charts
from .keys import keys_of
from .plot_svg import plot_svg
from .report_file import page_with, pictures_with, runs_html, text_of
from .report_plots import plots
from .report_rows import RowsInside
from .report_view import View
from .runs import runs_table
from .saved_views import find_view
from .svg_frame import Look, finish
from .table import CourseRequest, RunTable, TableRequest
from .workspace import Workspace

__all__ = ["report"]

_PIXELS: Final = 1_000
#: Charts of a report: in number, and in bytes; those of several keys have bytes of their own.
_MOST_CHARTS: Final = 500
_CHART_BYTES: Final = 24 << 20
_PLOT_BYTES: Final = 16 << 20
_MOST_LINES: Final = 3_000
_LINES_AT_ONCE: Final = 300
_MOST_COMPARED: Final = 20
_MOST_STATIC_LINES: Final = 200
_ONE: Final = {
    "charts": "chart",
    "courses": "course",
    "runs in the table": "run in the table",
    "rows": "row",
    "images and sounds": "image or sound",
}


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
        made = _Report(workspace, View.of(address))
        return made.pictures() if static else made.page(address)
    finally:
        workspace.close()


class _Report:
    def __init__(self, workspace: Workspace, view: View) -> None:
        self._workspace, self._view = workspace, view
        self._keys = keys_of(workspace)
        self._runs = runs_table(workspace)
        self._fixed = view.charts(self._keys["likely_x"])
        self._zoom = view.zoom(self._keys["likely_x"])
        self._table = RunTable(workspace)
        self._lines = self._all_lines()
        runs = [each["key"] for each in self._runs["runs"]]
        self._drawn = view.drawn(runs, self._lines["runs"])
        self._is_all = len(self._drawn) == len(runs)
        self._left_out: dict[str, int] = {}

    def _leave_out(self, what: str, count: int) -> None:
        if count > 0:
            self._left_out[what] = self._left_out.get(what, 0) + count

    def _charts(self) -> Iterator[tuple[str, list[bytes]]]:
        """The messages of the charts of the view, of all and of the part that is shown."""
        words, x = self._view.text("search").lower(), self._fixed["x"]
        found = [key for key in self._keys["charts"] if key != x and words in key.lower()]
        pinned = [key for key in self._view.texts("pinned") if key in found]
        keys = list(dict.fromkeys([*pinned, *found]))
        room = _CHART_BYTES
        for at, key in enumerate(keys):
            messages = self._messages(key) if at < _MOST_CHARTS else []
            room -= sum(map(len, messages))
            if room < 0 or at >= _MOST_CHARTS:
                self._leave_out("charts", len(keys) - at)
                return
            if messages:  # else it has no values over this x
                yield key, messages

    def _messages(self, key: str) -> list[bytes]:
        zoom = self._zoom
        parts: list[dict[str, Any]] = [{}] if zoom is None else [{}, zoom]
        runs = None if self._is_all or not self._fixed["by"] else self._drawn
        body = {**self._fixed, "y": [key], "pixels": _PIXELS, "runs": runs}
        try:
            return [charts(self._workspace, ChartRequest.of({**body, **part})) for part in parts]
        except ColumnError:
            return []

    def _plots(self) -> list[dict[str, Any]]:
        """The charts of several keys."""
        found, left_out = plots(
            self._workspace, self._view.panels(), self._drawn, is_all=self._is_all, room=_PLOT_BYTES
        )
        self._leave_out("charts", left_out)
        return [
            {"body": each.body, "message": text_of(each.message), "error": each.error}
            for _, each in found
        ]

    def _all_lines(self) -> dict[str, Any]:
        """The table of runs, as far as it is there."""
        request, table = self._view.table(), self._table
        found: dict[str, Any] = {"lines": [], "total": 1}
        while len(found["lines"]) < min(found["total"], _MOST_LINES):
            first = len(found["lines"])
            part = table.page(TableRequest.of({**request, "first": first, "count": _LINES_AT_ONCE}))
            found = part | {"lines": [*found["lines"], *part["lines"]]}
            if not part["lines"]:
                break
        return found

    def _courses(self) -> dict[str, Any]:
        """The small pictures of columns with the course of a key, by key and line."""
        start, level = ":line:", self._view.text("level")
        ids = [each["id"] for each in self._lines["columns"] if each["id"].startswith(start)]
        rows = [each["key"] for each in self._lines["lines"] if "group" not in each]
        some = tuple(rows[:_LINES_AT_ONCE])
        self._leave_out("courses", len(ids) * (len(rows) - len(some)))
        keys = [each.removeprefix(start) for each in ids]
        return {key: self._table.courses(CourseRequest(level, key, some), Event()) for key in keys}

    def _names(self) -> dict[str, str]:
        named = {each["key"]: each["attributes"].get("name") for each in self._runs["runs"]}
        return {key: str(name) for key, name in named.items() if name is not None}

    def page(self, address: str) -> str:
        """The page with its data inside."""
        lines = {**self._lines, "edit_token": None, "total": len(self._lines["lines"])}
        self._leave_out("runs in the table", self._lines["total"] - lines["total"])
        found = RowsInside(self._workspace, self._view.text("where"))
        data = {
            "answers": {
                "api/names": self._names(),
                "api/compare": self._table.compared(self._drawn[-_MOST_COMPARED:][::-1]),
                "api/runs": {**self._runs, "edit_token": None},
                "api/keys": self._keys,
                "api/views": {"views": [], "edit_token": None},
            },
            "table": lines,
            "request": self._view.table(),
            "drawn": None if self._is_all else self._drawn,
            "courses": self._courses(),
            "fixed": self._fixed,
            "zoom": self._zoom,
            "charts": {key: list(map(text_of, each)) for key, each in self._charts()},
            "plots": self._plots(),
            "rows": found.rows,
            "media": found.media,
            "where": self._view.text("where"),
            "address": address,
            "made": _now(),
        }
        self._leave_out("rows", found.left_out)
        self._leave_out("images and sounds", found.media_left_out)
        return page_with({**data, "left_out": self._missing()})

    def _missing(self) -> list[str]:
        named = ((count, what, _ONE.get(what, what)) for what, count in self._left_out.items())
        return [f"{count:,} {one if count == 1 else many}" for count, many, one in named]

    def pictures(self) -> str:
        """The charts as pictures, and the runs."""
        figures = [*self._plot_pictures(), *self._chart_pictures()]
        self._leave_out("runs in the table", self._lines["total"] - _MOST_STATIC_LINES)
        missing = "".join(f", without {each}" for each in self._missing())
        names = ", ".join(each.name for each in self._workspace.opened)
        return pictures_with(
            names,
            f"{len(self._drawn):,} of {len(self._runs['runs']):,} {'run' if len(self._runs['runs']) == 1 else 'runs'}, {_now()}{missing}",
            figures,
            runs_html(self._lines["columns"], self._lines["lines"][:_MOST_STATIC_LINES]),
        )

    def _chart_pictures(self) -> Iterator[str]:
        look = self._look()
        for key, messages in self._charts():
            zoom_x = self._zoom["zoom_x"] if self._zoom else ""
            if found := chart_svg(key, zoom_x, messages[-1], look):
                yield found

    def _plot_pictures(self) -> Iterator[str]:
        specs = self._view.panels()
        found, left_out = plots(
            self._workspace, specs, self._drawn, is_all=self._is_all, room=_PLOT_BYTES, more=False
        )
        self._leave_out("charts", left_out)
        for spec, each in found:
            if each.error:
                yield finish(each.error, "", (), ())
            else:
                yield plot_svg(spec, each.message, self._look())

    def _look(self) -> Look:
        drawn, runs = {*self._drawn}, self._runs["runs"]
        several = len(self._workspace.opened) > 1
        firsts = {each.name: 3 * at - 1 for at, each in enumerate(self._workspace.opened)}
        some = [each for each in runs if each["key"] in drawn]
        zoom = self._zoom or {}
        return Look(
            {each["key"]: _called(each, several=several) for each in some},
            {each["key"]: each["number"] + firsts[each["collection"]] for each in some},
            some,
            (bool(self._view.text("logx")), bool(self._view.text("logy"))),
            (zoom.get("low"), zoom.get("high")),
            frozenset(self._view.texts("off")),
        )


def _called(run: Mapping[str, Any], *, several: bool) -> str:
    """What the page calls a run."""
    name = run["attributes"].get("name")
    parts = run["collection"] if several else None, run["number"], name
    return " ".join(str(each) for each in parts if each is not None)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
