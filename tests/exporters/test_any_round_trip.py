"""Any tree of any values that is exported and imported again is the same, up to what docs/import.md says."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.exporters import export_runs
from rigorous_recorder.importers import import_runs

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMES = ("loss", "train/acc", "é😀 x", "../up", "a.b", "Loss", "k" * 200)
RUNS = ("first", "../x", "a/b", "..", "é 😀", "CON", "first", "x" * 300, "a b.c,d=e")

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(
    lambda each: each not in {"NaN", "Infinity", "-Infinity"}
)
number = st.floats() | st.integers(-(1 << 70), 1 << 70) | st.booleans() | st.integers(-9, 9)
value = number | text | st.lists(st.floats(), min_size=1, max_size=3)
nested = st.dictionaries(st.sampled_from(("p", "q r")), number | text, min_size=1)
fields = st.dictionaries(st.sampled_from(NAMES), value | nested, max_size=4)


class Logged(NamedTuple):
    """A record: which child of its run logged it, if any, its step, its time, and its fields."""

    child: int | None
    step: int | None
    milliseconds: int | None
    fields: dict[str, Any]


records = st.lists(
    st.builds(
        Logged,
        st.none() | st.integers(0, 2),
        st.none() | st.integers(-3, 1 << 40),
        st.none() | st.integers(0, 10**9),
        fields,
    ),
    max_size=8,
)
config = st.dictionaries(st.sampled_from(("lr", "seed", "opt")), number | text)
runs = st.lists(st.tuples(st.sampled_from(RUNS), config, records), min_size=1, max_size=4)

Study = list[tuple[str, dict[str, Any], list[Logged]]]


def log(study: Study, path: Path) -> dict[int, Logged]:
    """Log a study; returns its records by the numbers that they have as ``uid``."""
    logged: dict[int, Logged] = {}
    with ExperimentCollection(path, quiet=True) as collection:
        for number, (name, given_config, of_run) in enumerate(study):
            attributes = {**given_config, "name": name, "ident": number}
            with collection.new_experiment(attributes) as run:
                children: dict[int, Recorder] = {}
                for each in of_run:
                    if each.child is not None and each.child not in children:
                        children[each.child] = run.child(episode=each.child)
                    recorder = run if each.child is None else children[each.child]
                    row = {**each.fields, "uid": len(logged)}
                    if each.step is not None:
                        row["step"] = each.step
                    if each.milliseconds is not None:
                        row["time"] = START + timedelta(milliseconds=each.milliseconds)
                    recorder.push(row)
                    logged[len(logged)] = each
    return logged


def again(study: Study, target: str) -> tuple[dict[int, Logged], list[dict[str, Any]]]:
    """What was logged, and the flat table of what is imported of an export."""
    with TemporaryDirectory() as folder:
        logged = log(study, Path(folder, "study"))
        export_runs(Path(folder, "study"), Path(folder, "out"), to=target)
        with ExperimentCollection(Path(folder, "again"), quiet=True) as collection:
            import_runs(Path(folder, "out"), collection)
            return logged, [dict(row) for row in collection.records]


def flat(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, each in values.items():
        if isinstance(each, dict):
            yield from flat({f"{key}/{name}": below for name, below in each.items()})
        else:
            yield key, each


def as_float(each: float) -> float:
    try:
        return float(each)
    except OverflowError:
        return math.copysign(math.inf, each)


def of_tensorboard(given_fields: dict[str, Any]) -> dict[str, Any]:
    """Numbers are floats, and parts of dicts have names of their own."""
    return {
        key: as_float(each) if isinstance(each, (int, float)) else each
        for key, each in flat(given_fields)
    }


def of_mlflow(given_fields: dict[str, Any]) -> dict[str, Any]:
    """Only numbers, as floats; infinities are the largest float, and zeros of SQLite have no sign."""
    largest = sys.float_info.max
    return {
        key: 0.0 + min(max(each, -largest), largest)
        for key, each in of_tensorboard(given_fields).items()
        if isinstance(each, float)
    }


def of_trackio(given_fields: dict[str, Any]) -> dict[str, Any]:
    """All values, but ints of more than 64 bits, and where no number tells them, NaN and infinities, as text."""
    return {key: _of_trackio(each) for key, each in given_fields.items()}


def _of_trackio(each: Any) -> Any:
    if isinstance(each, dict):
        return of_trackio(each)
    if isinstance(each, list):
        return [_of_trackio(below) for below in each]
    if isinstance(each, float) and not math.isfinite(each):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(each, "NaN")
    if type(each) is int and not -(1 << 63) <= each < 1 << 64:
        return str(each)
    return each


def of_wandb(given_fields: dict[str, Any]) -> dict[str, Any]:
    """All values; whether an exact number is an int or a float depends on the others of its metric."""
    return {
        key: of_wandb(each)
        if isinstance(each, dict)
        else float(each)
        if type(each) is int and abs(each) <= 1 << 53
        else each
        for key, each in given_fields.items()
    }


def shown(each: Any) -> str:
    if isinstance(each, dict):
        return str({key: shown(below) for key, below in sorted(each.items())})
    return repr(each.tolist() if hasattr(each, "tolist") else each)


EXPECTED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "tensorboard": of_tensorboard,
    "mlflow": of_mlflow,
    "trackio": of_trackio,
    "wandb-offline": of_wandb,
}


def apart(study: Study) -> Study:
    """The same with a time of its own for each record: MLflow tells by it which values are of one call."""
    numbers = count()
    return [
        (name, given_config, [_at_own_time(each, next(numbers)) for each in of_run])
        for name, given_config, of_run in study
    ]


def _at_own_time(each: Logged, number: int) -> Logged:
    return each._replace(milliseconds=1_000 * (each.milliseconds or 0) + number)


def check(study: Study, target: str) -> None:
    """Each record is there once, at its run, with its step and time, in order, and with its values."""
    logged, rows = again(apart(study) if target == "mlflow" else study, target)
    found = {int(row["uid"]): row for row in rows}
    assert sorted(found) == sorted(logged)
    assert len(rows) == len(logged)
    for uid, each in logged.items():
        row = found[uid]
        wanted = EXPECTED[target](each.fields)
        names = wanted.keys() | set(NAMES)
        got = {key: row[key] for key in names if row.get(key) is not None}
        got = EXPECTED[target](got) if target in {"wandb-offline", "trackio"} else got
        assert {key: shown(value) for key, value in got.items()} == {
            key: shown(value) for key, value in wanted.items()
        }
        if each.milliseconds is not None:
            assert row["time"] == START + timedelta(milliseconds=each.milliseconds)
        if each.step is not None:
            assert each.step in {row["step"], row.get("metric.step")}


@pytest.mark.parametrize("target", EXPECTED)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(study=runs)
def test_any_study_is_the_same_again(target: str, study: Study) -> None:
    """A few of many, in each test run."""
    check(study, target)


@pytest.mark.slow
@pytest.mark.parametrize("target", EXPECTED)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(study=runs)
def test_many_studies_are_the_same_again(target: str, study: Study) -> None:
    """More of them."""
    check(study, target)
