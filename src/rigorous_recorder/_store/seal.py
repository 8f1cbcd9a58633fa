"""Sealing: writing rows as a Parquet file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from .._arrow import pa, pq
from .._durable import replacing
from .._lazy_imports import inspect
from .._live.column import META
from .._once import remembered
from . import checksums
from .encodings import PLAIN_FLOATS, Encodings
from .footer import metadata_of, sparse_keys, sparse_metadata
from .leaves import leaves_of
from .node_spans import NodeSpans
from .special_floats import SpecialFloats

__all__ = [
    "ROW_GROUP",
    "load",
    "settings",
    "write_sealed",
    "write_with_metadata",
    "writing",
]

#: The rows of a row group: those of a full live table.
ROW_GROUP: Final = 262_144
_LEVEL: Final = 1  # higher levels do not help with numbers: docs/benchmarks.md
_PAGE_ROWS: Final = 65_536


def load() -> None:
    """Import what sealing needs.

    A sealing thread must not be the first to import it: if another thread's import was interrupted,
    as by Ctrl-C, it could wait for it forever.
    """
    for module in (pa, pq):
        module.load()


def write_sealed(
    path: Path,
    table: pa.Table,
    segments: list[list[int]],
    encodings: Encodings | None = None,
) -> int:
    """Write a sealed file durably; it appears whole or not at all.

    Args:
        path: the final path.
        table: the rows, with ``sealed_schema``.
        segments: the metadata of each segment in it, in order: see ``segment_metadata``.
        encodings: those of the writer's files, if there are any.

    Returns:
        How many keys its sparse columns have.

    Raises:
        OSError: it can't be written.
    """
    return write_with_metadata(
        {**metadata_of(table.schema), "segments": segments}, path, table, encodings
    )


def write_with_metadata(
    file_metadata: dict[str, Any], path: Path, table: pa.Table, encodings: Encodings | None = None
) -> int:
    """Like ``write_sealed``, with exactly this metadata, and that of special floats."""
    special = SpecialFloats.of(table)
    keys = sparse_keys(table)
    described = file_metadata | special.metadata | sparse_metadata(keys)
    metadata = {META: json.dumps(described).encode()}
    room = checksums.room_for(table.schema, -(-table.num_rows // ROW_GROUP))
    spans = NodeSpans(path)
    spans.add(table)
    table = table.replace_schema_metadata(metadata | spans.metadata | room)
    with writing(path, table.schema, settings(table, special, encodings)) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP)
    return sum(map(len, keys.values()))


@contextlib.contextmanager
def writing(path: Path, schema: pa.Schema, chosen: dict[str, Any]) -> Iterator[pq.ParquetWriter]:
    """A writer for a sealed file, given its final path and ``settings``.

    On leaving without an error the file appears whole and durable, with its checksums, for which the
    metadata has reserved space.
    """
    with replacing(path) as temporary:
        # A file object of Arrow, opened once: each call of pyarrow releases the GIL, which a busy
        # thread returns only after 5 ms.
        with (
            pa.OSFile(str(temporary), "wb") as sink,
            pq.ParquetWriter(sink, schema, **chosen) as writer,
        ):
            yield writer
        checksums.fill(temporary, writer.writer.metadata)


def settings(
    table: pa.Table, special: SpecialFloats, encodings: Encodings | None = None
) -> dict[str, Any]:
    """The options of pyarrow for a sealed file with such rows and special floats."""
    chosen = (encodings or Encodings()).of(table)
    for field in table.schema:
        if field.name in special.negative_zero:
            *_, values = leaves_of(field)
            path = values.path if pa.types.is_map(field.type) else field.name
            chosen[path] = chosen[path] or PLAIN_FLOATS
    return {
        "compression": "zstd",
        "compression_level": _LEVEL,
        "column_encoding": {name: code for name, code in chosen.items() if code is not None},
        "use_dictionary": [name for name, code in chosen.items() if code is None],
        "write_statistics": special.statistics(table.schema),
        "write_page_checksum": True,
        **_limit_of_pages(),
    }


@remembered(1)
def _limit_of_pages() -> dict[str, int]:
    """The option for the number of rows in a page, for pyarrow 23 and later."""
    known = inspect.signature(pq.ParquetWriter).parameters
    return {"max_rows_per_page": _PAGE_ROWS} if "max_rows_per_page" in known else {}
