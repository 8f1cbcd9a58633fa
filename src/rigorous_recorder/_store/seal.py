"""Sealing: how rows become a Parquet file."""

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
from .footer import metadata_of
from .special_floats import SpecialFloats

__all__ = [
    "ROW_GROUP",
    "load",
    "settings",
    "write_sealed",
    "write_with_metadata",
    "writing",
]

#: Rows of a row group: those of a full live table.
ROW_GROUP: Final = 262_144
_LEVEL: Final = 1  # higher levels gain nothing on numbers: docs/benchmarks.md
_PAGE_ROWS: Final = 65_536


def load() -> None:
    """Import what sealing needs.

    A thread that seals must not be the first to import it: where another one's import was
    interrupted, as by Ctrl-C, Python may let it wait for ever.
    """
    for module in (pa, pq):
        module.load()


def write_sealed(
    path: Path,
    table: pa.Table,
    segments: list[list[int]],
    encodings: Encodings | None = None,
) -> None:
    """Write a sealed file; it is there whole, and survives a loss of power, or is not there.

    Args:
        path: the final path.
        table: the rows, with ``sealed_schema``.
        segments: what it says of each segment in it, in order: see ``segment_metadata``.
        encodings: those of the writer's files, where there are more.

    Raises:
        OSError: it can't be written.
    """
    write_with_metadata({**metadata_of(table.schema), "segments": segments}, path, table, encodings)


def write_with_metadata(
    file_metadata: dict[str, Any], path: Path, table: pa.Table, encodings: Encodings | None = None
) -> None:
    """As ``write_sealed``, of a file that says just this of itself, and of its floats."""
    special = SpecialFloats.of(table)
    metadata = {META: json.dumps(file_metadata | special.metadata).encode()}
    room = checksums.room_for(table.schema, -(-table.num_rows // ROW_GROUP))
    table = table.replace_schema_metadata(metadata | room)
    with writing(path, table.schema, settings(table, special, encodings)) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP)


@contextlib.contextmanager
def writing(path: Path, schema: pa.Schema, chosen: dict[str, Any]) -> Iterator[pq.ParquetWriter]:
    """What writes a sealed file, given its final path and ``settings``.

    On leaving without an error the file is there whole, with its checksums, for which the schema or
    what is added to it has room, and survives a loss of power.
    """
    with replacing(path) as temporary:
        # A file of Arrow's own, opened by its name at once: each way into pyarrow lets go of the
        # interpreter, which a thread that logs all the time gives back after 5 ms.
        with (
            pa.OSFile(str(temporary), "wb") as sink,
            pq.ParquetWriter(sink, schema, **chosen) as writer,
        ):
            yield writer
        checksums.fill(temporary, writer.writer.metadata)


def settings(
    table: pa.Table, special: SpecialFloats, encodings: Encodings | None = None
) -> dict[str, Any]:
    """How pyarrow is to write a sealed file with rows like these, and these special floats."""
    chosen = (encodings or Encodings()).of(table)
    chosen |= {name: PLAIN_FLOATS for name in special.negative_zero if chosen[name] is None}
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
    """What sets how many rows a page has, where pyarrow (since 23) has a limit other than of bytes."""
    known = inspect.signature(pq.ParquetWriter).parameters
    return {"max_rows_per_page": _PAGE_ROWS} if "max_rows_per_page" in known else {}
