"""Collections whose sealed files have sparse columns, made of those with a column for each key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rigorous_recorder._live.batches import sealed_batch
from rigorous_recorder._live.column import NODE, SPARSE_COLUMNS, Column
from rigorous_recorder._store.footer import columns_in, metadata_of
from rigorous_recorder._store.seal import write_with_metadata
from rigorous_recorder._values.sparse import SparseKind

#: What the library writes itself, which is the same in each file.
OF_ROWS = {"floats", "sparse"}


def any_key(column: Column) -> bool:
    return isinstance(column.key, str)


def packed(rows: pa.Table, is_sparse: Callable[[Column], bool] = any_key) -> pa.Table:
    """Rows whose values of some columns are in sparse columns, in the order of the columns."""
    there = columns_in(rows.schema).stored
    dense: dict[Column, Any] = {}
    maps: dict[Column, list[list[tuple[str, Any]]]] = {}
    for column, name in there.items():
        values = rows.column(name).combine_chunks()
        if isinstance(column.kind, SparseKind):
            cells = maps.setdefault(column, [[] for _ in range(len(rows))])
            for row, found in enumerate(values.to_pylist()):
                cells[row] += found or []
            continue
        if column.kind not in SPARSE_COLUMNS or not is_sparse(column):
            dense[column] = column.kind.from_storage(values)
            continue
        cells = maps.setdefault(SPARSE_COLUMNS[column.kind], [[] for _ in range(len(rows))])
        for row, value in enumerate(values.to_pylist()):
            if value is not None:
                cells[row].append((str(column.key), value))
    for column, cells in maps.items():
        kind = column.kind
        texts = pa.map_(pa.string(), kind.sealed_type.item_type)
        found = pa.array(cells, texts)
        keys = found.keys.dictionary_encode()
        dense[column] = pa.MapArray.from_arrays(found.offsets, keys, found.items)
    nodes = rows.column(NODE).combine_chunks()
    return pa.Table.from_batches([sealed_batch(nodes, dense, rows.schema.metadata)])


def make_sparse(file: Path, is_sparse: Callable[[Column], bool] = any_key) -> None:
    """Write a sealed file again, with sparse columns."""
    rows = pq.read_table(file)
    found = metadata_of(rows.schema)
    metadata = {key: found[key] for key in found if key not in OF_ROWS}
    write_with_metadata(metadata, file, packed(rows, is_sparse))


def make_all_sparse(folder: Path, is_sparse: Callable[[Column], bool] = any_key) -> None:
    """Write all sealed files of a collection again, with sparse columns."""
    for table in ("records", "nodes"):
        for file in (folder / table).glob("*.parquet"):
            make_sparse(file, is_sparse)
    about = folder / "collection.json"
    info = json.loads(about.read_text())
    about.write_text(json.dumps({**info, "features": ["sparse"]}))
