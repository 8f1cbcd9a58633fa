"""Measure Parquet write settings for the sealed files of a data logger.

Run it with ``python benchmarks/parquet_settings.py [--rows N] [--repeats N]``. It prints three
Markdown tables: one file written with each strategy, one column written with each encoding, and
the settings of the whole file (codec, row group, page, statistics).

The baseline of the ratios is what a user gets without the logger: the leaf columns alone (no
``_node``), written by pyarrow with its defaults and ``compression="zstd"``. Times are process CPU
time, all threads together, as medians over runs in which the settings take turns, because wall
time on a shared machine says more about the neighbours than about the settings.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Options: TypeAlias = dict[str, Any]
"""Keyword arguments of ``pyarrow.parquet.write_table``."""

Strategy: TypeAlias = Callable[[pa.Table], Options]
"""Chooses the options for a table; its cost counts as writing."""

Encodings: TypeAlias = Mapping[str, str]
"""The encoding of each column, by name; ``DICTIONARY`` stands for ``use_dictionary``."""

NODE = "_node"
DICTIONARY = "DICTIONARY"
FILE_SCALE = 4
"""Files in the table of file settings have this many times ``--rows``, so row groups can differ."""


# --- data shapes -----------------------------------------------------------------------------


def node_ids(index: np.ndarray, *, writers: int = 1) -> np.ndarray:
    """Return int64 ids ``writer << 32 | counter`` for node numbers dealt out to the writers."""
    prefixes = np.random.default_rng(1).integers(1 << 31, size=writers, dtype=np.int64)
    ids: np.ndarray = prefixes[index % writers] << 32 | index // writers
    return ids


def runs(rows: int, records_per_node: int) -> np.ndarray:
    """Return the ids of nodes whose records lie together, as one writer leaves them."""
    return node_ids(np.arange(rows) // records_per_node)


def points(rows: int) -> pa.Table:
    """3M records over 30 nodes, one node after the other; two columns of noise."""
    rng = np.random.default_rng(0)
    return pa.table({NODE: runs(rows, 100_000), "x": rng.random(rows), "y": rng.random(rows)})


def points_mixed(rows: int) -> pa.Table:
    """Like `points`, but the 30 nodes of 4 writers arrive in random order."""
    rng = np.random.default_rng(0)
    nodes = node_ids(rng.integers(30, size=rows), writers=4)
    return pa.table({NODE: nodes, "x": rng.random(rows), "y": rng.random(rows)})


def reinforcement(rows: int) -> pa.Table:
    """Episodes of 100 steps: a counter, few rewards, a linear decay to a floor, 4 actions."""
    rng = np.random.default_rng(0)
    step = np.arange(rows)
    return pa.table(
        {
            NODE: runs(rows, 100),
            "index": step % 100,
            "reward": rng.choice([-1.0, 0.0, 0.25, 1.0, 10.0], rows),
            "epsilon": np.maximum(0.05, 1.0 - step / (0.9 * rows)),
            "action": rng.integers(4, size=rows),
        }
    )


def supervised(rows: int) -> pa.Table:
    """One long run: a counter, a noisy loss, a stepwise rate, an accuracy in every second row."""
    rng = np.random.default_rng(0)
    step = np.arange(rows)
    accuracy = rng.integers(10_001, size=rows) / 10_000
    return pa.table(
        {
            NODE: runs(rows, rows),
            "step": step,
            "loss": 0.1 + 2.0 * np.exp(-step / 50_000) * (1 + 0.05 * rng.standard_normal(rows)),
            "lr": 1e-3 * 0.5 ** (step // 30_000),
            "accuracy": pa.array(accuracy, mask=step % 2 == 1),
        }
    )


def text(rows: int) -> pa.Table:
    """Log lines: arrival times, a level of 5, a long line that never repeats, a flag."""
    rng = np.random.default_rng(0)
    token = rng.bytes(8 * rows).hex()
    ms = rng.integers(10_000, size=rows)
    lines = [
        f"worker {i % 8} finished batch {i} in {ms[i]} ms, request {token[16 * i : 16 * i + 16]}"
        for i in range(rows)
    ]
    micros = 1_700_000_000_000_000 + np.cumsum(rng.integers(500, 1500, size=rows))
    return pa.table(
        {
            NODE: runs(rows, 1000),
            "time": pa.array(micros).cast(pa.timestamp("us", "UTC")),
            "level": rng.choice(["debug", "info", "warning", "error", "fatal"], rows),
            "line": lines,
            "flag": rng.random(rows) < 0.5,
        }
    )


def single_precision(rows: int) -> pa.Table:
    """Doubles that were float32 before, as ``loss.item()`` gives them."""
    rng = np.random.default_rng(0)
    loss = 2.0 * np.exp(-np.arange(rows) / 50_000) * (1 + 0.05 * rng.standard_normal(rows))
    norm = np.abs(rng.standard_normal(rows))
    return pa.table(
        {
            NODE: runs(rows, 10_000),
            "loss": loss.astype(np.float32).astype(np.float64),
            "norm": norm.astype(np.float32).astype(np.float64),
        }
    )


def short_nodes(rows: int) -> pa.Table:
    """10 records in each of many nodes; one column of noise."""
    return pa.table({NODE: runs(rows, 10), "value": np.random.default_rng(0).random(rows)})


SHAPES = (
    points,
    points_mixed,
    reinforcement,
    supervised,
    text,
    single_precision,
    short_nodes,
)


# --- strategies ------------------------------------------------------------------------------


def kind(data_type: pa.DataType) -> str:
    """Return ``float``, ``int`` (timestamps too), ``text`` or ``other``."""
    if pa.types.is_floating(data_type):
        return "float"
    if pa.types.is_integer(data_type) or pa.types.is_timestamp(data_type):
        return "int"
    if pa.types.is_string(data_type) or pa.types.is_large_string(data_type):
        return "text"
    return "other"


def options(encodings: Encodings) -> Options:
    """Return the arguments that write each column with the encoding of its name."""
    return {
        "compression": "zstd",
        "use_dictionary": [name for name, e in encodings.items() if e == DICTIONARY],
        "column_encoding": {name: e for name, e in encodings.items() if e != DICTIONARY},
    }


def by_kind(table: pa.Table, encodings: Encodings) -> Encodings:
    """Return the encoding of each column from those given for its kind, or PLAIN."""
    return {field.name: encodings.get(kind(field.type), "PLAIN") for field in table.schema}


def sample(table: pa.Table, *, slices: int = 8, length: int = 512) -> pa.Table:
    """Return a few runs of neighbours spread over the table; runs show repeats and steps.

    A table no longer than the sample is returned whole.
    """
    if table.num_rows <= slices * length:
        return table
    starts = np.linspace(0, max(0, table.num_rows - length), slices).astype(int)
    return pa.concat_tables(table.slice(start, length) for start in starts).combine_chunks()


def changes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values that differ from the one before, without nulls and NaN."""
    values = column.filter(pc.invert(pc.is_null(column, nan_is_null=True)))
    return values.slice(1).filter(pc.not_equal(values.slice(1), values.slice(0, len(values) - 1)))


def repeats(column: pa.ChunkedArray, *, share: float = 0.05) -> bool:
    """Whether at least this share of the values was there before.

    With d distinct values overall, n of them drawn at random repeat a share of about n / (2 d):
    5 % in a sample of 4096 is a dictionary of some 40,000 values.
    """
    seen = len(column) - pc.count_distinct(column, mode="all").as_py()
    return bool(seen > share * len(column))


def wants_dictionary(column: pa.ChunkedArray) -> bool:
    """Whether values come back, for numbers after others in between.

    A run of equal numbers is no reason: zstd removes it after any encoding, while a decay that
    ends in a constant would pay for a dictionary of the values before. Text has no such loss.
    """
    return repeats(column.drop_null() if kind(column.type) == "text" else changes(column))


def dictionary_where_wanted(table: pa.Table, encodings: Encodings) -> Encodings:
    """Return the encodings, with DICTIONARY for columns that can have one and want it."""
    return {
        field.name: DICTIONARY
        if kind(field.type) != "other" and wants_dictionary(table[field.name])
        else encodings[field.name]
        for field in table.schema
    }


def sampled(table: pa.Table, otherwise: Encodings) -> Encodings:
    """Return DICTIONARY for columns that want one in a sample, else the encoding of the kind."""
    return dictionary_where_wanted(sample(table), by_kind(table, otherwise))


def counted(table: pa.Table, otherwise: Encodings) -> Encodings:
    """Like `sampled`, from every value; half of them must repeat."""
    return {
        field.name: DICTIONARY
        if kind(field.type) != "other" and repeats(table[field.name], share=0.5)
        else by_kind(table, otherwise)[field.name]
        for field in table.schema
    }


def trial(table: pa.Table, candidates: Iterable[Encodings]) -> Encodings:
    """Return for each column the encoding that made a sample smallest, the first of equals."""
    part = sample(table)
    best: dict[str, tuple[int, str]] = {}
    for candidate in candidates:
        encodings = by_kind(table, candidate)
        for name, size in column_sizes(part, options(encodings)).items():
            if name not in best or size < best[name][0]:
                best[name] = (size, encodings[name])
    return {name: encoding for name, (_, encoding) in best.items()}


def column_sizes(table: pa.Table, arguments: Options) -> dict[str, int]:
    """Return the compressed bytes of each flat column when the table is written."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **arguments)
    group = pq.read_metadata(pa.BufferReader(sink.getvalue())).row_group(0)
    chunks = (group.column(i) for i in range(group.num_columns))
    return {chunk.path_in_schema: chunk.total_compressed_size for chunk in chunks}


PORTABLE = {"float": "PLAIN", "int": "DELTA_BINARY_PACKED", "text": "DELTA_LENGTH_BYTE_ARRAY"}
"""Encodings that Spark's vectorized reader knew before 4.3 too."""

SPLIT = {**PORTABLE, "float": "BYTE_STREAM_SPLIT"}
DICTIONARIES = {"float": DICTIONARY, "int": DICTIONARY, "text": DICTIONARY}
PORTABLE_PREFIXES = {**PORTABLE, "text": "DELTA_BYTE_ARRAY"}


def recommended(table: pa.Table) -> Options:
    """Return the options of the strategy that the file settings build on."""
    return options(sampled(table, SPLIT))


STRATEGIES: dict[str, Strategy] = {
    "pyarrow defaults": lambda _: {"compression": "zstd"},
    "dictionary up to 64 KiB": lambda _: {
        "compression": "zstd",
        "dictionary_pagesize_limit": 1 << 16,
    },
    "kind: plain floats, delta ints": lambda t: options(by_kind(t, PORTABLE)),
    "kind: split floats, delta ints": lambda t: options(by_kind(t, SPLIT)),
    "count all, else split": lambda t: options(counted(t, SPLIT)),
    "trial, no split": lambda t: options(trial(t, (DICTIONARIES, PORTABLE, PORTABLE_PREFIXES))),
    "trial": lambda t: options(trial(t, (DICTIONARIES, SPLIT, PORTABLE_PREFIXES))),
    "sample, else plain": lambda t: options(sampled(t, PORTABLE)),
    "sample, else split": recommended,
    "sample, else split, zstd 3": lambda t: {**recommended(t), "compression_level": 3},
}

FILE_SETTINGS: dict[str, Options] = {
    "zstd 1, row group 262144": {},
    "zstd 3": {"compression_level": 3},
    "zstd 6": {"compression_level": 6},
    "lz4": {"compression": "lz4"},
    "snappy": {"compression": "snappy"},
    "no compression": {"compression": "none"},
    "row group 65536": {"row_group_size": 1 << 16},
    "row group 1048576": {"row_group_size": 1 << 20},
    "data page 64 KiB": {"data_page_size": 1 << 16},
    "data page 256 KiB": {"data_page_size": 1 << 18},
    "data page 4 MiB": {"data_page_size": 1 << 22},
    "pages of 65536 rows": {"max_rows_per_page": 1 << 16},
    "pages of 262144 rows": {"max_rows_per_page": 1 << 18},
    "no statistics": {"write_statistics": False},
    "statistics of _node only": {"write_statistics": [NODE]},
    "page index": {"write_page_index": True},
    "data page version 2.0": {"data_page_version": "2.0"},
}

COLUMN_ENCODINGS = {
    "float": ("PLAIN", DICTIONARY, "BYTE_STREAM_SPLIT"),
    "int": ("PLAIN", DICTIONARY, "DELTA_BINARY_PACKED"),
    "text": ("PLAIN", DICTIONARY, "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"),
    "other": ("PLAIN", "RLE"),
}


# --- measuring -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A table and the way to write it."""

    label: str
    table: pa.Table
    strategy: Strategy


@dataclass(frozen=True)
class Cost:
    """Bytes and CPU nanoseconds per record."""

    size: float
    write: float
    pyarrow: float
    duckdb: float

    def cells(self, base: "Cost") -> list[str]:
        """Return the cells of a row, with the size as a ratio to that of ``base`` too."""
        times = (self.write, self.pyarrow, self.duckdb)
        return [f"{self.size:.3f}", f"{self.size / base.size:.3f}", *(f"{t:.0f}" for t in times)]


def cpu_ns(action: Callable[[], object]) -> int:
    """Return the CPU time of a call, all threads of the process together."""
    start = time.process_time_ns()
    action()
    return time.process_time_ns() - start


def measure_once(case: Case, path: Path, engine: duckdb.DuckDBPyConnection) -> Cost:
    """Write the table to a new file and read it back with both engines."""
    path.unlink(missing_ok=True)
    write = cpu_ns(lambda: pq.write_table(case.table, path, **case.strategy(case.table)))
    read = cpu_ns(lambda: pq.read_table(path))
    query = f"SELECT * FROM read_parquet('{path}')"
    scan = cpu_ns(lambda: engine.sql(query).to_arrow_table())
    rows = case.table.num_rows
    return Cost(path.stat().st_size / rows, write / rows, read / rows, scan / rows)


def median(costs: list[Cost]) -> Cost:
    """Return the median of each number."""
    return Cost(*(statistics.median(getattr(c, f) for c in costs) for f in Cost.__annotations__))


def measure(cases: list[Case], count: int) -> list[Cost]:
    """Return the median cost of each case, after one round that only warms up."""
    engine = duckdb.connect(config={"enable_external_file_cache": "false"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "segment.parquet")
        rounds = [[measure_once(case, path, engine) for case in cases] for _ in range(count + 1)]
    return [median(list(costs)) for costs in zip(*rounds[1:], strict=True)]


# --- tables ----------------------------------------------------------------------------------


def print_row(cells: Iterable[str]) -> None:
    """Print one row of a Markdown table."""
    print("| " + " | ".join(cells) + " |", flush=True)


def print_head(title: str, *columns: str) -> None:
    """Print a title and the head of a Markdown table."""
    names = (*columns, "B/rec", "ratio", "write ns", "pyarrow ns", "duckdb ns")
    print(f"\n{title}\n")
    print_row(names)
    print_row("---" if name in columns else "---:" for name in names)


def leaves(table: pa.Table) -> Case:
    """Return the baseline: the leaf columns alone, with the defaults of pyarrow."""
    return Case("leaves only, defaults", table.drop_columns(NODE), STRATEGIES["pyarrow defaults"])


def strategies(rows: int, count: int) -> None:
    """Print the table of strategies: every shape as one file."""
    print_head("Strategies (ratio to the leaves alone)", "shape", "strategy")
    for shape in SHAPES:
        table = shape(rows)
        cases = [leaves(table), *(Case(label, table, s) for label, s in STRATEGIES.items())]
        costs = measure(cases, count)
        for case, cost in zip(cases, costs, strict=True):
            print_row([shape.__name__, case.label, *cost.cells(costs[0])])


def constant(arguments: Options) -> Strategy:
    """Return the strategy that always chooses these options."""
    return lambda _: arguments


def recommended_with(extra: Options) -> Strategy:
    """Return the recommended strategy with some options replaced."""
    return lambda table: {**recommended(table), "row_group_size": 1 << 18, **extra}


def column_cases(table: pa.Table) -> Iterator[Case]:
    """Yield one case per encoding for the only column of a table."""
    (field,) = table.schema
    for encoding in COLUMN_ENCODINGS[kind(field.type)]:
        yield Case(encoding, table, constant(options({field.name: encoding})))


def columns(rows: int, count: int) -> None:
    """Print the table of encodings: every column as a file of its own."""
    print_head("Encodings (ratio to the default of pyarrow)", "column", "encoding")
    for shape in SHAPES:
        table = shape(rows)
        for name in table.column_names:
            cases = list(column_cases(table.select([name])))
            default = Case("default", table.select([name]), STRATEGIES["pyarrow defaults"])
            costs = measure([*cases, default], count)
            for case, cost in zip(cases, costs, strict=False):
                print_row([f"{shape.__name__}.{name}", case.label, *cost.cells(costs[-1])])


def files(rows: int, count: int) -> None:
    """Print the table of file settings, all with the recommended encodings."""
    print_head("File settings (ratio to the leaves alone)", "shape", "setting")
    for shape in (points, reinforcement, text):
        table = shape(rows * FILE_SCALE)
        settings = FILE_SETTINGS.items()
        recommendations = (Case(label, table, recommended_with(e)) for label, e in settings)
        cases = [leaves(table), *recommendations]
        costs = measure(cases, count)
        for case, cost in zip(cases, costs, strict=True):
            print_row([shape.__name__, case.label, *cost.cells(costs[0])])


def main() -> None:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1 << 18, help="records in a segment")
    parser.add_argument("--repeats", type=int, default=5, help="measured rounds per setting")
    arguments = parser.parse_args()
    strategies(arguments.rows, arguments.repeats)
    columns(arguments.rows, arguments.repeats)
    files(arguments.rows, arguments.repeats)


if __name__ == "__main__":
    main()
