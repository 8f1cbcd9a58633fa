"""Rows by their index, in any order: what was decoded is held, in bounded memory."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Records
from rigorous_recorder._engines.recent import Recent
from rigorous_recorder._store.parquet_fragment import ParquetFragment

_RECORDS = 400


def _fields(index: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"step": index, "x": index / 7, "config": {"at": [index]}}
    if index % 3 == 0:
        fields["text"] = f"text {index}"
    if index % 5 == 0:
        fields["lr"] = 0.5  # in place of the inherited one
    return fields


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExperimentCollection]:
    """Three experiments in files of their own, and one of plain numbers."""
    with ExperimentCollection(tmp_path_factory.mktemp("c") / "c", quiet=True) as opened:
        for model in range(3):
            with opened.new_experiment(model=model, lr=0.1, shared={"list": [1]}) as experiment:
                for index in range(_RECORDS):
                    experiment.push(_fields(index))
            opened.save()
        with opened.new_experiment(model=3) as experiment:
            for index in range(_RECORDS):
                experiment.push(step=index, x=index / 7)
        opened.save()
        yield opened


def _views(collection: ExperimentCollection) -> list[Records]:
    records = collection.records
    return [
        records,
        collection[1],
        records.where(model=[0, 2, 3]),
        records.where("step % 3 = 1", model=[0, 1]),
        records.select("step", "text", "config.at", "shared.list"),
        records.where(model=3),
    ]


@pytest.mark.parametrize("view", range(6))
def test_rows_in_any_order_are_those_of_a_loop(
    collection: ExperimentCollection, view: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each row group is read at most once for them."""
    records = _views(collection)[view]
    expected = [dict(row) for row in records]
    read: list[tuple[str, int]] = []
    original = ParquetFragment._read

    def counted(self: ParquetFragment, group: int, names: list[str]) -> Any:
        read.append((str(self.path), group))
        return original(self, group, names)

    monkeypatch.setattr(ParquetFragment, "_read", counted)
    places = [*range(len(expected))] * 2
    random.Random(view).shuffle(places)
    for at in places[: 3 * _RECORDS]:
        row = records[at]
        assert row == expected[at]
        assert list(row) == list(expected[at])
        for key in ("config", "shared", "config.at", "shared.list"):
            if isinstance(row[key], dict | list):
                row[key].clear()  # it is of this row alone
    # The columns of conditions are read before the others, and once more to count the rows.
    assert max(Counter(read).values(), default=0) <= (3 if records._conditions else 1)


def test_what_was_used_least_recently_is_dropped_first() -> None:
    """What is held together is never larger than the limit, nor of any number."""
    recent = Recent(100)
    for key in "abc":
        recent.put(key, key.upper(), 40)
    assert [recent.get(key) for key in "abc"] == [None, "B", "C"]
    assert recent.get("b") == "B"
    recent.put("d", "D", 40)
    assert [recent.get(key) for key in "bcd"] == ["B", None, "D"]
    recent.put("large", "L", 101)
    assert recent.get("large") is None
    for number in range(1_000):
        recent.put(number, number, 0)
    held = [number for number in range(1_000) if recent.get(number) is not None]
    assert held == list(range(1_000 - len(held), 1_000))
    assert 0 < len(held) < 300
