"""The process that runs queries of the page, so that they can be ended and their memory limited.

It reads a request in JSON from each line of standard input, and writes frames to standard output: a
byte, the size of the content in 4 bytes, and the content. ``d`` is data, ``e`` an error, ``z`` the
end of an answer, with a summary in JSON.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, BinaryIO, Final

from .. import ExperimentCollection
from .._arrow import ipc, pa, pq
from .._engines.duckdb import RecordsPart, collection_sql, restrict
from .._engines.read_only import RESERVED, read_only, with_place
from .._engines.result_rows import column_values, readable
from .._lazy_imports import duckdb
from .._values.text_forms import csv_text, line_of_json
from ..errors import ArgumentError, RigorousError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["main"]

#: The limits of DuckDB's memory, and of all memory: some functions take any amount of it.
_DATABASE_MEMORY: Final = "1GB"
_MEMORY: Final = 3 << 30
#: Text that a spreadsheet would run as a formula; plain numbers it does not. As in ``files.js``.
_FORMULA: Final = re.compile(r"(?![-+]?\.?\d[\d.eE+-]*$)[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
#: The column with the names of collections, where one of these has a key of that name.
_OTHER_KEY: Final = "collection_name"
#: Rows of a batch, which is the unit in which an answer is cut off and sent.
_BATCH_ROWS: Final = 2_048
#: The process ends after so many seconds without a request.
_IDLE: Final = 120.0


def main() -> None:
    """Answer requests until the page ends, or makes none for a while."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write there
    warnings.simplefilter("ignore")
    _limit_memory()
    requests = SimpleQueue[str]()
    Thread(target=_read, args=(requests,), daemon=True).start()
    collections: dict[str, ExperimentCollection] = {}
    with suppress(Empty, BrokenPipeError):
        while True:
            _answer(json.loads(requests.get(timeout=_IDLE)), collections, output)


def _read(requests: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)  # the page has ended, whatever is running here


def _limit_memory() -> None:
    if resource is not None:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))


def _answer(
    request: Mapping[str, Any], collections: dict[str, ExperimentCollection], output: BinaryIO
) -> None:
    try:
        summary = _run(request, collections, output)
    except (RigorousError, duckdb.Error, pa.ArrowException, OSError, MemoryError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        text = str(error).partition("\n\nPossible solutions")[0].strip() or type(error).__name__
        _frame(output, b"e", with_place(text, request["query"]).encode("utf-8", "replace"))
    else:
        _frame(output, b"z", json.dumps(summary).encode())
    output.flush()


def _frame(output: BinaryIO, kind: bytes, content: bytes) -> None:
    output.write(kind + len(content).to_bytes(4, "little"))
    output.write(content)


def _run(
    request: Mapping[str, Any], collections: dict[str, ExperimentCollection], output: BinaryIO
) -> dict[str, Any]:
    places: Mapping[str, str] = request["collections"]
    query = read_only(request["query"], (each for each in places if each not in RESERVED))
    known = json.dumps(places)
    if known not in collections:
        collections[known] = _opened(places)
    restrict([str(Path(each, "records")) for each in places.values()], memory=_DATABASE_MEMORY)
    parts = _parts(collections[known], places)
    relation = readable(collection_sql(collections[known].records._scan(), query, parts))
    sink = _Sink(output)
    reader = relation.to_arrow_reader(_BATCH_ROWS)
    rows = _Limited(reader, int(request["rows"]), int(request["bytes"]))
    _FORMATS[request["format"]](sink, reader.schema, iter(rows))
    return {"rows": rows.count, "is_cut": rows.is_cut}


def _opened(places: Mapping[str, str]) -> ExperimentCollection:
    """A collection, or a union of several, with their names as a column."""
    if len(places) == 1:
        (path,) = places.values()
        return ExperimentCollection.open(path, read_only=True, quiet=True)
    try:
        return ExperimentCollection.union(places)
    except ArgumentError:  # one has the key itself
        return ExperimentCollection.union(places, key=_OTHER_KEY)


def _parts(collection: ExperimentCollection, places: Mapping[str, str]) -> dict[str, RecordsPart]:
    """The tables of the records of each collection, by its name."""
    names = [each for each in places if each not in RESERVED]
    if len(places) == 1:
        return dict.fromkeys(names, RecordsPart("FROM records", ()))
    key = _OTHER_KEY if _OTHER_KEY in collection.records.columns else "collection"
    return {each: RecordsPart.of_member(key, each) for each in names}


class _Sink:
    """A file that is sent in frames."""

    closed = False

    def __init__(self, output: BinaryIO) -> None:
        self._output = output

    def write(self, content: Any) -> int:
        """Send some bytes."""
        sent = bytes(content)
        _frame(self._output, b"d", sent)
        return len(sent)

    def flush(self) -> None:
        """See ``io``."""


class _Limited:
    """The batches of an answer up to so many rows and bytes; 0 for no limit."""

    def __init__(self, reader: pa.RecordBatchReader, rows: int, size: int) -> None:
        self._reader, self._rows, self._bytes = reader, rows, size
        self.count = 0
        self.is_cut = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        size = 0
        for batch in self._reader:
            room = self._rows - self.count if self._rows else batch.num_rows
            self.is_cut = batch.num_rows > room or bool(self._bytes and size > self._bytes)
            if self.is_cut and (room <= 0 or size > self._bytes):
                return
            size += batch.nbytes
            self.count += min(room, batch.num_rows)
            yield batch.slice(0, room)
            if self.is_cut:
                return


def _write_arrow(sink: _Sink, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    with ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_parquet(sink: _Sink, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in _larger(schema, batches):
            writer.write_table(batch)


def _larger(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables that make row groups worth having."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(each.nbytes for each in waiting) > 64 << 20 or len(waiting) >= 60:
            yield pa.Table.from_batches(waiting, schema)
            waiting = []
    yield pa.Table.from_batches(waiting, schema)


def _write_csv(sink: _Sink, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    _write_lines(sink, [schema.names])  # a name can be a formula, too
    for batch in batches:
        _write_lines(sink, zip(*map(column_values, batch.columns), strict=True))


def _write_lines(sink: _Sink, rows: Any) -> None:
    lines = [",".join(map(_cell, row)) for row in rows]
    sink.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))


def _cell(value: Any) -> str:
    text = csv_text(value)
    if isinstance(value, str) and _FORMULA.match(value):
        text = f"'{text}"
    is_bare = text.isascii() and not any(each in text for each in ',"\r\n')
    return text if is_bare else '"' + text.replace('"', '""') + '"'


def _write_json(sink: _Sink, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    for batch in batches:
        rows = zip(*map(column_values, batch.columns), strict=True)
        lines = [line_of_json(dict(zip(schema.names, row, strict=True))) for row in rows]
        sink.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))


_FORMATS: Final[Mapping[str, Callable[[_Sink, pa.Schema, Iterator[pa.RecordBatch]], None]]] = {
    "arrow": _write_arrow,
    "parquet": _write_parquet,
    "csv": _write_csv,
    "jsonl": _write_json,
}

if __name__ == "__main__":
    main()
