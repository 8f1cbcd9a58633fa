"""The nodes of records, as ranges in the footers of their files."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store.folder import RECORDS, Folder
from rigorous_recorder._store.node_spans import NODE_SPANS, NodeSpans, nodes_in
from rigorous_recorder._store.parquet_fragment import ParquetFragment
from rigorous_recorder._store.sealed_files import SealedFiles


def log(folder: Path, rate: float) -> None:
    """Records of recorders with consecutive ids, and of some between which others have none."""
    with ExperimentCollection(folder, extension="") as found, found.new_experiment(r=rate) as run:
        for model in range(3):
            recorder = run.child(model=model)
            for step in range(40):
                recorder.child(step=step).push(loss=0.5)
        for step in range(40):
            run.child(step=step).child(is_leaf=True).push(loss=0.5)


def files_of(folder: Path) -> list[ParquetFragment]:
    files = SealedFiles(Folder(folder), RECORDS)
    return files.open(files.listing())


def listed(file: ParquetFragment) -> pa.Array | None:
    return nodes_in(file.node_spans, file.rows)


def test_a_file_lists_exactly_the_nodes_of_its_rows(folder: Path) -> None:
    """Also after compaction and deletion; a file in which they are scattered lists none."""
    for rate in (0.1, 0.2):
        log(folder, rate)
    with ExperimentCollection(folder, extension="") as found:
        found.delete(1)
        with found.new_experiment() as run:
            recorder = run.child()
            for step in range(5):
                recorder.push(step=step)
    scattered, one = files_of(folder)[0], files_of(folder)[-1]
    assert (listed(scattered), len(listed(one) or ())) == (None, 1)
    with ExperimentCollection(folder, extension="") as found:
        found.compact()
        counted = "SELECT r, count(*) FROM records GROUP BY ALL ORDER BY 1"
        assert found.sql(counted).fetchall() == [(0.2, 160), (None, 5)]
    for file in files_of(folder):
        ids = {node for table in file.tables([]) for node in table["_node"].to_pylist()}
        assert sorted(file.nodes.to_pylist()) == sorted(ids)


def test_a_query_reads_no_nodes_that_are_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A condition is met by nodes first; then only row groups that have some of them are read."""
    with ExperimentCollection(folder, extension="") as found:
        for rate in (0.1, 0.2):
            with found.new_experiment(r=rate) as run:
                for model in range(3):
                    run.child(model=model).extend({"step": list(range(20))})
            found.save()
    read: list[list[str]] = []
    read_row_group = pq.ParquetFile.read_row_group

    def counted(file: pq.ParquetFile, group: int, **options: object) -> pa.Table:
        read.append(options["columns"])  # type: ignore[arg-type]  # names
        return read_row_group(file, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    with ExperimentCollection(folder, extension="") as found:
        grouped = found.sql("SELECT r, model, sum(step) FROM records GROUP BY ALL ORDER BY ALL")
        assert grouped.fetchall() == [(r, model, 190) for r in (0.1, 0.2) for model in range(3)]
        assert [names for names in read if "_parent" not in names] == []
        frame = found.records.to_polars(lazy=True).filter(pl.col("r") == 0.2)
        assert frame.select(pl.col("step").sum()).collect().item() == 570
        assert {name for names in read if "_parent" not in names for name in names} == {
            "_node",
            "step",
        }
        assert len([names for names in read if "_parent" not in names]) == 2


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"1", b"[[1]]", b'[["a", 2]]', b"[[2, 1]]", b"[[1, 1000000000000]]", b"[[1, 1e3]]",
     b"[[true, true]]", b"[[9223372036854775807, 9223372036854775808]]"],
)  # fmt: skip
def test_what_is_no_list_of_nodes_is_ignored(text: bytes) -> None:
    """The rows are read instead."""
    assert nodes_in(text, 1_000) is None


def test_ranges_are_those_of_all_rows(tmp_path: Path) -> None:
    """Of all tables that a file is written of, by ids of any sign; other tables have none."""
    spans = NodeSpans(tmp_path / RECORDS / "x.parquet")
    for ids in ([3, 2, 2], [1, -(2**63), 7, 3], []):
        spans.add(pa.table({"_node": pa.array(ids, pa.int64())}))
    text = f"[[{-(2**63)}, {-(2**63)}], [1, 3], [7, 7]]".encode()
    assert spans.metadata == {NODE_SPANS: text}
    found = nodes_in(text, 7)
    assert found is not None
    assert found.to_pylist() == [-(2**63), 1, 2, 3, 7]
    others = NodeSpans(tmp_path / "nodes" / "x.parquet")
    others.add(pa.table({"_node": [1]}))
    assert others.metadata == {}
