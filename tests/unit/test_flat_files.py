"""Files of their own: what each format keeps, what is refused, and that no pickle is executed."""

from __future__ import annotations

import builtins
import contextlib
import datetime as dt
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as json_lines
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, ipc

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.errors import (
    DamagedFileError,
    NotACollectionError,
    RigorousError,
    UnknownFileTypeError,
    UnsafePickleError,
)

DATA = Path(__file__).parent.parent / "data"
FLAT = [".parquet", ".arrow", ".csv", ".jsonl"]
SUFFIXES = [".pickle", *FLAT]

#: What every format keeps as it is.
PLAIN: dict[str, list[Any]] = {
    "bool": [True, False, None],
    "int": [1, -(2**63), None],
    "float": [0.1, -0.0, None],
    "str": ["text", 'a "quoted", text\nof two lines', None],
    "empty": ["", "x", None],
    "date": [dt.date(2020, 1, 2), dt.date.min, None],
}
#: What Parquet and Arrow keep besides.
MORE: dict[str, list[Any]] = {
    **PLAIN,
    "special": [float("inf"), float("-inf"), 5e-324],
    "bytes": [b"\0\xff", b"", None],
    "datetime": [dt.datetime(2020, 1, 2, 3, 4, 5, 6), dt.datetime.max, None],
    "zoned": [dt.datetime(2020, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), None, None],
    "timedelta": [dt.timedelta(microseconds=-1), dt.timedelta(days=300), None],
    "json": [{"a": [1, None, {"b": "c"}]}, [], None],
    "A": [1, 2, 3],
    "a": [4, 5, 6],
    "a.b": [7, 8, 9],
    "": [1.5, 2.5, 3.5],
}


def _logged(columns: dict[str, list[Any]]) -> Recorder:
    """A tree of three with the columns as records, and data above them."""
    root = Recorder(study="s")
    leaf = root.child(model=1).child(late=None)
    for row in range(3):
        leaf.push({key: values[row] for key, values in columns.items()})
    return root


def _rows(recorder: Recorder) -> list[dict[str, Any]]:
    return [dict(row) for row in recorder.all_records]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PARQUET", ".Pickle"])
def test_every_format_keeps_plain_values(tmp_path: Path, suffix: str) -> None:
    """Bools, ints, floats, text and dates, with gaps, and the data of the ancestors."""
    root = _logged(PLAIN if suffix != ".jsonl" else {k: v for k, v in PLAIN.items() if k != "date"})
    path = tmp_path / "folder" / f"file{suffix}"
    root.save_to(path)
    loaded = Recorder.load_from(str(path))
    assert _rows(loaded) == _rows(root)
    assert [type(v) for row in _rows(loaded) for v in row.values()] == [
        type(v) for row in _rows(root) for v in row.values()
    ]
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("suffix", [".pickle", ".parquet", ".arrow"])
def test_binary_formats_keep_every_kind(tmp_path: Path, suffix: str) -> None:
    """Times with their zone, bytes, JSON and any name of a column read back as they were."""
    root = _logged(MORE)
    root.save_to(tmp_path / f"x{suffix}")
    loaded = Recorder.load_from(tmp_path / f"x{suffix}")
    assert _rows(loaded) == _rows(root)
    assert [list(map(type, row.values())) for row in _rows(loaded)] == [
        list(map(type, row.values())) for row in _rows(root)
    ]
    assert loaded.all_records.to_arrow().schema == root.all_records.to_arrow().schema


@pytest.mark.parametrize("suffix", [".pickle", ".parquet", ".arrow"])
def test_binary_formats_keep_arrays_and_nan(tmp_path: Path, suffix: str) -> None:
    """Arrays keep dtype and shape, whether of one shape or not; NaN stays a value."""
    recorder = Recorder()
    for size in (1, 2):
        recorder.push(
            fixed=np.arange(4, dtype="float16").reshape(2, 2),
            free=np.arange(size, dtype="int8"),
            flags=np.array([True] * size),
            nan=float("nan"),
        )
    recorder.save_to(tmp_path / f"x{suffix}")
    for row, size in zip(Recorder.load_from(tmp_path / f"x{suffix}").records, (1, 2), strict=True):
        assert row["fixed"].dtype == "float16"
        assert row["fixed"].tolist() == [[0, 1], [2, 3]]
        assert row["free"].dtype == "int8"
        assert row["free"].tolist() == list(range(size))
        assert row["flags"].tolist() == [True] * size
        assert np.isnan(row["nan"])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_text_formats_keep_special_floats(tmp_path: Path, suffix: str) -> None:
    """NaN and the infinities have a spelling in both."""
    recorder = (
        Recorder().push(x=float("inf")).push(x=float("-inf")).push(x=0.5).push(x=float("nan"))
    )
    recorder.save_to(tmp_path / f"x{suffix}")
    found = [row["x"] for row in Recorder.load_from(tmp_path / f"x{suffix}").records]
    assert found[:3] == [float("inf"), float("-inf"), 0.5]
    assert np.isnan(found[3])


def test_text_formats_spell_what_they_have_no_form_for(tmp_path: Path) -> None:
    """Times are ISO 8601, timedeltas seconds, bytes hexadecimal, arrays and dicts JSON."""
    recorder = Recorder().push(
        t=dt.datetime(2020, 1, 2, 3), d=dt.timedelta(seconds=1.5), b=b"\xff", a=np.array([1, 2])
    )
    recorder.save_to(tmp_path / "x.jsonl")
    assert (tmp_path / "x.jsonl").read_text(encoding="utf-8") == (
        '{"t": "2020-01-02T03:00:00", "d": 1.5, "b": "ff", "a": [1, 2]}\n'
    )
    recorder.save_to(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text(encoding="utf-8") == (
        '"t","d","b","a"\n"2020-01-02T03:00:00","1.5","ff","[1,2]"\n'
    )


@pytest.mark.parametrize("suffix", FLAT)
def test_flat_files_have_the_mixed_columns_of_the_flat_table(tmp_path: Path, suffix: str) -> None:
    """int and float meet as double; values of other kinds come back under their one key."""
    recorder = Recorder().push(x=1, y="text").push(x=0.5, y=2).push(y=True).push(y={"a": ["2"]})
    recorder.push(y="true").push(y="7").push(x=2, y=dt.date(2024, 1, 2))
    recorder.save_to(tmp_path / f"x{suffix}")
    found = Recorder.load_from(tmp_path / f"x{suffix}").records
    day = "2024-01-02" if suffix == ".jsonl" else dt.date(2024, 1, 2)
    assert [row["x"] for row in found] == [1.0, 0.5, None, None, None, None, 2.0]
    assert [row["y"] for row in found] == ["text", 2, True, {"a": ["2"]}, "true", "7", day]
    if suffix != ".jsonl":
        assert found.columns == recorder.records.columns
        assert {"y", "y:str", "y:bool", "y:json", "y:date"} < set(found.columns)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_logged_round_trips(tmp_path: Path, suffix: str) -> None:
    """A recorder without a record gives a file, and the file a recorder without a record."""
    for number, recorder in enumerate((Recorder(), Recorder(a=1))):
        path = tmp_path / f"{number}{suffix}"
        recorder.save_to(path)
        assert len(Recorder.load_from(path).all_records) == 0


def test_the_root_of_a_collection_without_experiments_is_saved(tmp_path: Path) -> None:
    """Nothing was set on it yet; the records that were pushed to it are there."""
    with ExperimentCollection(tmp_path / "c") as collection:
        for expected in ([], [{"a": 1}]):
            if expected:
                collection.recorder.push(a=1)
            collection.recorder.save_to(tmp_path / "x.pickle")
            loaded = Recorder.load_from(tmp_path / "x.pickle")
            assert list(loaded.all_records) == expected


def test_pickle_keeps_the_tree(tmp_path: Path) -> None:
    """Parents, children and what is set on each; the recorder is the one that was saved."""
    root = Recorder(study="s").push(q=1)
    middle = root.child(model="m", gone=None).push(r=2)
    middle.child(episode=1).push(x=1).push(x=True).push(x=1.0)
    root.child(other=1).push(not_below=1)
    middle.save_to(tmp_path / "x.pickle")
    loaded = Recorder.load_from(tmp_path / "x.pickle")
    assert dict(loaded.local_data) == {"model": "m", "gone": None}
    assert loaded.parent is not None
    assert dict(loaded.parent.local_data) == {"study": "s"}
    assert loaded.parent.children == [loaded]
    assert [dict(child.local_data) for child in loaded.children] == [{"episode": 1}]
    assert _rows(loaded) == _rows(middle)
    assert [type(row["x"]) for row in loaded.children[0].records] == [int, bool, float]
    loaded.push(more=1)
    assert len(loaded.all_records) == 5
    assert len(middle.all_records) == 4


@pytest.mark.parametrize("suffix", FLAT)
def test_other_tools_read_the_file(tmp_path: Path, suffix: str) -> None:
    """Each flat file is a standard one, with the columns of the flat table in order."""
    path = tmp_path / f"x{suffix}"
    _logged({"x": [1, 2, 3]}).save_to(path)
    readers: dict[str, Callable[[], pa.Table]] = {
        ".parquet": lambda: pq.read_table(path),
        ".arrow": lambda: ipc.open_file(path).read_all(),
        ".csv": lambda: csv.read_csv(path),
        ".jsonl": lambda: json_lines.read_json(path),
    }
    found = readers[suffix]().select(["study", "model", "x"])
    assert found.to_pylist() == [{"study": "s", "model": 1, "x": x} for x in (1, 2, 3)]


@pytest.mark.parametrize("name", ["x", "x.txt", "x.pkl", "x.json", "x.parquet.gz", ".parquet"])
def test_unknown_suffix_is_refused(tmp_path: Path, name: str) -> None:
    """The message names the suffix and those that are known; no file is left."""
    recorder = Recorder().push(x=1)
    for use in (recorder.save_to, Recorder.load_from):
        with pytest.raises(UnknownFileTypeError, match=r"\.pickle, \.parquet, \.arrow, \.csv"):
            use(tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_file_is_an_oserror(tmp_path: Path, suffix: str) -> None:
    """A file that is not there is told as Python tells it."""
    with pytest.raises(FileNotFoundError):
        Recorder.load_from(tmp_path / f"x{suffix}")


@pytest.mark.parametrize("suffix", [".pickle", ".parquet", ".arrow", ".jsonl"])
@pytest.mark.parametrize("damage", ["garbage", "cut", "flipped", "nothing"])
def test_damaged_file_is_reported(tmp_path: Path, suffix: str, damage: str) -> None:
    """A file that is not what its suffix says is a DamagedFileError, which names it."""
    path = tmp_path / f"x{suffix}"
    _logged({"x": [1, 2, 3], "text": ["some longer text"] * 3}).save_to(path)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "garbage": bytes(range(256)) * 4,
            "cut": whole[: 2 * len(whole) // 3 - 3],
            "flipped": whole[:4] + bytes(each ^ 0xFF for each in whole[4:]),
            "nothing": b"",
        }[damage]
    )
    if suffix == ".jsonl" and damage == "nothing":
        assert len(Recorder.load_from(path).records) == 0
        return
    with pytest.raises(DamagedFileError, match=f"x{suffix}|pickle"):
        Recorder.load_from(path)


def test_json_lines_without_end_are_reported(tmp_path: Path) -> None:
    """A line that is nested without end is damage, not an error of Python's stack."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": ' + "[" * 200_000)
    with pytest.raises(DamagedFileError, match=r"x\.jsonl"):
        Recorder.load_from(path)


@pytest.mark.parametrize("suffix", [".pickle", ".parquet", ".arrow"])
def test_no_damage_crashes_or_surprises(tmp_path: Path, suffix: str) -> None:
    """Wherever a byte is changed or the file is cut: a recorder, or an error of ours."""
    path = tmp_path / f"x{suffix}"
    _logged({"x": [1, 2, 3], "text": ["some longer text"] * 3}).save_to(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 1 + len(whole) // 80):
        for data in (
            whole[:place],
            whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :],
        ):
            path.write_bytes(data)
            with contextlib.suppress(RigorousError):
                list(Recorder.load_from(path).all_records)


def test_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    """A file appears whole or not at all."""
    path = tmp_path / "x.parquet"
    Recorder().push(x=1).save_to(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        Recorder().push(x=2).save_to(tmp_path / "x.parquet" / "folder" / "y.parquet")
    assert [row["x"] for row in Recorder.load_from(path).records] == [1]


# --- pickles that ask for more than plain values ---------------------------------------------


class Hostile:
    """Pickles as a call of whatever it is given."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    "function",
    [
        os.system,
        builtins.eval,
        builtins.exec,
        subprocess.Popen,
        builtins.getattr,
        builtins.__import__,
    ],
)
def test_hostile_pickle_is_refused(tmp_path: Path, function: Any, protocol: int) -> None:
    """A pickle that calls anything else is refused by name, and nothing of it is executed."""
    path, mark = tmp_path / "x.pickle", tmp_path / "executed"
    command = f"open({str(mark)!r}, 'w')" if function is not os.system else f"touch {mark}"
    path.write_bytes(pickle.dumps({"format": Hostile(function, command)}, protocol))
    with pytest.raises(UnsafePickleError, match=r"asks for \w+\.\w+.*only recorders"):
        Recorder.load_from(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"crigorous_recorder._recorder\nrecorder_in\n.",
        b"crigorous_recorder._recorder\nRecorder\n.",
        b"crigorous_recorder\n__dependencies__\n.",
        b"cnumpy\nload\n.",
        b"cnumpy.core.multiarray\nfromfile\n.",
        b"cnumpy.core.multiarray\nos.system\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__class__\x93.",
        b"\x80\x04\x8c\x1brigorous_recorder._recorder\x8c\x0frestore.__call__\x93.",
        b"cdatetime\ndatetime.__class__\n.",
        b"ccollections\nUserDict\n.",
        b"Pname\n.",
        b"\x80\x02\x82\x01.",
    ],
)
def test_pickle_with_other_names_is_refused(tmp_path: Path, data: bytes) -> None:
    """Nothing near the allowed names is allowed, dotted or not."""
    path = tmp_path / "x.pickle"
    path.write_bytes(data)
    with pytest.raises((UnsafePickleError, DamagedFileError)):
        Recorder.load_from(path)


def _reduced(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


def _text(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


_ARRAY_OF_ADDRESSES = _reduced(
    b"cnumpy\nndarray\n(K\x01\x85",  # ndarray((1,), dtype('O'), the bytes of an address)
    b"cnumpy\ndtype\n(" + _text("O8") + b"\x89\x88tR",
    b"C\x08\x01\x02\x03\x04\x05\x06\x07\x08tR",
)


_BOMBS = {
    "stack_global": _reduced(_text("posix"), _text("system"), b"\x93", _text("touch x"), b"\x85R"),
    "chain": _reduced(
        _text("builtins"), _text("getattr"), b"\x93", b"cnumpy\ndtype\n", _text("mro"), b"\x86R"
    ),
    "dotted": _reduced(_text("datetime"), _text("date.today"), b"\x93", b")R"),
    "inst": b"(Vtouch x\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nVtouch x\no.",
    "newobj": _reduced(b"cbuiltins\nobject\n)\x81"),
    "persistent": _reduced(_text("../../etc/passwd"), b"Q"),
    "ext1": _reduced(b"\x82\x01"),
    "ext2": _reduced(b"\x83\x01\x02"),
    "ext4": _reduced(b"\x84\x01\x02\x03\x04"),
    "addresses": _ARRAY_OF_ADDRESSES,
    "dtype state": _reduced(b"cnumpy\ndtype\n(" + _text("f8") + b"tR(" + _text("O") * 8 + b"tb"),
    "object scalar": _reduced(
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(" + _text("O8") + b"tR]tR"
    ),
    "huge array": _reduced(
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR",
        b"(K\x01(\x8a\x06\x00\x00\x00\x00\x00\x10tcnumpy\ndtype\n("
        + _text("f8")
        + b"tR\x89C\x00tb",
    ),
    "huge frame": b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f.",
    "huge bytes": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",
    "huge memo": b"\x80\x04Nr\xff\xff\xff\x7f.",
    "deep": b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b".",
    "deep tuples": b"\x80\x04)" + b"\x85" * 200_000 + b".",
    "long": b"\x80\x04\x8b\xff\xff\xff\x7f.",
    "no end": b"\x80\x04]",
    "nothing": b"",
}


def _laughs() -> bytes:
    """A record of 1.4.4's with a list that has a list twice, which has a list twice, and so on."""
    lists = b"]q\x00" + b"".join(
        b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(150)
    )
    state = (
        b"(N}" + _text("a") + b"h\x96sN]N]t"
    )  # parent, data, collection, children, pending, records
    recorder = b"crigorous_recorder\nRecordKeeper\n)\x81" + state + b"b"
    return _reduced(lists, b"0", recorder)


_BOMBS["laughs"] = _laughs()
_BOMBS["no state"] = _reduced(b"crigorous_recorder\nRecorder\n)\x81")
_BOMBS["odd state"] = _reduced(b"crigorous_recorder\nRecorder\n)\x81(NNNNNNtb")


_LOAD_ALL = """
import resource, sys
import numpy
from rigorous_recorder import Recorder
from rigorous_recorder.errors import DamagedFileError, UnsafePickleError
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
for path in sys.argv[1:]:
    print(path, flush=True)
    try:
        Recorder.load_from(path)
    except (DamagedFileError, UnsafePickleError) as error:
        print(type(error).__name__, flush=True)
"""


def test_pickle_bombs_are_refused(tmp_path: Path) -> None:
    """Whatever opcode asks for it: nothing is called, nothing is allocated, the error is clear."""
    paths = [tmp_path / f"{name}.pickle" for name in _BOMBS]
    for path, data in zip(paths, _BOMBS.values(), strict=True):
        path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", _LOAD_ALL, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[::2] == list(map(str, paths))
    assert set(lines[1::2]) == {"UnsafePickleError", "DamagedFileError"}
    assert sorted(tmp_path.iterdir()) == sorted(paths)


@pytest.mark.parametrize(
    "value", [None, 5, "text", [1], {}, {"format": "other"}, {"format": "rigorous-recorder tree 2"}]
)
def test_pickle_of_something_else_is_reported(tmp_path: Path, value: Any) -> None:
    """A pickle of plain values that is no recorder is a DamagedFileError."""
    path = tmp_path / "x.pickle"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(DamagedFileError, match="recorder"):
        Recorder.load_from(path)


def test_plain_pickle_load_gives_a_recorder(tmp_path: Path) -> None:
    """Who trusts the file may read it with ``pickle`` itself."""
    root = _logged({"x": [1, 2, 3]})
    root.save_to(tmp_path / "x.pickle")
    with (tmp_path / "x.pickle").open("rb") as file:
        loaded = pickle.load(file)
    assert isinstance(loaded, Recorder)
    assert _rows(loaded) == _rows(root)


# --- pickles of recorders, as between processes ----------------------------------------------


def test_pickle_of_an_attached_recorder_is_its_place(tmp_path: Path) -> None:
    """However many records there are; it is the same recorder in this process."""
    with ExperimentCollection(tmp_path / "c") as collection:
        with collection.new_experiment() as experiment:
            child = experiment.child(a="a" * 1_000)
            child.extend({"x": list(range(10_000))})
            data = pickle.dumps(child)
            assert len(data) < 300
            assert pickle.loads(data) is child
            pickle.loads(data).push(x=-1)
            assert len(child.records) == 10_001


def test_pickle_of_a_recorder_whose_collection_is_gone_is_reported(tmp_path: Path) -> None:
    """The message names the collection that is not there."""
    with ExperimentCollection(tmp_path / "c") as collection:
        with collection.new_experiment() as experiment:
            data = pickle.dumps(experiment)
    (tmp_path / "c.collection").rename(tmp_path / "moved.collection")
    with pytest.raises(NotACollectionError, match="c.collection"):
        pickle.loads(data)


def test_saving_an_attached_recorder_copies_its_tree(tmp_path: Path) -> None:
    """``save_to`` keeps the data, so that the file is read without the collection."""
    with ExperimentCollection(tmp_path / "c") as collection:
        with collection.new_experiment(lr=0.1) as experiment:
            experiment.child(a=1).push(x=1)
        experiment.save_to(tmp_path / "x.pickle")
        rows = _rows(experiment)
    (tmp_path / "c.collection").rename(tmp_path / "moved.collection")
    loaded = Recorder.load_from(tmp_path / "x.pickle")
    assert _rows(loaded) == rows
    assert loaded["lr"] == 0.1


def test_pickle_of_a_recorder_in_memory_carries_the_tree() -> None:
    """With records, children and ancestors; the copy is independent."""
    root = _logged({"x": [1, 2, 3]})
    copy = pickle.loads(pickle.dumps(root.children[0]))
    assert _rows(copy) == _rows(root)
    assert copy.parent["study"] == "s"
    copy.push(x=4)
    assert len(root.all_records) == 3


# --- version 1.4.4 ---------------------------------------------------------------------------


def test_old_recorder_is_read() -> None:
    """The root of a tree that 1.4.4 saved, with everything below."""
    root = Recorder.load_from(DATA / "recorder_root_1.4.4.pickle")
    above = {"study": "old", "experiment": 1, "lr": 0.1}
    assert root.parent is None
    assert dict(root.local_data) == {"study": "old"}
    assert _rows(root) == [
        {**above, "q": True},
        {**above, "episode": 1, "x": 1, "y": 0.5},
        {**above, "episode": 1, "x": 2, "z": "text"},
    ]


def test_old_leaf_is_read_with_its_parents() -> None:
    """The leaf that was saved, with the data of its ancestors."""
    leaf = Recorder.load_from(DATA / "recorder_leaf_1.4.4.pickle")
    assert dict(leaf.local_data) == {"episode": 1}
    assert leaf.parent is not None
    assert dict(leaf.parent.local_data) == {"experiment": 1, "lr": 0.1}
    assert [row["study"] for row in leaf.records] == ["old", "old"]
    assert [row["x"] for row in leaf.records] == [1, 2]
    assert len(leaf.parent.all_records) == 3
    leaf.push(x=3)
    assert len(leaf.records) == 3


def test_old_record_keeper_is_read() -> None:
    """The older class, with numpy scalars and arrays by their value."""
    keeper = Recorder.load_from(DATA / "record_keeper_1.4.4.pickle")
    assert dict(keeper.local_data) == {"study": "keeper", "seed": 7}
    first, second, third = _rows(keeper)
    assert first == {"study": "keeper", "seed": 7}
    assert second == {
        "study": "keeper",
        "seed": 7,
        "model": "m1",
        "loss": 0.25,
        "step": 1,
        "ok": True,
    }
    assert [type(second[key]) for key in ("loss", "step", "ok")] == [float, int, bool]
    assert third.pop("vector").tolist() == [1.0, 2.0]
    assert third == {
        "study": "keeper",
        "seed": 7,
        "model": "m1",
        "loss": 0.5,
        "names": ["a", "b"],
    }
