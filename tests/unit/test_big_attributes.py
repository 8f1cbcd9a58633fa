"""A large value of a parent stands in every record below it, and in memory a bounded number of times."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._engines import widths
from rigorous_recorder._engines.widths import parts_of
from rigorous_recorder.errors import RigorousError, TooLargeError

#: What reads may take in megabytes, where each row with a copy of its own would be 1,000 or more.
MOST = 400

#: Each line reads all rows of ``c`` in one way; ``peak`` is of the whole process, and only grows.
SCRIPT = """
import json, pathlib, resource, sys
import duckdb, pandas, polars, pyarrow as pa, pyarrow.csv, pyarrow.parquet
from rigorous_recorder import ExperimentCollection
place, size, rows, children, every = sys.argv[1], *map(int, sys.argv[2:6])
config = ["own" if every and i % every == 0 else None for i in range(rows // children)]
text = children * sum(len(each) if each else size for each in config)
ways = {
    "rows": lambda c: sum(len(row["config"]) for row in c.records),
    "index": lambda c: ([c.records[i] for i in (0, rows // 2, -1)], text)[1],
    "repr": lambda c: (len(str(c.records)), text)[1],
    "lazy": lambda c: c.records.to_polars(lazy=True).collect()["config"].str.len_bytes().cast(int).sum(),
    "eager": lambda c: c.records.to_polars()["config"].str.len_bytes().cast(int).sum(),
    "where": lambda c: c.records.where(loss=0.5).to_polars(lazy=True).collect()["config"]
    .str.len_bytes().cast(int).sum(),
    "sql": lambda c: sum(
        len(value) * n for value, n in
        c.sql("SELECT config, count(*) FROM records GROUP BY config").fetchall()
    ),
    "sql where": lambda c: c.records.where(loss=0.5).sql(
        "SELECT sum(strlen(config)) FROM records"
    ).fetchall()[0][0],
    "plot": lambda c: sum(
        len(curve.by["config"]) * sum(curve.count)
        for curve in c.records.plot("i", "loss", by="config", points=10).curves
    ),
    "stream": lambda c: sum(
        pa.compute.sum(pa.compute.binary_length(batch["config"])).as_py()
        for batch in pa.RecordBatchReader.from_stream(c.records)
    ),
    "parquet": lambda c: (c.records.save_to(f"{place}/all.parquet"), text)[1],
    "jsonl": lambda c: (c.records.where(i=3).save_to(f"{place}/all.jsonl"), text)[1],
}
with ExperimentCollection(place + "/study", quiet=True) as c:
    with c.new_experiment(config="x" * size) as experiment:
        for child in range(children):
            some = rows // children
            columns = {"i": range(some), "loss": [0.5] * some}
            experiment.child(child=child).extend(columns | ({"config": config} if every else {}))
    len(c.records), c.sql("SELECT count(loss), count(child) FROM records").fetchall()
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    for name in sys.argv[6:]:
        before = peak()
        found = ways[name](c)
        assert int(found) == text, (name, found, text)
        print(json.dumps([name, peak() - before]))
"""


def peaks(place: Path, sizes: tuple[int, int, int, int], ways: list[str]) -> dict[str, int]:
    """By how many megabytes the peak of a process grew, as it read all rows in each way.

    Args:
        sizes: bytes of the text, records, recorders that these are of, and of how many records of
            each recorder one has a text of its own; 0 is none.
    """
    command = [sys.executable, "-c", SCRIPT, place, *sizes, *ways]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    assert list(found) == ways
    return found


def test_memory_is_bounded_whatever_rows_inherit(tmp_path: Path) -> None:
    """Of 1 GB of copies of one text no reader has more at once than a batch, or one of it."""
    ways = ["rows", "index", "repr", "lazy", "where", "jsonl", "stream", "parquet"]
    found = peaks(tmp_path, (100_000, 10_000, 1, 0), ways)
    assert max(found.values()) < MOST, found


def test_what_many_recorders_inherit_is_in_memory_once(tmp_path: Path) -> None:
    """5 MB above a thousand recorders are not 5 GB, which is also more than a column can have."""
    found = peaks(tmp_path, (5_000_000, 2_000, 1_000, 0), ["rows", "index", "repr", "lazy"])
    assert max(found.values()) < MOST, found


def test_memory_is_bounded_where_records_have_own_values_beside_inherited_ones(
    tmp_path: Path,
) -> None:
    """One text of a record's own does not make a copy of the inherited one for each other row."""
    ways = ["rows", "lazy", "eager", "where", "sql where", "plot"]
    found = peaks(tmp_path, (150_000, 8_000, 1, 100), ways)
    assert max(found.values()) < MOST, found


@pytest.mark.slow
def test_five_megabytes_above_ten_million_records(tmp_path: Path) -> None:
    """50 TB, were each row to have a copy of its own."""
    found = peaks(tmp_path, (5_000_000, 10_000_000, 1, 0), ["rows", "index", "repr", "lazy"])
    assert max(found.values()) < 4 * MOST, found


@pytest.mark.slow
def test_more_than_a_column_can_have_is_streamed(tmp_path: Path) -> None:
    """Texts of more than 2 GB in one batch's rows."""
    found = peaks(tmp_path, (8_300, 270_000, 1, 0), ["stream", "parquet"])
    assert max(found.values()) < MOST, found


def test_a_table_that_is_larger_than_memory_is_refused(tmp_path: Path) -> None:
    """Before memory is exhausted, with the key, the size and the way out; Polars shares the text."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(config="x" * 2_000_000) as experiment:
            experiment.extend({"i": range(1_000_000)})
        for ask in (collection.records.to_arrow, collection.records.to_pandas):
            with pytest.raises(TooLargeError, match=r"'config'.*2,000\.0 GB.*to_polars"):
                ask()
        assert issubclass(TooLargeError, RigorousError | MemoryError)
        frame = collection.records.to_polars()
        assert frame["config"].str.len_bytes().unique().to_list() == [2_000_000]
        assert collection.sql("SELECT sum(i) FROM records").fetchall() == [(499_999_500_000,)]


def test_conditions_on_a_large_value_of_many_recorders(tmp_path: Path) -> None:
    """Each value is compared once, whatever the values of all recorders take together."""
    large = "x" * 5_000_000
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(config=large) as experiment:
            for i in range(500):
                experiment.child(k=i).push(i=i, config="own" if i % 5 == 0 else None)
            experiment.child(config=7).push(i=500)
        root = Recorder(k=1).set_parent(experiment.parent)
        root.push(i=501)
        conditions: list[tuple[Any, int]] = [(large, 400), ("own", 100), (7, 1), (None, 1)]
        for value, count in conditions:
            assert len(collection.records.where(config=value)) == count
        assert [row["i"] for row in collection.records.where(config=None)] == [501]


def test_a_column_of_recorders_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """The table of recorders has a value for each: too many are an error; records share them."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(config="x" * 5_000_000) as experiment:
            for i in range(500):
                experiment.child().push(i=i)
        with pytest.raises(TooLargeError, match="'config' of 50. recorders"):
            collection.sql("SELECT max(config) FROM nodes")
        of_records = "SELECT count(config), max(strlen(config)) FROM records"
        assert collection.sql(of_records).fetchall() == [(500, 5_000_000)]
        assert collection.sql("SELECT max(i) FROM records").fetchall() == [(499,)]


# --- how batches are cut -------------------------------------------------------------------------


@pytest.fixture
def tree() -> Recorder:
    """Recorders with attributes of all sizes, above some records each, in turns."""
    dice = random.Random(7)
    root = Recorder(name="root")
    children = [
        root.child(text="x" * dice.choice([0, 1, 50, 3_000]), pair=[n, n], n=n) for n in range(9)
    ]
    for i in range(800):
        own: dict[str, Any] = {"text": "own"} if i % 50 == 3 else {}
        dice.choice(children).push(i=i, **own)
    return root


@pytest.mark.parametrize("most", [1, 100, 5_000, 100_000])
def test_batches_are_no_larger_than_they_may_be(
    tree: Recorder, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """But for a single row that is larger; all rows are there, in order, with the same schema."""
    whole = tree.all_records.to_arrow()
    rows = list(tree.all_records)
    monkeypatch.setattr(widths, "BATCH_BYTES", most)
    reader = pa.RecordBatchReader.from_stream(tree.all_records)
    batches = list(reader)
    assert reader.schema == whole.schema
    assert pa.Table.from_batches(batches).equals(whole.combine_chunks())
    sizes = [pa.Table.from_batches([batch]).nbytes for batch in batches if batch.num_rows > 1]
    assert all(size <= 2 * most + 200 for size in sizes), sizes
    scan = tree.all_records._scan()
    parts = [part for piece in scan.pieces() for part in parts_of(piece, scan)]
    assert sum(part.rows for part in parts) == len(rows)
    assert len(parts) > 1
    assert list(tree.all_records) == rows
