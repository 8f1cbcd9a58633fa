"""Imports the zip files of Comet's offline experiments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .archive import has_members, json_lines, member, opened_zip
from .contract import Event, Format, Record, Report, Run, Source, media, utc_time
from .files import files_below
from .texts import float_named

_FILES: Final = ("experiment.json", "messages.json")
#: What Comet notes of itself.
_OWN_PARAMETERS: Final = ("curr_step", "curr_epoch")
_OWN_OTHERS: Final = ("offline_experiment", "hasNestedParams", "hasNestedMetrics")
#: The type of files that are texts that were logged.
_TEXT: Final = "text-sample"
_TURNED: Final = "texts NaN and Infinity: as floats"


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix == ".zip" and has_members(file, *_FILES):
            yield Source(file, (file,), file.stem)


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    with opened_zip(source.path, report) as archive:
        if archive is not None:
            yield from _Reading(source, report, archive).events()


class _Reading:
    """The events of one file."""

    def __init__(self, source: Source, report: Report, archive: Any) -> None:
        self._path, self._report, self._archive = source.path, report, archive
        self._run = source.name
        self._name = source.name
        self._config: dict[str, Any] = {}
        self._about: dict[str, Any] = {}
        self._parts: set[str] = set()

    def events(self) -> Iterator[Event]:
        """The run, its records, and the run again with what was set meanwhile."""
        data = member(self._archive, "experiment.json", self._path, self._report)
        self._describe(data or b"{}")
        yield Run(self._run, self._name, {}, self._about)
        for message in json_lines(self._archive, "messages.json", self._path, self._report):
            payload = message.get("payload") if isinstance(message, dict) else None
            if isinstance(payload, dict):
                yield from self._message(str(message.get("type")), payload)
        yield Run(self._run, self._name, self._config, self._about)

    def _describe(self, data: bytes) -> None:
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self._report.add(self._path, "experiment.json is not valid JSON")
            return
        self._run = str(found.get("offline_id") or self._run)
        self._name = self._run
        times = {"start_time": found.get("start_time"), "end_time": found.get("stop_time")}
        self._about = {key: _time(value) for key, value in times.items()}
        tags = found.get("tags")
        self._about["tags"] = list(map(str, tags)) if isinstance(tags, list) and tags else None
        self._about |= {"project": found.get("project_name"), "workspace": found.get("workspace")}
        self._about["error"] = found.get("customer_error_message")
        if found.get("customer_error_reported") is True:
            self._about["status"] = "failed"
        elif found.get("stop_time"):
            self._about["status"] = "finished"

    def _message(self, kind: str, payload: dict[str, Any]) -> Iterator[Event]:
        if kind == "metric_msg":
            yield from self._metric(payload)
        elif kind == "parameter_msg":
            self._parameters(payload)
        elif kind == "log_other":
            self._other(payload)
        elif kind in {"standard_output", "os_packages", "system_details", "log_dependency"}:
            yield from self._output(kind, payload)
        elif kind == "file_upload":
            yield from self._file(payload)

    def _metric(self, payload: dict[str, Any]) -> Iterator[Event]:
        metric = payload.get("metric")
        if not isinstance(metric, dict):
            self._report.add(self._path, "metrics that are no objects: left out")
            return
        name, value = str(metric.get("metricName")), metric.get("metricValue")
        turned = float_named(value)
        if turned is not value:
            self._report.add(self._path, _TURNED)
        fields = {name: turned}
        if metric.get("epoch") is not None and name != "epoch":
            fields["epoch"] = metric["epoch"]
        of, context = self._run, payload.get("context")
        if name.startswith("sys."):
            of = f"{self._run}/system"
            yield from self._part("system")
        elif isinstance(context, str) and context:
            of = f"{self._run}/context/{context}"
            yield from self._part(f"context/{context}", context=context)
        yield Record(of, fields, _number(metric.get("step")), _time(payload.get("local_timestamp")))

    def _part(self, part: str, **known: str) -> Iterator[Event]:
        if part not in self._parts:
            self._parts.add(part)
            yield Run(f"{self._run}/{part}", parent=self._run, part=known or part)

    def _parameters(self, payload: dict[str, Any]) -> None:
        one, found = payload.get("param"), payload.get("params")
        for each in [one, *found] if isinstance(found, list) else [one, found]:
            if isinstance(each, dict) and each.get("paramName") not in _OWN_PARAMETERS:
                value = float_named(each.get("paramValue"))
                self._config[str(each.get("paramName"))] = value

    def _other(self, payload: dict[str, Any]) -> None:
        key, value = str(payload.get("key")), payload.get("value")
        if key == "Name":
            self._name = str(value)
        elif key not in _OWN_OTHERS:
            self._config[f"other/{key}"] = value

    def _output(self, kind: str, payload: dict[str, Any]) -> Iterator[Event]:
        if kind == "standard_output":
            yield from self._part("console")
            stream = "stderr" if payload.get("stderr") else "stdout"
            line = {"line": str(payload.get("output")), "stream": stream}
            time = _time(payload.get("local_timestamp"))
            yield Record(f"{self._run}/console", line, None, time)
        elif kind == "system_details":
            names = {
                "hostname": "host",
                "user": "user",
                "python_version": "python",
                "command": "command",
            }
            self._about |= {
                name: payload[key] for key, name in names.items() if payload.get(key) is not None
            }
            if isinstance(command := self._about.get("command"), list):
                self._about["command"] = " ".join(map(str, command))

    def _file(self, payload: dict[str, Any]) -> Iterator[Event]:
        """A file that was logged, which is a member of the archive without a name of its own."""
        more = payload.get("additional_params")
        more = more if isinstance(more, dict) else {}
        name = str(payload.get("file_path"))
        data = member(self._archive, name, self._path, self._report)
        key = str(payload.get("upload_type") or "file")
        title = str(more.get("fileName") or name)
        fields = {f"{key}/name": title} if data is None else media(key, data, title)
        if key == _TEXT and data is not None:
            fields[key] = data.decode("utf-8", "replace")
        time = _time(payload.get("local_timestamp"))
        yield Record(self._run, fields, _number(more.get("step")), time)


def _number(value: Any) -> int | float | None:
    return value if type(value) in {int, float} else None


def _time(milliseconds: Any) -> Any:
    is_number = type(milliseconds) in {int, float}
    return utc_time(milliseconds / 1000) if is_number else None


FORMAT: Final = Format("comet", "Comet offline", _find, _read)
