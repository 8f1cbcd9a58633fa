"""What a new process pays before its first answer, and a loop over rows: one case, in a process of its own.

``first_cases.py CASE FOLDER`` prints the figures of the case as one JSON object. The data in the folder are
made by the first process, and stay for the next one.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from query_rows import loop_turns
from query_shapes import DataSet, episodes, points

__all__ = ["CASES"]

Figures = dict[str, float]

ROUNDS: Final = 3
STUDY: Final = episodes(1.0)
LOADED: Final = """
import pyarrow.compute, pyarrow.parquet
import rigorous_recorder._records
from rigorous_recorder._engines import attempts, duckdb, level_table, polars, relation
"""
ANSWERS: Final = """
import sys, time
sys.path.insert(0, {path!r})
from pathlib import Path
import query_contenders
from query_shapes import DataSet
{imports}
import duckdb, polars
contender = getattr(query_contenders.{engine}, {side!r})
start = time.process_time(), time.perf_counter()
contender(DataSet(Path(sys.argv[1]))).answer(query_contenders.QUERIES[{query}])
print(time.process_time() - start[0], time.perf_counter() - start[1])
"""


def case_first_query(folder: Path) -> Figures:
    """The first answer of a new process to that on the flat file.

    With the modules that this library and pyarrow load for it, and without.
    """
    data = STUDY.data(folder)
    found: Figures = {}
    for engine in ("DUCKDB", "POLARS"):
        first(data, engine, "ours", 0, "")  # it writes the index, if there is none
        for query, label in enumerate(("one parent", "two parents", "group by a parent")):
            for imports in ("", LOADED):
                pairs = [
                    tuple(first(data, engine, side, query, imports) for side in ("ours", "theirs"))
                    for _ in range(ROUNDS)
                ]
                loaded = ", loaded" if imports else ""
                for at, clock in enumerate(("CPU", "wall")):
                    ratios = [ours[at] / theirs[at] for ours, theirs in pairs]
                    name = f"{engine}, {label}{loaded}, to the file, {clock}"
                    found[name] = statistics.median(ratios)
    return found


def first(data: DataSet, engine: str, side: str, query: int, imports: str) -> tuple[float, ...]:
    path = str(Path(__file__).parent)
    code = ANSWERS.format(path=path, engine=engine, side=side, query=query, imports=imports)
    done = subprocess.run(
        [sys.executable, "-c", code, str(data.folder)], check=True, capture_output=True, text=True
    )
    return tuple(map(float, done.stdout.split()))


def case_loop(folder: Path) -> Figures:
    data = points(1.0, 10_000).data(folder)
    ours, theirs = loop_turns(data, 5)
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    return {"loop over rows, to one over a list of dicts": ratio}


CASES: Final[dict[str, Callable[[Path], Figures]]] = {
    "first query": case_first_query,
    "loop over rows": case_loop,
}

if __name__ == "__main__":
    print(json.dumps(CASES[sys.argv[1]](Path(sys.argv[2]))))
