"""Exports to offline runs of W&B: a folder with a ``.wandb`` file for each run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from .buffers import Files
from .contract import Losses, Target
from .leveldb_log import Log
from .names import safe
from .protobuf import message, number, text
from .rows import part_of, row_of
from .study import Logged, Run, Study
from .values import PICTURES, TIMES, as_json, media_of

#: The version of W&B whose form is written.
_VERSION: Final = text(1, "0.31.0") + text(2, "0.70.0")
_KNOWN: Final = (
    "status", "start_time", "end_time", "tags", "notes", "host", "group", "job_type", "project",
    "exit_code", "runtime", "git_commit", "git_remote",
)  # fmt: skip
_STEPS: Final = "steps that are not beyond the one before, or no ints: as step, at the next step"
_MERGED: Final = "records that follow one at the same step: as one with it"
_OWN: Final = frozenset({"", "_step", "_timestamp", "_wandb"})
_STREAMS: Final = {"stderr": 0, "stdout": 1}


def _write(study: Study, path: Path, losses: Losses) -> None:
    writing = _Writing(path, study.name, losses)
    for run in study.runs:
        writing.run(run)
    for logged in study.logged():
        writing.run(logged.place.run).record(logged)
    writing.end()


class _Writing:
    """Writes all runs."""

    def __init__(self, path: Path, project: str, losses: Losses) -> None:
        self._path, self._project, self._losses = path, project, losses
        self._files = Files()
        self._runs: dict[int, _Run] = {}
        self._taken: set[str] = set()

    def run(self, run: Run) -> _Run:
        """The file of a run, which is begun if it is new."""
        if run.node not in self._runs:
            id_, count = re.sub(r"[^\w-]", "-", run.id, flags=re.ASCII)[:100], 1
            wanted = id_
            while id_ in self._taken:
                count += 1
                id_ = f"{wanted}-{count}"
            self._taken.add(id_)
            started = datetime.fromtimestamp(run.start or 0, UTC)
            folder = self._path / f"offline-run-{started:%Y%m%d_%H%M%S}-{id_}"
            log = Log(self._files, folder / f"run-{id_}.wandb")
            self._runs[run.node] = _Run(run, id_, folder, log, self._losses)
            self._runs[run.node].begin(self._project)
        return self._runs[run.node]

    def end(self) -> None:
        for run in self._runs.values():
            run.end()
        self._files.flush()


@dataclass(slots=True)
class _Run:
    """Writes the records of one run."""

    run: Run
    id: str
    folder: Path
    log: Log
    losses: Losses
    _number: int = 0
    #: The step of the last record, which waits: the next one can be of the same step.
    _step: int = -1
    _waiting: dict[str, Any] = field(default_factory=dict)

    def _add(self, kind: int, data: bytes) -> None:
        self._number += 1
        info = message(200, text(1, self.id))
        self.log.append(number(1, self._number) + message(kind, data) + info)

    def begin(self, project: str) -> None:
        run, about = self.run, self.run.about
        self._add(21, message(1, _VERSION))
        config = b"".join(
            message(1, text(1, key) + text(16, self._json(value)))
            for key, value in run.whole_config(*_KNOWN).items()
        )
        group = about.get("group") or (run.parent.name if run.parent else None)
        data = text(1, self.id) + text(3, str(about.get("project") or project)) + message(4, config)
        for at, value in ((6, group), (7, about.get("job_type"))):
            data += b"" if value is None else text(at, str(value))
        data += text(8, run.name)
        data += text(9, str(about["notes"])) if "notes" in about else b""
        data += b"".join(text(10, each) for each in _tags(about.get("tags")))
        data += text(13, str(about["host"])) if "host" in about else b""
        data += b"" if run.start is None else message(17, _time(run.start))
        git = {1: about.get("git_remote"), 2: about.get("git_commit")}
        if any(git.values()):
            data += message(21, b"".join(text(at, str(each)) for at, each in git.items() if each))
        self._add(17, data)

    def end(self) -> None:
        self._flush()
        status, code = self.run.status, self.run.about.get("exit_code")
        if status in {"crashed", "running"}:
            return
        if status in {"stopped", "pruned"}:
            self.losses.add("statuses stopped and pruned: as failed")
        failed = code if isinstance(code, int) and not isinstance(code, bool) and code else 1
        code = 0 if status == "finished" else failed
        self._add(18, (number(1, code) if code else b"") + self._runtime())

    def _runtime(self) -> bytes:
        """The duration in seconds, if it is known."""
        run, seconds = self.run, self.run.about.get("runtime")
        if seconds is None and run.start is not None and run.end is not None:
            seconds = max(int(run.end - run.start), 0)
        return number(2, seconds) if type(seconds) is int else b""

    # --- records ---------------------------------------------------------------------------------

    def record(self, logged: Logged) -> None:
        part, fields = part_of(logged.place), logged.fields
        when = logged.time if logged.time is not None else self.run.start or 0.0
        if part == "system":
            items = b"".join(
                message(3, text(1, key) + text(16, self._json(value)))
                for key, value in fields.items()
            )
            self._add(7, message(2, _time(when)) + items)
        elif part == "console" and isinstance(fields.get("line"), str):
            stream = _STREAMS.get(str(fields.get("stream")), 1)
            line = fields["line"].removesuffix("\n") + "\n"
            self._add(13, number(1, stream) + message(2, _time(when)) + text(3, line))
        elif part == "alerts" and "alert" in fields:
            keys = ("alert", "alert/text", "alert/level")
            values = enumerate((fields.get(key) for key in keys), 1)
            self._add(10, b"".join(text(at, str(each)) for at, each in values if each is not None))
        else:
            self._row(logged)

    def _row(self, logged: Logged) -> None:
        row = dict(self._plain(row_of(logged), logged))
        if logged.time is not None:
            row["_timestamp"] = logged.time
        step = logged.step
        if step == self._step and self._waiting and self._can_join(row):
            self.losses.add(_MERGED)
            self._waiting |= row
            return
        self._flush()
        if isinstance(step, float) or not self._step < step < 1 << 62:
            self.losses.add(_STEPS)
            row.setdefault("step", step)
            step = self._step + 1
        self._step, self._waiting = step, row

    def _can_join(self, row: dict[str, Any]) -> bool:
        both = row.keys() & self._waiting.keys()
        return all(key == "_timestamp" or row[key] == self._waiting[key] for key in both)

    def _flush(self) -> None:
        if not self._waiting:
            return
        row, self._waiting = {**self._waiting, "_step": self._step}, {}
        items = b"".join(
            message(1, b"".join(text(2, each) for each in path) + text(16, self._json(value)))
            for key, each in row.items()
            for path, value in _leaves((key,), each)
        )
        self._add(3, items)  # what is logged is the summary, too
        self._add(2, items + message(2, number(1, self._step)))

    def _plain(self, row: dict[str, Any], logged: Logged) -> Iterator[tuple[str, Any]]:
        files, fields = media_of(row)
        yield from ((key, value) for key, value in fields.items() if key not in _OWN)
        if lost := fields.keys() & _OWN:
            self.losses.add("values with an empty name, or one of W&B's own: not taken", len(lost))
        for key, about in files.items():
            if (found := self._file(key, about, logged)) is not None:
                yield key, found

    def _json(self, value: Any) -> str:
        if isinstance(value, TIMES):
            self.losses.add("times: as text")
        elif isinstance(value, dict) and not value:
            self.losses.add("empty dicts: W&B drops them")
        return as_json(value)

    def _file(self, key: str, about: dict[str, Any], logged: Logged) -> dict[str, Any] | None:
        data = about.pop("data")
        suffix = next((end for start, end in PICTURES.items() if data.startswith(start)), None)
        kind = "audio" if data.startswith(b"RIFF") else "images" if suffix else None
        if kind is None:
            self.losses.add("bytes that are no picture and no sound: not taken")
            return None
        digest = sha256(data).hexdigest()
        name = f"{safe(key)}_{logged.step}_{digest[:20]}.{suffix or 'wav'}"
        file = self.folder / "files" / "media" / kind / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        about.pop("name", None)
        kinds = {"_type": "image-file" if kind == "images" else "audio-file"}
        return {
            **about,
            **kinds,
            "sha256": digest,
            "size": len(data),
            "path": f"media/{kind}/{name}",
        }


def _leaves(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values in dicts, each with its path."""
    if not isinstance(value, dict) or not value:
        yield path, value
        return
    for key, each in value.items():
        yield from _leaves((*path, str(key)), each)


def _tags(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{key}:{each}" for key, each in value.items()]
    return [str(each) for each in value] if isinstance(value, (list, tuple)) else []


def _time(seconds: float) -> bytes:
    whole = int(seconds // 1)
    return number(1, whole) + number(2, round((seconds - whole) * 1e6) * 1000)


TARGET: Final = Target("wandb-offline", "W&B offline", _write, "wandb sync {}/offline-run-*")
