"""Measure what logging costs: time on the caller's side, bytes, memory, import.

Run it with ``python benchmarks/logging_speed.py [--records N] [--repeats N] [--nodes N] [--quick]
[--only SECTIONS]``.
It prints Markdown tables. Contenders take turns in every round; a ratio is the median of the
rounds' ratios, because a shared machine is slower in one minute than in the next, but equally so
for neighbours.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from bulk import FORMS, BulkShape, bulk_shapes, measure_extend, measure_write_table
from contenders import (
    CONTENDERS,
    Contender,
    CsvLines,
    FlushedLines,
    JsonLines,
    Push,
    RowDicts,
    TwoLists,
)
from field_costs import SHAPES as FIELD_SHAPES
from field_costs import measure_fields
from machine import print_machine
from processes import (
    HEAVY,
    Memory,
    heavy_modules,
    import_parts,
    import_seconds,
    writer_memory,
)
from shapes import SHAPES, Shape
from tables import median_ratio, print_table, quantile

MIB = 1 << 20
WHOLE = (RowDicts, CsvLines, JsonLines, FlushedLines, TwoLists)
"""Whom the whole way, to the finished file, is compared with."""


class Scale(NamedTuple):
    """How much is measured."""

    records: int
    repeats: int
    shapes: float
    single_records: int
    long_records: int
    memory_records: int
    memory_nodes: int


class Run(NamedTuple):
    """Nanoseconds a record of one contender in one round."""

    log: float
    whole: float


# --- time ------------------------------------------------------------------------------------


def measure_run(contender: type[Contender], losses: Sequence[float]) -> Run:
    """Log all records into a new folder, and finish the file."""
    with tempfile.TemporaryDirectory() as folder:
        logger = contender(Path(folder))
        gc.collect()
        start = time.perf_counter_ns()
        logger.log(losses)
        logged = time.perf_counter_ns()
        logger.close()
        closed = time.perf_counter_ns()
    return Run((logged - start) / len(losses), (closed - start) / len(losses))


def measure_times(scale: Scale) -> dict[type[Contender], list[Run]]:
    """The runs of each contender, after one round that only warms up."""
    losses = [random.random() for _ in range(scale.records)]
    runs: dict[type[Contender], list[Run]] = {each: [] for each in CONTENDERS}
    for turn in range(scale.repeats + 1):
        for contender in CONTENDERS[:: 1 if turn % 2 else -1]:
            run = measure_run(contender, losses)
            if turn:
                runs[contender].append(run)
    return runs


def print_caller(runs: dict[type[Contender], list[Run]]) -> None:
    """Print what a record costs the caller."""
    base = [run.log for run in runs[RowDicts]]
    rows = [
        (
            contender.label,
            f"{median_ratio([run.log for run in found], base):.2f}",
            f"{statistics.median(run.log for run in found):.0f}",
            "yes" if contender.is_kept else "no",
        )
        for contender, found in runs.items()
    ]
    head = ("way", "to `rows.append({...})`", "ns a record", "survives a kill")
    print_table("The caller's side, a record of two fields", head, rows)


def print_whole(runs: dict[type[Contender], list[Run]]) -> None:
    """Print what a record costs until all are in a finished file."""
    ours = [run.whole for run in runs[Push]]
    rows = [(f"{Push.label}, all sealed as Parquet", "1.00", f"{statistics.median(ours):.0f}")]
    for contender in WHOLE:
        theirs = [run.whole for run in runs[contender]]
        ratio = f"{median_ratio(ours, theirs):.2f}"
        rows.append((contender.label, ratio, f"{statistics.median(theirs):.0f}"))
    head = ("way", "push to it", "ns a record")
    print_table("From the first push to the finished file", head, rows)


def print_times(scale: Scale) -> None:
    """Print both tables of times, from one run."""
    runs = measure_times(scale)
    print_caller(runs)
    print_whole(runs)


def measure_singles(contender: type[Contender], records: int) -> list[float]:
    """Microseconds of every single record, in order of size; with the cost of the clock."""
    clock, found = time.perf_counter_ns, []
    with tempfile.TemporaryDirectory() as folder:
        logger = contender(Path(folder))
        gc.collect()
        for index in range(records):
            loss = random.random()
            start = clock()
            logger.log_one(index, loss)
            found.append((clock() - start) / 1000)
        logger.close()
    return sorted(found)


def print_singles(scale: Scale) -> None:
    """Print the slowest single records."""
    shares = (0.5, 0.99, 0.9999, 1.0)
    rows = []
    for contender, records in (
        (Push, scale.single_records),
        (RowDicts, scale.records),
        (TwoLists, scale.records),
        (FlushedLines, scale.records),
    ):
        turns = [measure_singles(contender, records) for _ in range(3)]
        found = [statistics.median(quantile(turn, share) for turn in turns) for share in shares]
        rows.append((contender.label, *(f"{each:,.1f}" for each in found)))
    head = ("one record, microseconds", "median", "99 %", "99.99 %", "worst")
    print_table("The worst single record", head, rows)


# --- shapes and lengths ----------------------------------------------------------------------


def print_fields(scale: Scale) -> None:
    """Print what a field costs in records of other shapes, to one of two fields."""
    runs = {shape: [] for shape in FIELD_SHAPES}
    for turn in range(scale.repeats + 1):
        for shape in FIELD_SHAPES[:: 1 if turn % 2 else -1]:
            cost = measure_fields(shape, scale.shapes)
            if turn:
                runs[shape].append(cost)
    base = runs[FIELD_SHAPES[0]]
    rows = []
    for shape, found in runs.items():
        log = median_ratio([cost.log for cost in found], [cost.log for cost in base])
        whole = median_ratio([cost.whole for cost in found], [cost.whole for cost in base])
        nanoseconds = statistics.median(cost.log for cost in found)
        records = f"{int(shape.records * scale.shapes):,}"
        rows.append((shape.label, f"{log:.2f}", f"{whole:.2f}", f"{nanoseconds:.0f}", records))
    head = ("records", "a field, to two", "until sealed, to two", "ns a field", "records a run")
    print_table("A field of other records, to one of records of two fields", head, rows)


def print_length(scale: Scale) -> None:
    """Print what a record costs in a long run, to a short one, and what memory it takes."""
    short, long = scale.long_records // 100, scale.long_records
    runs = [(writer_memory(1, short), writer_memory(1, long)) for _ in range(3)]
    ratio = statistics.median(
        (b.seconds / long) / (a.seconds / short) for a, b in runs
    )  # fmt: skip
    peak = max(b.peak for _, b in runs)
    rows = [(f"{long:,}", f"{short:,}", f"{ratio:.2f}", f"{peak / MIB:.0f}")]
    head = ("records", "to a run of", "a record", "peak MiB")
    print_table("A long run", head, rows)


def print_extend(scale: Scale) -> None:
    """Print what ``extend`` costs, to Parquet files by pyarrow."""
    rows = [row for shape in bulk_shapes(scale.shapes) for row in _extend_rows(shape, scale)]
    head = ("data", "given as", "caller's side", "until sealed")
    print_table("extend, to `pyarrow.parquet.write_table` of the same data", head, rows)


def _extend_rows(shape: BulkShape, scale: Scale) -> list[tuple[str, ...]]:
    logs: dict[str, list[float]] = {label: [] for label in FORMS}
    wholes: dict[str, list[float]] = {label: [] for label in FORMS}
    for _ in range(scale.repeats):
        base = measure_write_table(shape).log
        for label, form in FORMS.items():
            cost = measure_extend(shape, form)
            logs[label].append(cost.log / base)
            wholes[label].append(cost.whole / base)
    medians = statistics.median
    return [
        (shape.label, label, f"{medians(logs[label]):.2f}", f"{medians(wholes[label]):.2f}")
        for label in FORMS
    ]


# --- bytes -----------------------------------------------------------------------------------


class Sizes(NamedTuple):
    """Bytes a record: the whole collection, and two Parquet files without the library."""

    records: int
    collection: float
    leaves: float
    flat: float


def measure_bytes(shape: Shape, scale: float) -> Sizes:
    """Log a study, and write the same records by hand."""
    leaves, flat = (shape.table(scale, is_flat=is_flat) for is_flat in (False, True))
    with tempfile.TemporaryDirectory() as folder:
        shape.log(Path(folder, "study"), scale)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        ours = sum(path.stat().st_size for path in files)
    rows = leaves.num_rows
    return Sizes(rows, ours / rows, parquet_bytes(leaves) / rows, parquet_bytes(flat) / rows)


def parquet_bytes(table: pa.Table) -> int:
    """Size of a table that pyarrow wrote with its defaults and zstd."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return int(sink.getvalue().size)


def print_bytes(scale: Scale) -> None:
    """Print the size on disk."""
    rows = []
    for shape in SHAPES:
        found = measure_bytes(shape, scale.shapes)
        ratios = (found.collection / found.leaves, found.collection / found.flat)
        shown = (*ratios, found.collection, found.leaves, found.flat)
        rows.append((shape.label, *(f"{each:.2f}" for each in shown), f"{found.records:,}"))
    head = ("study", "to leaves alone", "to flat", "B a record", "leaves", "flat", "records")
    print_table("The whole collection, to default zstd Parquet files of pyarrow", head, rows)


# --- memory and import -----------------------------------------------------------------------


def print_memory(scale: Scale) -> None:
    """Print the resident memory of writers."""
    nodes = scale.memory_nodes
    rows = [
        _memory_row(f"{scale.memory_records:,} records, 1 node", 1, scale.memory_records),
        _memory_row(f"{nodes:,} nodes x 10 records", nodes, 10),
    ]
    head = ("writer, MiB resident", "100 % to 10 %", "start", "10 %", "50 %", "100 %", "peak", "s")
    print_table("Memory while logging", head, rows)


def _memory_row(label: str, nodes: int, each: int) -> tuple[str, ...]:
    memory: Memory = writer_memory(nodes, each)
    held = memory.resident
    shown = [held[mark] for mark in ("start", "10%", "50%", "100%")] + [memory.peak]
    growth = f"{held['100%'] / held['10%']:.2f}"
    return (label, growth, *(f"{size / MIB:.0f}" for size in shown), f"{memory.seconds:.1f}")


def print_import(scale: Scale) -> None:
    """Print the time of the import, and what of it is whose."""
    ours, bare = import_seconds(max(9, scale.repeats))
    loaded = ", ".join(heavy_modules()) or "none"
    print_table(
        "Import",
        ("`import rigorous_recorder`", "value"),
        [
            ("to the start of a bare interpreter", f"{ours / bare:.2f}"),
            ("milliseconds on top of it", f"{1000 * ours:.0f}"),
            ("milliseconds of the bare interpreter", f"{1000 * bare:.0f}"),
            (f"loaded of {', '.join(HEAVY)}", loaded),
        ],
    )
    parts = [(name, f"{spent / 1000:.1f}") for name, spent in import_parts(5)[:12]]
    print_table("Import by module, with `-X importtime`", ("module", "ms"), parts)


# --- command ---------------------------------------------------------------------------------


def scale_of(arguments: argparse.Namespace) -> Scale:
    """How much to measure."""
    quick = arguments.quick
    return Scale(
        records=arguments.records or (100_000 if quick else 1_000_000),
        repeats=arguments.repeats or (3 if quick else 7),
        shapes=0.1 if quick else 1.0,
        single_records=1_000_000 if quick else 10_000_000,
        long_records=5_000_000 if quick else 100_000_000,
        memory_records=2_000_000 if quick else 20_000_000,
        memory_nodes=arguments.nodes or (20_000 if quick else 200_000),
    )


SECTIONS: dict[str, Callable[[Scale], None]] = {
    "times": print_times,
    "singles": print_singles,
    "fields": print_fields,
    "length": print_length,
    "extend": print_extend,
    "bytes": print_bytes,
    "memory": print_memory,
    "import": print_import,
}


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=int, help="records of a run (default 1,000,000)")
    parser.add_argument("--repeats", type=int, help="rounds (default 7)")
    parser.add_argument("--nodes", type=int, help="nodes of the memory run (default 200,000)")
    parser.add_argument("--quick", action="store_true", help="less of everything, in a minute")
    parser.add_argument("--only", help=f"some of {','.join(SECTIONS)}")
    arguments = parser.parse_args()
    scale = scale_of(arguments)
    print_machine()
    for name in arguments.only.split(",") if arguments.only else SECTIONS:
        SECTIONS[name](scale)


if __name__ == "__main__":
    main()
