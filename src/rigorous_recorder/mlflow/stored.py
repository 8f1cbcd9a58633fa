"""Runs as the collections have them, of this process and of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._engines.sql import identifier, literal
from rigorous_recorder._keys import RESERVED
from rigorous_recorder._lazy_imports import pd

from .entities import Metric, PagedList, Run, RunData, RunInfo
from .exceptions import MlflowException
from .filters import is_chosen, ordered
from .places import collection_of, experiment_now, name_of, page, place_of, search_experiments

__all__ = ["OWN", "get_metric_history", "get_parent_run", "get_run", "run_in", "search_runs"]

#: Attributes of a run that are no parameters; a parameter with such a name is ``config.<name>``.
OWN: Final = RESERVED | {
    *("run", "run_id", "experiment", "notes", "tags", "status", "start_time", "end_time"),
    *("step", "time", "part", "user", "table", "parent_run_id"),
}
_STATUSES: Final = {"finished": "FINISHED", "running": "RUNNING", "stopped": "KILLED"}
#: The columns of a DataFrame of runs that it has also without runs.
_COLUMNS: Final = ("run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time")
_NUMBERS: Final = ("BIGINT", "DOUBLE", "FLOAT", "BOOLEAN", "INTEGER", "HUGEINT")


def get_run(run_id: str) -> Run:
    """A run of any experiment in the folder.

    Raises:
        MlflowException: there is none with this id.
    """
    for experiment in _experiments():
        if found := run_in(experiment, run_id):
            return found
    message = f"there is no run {run_id!r} in {[*_experiments()]}"
    raise MlflowException(message)


def run_in(experiment: str, run_id: str) -> Run | None:
    """A run of an experiment; None if there is none with the id."""
    return next((each for each in _runs(experiment) if each.info.run_id == run_id), None)


def get_parent_run(run_id: str) -> Run | None:
    """The run that a nested run belongs to; None if it is not nested."""
    parent = get_run(run_id).data.tags.get("mlflow.parentRunId")
    return get_run(parent) if parent else None


def get_metric_history(
    run_id: str, key: str, max_results: int | None = None, page_token: str | None = None
) -> PagedList:
    """All values of a metric of a run, by their times, or a page of them."""
    return page(_history(run_id, key), max_results, page_token)


def _history(run_id: str, key: str) -> list[Metric]:
    run = get_run(run_id)
    records = collection_of(run.info.experiment_id).records
    if key not in records.columns:
        return []
    own = f"run_id = {literal(run_id)} AND {identifier(key)} IS NOT NULL"
    rows = records.sql(
        f"SELECT {identifier(key)}, epoch_ms(time), step FROM records WHERE {own} ORDER BY time"
    ).fetchall()
    return [Metric(key, value, time, step) for value, time, step in rows]


def search_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: Any = None,
    max_results: int = 100_000,
    order_by: Sequence[str] | None = None,
    output_format: str = "pandas",
    search_all_experiments: bool = False,
    experiment_names: Sequence[str] | None = None,
) -> Any:
    """Runs with their parameters, tags and the last value of each metric, the newest first.

    Args:
        run_view_type: has no meaning: all runs are active.
        filter_string: such as ``metrics.loss < 0.5 and params.model = 'm1'``.
        order_by: such as ``["metrics.loss ASC"]``.
        output_format: "pandas" for a DataFrame with ``params.<key>``, ``metrics.<key>`` and
            ``tags.<key>``, or "list".

    Raises:
        MlflowException: the filter is not understood.
    """
    ids = [experiment_ids] if isinstance(experiment_ids, str | int) else experiment_ids
    names = [*map(name_of, ids or ()), *(experiment_names or ())] or [experiment_now()]
    found = chain.from_iterable(map(_runs, _experiments() if search_all_experiments else names))
    chosen = [each for each in found if is_chosen(each, filter_string or "")]
    runs = ordered(chosen, order_by or ())[:max_results]
    return runs if output_format == "list" else _frame(runs)


def _frame(runs: Iterable[Run]) -> Any:
    rows = [
        {
            "run_id": info.run_id,
            "experiment_id": info.experiment_id,
            "status": info.status,
            "artifact_uri": info.artifact_uri,
            "start_time": _time(info.start_time),
            "end_time": _time(info.end_time),
            **{f"metrics.{key}": each for key, each in data.metrics.items()},
            **{f"params.{key}": each for key, each in data.params.items()},
            **{f"tags.{key}": each for key, each in data.tags.items()},
        }
        for info, data in runs
    ]
    columns = dict.fromkeys((*_COLUMNS, *chain.from_iterable(rows)))
    return pd.DataFrame(rows, columns=[*columns])


def _experiments() -> list[str]:
    return [each.name for each in search_experiments()]


def _runs(experiment: str) -> list[Run]:
    """The runs of an experiment: a run that went on in another process is one."""
    if not place_of(experiment).exists():
        return []
    collection = collection_of(experiment)
    if "run_id" not in collection.records.columns:
        return []
    of_all = dict(collection.recorder.attributes)  # the experiment's tags
    found: dict[str, dict[str, Any]] = {}
    for row in collection.level("run_id"):
        found.setdefault(row["run_id"], {}).update(_known(row, of_all))
    metrics = _metrics(collection, {*of_all, *(key for row in found.values() for key in row)})
    for each in collection.experiments:  # which have the attributes of their last attempt
        if each["run_id"] in found:
            found[each["run_id"]] |= {**_known(each, of_all), "status": each.status.value}
    _end_orphans(found)
    tags = {id_: row.get("tags") for id_, row in found.items()}
    for known in found.values():
        if known.get("tags") == tags.get(known.get("parent_run_id", "")):  # which are inherited
            known.pop("tags", None)
    return [_run(row, experiment, metrics.get(id_, {})) for id_, row in found.items()]


def _end_orphans(found: Mapping[str, dict[str, Any]]) -> None:
    """Nested runs that are running end with the process of the run that they belong to."""
    for nested in found.values():
        above = nested
        while above.get("parent_run_id") in found:
            above = found[above["parent_run_id"]]
        if nested.get("status") == "running" != above.get("status"):
            nested["status"] = "crashed"


def _known(row: Mapping[str, Any], of_all: Mapping[str, Any]) -> dict[str, Any]:
    return {key: v for key, v in row.items() if v is not None and of_all.get(key) != v}


def _metrics(collection: ExperimentCollection, attributes: set[str]) -> dict[str, dict[str, Any]]:
    """The last value of each metric, by the ids of runs: that of the highest step."""
    table = collection.sql("FROM records")
    types = dict(zip(table.columns, map(str, table.types), strict=True))
    if "step" not in types:
        return {}
    keys = [
        key
        for key, kind in types.items()
        if kind in _NUMBERS and key not in attributes | OWN and key != "size"
    ]
    last = (
        f"arg_max({identifier(k)}, (step, time)) FILTER ({identifier(k)} IS NOT NULL)" for k in keys
    )
    chosen = ", ".join(["run_id", *last])
    rows = collection.sql(f"SELECT {chosen} FROM records GROUP BY run_id").fetchall()
    return {
        id_: {key: v for key, v in zip(keys, values, strict=True) if v is not None}
        for id_, *values in rows
    }


def _run(row: Mapping[str, Any], experiment: str, metrics: dict[str, Any]) -> Run:
    folder = place_of(experiment).with_suffix(".artifacts") / row["run_id"]
    begin = row.get("start_time") or row.get("experiment_start_time")
    end = row.get("end_time") or row.get("experiment_end_time")
    status = _STATUSES.get(row.get("status", "running"), "FAILED")
    info = RunInfo(row["run_id"], row["run"], experiment, str(folder), status)
    info.start_time, info.end_time = _milliseconds(begin), _milliseconds(end)
    info.user_id = str(row.get("user") or "")
    left_out = OWN | {"records"} | {key for key in row if key.startswith("experiment_")}
    params = {key.removeprefix("config."): v for key, v in row.items() if key not in left_out}
    tags = {**(row.get("tags") or {}), "mlflow.runName": row["run"]}
    if row.get("parent_run_id"):
        tags["mlflow.parentRunId"] = row["parent_run_id"]
    return Run(info, RunData(metrics, params, tags))


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _milliseconds(time: Any) -> int | None:
    seconds = time.timestamp() if isinstance(time, datetime) else time
    return None if seconds is None else int(seconds * 1000)
