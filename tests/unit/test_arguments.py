"""Arguments that are not valid: each is an error of the library, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import Curves, ExperimentCollection, Recorder
from rigorous_recorder.errors import ArgumentError, ArgumentTypeError

#: What is not a path of text.
NO_PATHS = [None, 5, b"study", ["study"], object()]
#: What no file can be named.
NO_NAMES = ["a\0b", "\ud800"]


def takers_of_paths(tmp_path: Path) -> list[Callable[[Any], object]]:
    """Everything that takes a path."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    with collection.new_experiment() as experiment:
        experiment.push(x=1, y=2)
    collections = ExperimentCollection
    new = tmp_path / "new"
    return [
        *(collections, collections.open, collections.find, collections.verify_folder),
        *(collection.copy_to, partial(collections.repair, collection._store.folder.path)),
        *(experiment.save_to, collection.records.save_to, Recorder.load_from),
        collection.records.plot("x", "y").save_to,
        lambda name: collections(new, extension=name),
        lambda name: collection.copy_to(new, extension=name),
        lambda name: collections.verify_folder(new, extension=name),
    ]


def test_what_is_no_path_is_an_error_of_the_library(tmp_path: Path) -> None:
    takers = takers_of_paths(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for take in takers:
        for given in NO_PATHS:
            with pytest.raises(ArgumentTypeError):
                take(given)
        for given in NO_NAMES:
            with pytest.raises(ArgumentError, match="no file's name can have"):
                take(given)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_encoding_that_no_name_can_be_is_none() -> None:
    for name in NO_NAMES:
        with pytest.raises(ArgumentError, match="not a text encoding"):
            Recorder().save_to("out.csv", encoding=name)


def test_keys_of_a_chart_are_text() -> None:
    records = Recorder().push(x=1, y=2).records
    for given in (None, 5, True, [1], object()):
        for option in ("x", "y", "by", "log"):
            arguments: dict[str, Any] = {"x": "x", "y": "y", option: given}
            with pytest.raises(ArgumentTypeError, match=f"^{option}="):
                records.plot(**arguments)


def test_counts_of_a_chart_are_ints_in_range() -> None:
    """A height of a billion lines would end the process, as no memory has room for them."""
    records = Recorder().push(x=1, y=2).push(x=2, y=3).records
    chart: Curves = records.plot("x", "y")
    for given in (0, -1, True, 1.5, "9", int):
        with pytest.raises(ArgumentError, match="points can't be drawn"):
            records.plot("x", "y", points=given)  # type: ignore[arg-type]
    for given in (0, -1, True, 1.5, "9", int, 1_001, 1 << 40):
        with pytest.raises(ArgumentError, match="^width="):
            chart.text(width=given)  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match="^height="):
            chart.text(height=given)  # type: ignore[arg-type]
    assert chart.text(10, 1)
    assert len(chart.text(1_000, 5).splitlines()[1]) <= 1_000


def test_names_of_the_collections_of_a_union_are_text(tmp_path: Path) -> None:
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    with collection.new_experiment():
        pass
    for name in (5, None, b"a"):
        with pytest.raises(ArgumentTypeError, match="are text, not"):
            ExperimentCollection.union({name: collection})  # type: ignore[dict-item]
