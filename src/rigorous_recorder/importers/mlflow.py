"""Imports MLflow's stores: SQLite, another database by its URL, and folders of files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from . import mlflow_files as store_of_files
from . import mlflow_url as store_by_url
from .contract import Event, Format, Report, Source
from .files import files_below, run_name
from .mlflow_metrics import COLUMNS, Metrics
from .mlflow_runs import in_order, run_of
from .sqlite import columns_of, is_sqlite, opened, resumed, rows

_TABLES: Final = ("runs", "metrics", "params", "tags", "experiments")
#: Gives rows of a table: its name, columns, and a condition.
Table = Callable[..., Iterator[tuple[Any, ...]]]
_RUNS: Final = (
    "run_uuid", "name", "user_id", "status", "start_time", "end_time", "lifecycle_stage",
    "experiment_id", "source_name", "source_version",
)  # fmt: skip
_ENDS: Final = (
    "values that are the largest float: MLflow writes an infinity so, and also that number"
)


def _find(path: Path, options: Mapping[str, Any]) -> Iterator[Source]:
    if "url" in options:
        yield store_by_url.source_of(options["url"])
        return
    for file in files_below(path):
        if is_sqlite(file, *_TABLES):
            beside = file.with_name(f"{file.name}-wal")
            name = run_name(file, path)
            yield Source(file, (file, beside), name, is_joined=True)
    if not path.is_file():
        yield from store_of_files.find(path)


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    if "url" in source.options:
        with store_by_url.opened(source.options["url"]) as table:
            yield from _runs(table)
            yield from _records(source.path, table, report, None)
    elif source.path.is_dir():
        yield from store_of_files.read(source, report, position)
    else:
        yield from _database(source, report, position)


def _database(source: Source, report: Report, position: Any) -> Iterator[Event]:
    with opened(source.path, report) as database:
        if database is None:
            return
        missing = [table for table in _TABLES if not columns_of(database, table)]
        if missing:
            report.add(source.path, f"lacks the table {missing[0]}: not taken")
            return
        table = partial(rows, database)

        def read(known: dict[str, Any]) -> Iterator[Event]:
            yield from _runs(table)
            yield from _records(source.path, table, report, known.get("row", 0))

        yield from resumed(
            source.path, report, database,
            position=position, tables={"row": "metrics"}, read=read,
        )  # fmt: skip


def _runs(table: Table) -> Iterator[Event]:
    experiments: dict[Any, Any] = dict(table("experiments", ("experiment_id", "name")))
    columns = ("run_uuid", "key", "value")
    params, tags = (_by_run(table(name, columns)) for name in ("params", "tags"))
    runs = []
    for row in table("runs", _RUNS):
        about = dict(zip(_RUNS, row, strict=True))
        about["experiment"] = experiments.get(about["experiment_id"])
        key = str(about["run_uuid"])
        runs.append(run_of(key, about, params.get(key, {}), tags.get(key, {})))
    yield from in_order(runs)


def _by_run(found: Iterable[tuple[Any, ...]]) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for run, key, value in found:
        result.setdefault(str(run), {})[str(key)] = value
    return result


def _records(path: Path, table: Table, report: Report, row: int | None) -> Iterator[Event]:
    """The metrics of each run in order of their rows; those of one call are one record.

    Args:
        row: after which row; None for a database that has no numbers of rows.
    """
    known = {str(run) for (run,) in table("runs", ("run_uuid",))}
    metrics = Metrics(known, row)
    where = None if row is None else ("rowid > ?", row)
    yield from metrics.events(table("metrics", COLUMNS, where=where, is_raw=True))
    found = {_ENDS: metrics.ends, "metrics of runs that are not there: not taken": metrics.strays}
    for text, count in found.items():
        if count:
            report.add(path, text, count=count)


FORMAT: Final = Format("mlflow", "MLflow", _find, _read, options=("url",))
