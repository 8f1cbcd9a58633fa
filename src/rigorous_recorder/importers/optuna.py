"""Imports studies of Optuna: each trial is a run below its study; journals and SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
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
_RUNNING: Final = 0
#: The states of trials that no operation changes any more.
_ENDS: Final = frozenset({1, 2, 3})
_KEY: Final = "intermediate"
#: The versions whose databases have times of the machine's clock.
_LOCAL: Final = ("0", "1", "2", "3", "4")
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


#: Attributes of each trial: a parameter of such a name is moved aside, also while there is none yet.
_OF_TRIAL: Final = frozenset({"number", "status", "values", "start_time", "end_time", _KEY})
_OF_STUDY: Final = frozenset({"study", "directions", "deleted"})


@dataclass(slots=True)
class _Study:
    """A study; its id is its name, unless a study of that name was deleted before."""

    name: str
    id: str
    directions: list[Any]
    trials: int = 0
    user: dict[str, Any] = field(default_factory=dict)
    system: dict[str, Any] = field(default_factory=dict)
    deleted: bool = False

    def run(self) -> Run:
        about = {"study": self.name, "directions": self.directions, "deleted": self.deleted or None}
        config = _named(_OF_STUDY, {}, self.user, self.system)
        return Run(f"study {self.id}", self.name, config, about)


@dataclass(slots=True)
class _Trial:
    """A trial below its study."""

    study: _Study
    number: Any
    status: Any = None
    values: list[Any] | None = None
    start: datetime | None = None
    end: datetime | None = None
    params: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)
    system: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.study.id}/{self.number}"

    def run(self) -> Run:
        about = {
            "number": self.number,
            "status": _STATES.get(self.status, self.status),
            "values": self.values,
            "start_time": self.start,
            "end_time": self.end,
        }
        config = _named(_OF_TRIAL, self.params, self.user, self.system)
        name = f"{self.study.name}/{self.number}"
        return Run(self.id, name, config, about, parent=f"study {self.study.id}")


def _named(
    taken: frozenset[str],
    params: Mapping[str, Any],
    user: Mapping[str, Any],
    system: Mapping[str, Any],
) -> dict[str, Any]:
    """All of them by their own names; those that another has are named as in the tables of Optuna."""
    found = {f"config.{key}" if key in taken else key: value for key, value in params.items()}
    for kind, attributes in (("user_attrs", user), ("system_attrs", system)):
        for key, value in attributes.items():
            is_taken = key in taken or key in params or key in found
            found[f"{kind}.{key}" if is_taken else key] = value
    return found


def _moment(text: Any, zone: tzinfo | None = None) -> datetime | None:
    """A time in ISO 8601, and in a zone if it names none: that of this machine, or another."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


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
    """Follows the operations of a journal, whose ids are counts, as Optuna replays them."""

    def __init__(self, path: Path, report: Report) -> None:
        self._path = path
        self._report = report
        self._studies: list[_Study] = []
        self._trials: list[_Trial] = []
        #: What has changed since it was given.
        self._changed: dict[str, _Study | _Trial] = {}

    def events(self) -> Iterator[Event]:
        for _, row in json_rows(self._path, self._report):
            try:
                yield from self._operation(row)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError):
                self._report.add(self._path, "operations that are not valid: skipped")
        yield from (each.run() for each in self._changed.values())

    def _operation(self, row: dict[str, Any]) -> Iterator[Event]:
        code = row.get("op_code")
        if code == 0:
            yield from self._created_study(row)
        elif code in {1, 2, 3}:
            self._changed_study(code, self._studies[row["study_id"]], row)
        elif code == 4:
            yield from self._created(row)
        elif code in {5, 6, 7, 8, 9}:
            yield from self._changed_trial(code, self._trials[row["trial_id"]], row)
        else:
            self._report.add(self._path, "operations of an unknown kind: not taken")

    def _created_study(self, row: dict[str, Any]) -> Iterator[Event]:
        name = str(row["study_name"])
        of_name = [each for each in self._studies if each.name == name]
        if any(not each.deleted for each in of_name):
            return  # two processes began it at once: the first one's is it
        id_ = f"{name} ({len(of_name) + 1})" if of_name else name
        directions = [_DIRECTIONS.get(each, each) for each in row.get("directions", ())]
        self._studies.append(_Study(name, id_, directions))
        yield self._studies[-1].run()

    def _changed_study(self, code: int, study: _Study, row: dict[str, Any]) -> None:
        if code == 1:
            study.deleted = True
        elif code == 2:
            study.user |= row["user_attr"]
        else:
            study.system |= row["system_attr"]
        self._changed[f"study {study.id}"] = study

    def _created(self, row: dict[str, Any]) -> Iterator[Event]:
        study = self._studies[row["study_id"]]
        if study.deleted:
            return
        distributions = row.get("distributions") or {}
        params = {
            key: _external(value, distributions.get(key))
            for key, value in (row.get("params") or {}).items()
        }
        trial = _Trial(
            study,
            study.trials,
            row.get("state", 0),
            _values(row),
            _moment(row.get("datetime_start")),
            _moment(row.get("datetime_complete")),
            params,
            dict(row.get("user_attrs") or {}),
            dict(row.get("system_attrs") or {}),
        )
        study.trials += 1
        self._trials.append(trial)
        yield trial.run()
        for step, value in (row.get("intermediate_values") or {}).items():
            yield Record(trial.id, {_KEY: value}, int(step))

    def _changed_trial(self, code: int, trial: _Trial, row: dict[str, Any]) -> Iterator[Event]:
        if trial.status in _ENDS:
            return
        if code == 5:
            value = _external(row["param_value_internal"], row.get("distribution"))
            trial.params[str(row["param_name"])] = value
        elif code == 6:
            _set_state(trial, row)
        elif code == 7:
            yield Record(trial.id, {_KEY: row["intermediate_value"]}, row["step"])
            return
        elif code == 8:
            trial.user |= row["user_attr"]
        else:
            trial.system |= row["system_attr"]
        self._changed[trial.id] = trial


def _set_state(trial: _Trial, row: Mapping[str, Any]) -> None:
    state = row["state"]
    if state == _RUNNING == trial.status:
        return  # two processes took it at once: the first one has it
    if state == _RUNNING:
        trial.start = _moment(row.get("datetime_start"))
    elif state in _ENDS:
        trial.end = _moment(row.get("datetime_complete"))
    trial.status = state
    values = _values(row)
    trial.values = trial.values if values is None else values


def _values(row: Mapping[str, Any]) -> Any:
    values = row.get("values")
    return [row["value"]] if values is None and row.get("value") is not None else values


# --- SQLite ------------------------------------------------------------------------------------------


def _database(path: Path, report: Report) -> Iterator[Event]:
    with opened(path, report) as database:
        if database is None:
            return
        studies, zone = {}, _zone(database)
        for key, name in rows(database, "studies", ("study_id", "study_name"), order="study_id"):
            wanted = "study_id = ?", key
            found = rows(
                database, "study_directions", ("direction",), where=wanted, order="objective"
            )
            directions = [_DIRECTIONS.get(each, each) for (each,) in found]
            studies[key] = _Study(str(name), str(name), directions)
            studies[key].user, studies[key].system = _attributes_in(database, "study", wanted)
            yield studies[key].run()
        columns = ("trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete")
        for trial, number, study, *row in rows(database, "trials", columns, order="trial_id"):
            if study in studies:
                start, end = (_moment(each, zone) for each in row[1:])
                one = _Trial(studies[study], number, row[0], start=start, end=end)
                yield from _trial_of(database, trial, one)


def _zone(database: Any) -> tzinfo | None:
    """The zone of the times: since version 5 UTC, before that of the machine, taken to be this one."""
    for (version,) in rows(database, "version_info", ("library_version",)):
        if str(version).partition(".")[0] in _LOCAL:
            return None
    return UTC


def _trial_of(database: Any, key: Any, trial: _Trial) -> Iterator[Event]:
    wanted = "trial_id = ?", key
    params = rows(
        database, "trial_params", ("param_name", "param_value", "distribution_json"), where=wanted
    )
    values = rows(
        database, "trial_values", ("value", "value_type"), where=wanted, order="objective"
    )
    trial.values = [_number(*each) for each in values] or None
    trial.params = {str(name): _external(value, kind) for name, value, kind in params}
    trial.user, trial.system = _attributes_in(database, "trial", wanted)
    yield trial.run()
    columns = ("step", "intermediate_value", "intermediate_value_type")
    for step, value, kind in rows(database, "trial_intermediate_values", columns, where=wanted):
        yield Record(trial.id, {_KEY: _number(value, kind)}, step)


def _attributes_in(database: Any, of: str, wanted: tuple[str, Any]) -> list[dict[str, Any]]:
    """The attributes of the user, and those of Optuna itself."""
    return [
        {
            str(key): _json(value)
            for key, value in rows(
                database, f"{of}_{kind}_attributes", ("key", "value_json"), where=wanted
            )
        }
        for kind in ("user", "system")
    ]


def _number(value: Any, kind: Any) -> Any:
    return {"INF_POS": inf, "INF_NEG": -inf, "NAN": nan}.get(str(kind), value)


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text


FORMAT: Final = Format("optuna", "Optuna", _find, _read)
