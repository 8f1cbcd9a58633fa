"""What can't be stored is refused at the call, and says the key, the type and the way out."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._values import classify
from rigorous_recorder.errors import (
    ArgumentTypeError,
    AttachedError,
    ClosedError,
    CycleError,
    KeyNotTextError,
    ReservedKeyError,
    RigorousError,
    UnsupportedTypeError,
    UnsupportedValueError,
)


def _self_containing() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


class _Offset(dt.tzinfo):
    """A time zone without a name, of an offset that is not of whole minutes."""

    def utcoffset(self, _when: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(seconds=61)

    def dst(self, _when: dt.datetime | None) -> None:
        return None

    def tzname(self, _when: dt.datetime | None) -> str:
        return "odd"


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")

#: For each value that can't be stored: the error, what the message names, and the way out.
UNKEEPABLE: dict[str, tuple[Any, type[RigorousError], str, str]] = {
    "object": (object(), UnsupportedTypeError, "object", r"str\(x\)"),
    "range": (range(3), UnsupportedTypeError, "range", "Convert"),
    "set with an object": ({object()}, UnsupportedTypeError, "object", "Convert"),
    "dict with a tuple as a key": ({(1, 2): 2}, UnsupportedTypeError, "tuple", r"str\(\)"),
    "dict with keys of one text": (
        {1: 2, "1": 3},
        UnsupportedValueError,
        "'1'",
        "Convert the keys",
    ),
    "complex": (1j, UnsupportedTypeError, "complex", "Convert"),
    "generator": ((each for each in ""), UnsupportedTypeError, "generator", "Convert"),
    "int of more digits than Python reads": (
        10**4300,
        UnsupportedValueError,
        "int of 14,285 bits",
        r"4,300 digits.*hex\(x\)",
    ),
    "lone surrogate": ("a\ud800", UnsupportedValueError, "text", "surrogate.*encode"),
    "timedelta.max": (dt.timedelta.max, UnsupportedValueError, "timedelta", "total_seconds"),
    "nested dict with None as a key": ({"a": [{None: 2}]}, UnsupportedTypeError, "None", "str"),
    "nested bytes": ([b"a"], UnsupportedTypeError, "bytes", "Convert"),
    "nested object": ({"a": object()}, UnsupportedTypeError, "object", "Convert"),
    "nested datetime": ([dt.datetime.min], UnsupportedTypeError, "datetime", "isoformat"),
    "nested lone surrogate": (["\udfff"], UnsupportedValueError, "text", "surrogate"),
    "nested lone surrogate key": ({"\udfff": 1}, UnsupportedValueError, "text", "surrogate"),
    "self-containing list": (
        _self_containing(),
        UnsupportedValueError,
        "nested",
        "contains itself",
    ),
    "datetime64[ns]": (
        np.datetime64("2020-01-01T00:00:00.000000001", "ns"),
        UnsupportedValueError,
        "datetime64",
        "astype",
    ),
    "timedelta64[ns]": (np.timedelta64(1, "ns"), UnsupportedValueError, "timedelta64", "astype"),
    "datetime64 of the year 20000": (
        np.datetime64("20000-01-01", "us"),
        UnsupportedValueError,
        "datetime64",
        "9999",
    ),
    "complex scalar": (np.complex128(1j), UnsupportedTypeError, "complex", "Convert"),
    "array of objects": (np.array([object()]), UnsupportedTypeError, "object", "tolist"),
    "array of complex": (np.array([1j]), UnsupportedTypeError, "complex", "Convert"),
    "array of text": (np.array(["a"]), UnsupportedTypeError, "<U1", "tolist"),
    "array of times": (
        np.array(["2020"], "datetime64[D]"),
        UnsupportedTypeError,
        "datetime64",
        "to",
    ),
    "array without rows": (np.zeros((0, 2)), UnsupportedValueError, "shape", "key of its own"),
    "zone of odd seconds": (
        dt.datetime(2020, 1, 1, tzinfo=_Offset()),
        UnsupportedValueError,
        "time zone",
        "astimezone",
    ),
    "time that the zone skips": (
        dt.datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN),
        UnsupportedValueError,
        "datetime",
        "isoformat",
    ),
    "time beyond the year 9999 of UTC": (
        dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=1))),
        UnsupportedValueError,
        "datetime",
        "isoformat",
    ),
}

#: Keys that are refused: the error, and what the message says.
BAD_KEYS: dict[str, tuple[Any, type[RigorousError], str]] = {
    "int": (1, KeyNotTextError, r"1 is of type int.*str\(\)"),
    "None": (None, KeyNotTextError, r"None is of type NoneType.*str\(\)"),
    "bytes": (b"a", KeyNotTextError, r"b'a' is of type bytes.*str\(\)"),
    "tuple": (("a", "b"), KeyNotTextError, r"tuple.*str\(\)"),
    "lone surrogate": ("a\ud800", UnsupportedValueError, "key.*surrogate.*encode"),
}


def _set_items(recorder: Recorder, data: dict[Any, Any]) -> None:
    for key, value in data.items():
        recorder[key] = value


#: The ways by which data is given.
WAYS: dict[str, Callable[[Recorder, dict[Any, Any]], object]] = {
    "push": lambda recorder, data: recorder.push(data),
    "add": lambda recorder, data: recorder.add(data),
    "update": lambda recorder, data: recorder.update(data),
    "child": lambda recorder, data: recorder.child(data),
    "new recorder": lambda _, data: Recorder(data),
    "extend": lambda recorder, data: recorder.extend({k: [v] for k, v in data.items()}),
    "recorder[key]=": _set_items,
}


@pytest.fixture(params=["in memory", "in a collection"])
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A recorder with a record, in memory or in a collection."""
    if request.param == "in memory":
        yield Recorder(said="before").push(x=1)
        return
    with ExperimentCollection(tmp_path / "c") as collection:
        with collection.new_experiment() as experiment:
            yield experiment.child(said="before").push(x=1)


def _require_untouched(recorder: Recorder, said: dict[str, Any] | None = None) -> None:
    """Nothing of what was refused is there, all before is, and pushing goes on working."""
    assert dict(recorder.pending) == {}
    assert dict(recorder.local_data) == {"said": "before", **(said or {})}
    assert recorder.children == []
    assert [row["x"] for row in recorder.records] == [1]
    recorder.push(x=2)
    assert [row["x"] for row in recorder.records] == [1, 2]
    assert [row["said"] for row in recorder.records] == ["before"] * 2
    own = set(recorder.records.to_arrow().column_names)
    assert {key for key in own if "experiment" not in key and "error" not in key} == {
        "x",
        "said",
        *(said or {}),
    }


#: The ways by which attributes are set, which have the repr of what is of another type.
OF_ATTRIBUTES = {"update", "child", "new recorder", "recorder[key]="}
WITHOUT_JSON = ["self-containing list", "dict with keys of one text"]


@pytest.mark.parametrize("way", WAYS)
def test_unkeepable_values_are_refused(recorder: Recorder, way: str) -> None:
    """The error is of the right class, names key, type and the way out; nothing is logged."""
    for name, (value, error, named, way_out) in UNKEEPABLE.items():
        if way in OF_ATTRIBUTES and (error is UnsupportedTypeError or name in WITHOUT_JSON):
            continue
        with pytest.raises(error, match=way_out) as caught:
            WAYS[way](recorder, {"fine": 1, "the key": value})
        assert "'the key'" in str(caught.value)
        assert named in str(caught.value)
        assert isinstance(caught.value, (TypeError, ValueError))
    _require_untouched(recorder, {"fine": 1} if way == "recorder[key]=" else {})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BAD_KEYS)
def test_bad_key_is_refused(recorder: Recorder, name: str, way: str) -> None:
    """A key is text: the error names the key and its type, and nothing is logged."""
    key, error, said = BAD_KEYS[name]
    with pytest.raises(error, match=said):
        WAYS[way](recorder, {key: 2})
    _require_untouched(recorder)


def test_refused_push_leaves_what_was_added_pending(recorder: Recorder) -> None:
    """What was added stays for the next push, which logs it."""
    recorder.add(waiting=7)
    with pytest.raises(UnsupportedTypeError, match="'bad'"):
        recorder.push(x=5, bad=object())
    assert dict(recorder.pending) == {"waiting": 7}
    recorder.push(x=2)
    assert [(row["x"], row["waiting"]) for row in recorder.records] == [(1, None), (2, 7)]


def test_refused_add_leaves_what_was_added_before(recorder: Recorder) -> None:
    """One bad field refuses the whole call, and nothing else."""
    recorder.add(a=1)
    with pytest.raises(UnsupportedTypeError, match="'c'"):
        recorder.add(b=2, c=object())
    assert dict(recorder.pending) == {"a": 1}
    recorder.commit()


@pytest.mark.parametrize("position", range(3))
def test_refusal_between_many_pushes_costs_no_record(recorder: Recorder, position: int) -> None:
    """Refused records among good ones leave no trace, wherever the bad field stands."""
    wanted = [1]
    for i in range(50):
        fields = [("x", i), ("long", "text of more than twelve bytes"), ("bad", range(2))]
        fields = [*fields[position:], *fields[:position]]
        with pytest.raises(UnsupportedTypeError, match="'bad'.*range"):
            recorder.push(dict(fields))
        recorder.push(x=i)
        wanted.append(i)
    assert [row["x"] for row in recorder.records] == wanted
    assert all("long" not in row and "bad" not in row for row in recorder.records)


def test_surrogate_of_a_known_text_column_is_refused(recorder: Recorder) -> None:
    """Also on the fast way, where key and type are known from the record before."""
    recorder.push(t="fine")
    with pytest.raises(UnsupportedValueError, match="'t'.*surrogate"):
        recorder.push(t="\ud800")
    recorder.push(t="fine again")
    assert [row["t"] for row in recorder.records] == [None, "fine", "fine again"]


def test_too_long_int_of_a_known_int_column_is_refused(recorder: Recorder) -> None:
    """Also on the fast way, where key and type are known from the record before."""
    with pytest.raises(UnsupportedValueError, match="'x'.*16,610 bits"):
        recorder.push(x=10**5000)
    _require_untouched(recorder)


@pytest.mark.parametrize("text", ["long text " * 4_000, "\ud800" * 4_000])
def test_message_is_short_however_long_the_value(text: str) -> None:
    """A refused value is not printed whole."""
    with pytest.raises((UnsupportedTypeError, UnsupportedValueError)) as caught:
        Recorder().push(x=[text, object()] if text.isascii() else text)
    assert len(str(caught.value)) < 1_000


def test_a_too_long_int_inside_json_names_its_key() -> None:
    """Python turns no int of more than 4,300 digits into text, so JSON can't store it."""
    with pytest.raises(RigorousError, match="'x'"):
        Recorder().push(x=[10**5_000])


@pytest.mark.parametrize("data", [0, 1, [], [("x", 1)], "text"])
def test_fields_that_are_no_mapping_are_refused(recorder: Recorder, data: Any) -> None:
    """Whatever is given in place of a mapping is reported, also where it is empty."""
    for way in (recorder.push, recorder.add, recorder.update, recorder.child, Recorder):
        with pytest.raises(UnsupportedTypeError, match="one mapping, not as a"):
            way(data)
    _require_untouched(recorder)


def test_columns_of_one_name_are_refused(recorder: Recorder) -> None:
    """Two columns of a table that have the same name are reported, not made one."""
    table = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    for data in (table, table.to_pandas()):
        with pytest.raises(UnsupportedValueError, match="the name 'x'"):
            recorder.extend(data)
    _require_untouched(recorder)


def test_columns_of_several_lengths_are_refused(recorder: Recorder) -> None:
    """The lengths are reported; nothing is logged."""
    with pytest.raises(UnsupportedValueError, match="not of one length.*'x': 2.*'y': 1"):
        recorder.extend({"x": [2, 3], "y": [1]})
    _require_untouched(recorder)


@pytest.mark.parametrize("columns", [5, "text", [1, 2], {"x": 5}, {"x": "text"}, {"x": {"a": 1}}])
def test_extend_refuses_what_is_no_column(recorder: Recorder, columns: Any) -> None:
    """A number, text or mapping is no column; the message names what is one."""
    with pytest.raises(UnsupportedTypeError, match=type(columns).__name__ + "|column"):
        recorder.extend(columns)
    _require_untouched(recorder)


def test_cycle_of_parents_is_refused(recorder: Recorder) -> None:
    """A recorder can't be its own ancestor; the tree stays as it was."""
    child = recorder.child(a=1)
    grandchild = child.child(b=2)
    for node, parent in ((recorder, recorder), (recorder, child), (recorder, grandchild)):
        with pytest.raises(CycleError, match="its own ancestor"):
            node.set_parent(parent)
    assert grandchild.parent is child
    assert child.parent is recorder
    assert recorder.children == [child]
    grandchild.push(x=3)
    assert [row["x"] for row in recorder.all_records] == [1, 3]


def test_cycle_of_new_recorders_is_refused() -> None:
    """Also where neither has logged anything yet."""
    alone = Recorder()
    with pytest.raises(CycleError):
        alone.set_parent(alone)
    child = Recorder().set_parent(alone)
    with pytest.raises(CycleError):
        alone.set_parent(child)


@pytest.mark.parametrize("parent", [None, {}, "root", 3, Recorder])
def test_parent_that_is_no_recorder_is_refused(recorder: Recorder, parent: Any) -> None:
    """The message names the type that was given."""
    with pytest.raises(TypeError, match=f"Recorder, not a {type(parent).__name__}"):
        recorder.set_parent(parent)
    _require_untouched(recorder)


def test_collection_is_no_parent(tmp_path: Path) -> None:
    """A collection has a recorder above all experiments, and is none itself."""
    with pytest.raises(TypeError, match="not a ExperimentCollection"):
        Recorder().set_parent(ExperimentCollection(tmp_path / "c"))  # type: ignore[arg-type]


def test_attached_recorder_stays_in_its_collection(tmp_path: Path) -> None:
    """It can't move to another collection or into memory, and the message says how to copy it."""
    with (
        ExperimentCollection(tmp_path / "a") as a,
        ExperimentCollection(tmp_path / "b") as b,
        a.new_experiment() as of_a,
        b.new_experiment() as of_b,
    ):
        moving = of_a.child(m=1).push(x=1)
        for parent in (of_b, Recorder()):
            with pytest.raises(AttachedError, match=r"save_to.*load_from"):
                moving.set_parent(parent)
        assert moving.parent is of_a
        assert [row["x"] for row in a.records] == [1]
        assert len(b.records) == 0
        moving.save_to(tmp_path / "x.pickle")
        Recorder.load_from(tmp_path / "x.pickle").set_parent(of_b)
        assert [(row["m"], row["x"]) for row in b.records] == [(1, 1)]


def test_closed_collection_refuses_and_names_the_way_out(tmp_path: Path) -> None:
    """Every way of logging is refused after ``close``; reading goes on."""
    collection = ExperimentCollection(tmp_path / "c")
    with collection.new_experiment() as experiment:
        experiment.push(x=1)
    collection.close()
    for log in (
        lambda: experiment.push(x=2),
        lambda: experiment.update(late=1),
        lambda: experiment.child(a=1),
        lambda: experiment.extend({"x": [1]}),
        lambda: Recorder().push(x=1).set_parent(experiment),
    ):
        with pytest.raises(ClosedError, match="open it again"):
            log()
    assert [row["x"] for row in collection.records] == [1]
    assert "late" not in experiment.local_data


@pytest.mark.parametrize("key", ["experiment_number", "had_error", "experiment_end_time"])
def test_keys_of_a_collection_are_reserved(tmp_path: Path, key: str) -> None:
    """What a collection says of every experiment itself can't be given as its info."""
    with ExperimentCollection(tmp_path / "c") as collection:
        with pytest.raises(ReservedKeyError, match=f"{key}.*another"):
            collection.new_experiment({key: 1})
        assert len(collection) == 0


@pytest.mark.parametrize("value", ["x" * 2000, b"x" * 2000, ["x" * 2000]])
def test_a_value_of_too_many_bytes_is_refused(
    recorder: Recorder, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no column can point to is refused with the way out; what fits is kept."""
    monkeypatch.setattr(classify, "_MOST_BYTES", 1_000)
    with pytest.raises(UnsupportedValueError, match="'x': a value of 2,... bytes .* its path"):
        recorder.push(x=value)
    recorder.push(y="y" * 900)
    assert recorder.records[-1]["y"] == "y" * 900


@pytest.mark.parametrize("index", ["x", None, 1.0, ("x", 1)])
def test_what_is_no_index_of_a_record_is_refused(index: Any) -> None:
    """Records have no columns by name, as a table has: the way to those is reported."""
    records = Recorder().push(x=1).records
    with pytest.raises(
        TypeError, match="is not a valid index of a record; expected an int or a slice"
    ) as e:
        records[index]
    assert ("for a column use records.to_arrow()['x']" in str(e.value)) is (index == "x")
    assert records[np.int64(-1)] == {"x": 1}


@pytest.mark.parametrize(
    "call",
    [
        lambda collection: collection.tree(depth="a"),
        lambda collection: collection.recorder.tree(depth=1.5),
        lambda collection: collection.recorder.tree(children="a"),
        lambda collection: collection.sql(None),
        lambda collection: collection.records.sql(5),
        lambda collection: collection.records.sql(b"SELECT 1"),
    ],
)
def test_arguments_of_another_type_are_reported(tmp_path: Path, call: Callable[[Any], Any]) -> None:
    """In the words of this library, with what was expected."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with pytest.raises(ArgumentTypeError, match="expected an int|a query is text"):
            call(collection)


@pytest.mark.parametrize("info", [5, 0, [], [("a", 1)], "text"])
def test_info_that_is_no_mapping_is_refused(tmp_path: Path, info: Any) -> None:
    """Also where it is empty."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with pytest.raises(UnsupportedTypeError, match="one mapping, not as a"):
            collection.new_experiment(info)


@pytest.mark.parametrize("resume", [None, "auto"])
def test_info_that_can_not_be_stored_is_refused_at_the_call(tmp_path: Path, resume: Any) -> None:
    """No experiment begins; what is changed after the call changes none that was accepted."""
    with ExperimentCollection(tmp_path / "c", quiet=True, strict=True) as collection:
        for value, error, named, way_out in UNKEEPABLE.values():
            with pytest.raises(error, match=way_out) as caught:
                collection.new_experiment({"fine": 1, "the key": value}, resume=resume)
            assert "'the key'" in str(caught.value)
            assert named in str(caught.value)
        assert collection.experiment_numbers == ()
        config = {"layers": [1]}
        begun = collection.new_experiment(config=config, resume=resume)
        config["layers"].append(2)
        with begun as experiment:
            experiment.push(x=1)
        assert collection.records[0]["config"] == {"layers": [1]}


def test_steps_of_slices_may_be_of_any_size() -> None:
    """As of a list."""
    recorder = Recorder().extend({"x": [0, 1, 2]})
    for step in (10**20, -(10**20), 2**63, -(2**63) - 1):
        assert [row["x"] for row in recorder.records[::step]] == [0, 1, 2][::step]
