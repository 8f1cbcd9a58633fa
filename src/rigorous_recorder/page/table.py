"""The table of runs, a screen at a time: filtered, sorted and grouped here, over all collections."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Event, Lock
from time import time
from typing import Any, Final, NamedTuple

from .. import Experiment
from ..errors import ArgumentError, RigorousError
from .given import LAST, count_in, flag_in, mapping_in, requested, text_in, texts_in
from .plain import plain
from .runs import failures_in
from .summaries import Course
from .table_cells import (
    FIXED,
    Cells,
    Metrics,
    Table,
    column_of,
    identity,
    is_attribute,
    is_number,
    order_of,
)
from .table_filters import comparison_in, test_of, words_in
from .table_rows import LevelRows
from .workspace import Failure, Opened, Workspace

__all__ = ["CourseRequest", "RunTable", "TableRequest"]

_MOST_LINES: Final = 300
#: Attributes that are columns at once, and those that can be chosen.
_FEW_COLUMNS: Final = 60
_MOST_COLUMNS: Final = 2_000
_MOST_VIEWS: Final = 16
_MOST_COURSES: Final = 5_000
_MOST_COMPARED: Final = 20


class CourseRequest(NamedTuple):
    """Which courses: of a key in some rows of a level."""

    level: str
    key: str
    rows: tuple[str, ...]

    @classmethod
    def of(cls, given: Any) -> CourseRequest:
        """The request in JSON of the browser.

        Raises:
            ArgumentError: it is not a valid one.
        """
        try:
            given = requested(given)
            return cls(text_in(given, "level"), text_in(given, "key"), texts_in(given, "rows"))
        except ValueError as error:
            message = f"not a valid request of courses: {error}"
            raise ArgumentError(message) from None


class TableRequest(NamedTuple):
    """What the browser requests; columns are attributes, or begin with a colon.

    Attributes:
        level: an attribute, for a row for each recorder that has it; empty for runs.
        where: a SQL condition on attributes.
        words: words and comparisons, joined by ``and``.
        filters: what is typed into the boxes of columns.
        sort, down: the column to sort by, and whether the largest comes first.
        group: the column to group by; ``closed`` has the values of closed groups.
        columns: those to show, in order; none for attributes.
        differs: only attributes that are not the same in all listed rows.
        archived: archived runs, too.
        first, most: which lines.
    """

    level: str
    where: str
    words: str
    filters: tuple[tuple[str, str], ...]
    sort: str
    down: bool
    group: str
    closed: tuple[str, ...]
    columns: tuple[str, ...]
    differs: bool
    archived: bool
    first: int
    most: int

    @classmethod
    def of(cls, given: Any) -> TableRequest:
        """The request in JSON of the browser.

        Raises:
            ArgumentError: it is not a valid one.
        """
        try:
            given = requested(given)
            names = ("level", "where", "words", "sort", "group")
            texts = {name: text_in(given, name) for name in names}
            filters = mapping_in(given, "filters")
            return cls(
                **texts,
                filters=tuple(
                    (k, v) for k in sorted(filters) if (v := text_in(filters, k)).strip()
                ),
                closed=texts_in(given, "closed"),
                columns=texts_in(given, "columns")[:_MOST_COLUMNS],
                down=flag_in(given, "down"),
                differs=flag_in(given, "differs"),
                archived=flag_in(given, "archived"),
                first=count_in(given, "first", 0, LAST, default=0),
                most=count_in(given, "count", 0, _MOST_LINES, default=0),
            )
        except ValueError as error:
            message = f"not a valid request of a table: {error}"
            raise ArgumentError(message) from None


class _Group(NamedTuple):
    """The header of a group: the text of its value, and its rows by number."""

    label: str
    value: Any
    rows: list[int]


class _View(NamedTuple):
    """The lines of a table: numbers of rows, and headers of groups."""

    table: Table
    rows: list[int]
    lines: list[int | _Group]
    columns: list[str]
    errors: list[str]


class RunTable:
    """The tables of a workspace, with what is known of the latest snapshots."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = Lock()
        self._parts: dict[tuple[str, str], LevelRows] = {}
        self._tables: dict[str, Table] = {}
        self._views: OrderedDict[tuple[Any, ...], _View] = OrderedDict()
        self._metrics = Metrics()
        self._courses: OrderedDict[tuple[Any, ...], Course] = OrderedDict()
        self._failures: list[Failure] = []

    def page(self, request: TableRequest) -> dict[str, Any]:
        """Some lines, and what there is.

        Returns:
            ``columns`` that are shown, ``lines`` from ``first`` on, ``total`` (of lines), ``listed``
            (rows that pass), ``all`` (rows), ``runs`` (keys of the runs of rows that pass; None for
            all), ``errors`` of filters, ``attributes``, ``metrics`` and ``levels`` to choose from,
            ``collections``, and ``failures``: collections and files that can't be read.
        """
        with self._lock:
            table = self._table(request.level)
            view = self._view(table, request)
            levels = [key for each in self._runs().parts for key in each.levels()]
            failures = [*self._workspace.failures, *self._failures]
        failures += [found for each in self._workspace.opened for found in failures_in(each)]
        cells = Cells(table, self._metrics)
        some = view.lines[request.first : request.first + request.most]
        names = [each.name for each in self._workspace.opened]
        return {
            "columns": [cells.described(each) for each in view.columns],
            "lines": [_line(table, each, cells, view.columns) for each in some],
            "first": request.first,
            "total": len(view.lines),
            "listed": len(view.rows),
            "all": len(table.rows),
            "runs": _runs_of(table, view, request),
            "errors": view.errors,
            "attributes": [column_of(key) for key in table.attributes[:_MOST_COLUMNS]],
            "hidden_columns": max(0, len(table.attributes) - _MOST_COLUMNS),
            "levels": list(dict.fromkeys(levels)),
            "collections": names,
            "failures": [each._asdict() for each in failures],
        }

    def names(self, runs: Sequence[str]) -> dict[str, str]:
        """The names of those runs that have one."""
        with self._lock:
            table = self._runs()
        found = {key: table.rows[table.by_key[key]] for key in runs if key in table.by_key}
        return {
            key: str(plain(str(name)))
            for key, row in found.items()
            if (name := row.attributes.get("name")) is not None
        }

    def compared(self, runs: Sequence[str]) -> dict[str, Any]:
        """What differs between runs of any collection: attributes, environments, last numbers.

        Raises:
            ArgumentError: there are too many.
        """
        if len(runs) > _MOST_COMPARED:
            message = f"{len(runs)} runs; at most {_MOST_COMPARED} can be compared"
            raise ArgumentError(message)
        with self._lock:
            table = self._runs()
        rows = [table.rows[table.by_key[key]] for key in runs if key in table.by_key]
        experiments = [each for row in rows if isinstance(each := row.attributes, Experiment)]
        found = experiments[0].diff(*experiments[1:]) if experiments else []
        return {
            "runs": [row.key for row in rows],
            "differences": [
                {"key": each.key, "of": each.of, "values": [plain(value) for value in each.values]}
                for each in found
            ],
        }

    def courses(self, request: CourseRequest, stop: Event) -> dict[str, Any]:
        """The course of a key in some rows, by their keys: ``[place, low, high]``, place below 48.

        Raises:
            Cancelled: ``stop`` was set.
        """
        with self._lock:
            table = self._table(request.level)
        known = [each for each in request.rows[:_MOST_LINES] if each in table.by_key]
        return {key: self._course(table, table.by_key[key], request.key, stop) for key in known}

    def _course(self, table: Table, at: int, key: str, stop: Event) -> list[Any]:
        row, collection = table.rows[at], table.part_of(at).opened.collection
        # A run that crashed has no duration, and can be resumed.
        version = None if row.fixed.get(":status") == "running" else row.fixed.get(":duration")
        version = len(collection.records) if version is None else version
        place = row.key, key, row.fixed.get(":status"), version
        course = self._courses.get(place)
        if course is None:
            course = self._courses[place] = Course.of(collection, row.node, key, stop)
            while len(self._courses) > _MOST_COURSES:
                self._courses.popitem(last=False)
        return [list(point) for point in course.points]

    # --- what is known -------------------------------------------------------------------------

    def _runs(self) -> Table:
        return self._table("")

    def _table(self, level: str) -> Table:
        """The current rows of a level; the same object if nothing changed."""
        self._failures = []
        parts = [found for each in self._workspace.opened if (found := self._part(each, level))]
        known = self._tables.get(level)
        if known is None or known.parts != parts:
            known = self._tables[level] = Table(parts)
            self._views.clear()  # which have the earlier rows
        return known

    def _part(self, opened: Opened, level: str) -> LevelRows | None:
        try:
            known = self._parts.get((opened.name, level))
            if known is None or not known.is_current():
                known = self._parts[opened.name, level] = LevelRows(opened, level)
        except (RigorousError, OSError) as error:
            self._failures.append(Failure(opened.name, str(error)))
            return None
        return known

    def _view(self, table: Table, request: TableRequest) -> _View:
        """The lines in order; those of the same request are known as long as nothing changed."""
        cells = Cells(table, self._metrics)
        used = (request.sort, request.group, *dict(request.filters), *request.words.split())
        is_live = any(":" in each for each in used)  # statistics change with each record
        version = tuple(len(each.opened.collection.records) for each in table.parts if is_live)
        if any("duration" in each for each in used):  # which grows as long as a run runs
            version += (int(time()),)
        place = (version, request._replace(first=0, most=0))
        known = self._views.get(place)
        if known is None or known.table is not table:
            known = self._views[place] = _view_of(table, cells, request)
            while len(self._views) > _MOST_VIEWS:
                self._views.popitem(last=False)
        return known


def _runs_of(table: Table, view: _View, request: TableRequest) -> list[str] | None:
    """The keys of the runs that are listed; None for all."""
    if len(view.rows) == len(table.rows) and not request.level:
        return None
    return list(dict.fromkeys(run for at in view.rows if (run := table.rows[at].run)))


def _line(table: Table, line: int | _Group, cells: Cells, columns: Sequence[str]) -> dict[str, Any]:
    if isinstance(line, _Group):
        values = [_of_group([cells.get(column)(at) for at in line.rows]) for column in columns]
        return {"group": line.label, "count": len(line.rows), "cells": values}
    row = table.rows[line]
    name = row.attributes.get("name")
    return {
        "key": row.key,
        "run": row.run,
        "name": None if name is None else plain(str(name)),
        "number": row.fixed.get(":number"),
        "archived": row.attributes.get("archived") is True,
        "cells": [plain(cells.get(column)(line)) for column in columns],
    }


def _of_group(values: Sequence[Any]) -> Any:
    """What a group has in a column: the one value of all, or the mean of numbers."""
    numbers = [value for value in values if is_number(value)]
    if len({*map(identity, values)}) == 1:
        return plain(values[0])
    if not numbers:
        return None
    return {"mean": plain(math.fsum(numbers) / len(numbers))}


def _view_of(table: Table, cells: Cells, request: TableRequest) -> _View:
    rows, errors = _listed(table, cells, request)
    rows = (
        _sorted(rows, cells.get(request.sort), is_down=request.down) if request.sort else rows[::-1]
    )
    columns = _columns(table, cells, request, rows)
    return _View(table, rows, _lines(rows, cells, request), columns, errors)


def _listed(table: Table, cells: Cells, request: TableRequest) -> tuple[list[int], list[str]]:
    rows, errors = list(range(len(table.rows))), list[str]()
    if not request.archived:
        rows = [at for at in rows if table.rows[at].attributes.get("archived") is not True]
    typed = [*request.filters]
    for part in request.words.split(" and "):
        if found := comparison_in(part):
            typed.append((cells.named(found[0]), found[1]))
        elif words := part.strip().casefold():
            rows = [at for at in rows if words_in(words, table.texts(at))]
    for column, text in typed:
        read, test = cells.get(column), test_of(text)
        rows = [at for at in rows if test(read(at))]
        if table.rows and not cells.is_known(column):
            errors.append(f"there is no column {cells.described(column)['title']!r:.100}")
    if request.where:
        is_met, wrong = _that_meet(table, request.where)
        errors += wrong
        rows = [at for at in rows if at in is_met]
    return rows, errors


def _that_meet(table: Table, condition: str) -> tuple[set[int], list[str]]:
    """The rows that meet a SQL condition; and why none can, unless any collection has its columns."""
    found: set[int] = set()
    errors: list[str] = []
    for start, part in zip(table.starts, table.parts, strict=True):
        try:
            ids = part.that_meet(condition)
        except RigorousError as error:
            errors.append(str(error))
            continue
        found |= {start + at for at, row in enumerate(part.rows) if row.node in ids}
    return found, errors[:1] if len(errors) == len(table.parts) else []


def _sorted(rows: Sequence[int], read: Callable[[int], Any], *, is_down: bool) -> list[int]:
    """The rows in order of their values; those without a value, and with NaN, come last."""
    keyed = [(order_of(read(at)), at) for at in rows]
    there = [each for each in keyed if each[0] is not None]
    there.sort(key=lambda each: each[0] or (), reverse=is_down)
    return [at for _, at in there] + [at for key, at in keyed if key is None]


def _lines(rows: Sequence[int], cells: Cells, request: TableRequest) -> list[int | _Group]:
    if not request.group:
        return list(rows)
    lines: list[int | _Group] = []
    for each in _groups(rows, cells.get(request.group)):
        lines.append(each)
        lines += [] if each.label in request.closed else each.rows
    return lines


def _groups(rows: Sequence[int], read: Callable[[int], Any]) -> list[_Group]:
    """The groups in order of their values; text is quoted where another value looks the same."""
    groups: dict[Any, _Group] = {}
    for at in rows:
        value = read(at)
        label = "" if value is None else str(plain(value))
        groups.setdefault(identity(value), _Group(label, value, [])).rows.append(at)
    others = {each.label for each in groups.values() if not isinstance(each.value, str)}
    found = [
        each._replace(label=json.dumps(each.label, ensure_ascii=False))
        if isinstance(each.value, str) and each.label in others
        else each
        for each in groups.values()
    ]
    return sorted(found, key=lambda each: order_of(each.value) or (2, ""))


def _columns(table: Table, cells: Cells, request: TableRequest, rows: Sequence[int]) -> list[str]:
    several = (":collection",) if len(table.parts) > 1 else ()
    attributes = list(map(column_of, table.attributes[:_FEW_COLUMNS]))
    if request.columns:
        found = [each for each in request.columns if cells.is_known(each)]
    elif request.level:
        level = column_of(request.level)
        found = [*several, ":number", *dict.fromkeys([level, *attributes])]
    else:
        found = [*several, *FIXED[:2], *attributes, *FIXED[2:]]  # what tells runs apart is in view
    if not request.differs:
        return found
    return [each for each in found if not is_attribute(each) or _differs(cells.get(each), rows)]


def _differs(read: Callable[[int], Any], rows: Sequence[int]) -> bool:
    return len({identity(read(at)) for at in rows}) > 1
