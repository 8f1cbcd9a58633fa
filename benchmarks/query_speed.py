"""Measure what reading costs: queries, rows, opening, to the same rows in one flat Parquet file.

Run it with ``python benchmarks/query_speed.py [SECTIONS] [--scale X] [--rounds N] [--folder PATH]``.
The flat file is what people write by hand: what the parents know is in every row, and pyarrow wrote
it with its defaults and zstd. Answers are compared before anything is timed. Contenders take turns
in every round; a ratio is the median of the rounds' ratios, because a shared machine is slower in
one minute than in the next, but equally so for neighbours.

It prints Markdown tables. With ``--folder`` the data stays for the next run; they
are of the library as it was when they were made.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from machine import print_machine
from query_contenders import DUCKDB, FILTER, GROUP, POLARS, QUERIES, Contender, Pair, Query
from query_experiments import COUNTS, compact, count_turns, experiments, files_of
from query_live import WRITERS, LiveRun, live_runs
from query_rows import (
    ACCESSES,
    Access,
    access_seconds,
    loop_turns,
    peak_of_list,
    peak_of_loop,
)
from query_shapes import DataSet, Study, episodes, in_new_process, million_nodes, points
from tables import median_ratio, print_table
from turns import compared, require_equal, take_turns

MIB: Final = 1 << 20
QUICK_SECONDS: Final = 0.05
"""A warm query runs again in its turn until so many seconds are over."""


class Scale(NamedTuple):
    """How much is measured, and where the data are."""

    share: float
    rounds: int
    folder: Path

    def large(self) -> list[tuple[Study, DataSet]]:
        """The studies on which queries are measured."""
        studies = points(self.share), episodes(self.share), episodes(self.share, writers=4)
        return [(study, study.data(self.folder)) for study in studies]


# --- queries ---------------------------------------------------------------------------------


def print_queries(scale: Scale) -> None:
    """Print what a query in SQL costs."""
    _print_pair(DUCKDB, scale)


def print_polars(scale: Scale) -> None:
    """Print what a query of a LazyFrame costs."""
    _print_pair(POLARS, scale)


def _print_pair(pair: Pair, scale: Scale) -> None:
    head = ("query", "warm, to the file", "ms", "file ms", "first, to the file", "ms", "file ms")
    for study, data in scale.large():
        ours, theirs = pair.ours(data), pair.theirs(data)
        rows = []
        for query in QUERIES:
            warm = take_turns(
                scale.rounds,
                partial(ours.answer, query),
                partial(theirs.answer, query),
                at_least=QUICK_SECONDS,
            )
            first = take_turns(
                scale.rounds,
                partial(_open_and_ask, pair.ours, data, query),
                partial(_open_and_ask, pair.theirs, data, query),
            )
            rows.append((query.label, *compared(warm), *compared(first)))
        print_table(f"{pair.label}, {study.label}", head, rows)


def _open_and_ask(contender: type[Contender], data: DataSet, query: Query) -> object:
    return contender(data).answer(query)


# --- nodes -----------------------------------------------------------------------------------


def print_nodes(scale: Scale) -> None:
    """Print what queries cost where each node has but two records."""
    study = million_nodes(scale.share)
    data = study.data(scale.folder)
    orders = ((FILTER, GROUP), (GROUP, FILTER), (FILTER, FILTER), (GROUP, GROUP))
    head = ("queries", "to the file", "s", "file s")
    for pair in (DUCKDB, POLARS):
        rows = [row for order in orders for row in _node_rows(pair, data, order, scale.rounds)]
        print_table(f"{pair.label}, {study.label}", head, rows)


def _node_rows(
    pair: Pair, data: DataSet, queries: Sequence[Query], rounds: int
) -> Iterator[tuple[str, ...]]:
    runs = series_turns(pair, data, queries, rounds)
    for place, query in enumerate(queries):
        label = f"then {query.label}" if place else f"open, {query.label}"
        laps = [[each[place] for each in found] for found in runs]
        yield (label, *compared(laps, unit=1))


def series_turns(
    pair: Pair, data: DataSet, queries: Sequence[Query], rounds: int
) -> list[list[list[float]]]:
    """For ours and theirs, each round's seconds of the queries; opening counts to the first."""
    contenders = pair.ours, pair.theirs
    require_equal(*([each(data).answer(query) for query in queries] for each in contenders))
    runs: list[list[list[float]]] = [[], []]
    for _ in range(rounds):
        for contender, found in zip(contenders, runs, strict=True):
            found.append(_series(contender, data, queries))
    return runs


def _series(contender: type[Contender], data: DataSet, queries: Sequence[Query]) -> list[float]:
    laps, start = [], time.perf_counter()
    opened = contender(data)
    for query in queries:
        opened.answer(query)
        laps.append(time.perf_counter() - start)
        start = time.perf_counter()
    return laps


# --- bytes -----------------------------------------------------------------------------------


def print_bytes(scale: Scale) -> None:
    """Print the size of collections, to their leaf data alone."""
    rows = []
    for study, data in scale.large():
        files = files_of(data)
        leaves, flat = data.leaves.stat().st_size, data.flat.stat().st_size
        ratios = f"{files.size / leaves:.2f}", f"{files.size / flat:.2f}"
        each = [f"{size / study.records:.2f}" for size in (files.size, leaves, flat)]
        rows.append((study.label, *ratios, *each, f"{files.number:,}"))
    head = ("study", "to leaves alone", "to flat", "B a record", "leaves", "flat", "files")
    print_table("The whole collection, to default zstd Parquet files of pyarrow", head, rows)


# --- experiments -----------------------------------------------------------------------------


def print_experiments(scale: Scale) -> None:
    """Print what it costs to open a collection of many experiments and to count its records."""
    rows = []
    for label, own_writers in (("one writer", False), ("each by its own writer", True)):
        data = experiments(scale.folder, scale.share, own_writers=own_writers)
        rows.append((label, *_count_cells(data, scale.rounds), ""))
        with tempfile.TemporaryDirectory() as folder:
            copy = DataSet(Path(folder, "copy"))
            shutil.copytree(data.folder, copy.folder)
            spent = compact(copy)
            cells = _count_cells(copy, scale.rounds)
        rows.append((f"{label}, compacted", *cells, f"{spent:.2f}"))
    head = (
        f"open and count {max(10, int(1_000 * scale.share)):,} experiments of 1,000 records",
        "files",
        f"{COUNTS[0]}, to {COUNTS[2]}",
        "ms",
        "file ms",
        f"{COUNTS[1]}, to {COUNTS[3]}",
        "ms",
        "file ms",
        "s of `compact()`",
    )
    print_table("Many experiments", head, rows)


def _count_cells(data: DataSet, rounds: int) -> list[str]:
    length, sql, metadata, file = count_turns(data, rounds)
    return [f"{files_of(data).number:,}", *compared([length, metadata]), *compared([sql, file])]


# --- rows ------------------------------------------------------------------------------------


def print_rows(scale: Scale) -> None:
    """Print what rows in plain Python cost."""
    study = points(scale.share, steps=10_000)
    data = study.data(scale.folder)
    _print_loop(study, data, scale.rounds)
    _print_accesses(study, data, scale.rounds)


def _print_loop(study: Study, data: DataSet, rounds: int) -> None:
    ours, theirs = loop_turns(data, rounds)
    peaks = [in_new_process(peak, data.folder) / MIB for peak in (peak_of_loop, peak_of_list)]
    rows = [
        ("`for row in collection.records`", ours, peaks[0]),
        ("a list of dicts that is in memory", theirs, peaks[1]),
    ]
    head = ("loop with two conditions", "to the list", "ns a row", "peak extra MiB")
    cells = [
        (
            label,
            f"{median_ratio(times, theirs):.2f}",
            f"{1e9 * statistics.median(times) / study.records:.0f}",
            f"{peak:.1f}",
        )
        for label, times, peak in rows
    ]
    print_table(f"Rows, {study.label}", head, cells)


def _print_accesses(study: Study, data: DataSet, rounds: int) -> None:
    rows = [_access_row(study, data, access, rounds) for access in ACCESSES]
    head = ("rows by their place", "microseconds a call", "a row")
    print_table(f"Access, {study.label}", head, rows)


def _access_row(study: Study, data: DataSet, access: Access, rounds: int) -> tuple[str, ...]:
    spent = 1e6 * access_seconds(data, access, rounds)
    count = access.rows or study.records // 300
    return (access.label, f"{spent:,.1f}", f"{spent / count:,.2f}")


# --- live ------------------------------------------------------------------------------------


def print_live(scale: Scale) -> None:
    """Print what a query costs while another process logs."""
    study = points(scale.share)
    data = study.data(scale.folder)
    rows = [
        _live_row(label, writer, run)
        for writer, new_recorders in WRITERS.items()
        for label, run in live_runs(data, new_recorders=new_recorders).items()
    ]
    head = (
        "query", "another process logs to", "to the closed one", "ms", "closed ms", "worst ms", "saw more rows"
    )  # fmt: skip
    print_table(f"While another process logs, {study.label}", head, rows)


def _live_row(label: str, writer: str, run: LiveRun) -> tuple[str, ...]:
    saw_more = f"{run.saw_more} of {len(run.live)}"
    return (
        label,
        writer,
        *compared([run.live, run.closed]),
        f"{1e3 * max(run.live):.1f}",
        saw_more,
    )


# --- command ---------------------------------------------------------------------------------


SECTIONS: Final[dict[str, Callable[[Scale], None]]] = {
    "queries": print_queries,
    "polars": print_polars,
    "bytes": print_bytes,
    "nodes": print_nodes,
    "experiments": print_experiments,
    "rows": print_rows,
    "live": print_live,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sections", nargs="*", help=f"some of {', '.join(SECTIONS)}; else all")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the data (default 1)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds (default 7)")
    parser.add_argument("--folder", type=Path, help="where data stays for the next run")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    print_machine()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)) / f"scale_{arguments.scale:g}"
        scale = Scale(arguments.scale, arguments.rounds, folder)
        for name in arguments.sections or SECTIONS:
            sys.stderr.write(f"{name}\n")
            SECTIONS[name](scale)


if __name__ == "__main__":
    main()
