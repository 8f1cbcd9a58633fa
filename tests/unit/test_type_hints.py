"""The types in signatures of the public face, as tools look them up that run a program."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import pytest

import rigorous_recorder
from rigorous_recorder import Curve, Difference, ExperimentCollection, Records, spark

KINDS = [
    kind
    for name in rigorous_recorder.__all__
    if inspect.isclass(kind := getattr(rigorous_recorder, name))
]


def functions_of(kind: type) -> Iterator[Callable[..., Any]]:
    """The public methods of a class, and the getters of its properties."""
    for name in dir(kind):
        found = inspect.getattr_static(kind, name)
        found = getattr(found, "fget", getattr(found, "__func__", found))
        is_public = not name.startswith("_") or (name.startswith("__") and name.endswith("__"))
        if is_public and inspect.isfunction(found):
            yield found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_types_in_signatures_are_found(kind: type) -> None:
    get_type_hints(kind)
    for function in functions_of(kind):
        get_type_hints(function)


def test_the_types_found_are_those_that_load_on_use() -> None:
    getter = ExperimentCollection.records.fget  # type: ignore[attr-defined]
    assert get_type_hints(getter) == {"return": Records}
    assert get_type_hints(Curve)["by"] == dict[str, Any]
    assert get_type_hints(Difference) == {"key": str, "of": str, "values": tuple[Any, ...]}


def test_the_types_of_spark_are_found() -> None:
    for name in spark.__all__:
        get_type_hints(getattr(spark, name))
    get_type_hints(spark.TaskLog.__init__)
