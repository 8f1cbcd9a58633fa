"""Shortcuts for recorders in order give what the long way gives."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from rigorous_recorder._store.memory_store import MemoryStore
from rigorous_recorder._store.node_ids import ROOT
from rigorous_recorder._tree.nodes import Nodes
from rigorous_recorder._tree.updates import UpdatesByNode
from rigorous_recorder._values.chunks import byte_sizes, is_consecutive, most_bytes, sorted_ids


@pytest.mark.parametrize(
    "parts",
    [[], [[]], [[1, 2], [3]], [[1, 2], [2, 2, 3]], [[3, 1], [2, 1]], [[-(2**63)], [2**63 - 1]]],
)
def test_ids_are_sorted_and_each_is_there_once(parts: list[list[int]]) -> None:
    found = sorted_ids(pa.array(part, pa.int64()) for part in parts)
    assert found.to_pylist() == sorted({each for part in parts for each in part})


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([], False), ([5], True), ([5, 6, 7], True), ([5, 7, 7], False), ([5, 7, 6, 8], False)],
)
def test_consecutive_numbers(numbers: list[int], *, expected: bool) -> None:
    assert is_consecutive(pa.array(numbers, pa.int64())) is expected


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["a", None, "four"]),
        pa.array([b"", b"12"]),
        pa.array([1.5, None]),
        pa.array([[1, 2, 3], None, []], pa.list_(pa.int64())),
        pa.array([True, None]),
        pa.array([None], pa.string()),
        pa.array([], pa.float64()),
    ],
    ids=lambda each: str(each.type),
)
def test_the_size_of_the_largest_value(values: pa.Array) -> None:
    assert most_bytes(values) == (pc.max(byte_sizes(values)).as_py() or 0)


@pytest.mark.parametrize("of_row", [[0, 1, 2, 3], [1, 2, 3, 3], [3, 2, 1, 1], [0, 2, 3, 1]])
def test_the_last_update_of_each_node(of_row: list[int]) -> None:
    updates = UpdatesByNode(pa.array(of_row, pa.int64()), 5)
    for rows in ([0, 1, 2, 3], [1, 2], [2], []):
        last = {of_row[row]: row for row in rows}
        found = updates.last(pa.array(rows, pa.int64()))
        assert found.to_pylist() == [last.get(node) for node in range(5)]


def test_positions_of_ids_of_a_level_and_of_others() -> None:
    store = MemoryStore()
    nodes = [store.new_node() for _ in range(6)]
    for node, parent in zip(nodes, [ROOT, *nodes[:1] * 2, *nodes[1:2] * 3], strict=True):
        store.set_attributes(node, {"x": 1}, parent)
    tree = Nodes(store.reader.snapshot().nodes)
    known = {node: at for at, node in enumerate(tree.ids.to_pylist())}
    for ids in (nodes, nodes[3:], nodes[2:4], nodes[:2], [nodes[5], 7], [nodes[4], nodes[3]], []):
        found = tree.positions(pa.array(ids, pa.int64()))
        assert found.to_pylist() == [known.get(each) for each in ids]
    assert tree.positions(pa.array([nodes[2], None])).to_pylist() == [known[nodes[2]], None]
