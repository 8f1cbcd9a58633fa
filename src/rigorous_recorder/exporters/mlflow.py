"""Exports to a store of MLflow in SQLite."""

from __future__ import annotations

import re
import sys
from hashlib import md5
from importlib.resources import files
from math import isinf, isnan
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final

from .contract import Losses, Target
from .rows import part_of
from .sqlite import Rows, created
from .study import Logged, Place, Run, Study
from .values import as_float, flat, plain

#: The longest value of a parameter, and of a tag.
_PARAM, _TAG = 6000, 8000
_ID: Final = re.compile(r"[a-zA-Z0-9][\w-]{0,31}", re.ASCII)
_STATES: Final = {
    "finished": "FINISHED", "failed": "FAILED", "crashed": "RUNNING", "running": "RUNNING",
    "scheduled": "SCHEDULED", "stopped": "KILLED", "pruned": "KILLED",
}  # fmt: skip
_NAMED: Final = {
    "notes": "mlflow.note.content",
    "user": "mlflow.user",
    "command": "mlflow.source.name",
    "git_commit": "mlflow.source.git.commit",
    "git_branch": "mlflow.source.git.branch",
    "git_remote": "mlflow.source.git.repoURL",
}
_KNOWN: Final = frozenset(_NAMED) | {
    "status",
    "start_time",
    "end_time",
    "deleted",
    "tags",
    "source_tags",
    "experiment",
}
#: As MLflow finds the latest value of a metric.
_LATEST: Final = """
INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
SELECT key, value, timestamp, step, is_nan, run_uuid FROM (
    SELECT *, row_number() OVER (
        PARTITION BY run_uuid, key ORDER BY step DESC, timestamp DESC, value DESC) AS place
    FROM metrics) WHERE place = 1
"""
_TABLES: Final = {
    "runs": "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id,"
    " status, start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
    " VALUES (?, ?, 'UNKNOWN', '', '', ?, ?, ?, ?, '', ?, ?, 1)",
    "params": "INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)",
    "tags": "INSERT OR REPLACE INTO tags (run_uuid, key, value) VALUES (?, ?, ?)",
    "metrics": "INSERT OR IGNORE INTO metrics (run_uuid, key, value, timestamp, step, is_nan)"
    " VALUES (?, ?, ?, ?, ?, ?)",
}
_TIMELESS: Final = "records without a time: that of the start of the run"
_REPEATS: Final = "values that repeat one of the same metric, step and time: once"
_OTHERS: Final = "values of records that are no numbers: not taken"


def _write(study: Study, path: Path, losses: Losses) -> None:
    schema = files(__package__).joinpath("mlflow_schema.sql").read_text("utf-8")
    with created(path / "mlflow.db", schema) as database:
        starts = [run.start for run in study.runs if run.start is not None]
        now = _milliseconds(min(starts, default=0.0))
        insert = "INSERT INTO experiments VALUES (?, ?, ?, 'active', ?, ?)"
        for number, name in enumerate(("Default", study.name)):
            database.execute(insert, (number, name[:256], f"mlruns/{number}", now, now))
        _Writing(database, losses).study(study)
        database.execute(_LATEST)


class _Writing:
    """Writes the tables of an experiment of MLflow."""

    def __init__(self, database: Connection, losses: Losses) -> None:
        self._losses = losses
        self._rows = {name: Rows(database, insert) for name, insert in _TABLES.items()}
        self._ids: dict[tuple[int, tuple[str, ...]], str] = {}
        self._taken: set[str] = set()

    def study(self, study: Study) -> None:
        for run in study.runs:
            self._of_run(run)
        for logged in study.logged():
            self._record(logged)
        for rows in self._rows.values():
            rows.flush()
        self._losses.add(_REPEATS, self._rows["metrics"].repeated)

    # --- runs ------------------------------------------------------------------------------------

    def _of_run(self, run: Run) -> str:
        """The id of a run, which is written if it is new."""
        if (key := (run.node, ())) in self._ids:
            return self._ids[key]
        parent = self._of_run(run.parent) if run.parent is not None else None
        self._ids[key] = id_ = self._free(run.id)
        self._add(id_, run, run.name, parent)
        for name, value in run.config.items():
            self._param(id_, name, value)
        return id_

    def _of_place(self, place: Place) -> str:
        """The id of the run of a recorder: one nested in its run, if it is below that."""
        if not place.names or part_of(place) == "system":
            return self._of_run(place.run)
        if (key := (place.run.node, place.names)) not in self._ids:
            parent = self._of_run(place.run)
            self._ids[key] = id_ = self._free(f"{parent}/{place.names}")
            self._add(id_, place.run, "/".join(place.names), parent)
            for name, value in place.attributes.items():
                self._param(id_, name, value)
        return self._ids[key]

    def _free(self, wanted: str) -> str:
        """An id that MLflow takes."""
        id_, number = wanted, 0
        while id_ in self._taken or not _ID.fullmatch(id_):
            id_ = md5(f"{wanted}/{number}".encode(), usedforsecurity=False).hexdigest()
            number += 1
        self._taken.add(id_)
        return id_

    def _add(self, id_: str, run: Run, name: str, parent: str | None) -> None:
        about = run.about
        stage = "deleted" if about.get("deleted") is True else "active"
        ended = _STATES.get(run.status, "FINISHED")
        end = None if ended == "RUNNING" or run.end is None else _milliseconds(run.end)
        uri = f"mlruns/1/{id_}/artifacts"
        user = str(about.get("user") or "")
        start = _milliseconds(run.start or 0.0)
        self._rows["runs"].add(id_, name[:250], user, ended, start, end, stage, uri)
        tags = {"mlflow.runName": name, "mlflow.parentRunId": parent}
        tags |= {tag: about.get(key) for key, tag in _NAMED.items()}
        more = about.get("source_tags")
        tags = {**more, **tags} if isinstance(more, dict) else tags
        own = about.get("tags")
        if isinstance(own, dict):
            tags = {**own, **tags}
        elif isinstance(own, (list, tuple)):
            tags = {**{str(tag): "" for tag in own}, **tags}
        for key in about.keys() - _KNOWN:
            tags.setdefault(key, about[key])
        for tag, value in tags.items():
            if value is not None:
                self._rows["tags"].add(id_, tag[:250], self._cut(value, _TAG, "tags"))
        if run.status in {"crashed", "pruned"}:
            self._losses.add("statuses crashed and pruned: as RUNNING and KILLED")

    def _param(self, id_: str, key: str, value: Any) -> None:
        self._rows["params"].add(id_, key[:250], self._cut(value, _PARAM, "parameters"))

    def _cut(self, value: Any, most: int, what: str) -> str:
        found = str(plain(value)).encode("utf-8", "backslashreplace").decode()
        if len(found) > most:
            self._losses.add(f"{what} of more than {most:,} characters: cut")
        return found[:most]

    # --- records ---------------------------------------------------------------------------------

    def _record(self, logged: Logged) -> None:
        place = logged.place
        id_ = self._of_place(place)
        is_system = part_of(place) == "system"
        if logged.time is None:
            self._losses.add(_TIMELESS)
        time = _milliseconds((place.run.start or 0.0) if logged.time is None else logged.time)
        for key, value in logged.fields.items():
            before = "system/" if is_system and not key.startswith("system/") else ""
            self._value((id_, time, logged.step), f"{before}{key}", value)

    def _value(self, at: tuple[str, int, float], key: str, value: Any) -> None:
        if isinstance(value, dict):
            self._losses.add("dicts: their values by paths joined by /")
            for path, each in flat(value, key):
                if not isinstance(each, dict):
                    self._value(at, path, each)
        elif isinstance(value, (bool, int, float)):
            self._number(at, key, as_float(value, self._losses))
        elif value is not None:
            self._losses.add(_OTHERS)

    def _number(self, at: tuple[str, int, float], key: str, value: float) -> None:
        id_, time, step = at
        if isinf(value):
            self._losses.add("infinities: as the largest float, as MLflow writes them")
            value = sys.float_info.max if value > 0 else -sys.float_info.max
        is_nan = isnan(value)
        self._rows["metrics"].add(id_, key[:250], 0.0 if is_nan else value, time, step, is_nan)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


TARGET: Final = Target(
    "mlflow", "MLflow", _write, "mlflow ui --backend-store-uri sqlite:///{}/mlflow.db"
)
