"""Compaction by Spark's workers: the same files as by one process, and no row less or twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rigorous_recorder._store import compaction_plan
from rigorous_recorder._store.compact import Merging
from rigorous_recorder.spark import compact

from ..store.folders import indexes, log_many_small_files, opened


@pytest.mark.slow
def test_workers_merge(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several files come out of it, each of a task; all rows are there, and nothing is damaged."""
    monkeypatch.setattr(compaction_plan, "_ENOUGH_ROWS", 80)
    log_many_small_files(tmp_path / "c")
    collection = opened(tmp_path / "c")
    collection.delete(2)
    rows = indexes(collection)
    fewer = compact(spark, collection)
    assert fewer >= 6
    assert len(list((tmp_path / "c" / "records").iterdir())) == 3
    for each in (collection, opened(tmp_path / "c")):
        assert indexes(each) == rows
        assert each.verify() == []
    assert compact(spark, collection) == 0


def test_a_task_that_is_tried_twice(tmp_path: Path) -> None:
    """Also where the first try did its work, or half of it: rows count once."""
    log_many_small_files(tmp_path / "c", 3)
    files = (tmp_path / "c" / "records").glob("*.parquet")
    paths = sorted(files, key=lambda path: path.stat().st_mtime_ns)
    rows = indexes(opened(tmp_path / "c"))
    kept = {path: path.read_bytes() for path in paths}
    merging = Merging("records", None)
    assert merging.merge_paths(paths) == 2
    assert merging.merge_paths(paths) == 0
    for path in paths[1:]:
        path.write_bytes(kept[path])
    assert indexes(opened(tmp_path / "c")) == rows
    assert merging.merge_paths(paths) == 0
    for path in paths:
        path.write_bytes(kept[path])
    merging.merge_paths(paths)
    assert len(list((tmp_path / "c" / "records").glob("merged-*"))) == 2
    assert indexes(opened(tmp_path / "c")) == rows
