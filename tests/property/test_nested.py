"""Values inside of dicts: what a path names is the same in every engine, and what rows say."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from rigorous_recorder import Recorder
from rigorous_recorder._values.json_text import dump, same
from rigorous_recorder.errors import MixedKindsWarning

KEYS = st.sampled_from(["a", "b", "a.b"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, math.nan, 2**70]),
    st.sampled_from(["", "x", "1"]),
    st.lists(st.integers(0, 1), max_size=1),
)
DICTS = st.recursive(
    st.dictionaries(KEYS, SCALARS, max_size=3),
    lambda inner: st.dictionaries(KEYS, st.one_of(SCALARS, inner), max_size=3),
    max_leaves=5,
)
#: What stands under a key: mostly a dict.
VALUES = st.one_of(DICTS, DICTS, st.sampled_from([None, 1, "text"]))
#: An attribute of the root, of a child, and values of records of both (``...``: none is logged).
TREES = st.tuples(VALUES, VALUES, st.lists(st.one_of(VALUES, st.just(...)), max_size=3))


def _at(value: Any, rest: list[str]) -> Any:
    """What is at a path, by trying the longest key first."""
    if not isinstance(value, dict):
        return None
    for size in range(len(rest), 0, -1):
        key = ".".join(rest[:size])
        if key in value:
            found = value[key] if size == len(rest) else _at(value[key], rest[size:])
            if found is not None or size == len(rest):
                return found
    return None


def _paths(value: Any) -> Iterator[str]:
    for key, each in value.items() if isinstance(value, dict) else ():
        yield key
        yield from (f"{key}.{rest}" for rest in _paths(each))


def _in_columns(row: dict[str, Any], name: str) -> Any:
    """The one value that the columns of a path have in a row."""
    found = [row[key] for key in row if key == name or key.startswith(f"{name}:")]
    present = [each for each in found if each is not None]
    assert len(present) <= 1, present
    return present[0] if present else None


def _is_such(found: Any, wanted: Any) -> bool:
    """Whether a cell of a table has a value: numbers meet, and dicts and lists are JSON text."""
    if isinstance(wanted, (dict, list)):
        return bool(same(json.loads(found), json.loads(dump(wanted))))
    if isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        return same(float(found), float(wanted)) or str(found) == str(wanted)
    return bool(same(found, wanted))


@settings(max_examples=40, deadline=None)
@given(TREES)
def test_paths_are_alike_in_every_engine(tree: tuple[Any, Any, list[Any]]) -> None:
    """And are what the dict has that a row shows: a nearer dict hides the others as a whole."""
    above, below, own = tree
    root = Recorder(c=above)
    child = root.child(c=below)
    for number, value in enumerate([..., *own]):
        fields = {} if value is ... else {"c": value}
        root.push(fields, i=2 * number)
        child.push(fields, i=2 * number + 1)
    records = root.all_records
    rows = [row["c"] for row in records]
    names = sorted({f"c.{path}" for each in rows for path in _paths(each)})
    wanted = {name: [_at(row, name.split(".")[1:]) for row in rows] for name in names}
    there = {name: values for name, values in wanted.items() if any(v is not None for v in values)}
    with warnings.catch_warnings(action="ignore", category=MixedKindsWarning):
        for table in (
            records.unnest(*there).to_arrow().to_pylist() if there else [],
            records.unnest(*there).to_polars(lazy=True).collect().to_dicts() if there else [],
            _selected(records, there),
        ):
            for name, values in there.items():
                found = [_in_columns(row, name) for row in table]
                assert all(map(_is_such, found, values)), (name, found, values)
        _require_conditions(records, there)
    assert [row["c"] for row in records.unnest()] == rows or "nan" in repr(rows)


def _selected(records: Any, names: Any) -> list[dict[str, Any]]:
    """The columns of paths as a query gets them, which names each."""
    columns = [each for each in records.unnest(*names).columns if each.startswith("c.")]
    if not columns:
        return []
    listed = ", ".join(f'"{each}"' for each in columns)
    rows: pa.Table = records.sql(f"SELECT {listed} FROM records ORDER BY i").to_arrow_table()
    return list(rows.to_pylist())


def _require_conditions(records: Any, there: dict[str, list[Any]]) -> None:
    """``where`` finds the rows that have a value at a path."""
    for name, values in there.items():
        for value in values:
            if not isinstance(value, list):
                count = sum(1 for each in values if same(each, value))
                assert len(records.where(**{name: value})) == count, (name, value)
