"""Imports point one way: who may know whom, and what is not loaded before it is used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rigorous_recorder
from rigorous_recorder import ExperimentCollection, Recorder

PACKAGE = Path(rigorous_recorder.__file__).parent

#: Modules (or packages) from the bottom up; one may import only those of earlier lines and its own.
LAYERS = [
    ["errors", "_printable", "_public"],
    ["_keys", "_lazy", "_paths", "_report"],
    ["_arrow", "_lazy_imports"],
    [
        "_once",
        "_proxied",
        "_system",
        "_durable",
        "_failure",
        "_mounts",
        "_job",
        "_fallback",
        "_prefetch",
        "_status",
        "_run_clock",
        "_labels",
        "_capture",
    ],
    ["_rows", "_values"],
    ["_live"],
    ["_store"],
    ["_nested"],
    ["_tree"],
    ["_column_sources", "_engines"],
    ["_columns"],
    ["_runs"],
    ["_latest"],
    ["_text_files"],
    ["_spreadsheets"],
    ["_display", "_flat_files", "_attach", "_old_pickles", "_page_process", "_saved_views"],
    ["_pickles", "plotting"],
    ["_row_sequence"],
    ["_row_table"],
    ["_records_view"],
    ["_records"],
    ["_level"],
    ["_recorder"],
    ["_comparison", "_run_lookup"],
    ["_experiment", "_experiments_lock"],
    ["_experiments", "_lifecycle"],
    ["_resumption"],
    ["_overview"],
    ["_collection"],
    ["__init__"],
    ["importers", "integrations"],
    ["exporters"],
    ["mlflow", "tensorboard", "wandb"],
    ["page"],
    ["cli", "spark"],
    ["__main__"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def room(path: Path) -> str:
    """The module or package directly below the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def first_party_imports(path: Path) -> list[tuple[str, ast.stmt]]:
    """The rooms that a file imports from, with the statements that do so."""
    inside = path.relative_to(PACKAGE).parent.parts
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".") if node.module else []
            if node.level:
                base = inside[: len(inside) - (node.level - 1)]
                parts = [*base, *module]
            elif module[:1] == ["rigorous_recorder"]:
                parts = module[1:] or ["__init__"]
            else:
                continue
            names = parts[:1] or [alias.name for alias in node.names]
            found += [(name if name in RANK else "__init__", node) for name in names]
        elif isinstance(node, ast.Import):
            found += [
                ("__init__", node) for alias in node.names if alias.name == "rigorous_recorder"
            ]
    return found


def module_file(path: Path, node: ast.ImportFrom) -> Path | None:
    """The file of ours that a statement imports names from; None for the modules of a package."""
    names = (node.module or "").split(".") if node.module else []
    if node.level:
        base = path.parents[node.level - 1]
    elif names[:1] == ["rigorous_recorder"]:
        base, names = PACKAGE, names[1:]
    else:
        return None
    target = base.joinpath(*names)
    return target / "__init__.py" if target.is_dir() else target.with_suffix(".py")


def exported(path: Path) -> list[str]:
    """What ``__all__`` of a file lists."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


FILES = sorted(PACKAGE.rglob("*.py"))
#: By this name Spark finds the data source; it is all that there is outside of the package.
BY_NAME = PACKAGE.parent / "pyspark_rigorous" / "__init__.py"


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_imports_point_down(path: Path) -> None:
    """A module imports from its own room and from lower layers only."""
    mine = room(path)
    for name, node in first_party_imports(path):
        assert name == mine or RANK[name] < RANK[mine], f"line {node.lineno}: {mine} > {name}"


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_no_first_party_import_inside_a_function(path: Path) -> None:
    """First-party imports stand at the top of the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    inside = {
        node.lineno
        for function in ast.walk(tree)
        if isinstance(function, functions)
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert not inside & {node.lineno for _, node in first_party_imports(path)}


def test_names_imported_from_a_module_are_in_its_all() -> None:
    """``__all__`` of each module lists every name that other modules of the package import."""
    listed = {path: exported(path) for path in FILES}
    missing = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (source := module_file(path, node)) in listed:
                assert source is not None
                missing |= {
                    (source.relative_to(PACKAGE).as_posix(), alias.name)
                    for alias in node.names
                    if alias.name not in {"__version__", *listed[source]}
                    and not (source.parent / f"{alias.name}.py").exists()
                    and not (source.parent / alias.name).is_dir()
                }
    assert sorted(missing) == []


def test_all_lists_each_name_once_and_public_classes_name_the_package() -> None:
    """A class is shown, and pickled, by where users import it from."""
    for path in FILES:
        assert len(exported(path)) == len({*exported(path)})
    for name in rigorous_recorder.__all__:
        thing = getattr(rigorous_recorder, name)
        assert not isinstance(thing, type) or thing.__module__ == "rigorous_recorder"


def test_a_recorder_as_a_sequence_still_works_and_warns() -> None:
    """As in 1.4.4 a recorder iterates its records; ``recorder.records`` is the way now."""
    recorder = Recorder().push(a=1).push(a=2)
    with pytest.warns(DeprecationWarning, match=r"use len\(recorder.records\)"):
        assert len(recorder) == 2
    with pytest.warns(DeprecationWarning, match=r"use recorder.records"):
        assert [record["a"] for record in iter(recorder)] == [1, 2]
    assert recorder


def test_engines_know_no_recorder_and_the_store_no_engine() -> None:
    """The writing side and the reading side meet in the public face only."""
    for path in FILES:
        imports = {name for name, _ in first_party_imports(path)}
        if room(path) in {"_live", "_store"}:
            assert not imports & {"_engines", "_tree", "_records"}
        if room(path) == "_engines":
            assert not imports & {"_recorder", "_collection", "_experiment"}


def reached_from(start: Path) -> set[str]:
    """The files of ours that are loaded with a file, by their paths in the package."""
    found, to_do = {start}, [start]
    while to_do:
        path = to_do.pop()
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
        new = {module_file(path, node) for node in imports} & {*FILES} - found
        found |= new
        to_do += new
    return {path.relative_to(PACKAGE).as_posix() for path in found - {start}}


def test_writer_and_reader_meet_at_the_folder_alone() -> None:
    """What reads a folder needs no writer, and what writes to it no reader."""
    place = PACKAGE / "_store"
    by_reader, by_writer = (reached_from(place / f"{name}.py") for name in ("reader", "writer"))
    writing = {"writer", "backend", "background", "recover", "store", "memory_store"}
    reading = {"reader", "live_files", "losses", "recover", "store", "memory_store"}
    assert "_store/folder.py" in by_reader & by_writer
    assert not by_reader & {f"_store/{name}.py" for name in writing}
    assert not by_writer & {f"_store/{name}.py" for name in reading}


def test_the_page_on_how_it_works_names_files_that_are_there() -> None:
    """Both lines of the page, from ``push`` and to the engines, are found by the list of files."""
    page = (Path(__file__).parents[2] / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    named = {*re.findall(r"\b_\w+/\w+\.(?:py|c)\b", page)}
    assert {"_live/table.py", "_store/writer.py", "_store/reader.py"} <= named
    assert not [name for name in named if not (PACKAGE / name).exists()]


def test_what_spark_finds_by_name_is_used_by_nobody_else() -> None:
    """The second package on the path is a name for Spark; nothing of ours imports it."""
    assert not [path for path in FILES if "pyspark_rigorous" in path.read_text(encoding="utf-8")]
    (imported,) = [
        node.module
        for node in ast.walk(ast.parse(BY_NAME.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rigorous_recorder")
    ]
    assert imported == "rigorous_recorder.spark.version_gate"


def test_only_the_room_of_spark_loads_pyspark_at_once() -> None:
    """Elsewhere it is loaded on use, as any package that need not be installed."""
    for path in FILES:
        found = [
            node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, (ast.Import, ast.ImportFrom))
        ]
        assert room(path) == "spark" or not any(
            (name or "").startswith("pyspark") for name in found
        )


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_heavy_modules_load_on_use() -> None:
    """Importing the package, and making recorders, loads no pyarrow, numpy, duckdb or pandas."""
    code = """
import sys
bare = set(sys.modules)
import rigorous_recorder
rigorous_recorder.Recorder(a=1, b={"c": [1]})
heavy = {"pyarrow", "numpy", "duckdb", "pandas", "polars", "pyspark", "typer", "rich",
         "starlette", "uvicorn", "rigorous_recorder.page"}
slow = {"concurrent.futures", "ctypes", "dataclasses", "decimal", "html", "inspect", "logging",
        "shutil", "textwrap", "traceback", "uuid", "zoneinfo"}
reading = {f"rigorous_recorder.{name}" for name in (
    "_columns", "_display.table", "_engines.duckdb", "_experiments", "_flat_files", "_records",
    "_store.repair", "plotting")}
print(sorted((heavy | slow | reading) & (set(sys.modules) - bare)))
"""
    assert python(code) == "[]\n"


def test_logging_to_a_collection_loads_no_pandas(tmp_path: Path) -> None:
    """pyarrow imports it to convert a value of Python's, which would take most of a small run."""
    code = f"""
import sys
from rigorous_recorder import ExperimentCollection
for number in (1, 2):
    collection = ExperimentCollection({str(tmp_path / "study")!r})
    for loss in (0.5, 0.25):
        with collection.new_experiment(lr=0.1, model="m", config={{"a": [1]}}) as recorder:
            child = recorder.child(fold=number)
            child.push(step=0, loss=loss, note="text")
            recorder["score"] = loss
    collection.close()
print("pandas" in sys.modules, len(collection.records))
"""
    assert python(code) == "False 4\n"


def test_logging_after_a_crash_loads_no_pandas(tmp_path: Path) -> None:
    """The rows that the killed process left are read."""
    begin = f"""
import os, sys
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection({str(tmp_path / "study")!r}, quiet=True)
run = collection.start(lr=0.1, model="m", tags=["a"], config={{"a": [1]}})
run.child(fold=1).push(step=0, loss=0.5, note=None, data=b"x")
"""
    python(f"{begin}run.push(note='t'); run.push(a=[1.0])\nsys.stdout.flush()\nos._exit(0)")
    code = "print(len(collection.records))\nrun.finish()\nprint('pandas' in sys.modules)"
    assert python(begin + code) == "4\nFalse\n"


def test_first_queries_load_no_pandas(tmp_path: Path) -> None:
    """It would take longer than the first answer of SQL, Polars or rows takes otherwise."""
    with ExperimentCollection(tmp_path / "study") as collection:
        for number in (1, 2):
            with collection.new_experiment(lr=0.1 * number, model="m" * number) as recorder:
                recorder.child(fold=3).push({f"key {n}": n for n in range(300)})  # some are sparse
                for fold in (1, 2):
                    recorder.child(fold=fold).extend({"step": list(range(3)), "loss": [0.5] * 3})
        collection.delete(1)
    code = f"""
import sys
import duckdb
import polars as pl
from rigorous_recorder import ExperimentCollection
with ExperimentCollection({str(tmp_path / "study")!r}) as collection:
    frame = collection.records.to_polars(lazy=True)
    print(
        frame.filter(pl.col("fold") == 2).group_by("model").agg(pl.col("step").sum()).collect().rows(),
        [row["step"] for row in collection.records.where(fold=1, model="mm", lr=0.2)],
        collection.records[-1]["loss"], collection.records.to_arrow().num_rows,
        collection.records.select("key 299")[0]["key 299"], collection.records.sort("step")[0]["step"],
        "pandas" in sys.modules,
    )
    print(
        collection.sql("SELECT model, fold, sum(step) FROM records GROUP BY ALL ORDER BY 2").fetchall(),
        collection.sql("SELECT count(*) FROM records WHERE fold = 2 AND lr > 0.1").fetchall(),
        len(collection.sql("SELECT * FROM experiments").fetchall()),
        "pandas" in sys.modules and duckdb.__version__ >= "2",  # older ones load it to take a table
    )
"""
    assert python(code) == (
        "[('mm', 3)] [0, 1, 2] 0.5 7 299 0 False\n"
        "[('mm', 1, 3), ('mm', 2, 3), ('mm', 3, None)] [(3,)] 1 False\n"
    )


def test_public_names_that_load_on_use_are_as_the_others() -> None:
    """They are listed before they are used, can be imported by a star, and are named by the package."""
    code = """
import rigorous_recorder
assert set(rigorous_recorder.__all__) <= set(dir(rigorous_recorder))
assert "rigorous_recorder._records" not in __import__("sys").modules
assert repr(type(rigorous_recorder.Recorder(a=1).records)) == "<class 'rigorous_recorder.Records'>"
assert rigorous_recorder.plotting.Curves is rigorous_recorder.Curves
from rigorous_recorder import *
assert Level is rigorous_recorder.Level
try:
    rigorous_recorder.Recrods
except AttributeError as error:
    print(error, error.name)
"""
    assert python(code) == "module 'rigorous_recorder' has no attribute 'Recrods' Recrods\n"
