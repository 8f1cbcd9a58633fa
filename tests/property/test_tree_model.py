"""Any tree, logged in any order, saved and reopened at any time, equals a model of plain dicts."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pandas as pd
import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from polars import selectors
from polars.testing import assert_frame_equal, assert_series_equal

from rigorous_recorder import ExperimentCollection, Recorder, Records
from rigorous_recorder._engines.sql import sql_names
from rigorous_recorder._values import json_floats
from rigorous_recorder._values.kinds import FLOAT, JSON
from rigorous_recorder.errors import ArgumentError, ClosedError, CycleError

from ..faults import THOROUGH
from ..small_tables import make_small
from .strategies import exact, family, scratch_folder

pytestmark = pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")

Row: TypeAlias = dict[str, Any]

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -0.0, 1e300, float("inf")]),
    st.sampled_from(["", "text", "a text of more than twelve bytes", "ü"]),
    st.lists(st.integers(0, 2), max_size=2),
)
KEYS = st.sampled_from(["a", "A", "b", "x.y", "_node", "n"])
#: Many, of which a record has few; the text of some is not in their views.
RARE_KEYS = st.integers(0, 40).map(lambda n: f"loss/{n}" if n % 3 else f"norm of the layer {n}")
DATA = st.one_of(
    st.dictionaries(KEYS, VALUES, max_size=3),
    st.dictionaries(RARE_KEYS, VALUES, max_size=2),
    st.dictionaries(KEYS | RARE_KEYS | st.just("_sparse_float"), VALUES, max_size=5),
)
PICK = st.integers(0, 10**6)

_THREADS = 3


class _Diverged(Exception):
    pass


@dataclass(eq=False)
class Node:
    """A recorder as the model has it."""

    data: Row
    store: Store
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    pending: Row = field(default_factory=dict)
    recorder: Recorder | None = None

    @property
    def path(self) -> list[Node]:
        """The nodes from the root down to this one."""
        return [*([] if self.parent is None else self.parent.path), self]

    @property
    def below(self) -> list[Node]:
        """This node and all below it."""
        return [self, *(each for child in self.children for each in child.below)]

    @property
    def resolved(self) -> Row:
        """What it has or inherits: the nearest wins, and None inherits."""
        found: Row = {}
        for node in self.path:
            found |= _present(node.data)
        return found

    def rows(self, nodes: Iterable[Node]) -> list[Row]:
        """The records of those nodes, in the order in which they were logged."""
        wanted = set(nodes)
        return [n.resolved | _present(row) for n, row in self.store.records if n in wanted]


@dataclass(eq=False)
class Store:
    """Where nodes' records are: the collection, or one of the trees in memory."""

    records: list[tuple[Node, Row]] = field(default_factory=list)


def _present(row: Row) -> Row:
    return {key: value for key, value in row.items() if value is not None}


class TreeMachine(RuleBasedStateMachine):
    """Recorders in memory and in a collection beside the same in plain dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.folder = self.stack.enter_context(scratch_folder())
        self.nodes: list[Node] = []
        self.stored = Store()
        self.deleted_numbers: set[int] = set()
        #: Recorders of what was deleted, as long as they take anything.
        self.deleted: list[Recorder] = []

    @initialize(dense=st.sampled_from([None, 2, 4, 8]), rows=st.sampled_from([8, 16, 48]))
    def open(self, dense: int | None, rows: int) -> None:
        """Open the collection; the node above all experiments is a node as any other.

        Live tables are usual ones, or so small that keys are sparse.
        """
        if dense is not None:
            patch = self.stack.enter_context(pytest.MonkeyPatch.context())
            make_small(patch.setattr, rows=rows, dense=dense)
        self.collection = ExperimentCollection(self.folder / "c")
        self.root = Node({}, self.stored, recorder=self.collection.recorder)
        self.nodes.append(self.root)

    def teardown(self) -> None:
        """Look at everything once more, then from a collection that was opened anew."""
        if self.nodes:
            self.everything_is_as_in_the_model()
            self.close_and_reopen()
            self.everything_is_as_in_the_model()
            self.collection.close()
        self.stack.close()

    # --- logging -------------------------------------------------------------------------------

    @rule(data=DATA)
    def make_tree(self, data: Row) -> None:
        """A recorder without a collection."""
        self.nodes.append(Node(dict(data), Store(), recorder=Recorder(data)))

    @rule(data=DATA, row=DATA)
    def make_tree_in_threads(self, data: Row, row: Row) -> None:
        """A recorder without a collection, whose first records several threads push at once."""
        recorder, start = Recorder(data), threading.Barrier(_THREADS)

        def push(_: int) -> None:
            start.wait()
            recorder.push(row)

        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(push, range(_THREADS)))
        node = Node(dict(data), Store(), recorder=recorder)
        node.store.records += [(node, dict(row))] * _THREADS
        self.nodes.append(node)

    @rule(pick=PICK, data=DATA)
    def make_child(self, pick: int, data: Row) -> None:
        """A recorder below another."""
        parent = self._node(pick)
        node = Node(dict(data), parent.store, parent, recorder=_of(parent).child(data))
        parent.children.append(node)
        self.nodes.append(node)

    @rule(pick=PICK, data=DATA)
    def push(self, pick: int, data: Row) -> None:
        """One record, with what was added before."""
        node = self._node(pick)
        _of(node).push(data)
        self._log(node, data)

    @rule(pick=PICK, rows=st.lists(DATA, min_size=2, max_size=5))
    def push_many(self, pick: int, rows: list[Row]) -> None:
        """Records one after the other."""
        for row in rows:
            self.push(pick, row)

    @rule(pick=PICK, shapes=st.lists(DATA, min_size=1, max_size=4), count=st.integers(3, 12))
    def push_by_turns(self, pick: int, shapes: list[Row], count: int) -> None:
        """Records of few shapes that alternate, each with one key of many."""
        for number in range(count):
            key = f"loss/{number * 7 % 50}"
            self.push(pick, {**shapes[number % len(shapes)], key: number / 2})

    @rule(pick=PICK, count=st.integers(2, 9), value=VALUES)
    def set_one_by_one(self, pick: int, count: int, value: Any) -> None:
        """Late data under many keys."""
        for number in range(count):
            self.say_one(pick, f"config/{number}", value if number % 3 else number)

    @rule(pick=PICK, data=DATA)
    def add(self, pick: int, data: Row) -> None:
        """Fields of the next record."""
        node = self._node(pick)
        _of(node).add(**data)
        node.pending |= data

    @rule(pick=PICK)
    def commit(self, pick: int) -> None:
        """The record of what was added."""
        node = self._node(pick)
        _of(node).commit()
        self._log(node, {})

    @rule(pick=PICK, rows=st.lists(DATA, min_size=1, max_size=4))
    def extend(self, pick: int, rows: list[Row]) -> None:
        """Records as columns; what was added stays pending."""
        node = self._node(pick)
        columns = {key: [row.get(key) for row in rows] for row in rows for key in row}
        if columns:
            _of(node).extend(columns)
            node.store.records += [(node, dict(row)) for row in rows]

    @rule(pick=PICK, data=DATA)
    def set_attributes(self, pick: int, data: Row) -> None:
        """Late data, which every record below has from now on; None takes it back."""
        node = self._node(pick)
        _of(node).update(data)
        node.data |= data

    @rule(pick=PICK, key=KEYS, value=VALUES)
    def say_one(self, pick: int, key: str, value: Any) -> None:
        """Late data under one key."""
        node = self._node(pick)
        _of(node)[key] = value
        node.data[key] = value

    @rule(pick=PICK, other=PICK)
    def set_parent(self, pick: int, other: int) -> None:
        """Below another recorder; a tree in memory moves in, with its records."""
        node, parent = self._node(pick), self._node(other)
        if node in parent.path:
            with pytest.raises(CycleError, match="ancestor"):
                _of(node).set_parent(_of(parent))
            return
        if node.store is self.stored is not parent.store:
            return  # refused: see test_refusals
        assert _of(node).set_parent(_of(parent)) is _of(node)
        if node.parent is not None:
            node.parent.children.remove(node)
        node.parent = parent
        parent.children.append(node)
        self._move(node, parent.store)

    @rule(data=DATA, row=DATA, fails=st.booleans())
    def run_experiment(self, data: Row, row: Row, *, fails: bool) -> None:
        """An experiment with a record; what waits in recorders elsewhere is no matter of its end."""
        with contextlib.suppress(_Diverged), self.collection.new_experiment(data) as experiment:
            experiment.push(row)
            if fails:
                raise _Diverged
        node = Node(dict(experiment.local_data), self.stored, self.root, recorder=experiment)
        assert {key: node.data[key] for key in data} == data
        assert node.data["had_error"] is fails
        assert _number(node) not in self.deleted_numbers
        assert all(_run_of(each) != _run_of(node) for each in self.root.children)
        self.root.children.append(node)
        self.nodes.append(node)
        self._log(node, row)

    @rule(pick=PICK, data=DATA, is_one=st.booleans())
    def delete(self, pick: int, data: Row, *, is_one: bool) -> None:
        """An experiment goes, with all that is below it now; of several runs of a number one or all."""
        if not self.collection.experiment_numbers:
            with pytest.raises(KeyError, match="no experiment"):
                self.collection.delete(pick)
            self.run_experiment(data, data, fails=is_one)
            self.make_child(len(self.nodes) - 1, data)
            self.push(len(self.nodes) - 1, data)
        numbers = self.collection.experiment_numbers
        number = numbers[pick % len(numbers)]
        runs = [each for each in self.root.children if _number(each) == number]
        if is_one:
            runs = [runs[pick % len(runs)]]
            choice = {"error_number": runs[0].data["error_number"]}
        else:
            choice = {"all_runs": True}
            self._require_refusal(number, runs)
        gone = {each for run in runs for each in run.below}
        kept = [pair for pair in self.stored.records if pair[0] not in gone]
        assert self.collection.delete(number, **choice) == len(self.stored.records) - len(kept)
        self.stored.records = kept
        self.root.children = [each for each in self.root.children if each not in runs]
        self.nodes = [each for each in self.nodes if each not in gone]
        self.deleted += [_of(each) for each in gone]
        if all(_number(each) != number for each in self.root.children):
            self.deleted_numbers.add(number)

    def _require_refusal(self, number: int, runs: list[Node]) -> None:
        """A number alone deletes none of several runs that share it."""
        if len(runs) > 1:
            with pytest.raises(ArgumentError, match="error_number"):
                self.collection.delete(number)

    @precondition(lambda self: self.deleted)
    @rule(pick=PICK, data=DATA)
    def log_below_deleted(self, pick: int, data: Row) -> None:
        """What is still logged there disturbs nobody."""
        recorder = self.deleted[pick % len(self.deleted)]
        recorder.push(data)
        recorder.update(data)
        self.deleted.append(recorder.child(data).push(data))
        with pytest.raises(ArgumentError, match="was deleted"):
            recorder.set_parent(self.collection.recorder)
        for each in (recorder, self.deleted[-1]):
            assert (len(each.records), len(each.all_records), each.children) == (0, 0, [])
            assert each.all_records.columns == ()

    @rule()
    def save(self) -> None:
        """Live rows become Parquet files."""
        self.collection.save()

    @rule(rows=st.lists(DATA, max_size=3))
    def compact(self, rows: list[Row]) -> None:
        """Small files of finished writers become one, those of a few more writers among them."""
        for row in rows:
            self.push(0, row)
            self.close_and_reopen()
        self.collection.compact()

    @rule()
    def close_and_reopen(self) -> None:
        """The recorders of a closed collection refuse; those of the next have all there was."""
        old = self.root.recorder
        self.collection.close()
        with pytest.raises(ClosedError, match="open it again"):
            _of(self.root).push(a=1)
        assert len(self.collection.records) == len(self.stored.records)
        self.deleted = []
        self.collection = ExperimentCollection(self.folder / "c")
        self.root.recorder = self.collection.recorder
        assert self.root.recorder is not old
        self._find_children(self.root)

    # --- reading -------------------------------------------------------------------------------

    @invariant()
    def all_rows_are_those_of_the_model(self) -> None:
        """The rows of the collection, and of every tree in memory."""
        for node in self.nodes:
            if node.parent is None:
                _require_equal(_of(node).all_records, node.rows(node.below))

    @rule(pick=PICK)
    def look(self, pick: int) -> None:
        """One recorder: its records, those below it, its data, parent and children."""
        node = self._node(pick)
        recorder = _of(node)
        _require_equal(recorder.records, node.rows([node]))
        _require_equal(recorder.all_records, node.rows(node.below))
        assert len(recorder.records) == len(node.rows([node]))
        assert exact(_sorted(recorder.local_data)) == exact(_sorted(node.data))
        assert exact(_sorted(recorder.pending)) == exact(_sorted(node.pending))
        assert recorder.parent is (None if node.parent is None else node.parent.recorder)
        assert recorder.children == [child.recorder for child in node.children]

    @rule(pick=PICK)
    def tables(self, pick: int) -> None:
        """Arrow has the rows, and SQL what Arrow has."""
        node = self._node(pick)
        records = _of(node).all_records
        _require_table(records, node.rows(node.below))
        if node.parent is None:
            _require_places(records)
        _require_same_main(_of(node.path[0]).all_records, records, node.rows(node.below))
        if node is self.root:
            names = list(sql_names(self.collection.records.to_arrow().column_names).values())
            relation = self.collection.sql("FROM records")
            if names:
                assert relation.columns == names
                found = Counter(map(exact, relation.fetchall()))
                assert found == _tuples(self.collection.records)

    @rule()
    def iterate(self) -> None:
        """A collection has the numbers of its experiments, each once, and their records."""
        runs = [each for each in self.root.children if _number(each) is not None]
        numbers = sorted({_number(each) for each in runs})
        assert list(self.collection) == numbers == list(reversed(self.collection))[::-1]
        assert all(number in self.collection for number in numbers)
        assert 0 not in self.collection
        for number in self.collection:
            rows = self.root.rows(self.root.below)
            of_number = [row for row in rows if row.get("experiment_number") == number]
            assert len(self.collection[number]) == len(of_number)

    @rule()
    @precondition(lambda self: len(self.stored.records) > 0)
    def read_by_another(self) -> None:
        """Another object that reads the same folder sees the same at once."""
        _of(self.root).sync()
        other = ExperimentCollection(self.folder / "c", quiet=True)
        _require_equal(other.records, self.root.rows(self.root.below))
        assert other.experiment_numbers == self.collection.experiment_numbers
        _require_same_tree(self.root, other.recorder)

    def everything_is_as_in_the_model(self) -> None:
        """All recorders, all tables."""
        self.all_rows_are_those_of_the_model()
        for number, node in enumerate(self.nodes):
            self.look(number)
            if node.parent is None:
                self.tables(number)
        if self.stored.records:
            self.read_by_another()

    # -------------------------------------------------------------------------------------------

    def _node(self, pick: int) -> Node:
        return self.nodes[pick % len(self.nodes)]

    def _log(self, node: Node, data: Row) -> None:
        node.store.records.append((node, {**node.pending, **data}))
        node.pending = {}

    def _move(self, node: Node, store: Store) -> None:
        if node.store is store:
            return
        old, moving = node.store, set(node.below)
        store.records += [pair for pair in old.records if pair[0] in moving]
        old.records = [pair for pair in old.records if pair[0] not in moving]
        for each in moving:
            each.store = store

    def _find_children(self, node: Node) -> None:
        """The recorders of the collection that is open now, in the model's order."""
        for child, recorder in zip(node.children, _of(node).children, strict=True):
            child.recorder, child.pending = recorder, {}
            self._find_children(child)
        node.pending = {}


def _of(node: Node) -> Recorder:
    assert node.recorder is not None
    return node.recorder


def _number(node: Node) -> Any:
    return node.data.get("experiment_number")


def _run_of(node: Node) -> tuple[Any, Any]:
    """What tells a run from others: its number, and the error number of those that share it."""
    return _number(node), node.data.get("error_number")


def _sorted(data: Any) -> Row:
    return {key: data[key] for key in sorted(data)}


def _require_equal(records: Records, rows: list[Row]) -> None:
    assert [exact(_sorted(row)) for row in records] == [exact(_sorted(row)) for row in rows]
    assert len(records) == len(rows)


def _require_table(records: Records, rows: list[Row]) -> None:
    """Arrow has the rows, each value in the column of its kinds, and SQL what Arrow has."""
    scan = records._scan()
    kinds = scan.flat_kinds
    table = records.to_arrow()
    assert table.column_names == list(kinds) == list(records.columns)
    assert table.num_rows == len(rows)
    values = Counter(key for row in rows for key, value in row.items() if value is not None)
    for name, kind in kinds.items():
        flat = scan.flats[name]
        for found, row in zip(table[name].to_pylist(), rows, strict=True):
            logged = row.get(flat.key)
            if logged is None or flat.family not in {None, family(logged)}:
                assert found is None
                continue
            values[flat.key] -= 1
            if kind == JSON:
                found = json_floats.loads(found)  # noqa: PLW2901 - the value of the text
            assert exact(found) == exact(float(logged) if kind == FLOAT else logged), (name, kind)
    assert not values.total()
    relation = records.sql("FROM records")
    if kinds:
        assert relation.columns == list(sql_names(kinds).values())
        assert Counter(map(exact, relation.fetchall())) == _tuples(records)
        assert_frame_equal(records.to_polars(lazy=True).collect(), records.to_polars())
    for key in list(kinds)[len(rows) % 5 :: 5]:
        _require_column(records, key)


def _require_places(records: Records) -> None:
    """A part of the rows, found by its place, is what it is among all of them, in their order."""
    rows = [exact(_sorted(row)) for row in records]
    for place in {0, len(rows) // 2, len(rows) - 1} & {*range(len(rows))}:
        assert exact(_sorted(records[place])) == rows[place]
        assert exact(_sorted(records[place - len(rows)])) == rows[place]
    assert [exact(_sorted(row)) for row in records.tail(3)] == rows[-3:]
    assert [exact(_sorted(row)) for row in records.head(3)] == rows[:3]
    is_over = threading.Event()
    is_over.set()
    assert [exact(_sorted(row)) for row in records.follow(stop=is_over)] == rows
    frame, table = records.to_pandas(), records.to_arrow()
    assert list(frame.columns) == table.column_names
    for at, column in enumerate(table.columns):
        found = [None if pd.isna(value) else value for value in frame.iloc[:, at].tolist()]
        assert list(map(exact, found)) == list(map(exact, column.to_pylist()))


def _require_same_main(whole: Records, part: Records, rows: list[Row]) -> None:
    """A part of a tree that has values of the main kinds of a key has them in the same column."""
    flats, flats_of_part = whole._scan().flats, part._scan().flats
    for key in {flat.key for flat in flats_of_part.values()}:
        families = {family(row[key]) for row in rows if row.get(key) is not None}
        if flats[key].family in families:
            assert flats_of_part[key].family in {None, flats[key].family}


def _require_column(records: Records, key: str) -> None:
    """One column by itself, and the rows that have one of its values, are the same everywhere."""
    column = records.to_polars().get_column(key)
    name = '"' + sql_names(records.columns)[key].replace('"', '""') + '"'
    shown = records.to_arrow()[key].to_pylist()
    found = [value for (value,) in records.sql(f"SELECT {name} FROM records").fetchall()]
    assert Counter(map(exact, found)) == Counter(map(exact, shown))
    lazy = records.to_polars(lazy=True)
    by_name = selectors.by_name(key)
    assert_series_equal(lazy.select(by_name).collect().get_column(key), column)
    for value in [each for each in shown if isinstance(each, (int, str))][:1]:
        count = shown.count(value)
        literal = "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
        query = f"SELECT count(*) FROM records WHERE {name} = {literal}"
        if "\0" not in literal:
            assert records.sql(query).fetchall() == [(count,)]
        assert lazy.filter(by_name == pl.lit(value)).collect().height == count
    key = records._scan().flats[key].key
    for row in records[:1]:
        # A list is a choice, so one that is meant itself stands in another one.
        wanted = {key: [row[key]] if isinstance(row[key], list) else row[key]}
        found_by_where = records.where(**wanted)
        assert len(found_by_where.where(**wanted)) == len(found_by_where)
        if row[key] is not None:
            assert len(found_by_where.where(**{key: None})) == 0


def _tuples(records: Records) -> Counter[str]:
    """The rows of the Arrow table, as a multiset."""
    columns = [column.to_pylist() for column in records.to_arrow().columns]
    return Counter(map(exact, zip(*columns, strict=True)))


def _require_same_tree(node: Node, recorder: Recorder) -> None:
    assert exact(_sorted(recorder.local_data)) == exact(_sorted(node.data))
    _require_equal(recorder.records, node.rows([node]))
    for child, found in zip(node.children, recorder.children, strict=True):
        assert found.parent is recorder
        _require_same_tree(child, found)


TestTree = TreeMachine.TestCase
TestTree.settings = settings(max_examples=settings().max_examples // 3, stateful_step_count=25)


class LongerTreeMachine(TreeMachine):
    """The same for longer."""


@pytest.mark.slow
class TestLongerTree(LongerTreeMachine.TestCase):  # type: ignore[misc, name-defined]
    """More and longer lives of trees."""

    settings = settings(max_examples=60 if THOROUGH else 10, stateful_step_count=60)
