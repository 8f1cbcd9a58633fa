"""Exports to a database of Trackio, with its pictures and sounds beside it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from math import isfinite
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final

from .contract import Losses, Target
from .names import safe
from .rows import part_of, row_of, whole_step
from .sqlite import Rows, created
from .study import Logged, Run, Study
from .values import PICTURES, TIMES, media_of, plain

_RESERVED: Final = frozenset({"step", "time", "timestamp", "run"})
_LARGEST, _SMALLEST = (1 << 64) - 1, -(1 << 63)
_KNOWN: Final = ("user", "group", "project", "start_time")


def _write(study: Study, path: Path, losses: Losses) -> None:
    project = re.sub(r"[^\w-]", "", study.name) or "default"
    schema = files(__package__).joinpath("trackio_schema.sql").read_text("utf-8")
    with created(path / f"{project}.db", schema) as database:
        _Writing(database, path, project, losses).study(study)


class _Writing:
    """Writes the tables of a project."""

    def __init__(self, database: Connection, path: Path, project: str, losses: Losses) -> None:
        self._media_folder, self._project, self._losses = path / "media", project, losses
        self._ids: dict[int, str] = {}
        self._taken: set[str] = set()
        metrics = "run_id, timestamp, run_name, step, metrics"
        tables = {
            "": f"INSERT INTO metrics ({metrics}) VALUES (?, ?, ?, ?, ?)",
            "system": "INSERT INTO system_metrics (run_id, timestamp, run_name, metrics) VALUES (?, ?, ?, ?)",
            "alerts": "INSERT INTO alerts (run_id, timestamp, run_name, step, title, text, level) VALUES (?, ?, ?, ?, ?, ?, ?)",
            "configs": "INSERT INTO configs (run_id, run_name, config, created_at) VALUES (?, ?, ?, ?)",
        }
        self._rows = {name: Rows(database, insert) for name, insert in tables.items()}

    def study(self, study: Study) -> None:
        for run in study.runs:
            self._run(run)
        for logged in study.logged():
            if logged.place.run.node not in self._ids:
                self._run(logged.place.run)
            self._record(logged)
        for rows in self._rows.values():
            rows.flush()

    def _run(self, run: Run) -> None:
        id_, number = run.id, 1
        while id_ in self._taken:
            number += 1
            id_ = f"{run.id}-{number}"
        self._taken.add(id_)
        self._ids[run.node] = id_
        config = {key: self._plain(value) for key, value in run.whole_config(*_KNOWN).items()}
        group = run.about.get("group") or (run.parent.name if run.parent else None)
        created_at = _iso(run.start)
        config |= {"_Username": run.about.get("user"), "_Group": group, "_Created": created_at}
        self._rows["configs"].add(id_, run.name, _json(config), created_at)

    def _record(self, logged: Logged) -> None:
        run = logged.place.run
        if logged.time is None:
            self._losses.add("records without a time: that of the start of the run")
        of_run = (
            self._ids[run.node],
            _iso(run.start if logged.time is None else logged.time),
            run.name,
        )
        part = part_of(logged.place)
        if part == "alerts" and {"alert"} <= logged.fields.keys():
            about = (logged.fields.get(key) for key in ("alert", "alert/text"))
            level = logged.fields.get("alert/level") or "warn"
            step = whole_step(logged.step, self._losses)
            self._rows["alerts"].add(*of_run, step, *map(_text, about), str(level))
        elif part == "system":
            self._rows["system"].add(*of_run, self._fields(logged.fields, logged))
        else:
            step = whole_step(logged.step, self._losses)
            self._rows[""].add(*of_run, step, self._fields(row_of(logged), logged))

    def _fields(self, row: dict[str, Any], logged: Logged) -> bytes:
        media, fields = media_of(row)
        found = {_free(key): self._plain(value) for key, value in fields.items()}
        for key, about in media.items():
            if (file := self._file(key, about, logged)) is not None:
                found[_free(key)] = file
        return _json(found)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, TIMES):
            self._losses.add("times: as text")
        if isinstance(value, bytes):
            self._losses.add("bytes in configurations: as text")
            return repr(value)
        return self._numbers(plain(value))

    def _numbers(self, value: Any) -> Any:
        """NaN and infinities as the texts that Trackio has for them, and ints that it can't read as text."""
        if isinstance(value, float) and not isfinite(value):
            self._losses.add("NaN and infinities: as the texts that Trackio has for them")
            return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124
        if type(value) is int and not _SMALLEST <= value <= _LARGEST:
            self._losses.add("ints of more than 64 bits: as text")
            return str(value)
        if isinstance(value, dict):
            return {key: self._numbers(each) for key, each in value.items()}
        return [self._numbers(each) for each in value] if isinstance(value, list) else value

    def _file(self, key: str, about: dict[str, Any], logged: Logged) -> dict[str, Any] | None:
        data = about["data"]
        suffix = next((end for start, end in PICTURES.items() if data.startswith(start)), None)
        kind = "trackio.audio" if data.startswith(b"RIFF") else "trackio.image" if suffix else ""
        if not kind:
            self._losses.add("bytes that are no picture and no sound: not taken")
            return None
        step = whole_step(logged.step, Losses())
        folder = Path(self._project, safe(self._ids[logged.place.run.node]), str(step))
        name = f"{sha256(key.encode() + data).hexdigest()[:32]}.{suffix or 'wav'}"
        (self._media_folder / folder).mkdir(parents=True, exist_ok=True)
        (self._media_folder / folder / name).write_bytes(data)
        caption = about.get("caption")
        return {"_type": kind, "file_path": (folder / name).as_posix(), "caption": caption}


def _free(key: str) -> str:
    """A key as Trackio stores it, which has names of its own."""
    return f"__{key}" if key in _RESERVED else key


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, default=repr, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "backslashreplace"
    )


def _iso(seconds: float | None) -> str:
    try:
        return datetime.fromtimestamp(seconds or 0, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC).isoformat()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


TARGET: Final = Target("trackio", "Trackio", _write, "TRACKIO_DIR={} trackio show")
