"""SQL compares names without case, and yet never gives one key's values for another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.errors import ColumnError

Ask = Callable[[str], Any]


def _memory(_: Path) -> Iterator[Ask]:
    yield Recorder().push(loss=0.5).push(Loss=7.0).records.sql


def _conditions(_: Path) -> Iterator[Ask]:
    yield Recorder().push(loss=0.5, i=1).push(Loss=7.0, i=1).records.where(i=1).sql


def _sealed(folder: Path) -> Iterator[Ask]:
    with ExperimentCollection(folder / "c", quiet=True) as collection:
        with collection.new_experiment() as run:
            run.push(loss=0.5)
            collection.save()
            run.push(Loss=7.0)
        collection.save()
        yield collection.sql


@pytest.fixture(params=[_memory, _conditions, _sealed])
def ask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ask]:
    """A query of two records, one with ``loss`` and one with ``Loss``."""
    yield from request.param(tmp_path)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT loss FROM records", [0.5, None]),
        ('SELECT "loss" FROM records', [0.5, None]),
        ("SELECT Loss FROM records", [None, 7.0]),
        ('SELECT "Loss" FROM records', [None, 7.0]),
        ("SELECT r.Loss FROM records AS r", [None, 7.0]),
        ("SELECT sum(Loss) FROM records WHERE Loss > 1 GROUP BY Loss", [7.0]),
        ("SELECT x FROM (SELECT Loss AS x FROM records)", [None, 7.0]),
        ("WITH t AS (SELECT * FROM (SELECT Loss FROM records)) SELECT Loss FROM t", [None, 7.0]),
        ("SELECT count(*) FROM records WHERE Loss IS NULL", [1]),
        ("SELECT Loss_2 FROM records", [None, 7.0]),
        ("SELECT coalesce(loss, Loss_2) FROM records", [0.5, 7.0]),
        ("SELECT coalesce(Loss, Loss_2) FROM records", [None, 7.0]),
        ("SELECT loss FROM (SELECT * FROM records)", [0.5, None]),
    ],
)
def test_a_name_means_the_key_that_is_spelled_so(ask: Ask, query: str, rows: list[Any]) -> None:
    """Quoted or not, wherever it stands; the names that ``FROM records`` shows are names as well."""
    found = [value for (value,) in ask(query).fetchall()]
    assert sorted(found, key=str) == sorted(rows, key=str)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT LOSS FROM records",
        'SELECT loss, "Loss" FROM records',
        "SELECT loss FROM records WHERE Loss > 1",
        "SELECT *, Loss FROM records",
        "SELECT * EXCLUDE (Loss) FROM records",
        "SELECT * REPLACE (1 AS LOSS) FROM records",
        "SELECT * RENAME (Loss AS x) FROM records",
        "SELECT * FROM records ORDER BY Loss",
        "SELECT a.loss FROM records AS a JOIN records AS b USING (LOSS)",
        "SELECT struct_extract(records, 'Loss') FROM records",
        "PIVOT records ON Loss USING count(*)",
        "UNPIVOT records ON Loss INTO NAME n VALUE v",
        "DESCRIBE SELECT Loss FROM records",
        'CREATE TABLE t AS SELECT "Loss" FROM records',
        "SELECT loss FROM records; SELECT Loss FROM records",
    ],
)
def test_a_name_that_could_mean_two_keys_is_refused(ask: Ask, query: str) -> None:
    """The message has both keys, and what to write for each."""
    message = (
        "could be each of the columns 'loss' and 'Loss'. Write \"loss\" for 'loss', \"Loss_2\" for"
    )
    with pytest.raises(ColumnError, match=message):
        ask(query)


def test_the_tables_of_recorders_do_the_same(tmp_path: Path) -> None:
    """Also where a key differs only in case from a column that is always there."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        for data in ({"lr": 1, "_NODE": 5}, {"LR": 2}):
            with collection.new_experiment(data):
                pass
        for table in ("experiments", "nodes"):
            query = f"SELECT LR FROM {table} WHERE experiment_number > 0 ORDER BY experiment_number"
            assert collection.sql(query).fetchall() == [(None,), (2,)]
            query = query.replace("LR", "lr")
            assert collection.sql(query).fetchall() == [(1,), (None,)]
            with pytest.raises(ColumnError, match="'lr' and 'LR'"):
                collection.sql(f"SELECT Lr FROM {table}")
        assert collection.sql("SELECT max(_NODE) FROM nodes").fetchall() == [(5,)]
        assert (1,) in collection.sql("SELECT _node FROM nodes").fetchall()
        assert collection.sql("SELECT _node, _NODE_2 FROM nodes").columns == ["_node", "_NODE_2"]


def test_one_key_is_found_however_it_is_spelled() -> None:
    """As in any SQL, where no other key is meant."""
    records = Recorder().push(loss=0.5).records
    assert records.sql("SELECT LOSS, Loss FROM records").fetchall() == [(0.5, 0.5)]
    with pytest.raises(Exception, match='"los" not found'):
        Recorder().push(loss=0.5, Loss=1).records.sql("SELECT los, Loss FROM records")


def test_a_key_has_its_own_name_before_one_that_is_made_for_another() -> None:
    """What stands for an empty name, or for NUL, is no other key's name."""
    records = Recorder().push({"": 1, "a\0b": 2, "_empty": 3, "a␀b": 4}).records
    assert records.sql('SELECT _empty, "a␀b" FROM records').fetchall() == [(3, 4)]
    assert set(records.sql("FROM records").columns) == {"_empty", "_empty_2", "a␀b", "a␀b_2"}


def test_charts_draw_the_key_that_is_named() -> None:
    """Names in their own queries are none of the user's."""
    recorder = Recorder()
    for i in range(3):
        recorder.push(x=i, X=10 * i, v=i, V=100 * i, n=1, N=2)
    for x, y in (("x", "V"), ("X", "v"), ("V", "X"), ("n", "N")):
        (curve,) = recorder.records.plot(x, y).curves
        rows = [(row[x], row[y]) for row in recorder.records]
        assert list(zip(curve.x, curve.mean, strict=True)) == sorted(set(rows))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT COLUMNS(['Loss']) FROM records",
        "SELECT sum(COLUMNS(['Loss'])) FROM records",
        "SELECT COLUMNS(c -> c = 'Loss') FROM records",
        "UNPIVOT (FROM records) ON COLUMNS(['Loss'])",
    ],
)
def test_columns_that_are_named_by_text_are_refused(ask: Ask, query: str) -> None:
    """The error names both keys, and what each of them is called."""
    with pytest.raises(ColumnError, match="'loss' and 'Loss'"):
        ask(query)
