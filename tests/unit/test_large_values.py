"""Large inherited values are shared by rows or stand as numbers meanwhile: results are the same."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._engines import duckdb, node_conditions, widths

pytestmark = pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")

#: Values of each kind that texts, lists and dicts can meet.
VALUES: Final[dict[str, list[Any]]] = {
    "text": ["b", "a\0", "é", "c" * 99],
    "bytes": [b"b", b"a\0", b"\xff", b"c" * 99],
    "json": [{"b": 1}, {"a": None}, {"é": [1]}, {"c": "c" * 99}],
    "list": [[2.0, float("nan")], [-0.0], [], [0.5] * 99],
    "int": [3, 2**60, -1, 0],
}


def tree_of(inherited: list[Any], own: list[Any]) -> Recorder:
    """Recorders with and without a value of ``config``, above records with and without one."""
    root = Recorder(study=1)
    for n, value in enumerate([*inherited, None, inherited[0]]):
        child = root.child(n=n, score=n / 2) if value is None else root.child(n=n, config=value)
        for i in range(6):
            more = {"config": own[(n + i) % len(own)]} if i % 3 == 1 else {}
            child.push(i=i, loss=float(n * i), **more)
    return root


@pytest.fixture(name="shares")
def _shares(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes all values large ones."""

    def share() -> None:
        monkeypatch.setattr(widths, "_SMALL", 0)
        monkeypatch.setattr(widths, "BATCH_BYTES", 0)
        monkeypatch.setattr(duckdb, "_MOST_COPIED", 0)
        monkeypatch.setattr(node_conditions, "_CONDITION_BYTES", 0)

    return share


def charts(records: Any) -> list[Any]:
    """Points of charts of records and of recorders, in order."""
    asked = product([("i", "loss"), ("n", "score")], [["config"], ["n", "config"]])
    curves = [records.plot(x, y, by=by, points=3) for (x, y), by in asked]
    return [(repr(list(each.rows())), each.notes) for each in curves]


@pytest.mark.parametrize("inherited", VALUES)
def test_charts_are_the_same_by_large_values(inherited: str, shares: Any) -> None:
    """As many curves, in the same order, of the same points, whatever records have themselves."""
    trees = [tree_of(VALUES[inherited], VALUES[own]).all_records for own in (inherited, "text")]
    plain = [charts(records) for records in trees]
    shares()
    assert [charts(records) for records in trees] == plain


def test_charts_of_attempts_are_the_same_by_large_values(tmp_path: Path, shares: Any) -> None:
    """A later attempt takes the place of rows with the same large text."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        for text in ("b", "a"):
            with collection.new_experiment(config=text) as experiment:
                experiment.extend({"i": range(4), "loss": [1.0] * 4})
        with collection.resume(-1) as experiment:
            experiment.push(i=3, loss=5.0).push(i=4, loss=6.0, config="own")
    plain = charts_by_config(collection)
    shares()
    assert charts_by_config(collection) == plain


def charts_by_config(collection: ExperimentCollection) -> list[Any]:
    """Points of charts with the last and with all attempts."""
    asked = product([("i", "loss"), ("i", "experiment_number")], ["last", "all"])
    charts = [collection.records.plot(x, y, by="config", attempts=which) for (x, y), which in asked]
    return [(list(each.rows()), each.notes) for each in charts]


@pytest.mark.parametrize("inherited", VALUES)
def test_queries_are_the_same_of_large_values(inherited: str, shares: Any) -> None:
    """Rows, and rows that meet conditions, joined to the recorders or to values that they share."""
    pair = VALUES[inherited], VALUES[inherited if inherited in {"text", "list"} else "int"]
    plain = answers(tree_of(*pair), *pair)
    shares()
    assert answers(tree_of(*pair), *pair) == plain


def answers(tree: Recorder, inherited: list[Any], own: list[Any]) -> list[str]:
    """Results of queries of all records, and of those that meet conditions."""
    conditions: list[dict[str, Any]] = [{}, {"loss": 0.0}, {"i": 77}, {"config": [own[1]]}]
    conditions += [{"config": [inherited[0]]}, {"config": None}]
    queries = [
        "SELECT * FROM records ORDER BY ALL",
        "SELECT n, sum(loss) FROM records GROUP BY n ORDER BY n",
    ]
    asked = product(conditions, queries)
    return [repr(tree.all_records.where(**w).sql(q).fetchall()) for w, q in asked]


@pytest.mark.parametrize("inherited", VALUES)
def test_polars_has_own_values_beside_shared_ones(inherited: str) -> None:
    """In every column of the key, as the table of Arrow has them, for one recorder and for many."""
    for own in VALUES.values():
        root = tree_of(VALUES[inherited], own)
        for records in (root.all_records, root.children[0].records, root.children[4].records):
            assert records.to_polars(lazy=True).collect().equals(records.to_polars())
