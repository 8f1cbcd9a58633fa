"""Imports studies of Optuna: each trial is a run below its study; journals and SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from math import inf, nan
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Record, Report, Run, Source
from .files import files_below, run_name
from .lines import json_rows
from .sqlite import is_sqlite, opened, rows

_STATES: Final = {
    0: "running",
    1: "finished",
    2: "pruned",
    3: "failed",
    4: "waiting",
    "RUNNING": "running",
    "COMPLETE": "finished",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "WAITING": "waiting",
}
_DIRECTIONS: Final = {1: "minimize", 2: "maximize", "MINIMIZE": "minimize", "MAXIMIZE": "maximize"}
_KEY: Final = "intermediate"
_JOURNALS: Final = (".log", ".journal", ".jsonl", ".json")
_INTS: Final = ("IntDistribution", "IntUniformDistribution", "IntLogUniformDistribution")


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        is_one = file.suffix in _JOURNALS or file == path
        if (is_one and _is_journal(file)) or is_sqlite(file, "studies", "trials", "trial_params"):
            yield Source(file, (file,), run_name(file, path))


def _is_journal(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline(1 << 16))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and {"op_code", "worker_id"} <= first.keys()


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    if is_sqlite(source.path, "studies"):
        yield from _database(source.path, report)
    else:
        yield from _Journal(source.path, report).events()


def _study(name: str, **about: Any) -> Run:
    return Run(f"study {name}", name, about={"study": name, **about})


def _trial(
    study: str, number: Any, config: Mapping[str, Any], about: Mapping[str, Any] | None = None
) -> Run:
    """A trial below its study."""
    return Run(
        f"{study}/{number}",
        f"{study}/{number}",
        config,
        {**(about or {}), "number": number},
        parent=f"study {study}",
    )


def _moment(text: Any) -> datetime | None:
    """A time in ISO 8601, in UTC if it has no zone."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _external(internal: Any, distribution: Any) -> Any:
    """The value of a parameter, which is stored as a number whatever it is."""
    try:
        found = json.loads(distribution) if isinstance(distribution, str) else distribution
        if found["name"] == "CategoricalDistribution":
            return found["attributes"]["choices"][int(internal)]
        return int(internal) if found["name"] in _INTS else internal
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
        return internal


# --- journals ----------------------------------------------------------------------------------------


class _Journal:
    """Follows the operations of a journal, whose ids are counts."""

    def __init__(self, path: Path, report: Report) -> None:
        self._path = path
        self._report = report
        self._studies: list[str] = []
        #: Study and number of each trial.
        self._trials: list[tuple[str, int]] = []
        self._numbers: dict[str, int] = {}

    def events(self) -> Iterator[Event]:
        for _, row in json_rows(self._path, self._report):
            try:
                yield from self._operation(row)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError):
                self._report.add(self._path, "operations that are not valid: skipped")

    def _operation(self, row: dict[str, Any]) -> Iterator[Event]:
        code = row.get("op_code")
        if code == 0:
            name = str(row["study_name"])
            self._studies.append(name)
            directions = [_DIRECTIONS.get(each, each) for each in row.get("directions", ())]
            yield _study(name, directions=directions)
        elif code == 1:
            yield _study(self._studies[row["study_id"]], deleted=True)
        elif code in {2, 3}:
            key = "user_attr" if code == 2 else "system_attr"
            yield Run(f"study {self._studies[row['study_id']]}", config=row[key])
        elif code == 4:
            yield from self._created(row)
        elif code in {5, 6, 7, 8, 9}:
            yield from self._changed(code, row)
        else:
            self._report.add(self._path, "operations of an unknown kind: not taken")

    def _created(self, row: dict[str, Any]) -> Iterator[Event]:
        study = self._studies[row["study_id"]]
        number = self._numbers.get(study, 0)
        self._numbers[study] = number + 1
        self._trials.append((study, number))
        distributions = row.get("distributions") or {}
        config = {
            key: _external(value, distributions.get(key))
            for key, value in (row.get("params") or {}).items()
        }
        yield _trial(study, number, config, _attributes(row) | _ending({"state": 0, **row}))
        for step, value in (row.get("intermediate_values") or {}).items():
            yield Record(f"{study}/{number}", {_KEY: value}, int(step))

    def _changed(self, code: int, row: dict[str, Any]) -> Iterator[Event]:
        study, number = self._trials[row["trial_id"]]
        if code == 5:
            value = _external(row["param_value_internal"], row.get("distribution"))
            yield _trial(study, number, {str(row["param_name"]): value})
        elif code == 6:
            yield _trial(study, number, {}, _ending(row))
        elif code == 7:
            yield Record(f"{study}/{number}", {_KEY: row["intermediate_value"]}, row["step"])
        else:
            key = "user_attr" if code == 8 else "system_attr"
            yield _trial(study, number, {}, row[key])


def _ending(row: Mapping[str, Any]) -> dict[str, Any]:
    state = row.get("state")
    values = row.get("values")
    return {
        "status": _STATES.get(state, state),
        "values": [row["value"]] if values is None and row.get("value") is not None else values,
        "start_time": _moment(row.get("datetime_start")),
        "end_time": _moment(row.get("datetime_complete")),
    }


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**(row.get("system_attrs") or {}), **(row.get("user_attrs") or {})}


# --- SQLite ------------------------------------------------------------------------------------------


def _database(path: Path, report: Report) -> Iterator[Event]:
    with opened(path, report) as database:
        if database is None:
            return
        names = {}
        for key, name in rows(database, "studies", ("study_id", "study_name"), order="study_id"):
            names[key] = str(name)
            wanted = "study_id = ?", key
            found = rows(
                database, "study_directions", ("direction",), where=wanted, order="objective"
            )
            yield _study(str(name), directions=[_DIRECTIONS.get(each, each) for (each,) in found])
            yield Run(f"study {name}", config=_attributes_in(database, "study", wanted))
        columns = ("trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete")
        for trial, number, study, *row in rows(database, "trials", columns, order="trial_id"):
            if study in names:
                yield from _trial_of(database, trial, names[study], number, row)


def _trial_of(
    database: Any, trial: Any, study: str, number: Any, row: list[Any]
) -> Iterator[Event]:
    wanted = "trial_id = ?", trial
    params = rows(
        database, "trial_params", ("param_name", "param_value", "distribution_json"), where=wanted
    )
    values = rows(
        database, "trial_values", ("value", "value_type"), where=wanted, order="objective"
    )
    about = _attributes_in(database, "trial", wanted) | {
        "status": _STATES.get(row[0], row[0]),
        "values": [_number(*each) for each in values] or None,
        "start_time": _moment(row[1]),
        "end_time": _moment(row[2]),
    }
    config = {str(name): _external(value, kind) for name, value, kind in params}
    yield _trial(study, number, config, about)
    columns = ("step", "intermediate_value", "intermediate_value_type")
    for step, value, kind in rows(database, "trial_intermediate_values", columns, where=wanted):
        yield Record(f"{study}/{number}", {_KEY: _number(value, kind)}, step)


def _attributes_in(database: Any, of: str, wanted: tuple[str, Any]) -> dict[str, Any]:
    """The attributes of Optuna itself and of the user, as in journals."""
    return {
        str(key): _json(value)
        for kind in ("system", "user")
        for key, value in rows(
            database, f"{of}_{kind}_attributes", ("key", "value_json"), where=wanted
        )
    }


def _number(value: Any, kind: Any) -> Any:
    return {"INF_POS": inf, "INF_NEG": -inf, "NAN": nan}.get(str(kind), value)


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text


FORMAT: Final = Format("optuna", "Optuna", _find, _read)
