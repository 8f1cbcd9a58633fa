"""What a configuration holds: its plain forms, objects in place of mappings, and what is left."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import pickle
import types
import uuid
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import pydantic
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._values import lenient
from rigorous_recorder.errors import (
    AttributeTypeWarning,
    RigorousError,
    UnsupportedTypeError,
    UnsupportedValueError,
)

from ..property.strategies import exact


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Size(NamedTuple):
    width: int
    height: int


FLOAT = np.dtype("float32")


@dataclasses.dataclass
class Optimizer:
    #: Of the class, and so no field.
    family: ClassVar[str] = "sgd"
    lr: float = 0.1
    path: pathlib.Path = pathlib.Path("runs/1")
    #: What has these is not always an array.
    dtype: Any = FLOAT
    shape: tuple[int, ...] = (2, 3)


@dataclasses.dataclass(slots=True)
class Training:
    optimizer: Optimizer
    color: Color = Color.RED


class Model(pydantic.BaseModel):
    depth: int = 3
    folder: pathlib.Path = pathlib.Path("models")


def _of_attrs() -> Any:
    """An object as ``attrs`` makes it, which is known by this one attribute of its class."""
    names = [types.SimpleNamespace(name="depth"), types.SimpleNamespace(name="color")]
    return type("Attrs", (), {"__attrs_attrs__": tuple(names), "depth": 2, "color": Color.RED})()


def _of_library(module: str, name: str, text: str) -> Any:
    """A value of a type of a library that need not be installed."""
    kind = type(name, (), {"__module__": module, "__repr__": lambda _: text})
    return kind()


OPTIMIZER = {"lr": 0.1, "path": "runs/1", "dtype": "float32", "shape": [2, 3]}

#: Values, and what is stored of each, as a value of its own and inside of dicts and lists.
FORMS: dict[str, tuple[Any, Any]] = {
    "path": (pathlib.Path("a/b"), "a/b"),
    "path of another system": (pathlib.PureWindowsPath("c:/a"), "c:\\a"),
    "enum": (Color.RED, "RED"),
    "enum of ints": (Level.HIGH, 3),
    "flags": (Access.READ | Access.WRITE, "READ|WRITE"),
    "no flag": (Access(0), 0),
    "uuid": (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    "decimal": (decimal.Decimal("0.10"), "0.10"),
    "long decimal": (decimal.Decimal(f"1.{'0' * 60}1"), f"1.{'0' * 60}1"),
    "time": (dt.time(1, 2, 3, 4), "01:02:03.000004"),
    "dataclass": (Optimizer(), OPTIMIZER),
    "dataclass in a dataclass": (Training(Optimizer()), {"optimizer": OPTIMIZER, "color": "RED"}),
    "named tuple": (Size(2, 3), {"width": 2, "height": 3}),
    "namespace": (
        argparse.Namespace(dtype="bf16", shape=(1,), item=Color.RED),
        {"dtype": "bf16", "shape": [1], "item": "RED"},
    ),
    "simple namespace": (types.SimpleNamespace(a=None), {"a": None}),
    "pydantic": (Model(), {"depth": 3, "folder": "models"}),
    "attrs": (_of_attrs(), {"depth": 2, "color": "RED"}),
    "dtype": (np.dtype(">i4"), ">i4"),
    "dtype of pandas": (pd.CategoricalDtype(), "category"),
    "dtype of torch": (_of_library("torch", "dtype", "torch.bfloat16"), "torch.bfloat16"),
    "device of torch": (_of_library("torch", "device", "cuda:1"), "cuda:1"),
    "size of torch": (type("Size", (tuple,), {"__module__": "torch"})((2, 3)), [2, 3]),
    "set": ({10, 9, 1}, [1, 9, 10]),
    "frozen set of several types": (frozenset({"b", 2, "a"}), [2, "a", "b"]),
    "dict with int keys": ({0: "no", 1: "yes"}, {"0": "no", "1": "yes"}),
    "dict with odd keys": (
        {True: 1, 2.5: 2, Color.RED: 3, np.int64(-7): 4, pathlib.Path("p"): 5},
        {"true": 1, "2.5": 2, "RED": 3, "-7": 4, "p": 5},
    ),
    "ordered dict": (OrderedDict(a=Color.RED), {"a": "RED"}),
    "class": (Optimizer, f"{__name__}.Optimizer"),
    "builtin class": (int, "int"),
    "class of numpy": (np.float32, "numpy.float32"),
    "function": (_of_attrs, f"{__name__}._of_attrs"),
    "builtin function": (print, "print"),
    "method": (Path("x").exists, "Path.exists"),
    "ufunc": (np.tanh, "numpy.tanh"),
}


def _pushed(value: Any) -> Any:
    return Recorder().push(x=value).records[0]["x"]


def _pushed_again(value: Any) -> Any:
    recorder = Recorder()
    for each in (1, {"a": 1}, "text", value, value):
        recorder.push(x=each)
    return recorder.records[-1]["x"]


def _set_late(value: Any) -> Any:
    recorder = Recorder().push(y=1)
    recorder["x"] = value
    assert exact(recorder["x"]) == exact(recorder.records[0]["x"])
    return recorder["x"]


#: The ways by which a value is logged.
WAYS: dict[str, Callable[[Any], Any]] = {
    "push": _pushed,
    "push of several kinds": _pushed_again,
    "add": lambda value: Recorder().add(x=value).commit().records[0]["x"],
    "extend": lambda value: Recorder().extend({"x": [value]}).records[0]["x"],
    "new recorder": lambda value: Recorder(x=value).push(y=1).records[0]["x"],
    "child": lambda value: Recorder(y=1).child(x=value).push(z=1).records[0]["x"],
    "update": _set_late,
}


@pytest.mark.parametrize("way", WAYS)
def test_each_type_has_its_plain_form(way: str) -> None:
    """Alone, and inside of dicts and lists; in records and attributes alike."""
    for name, (value, form) in FORMS.items():
        assert (
            str(WAYS[way](value)).endswith(str(form))
            if name == "method"
            else (exact(WAYS[way](value)) == exact(form))
        ), name
    values = {name: value for name, (value, _) in FORMS.items() if name != "method"}
    forms = {name: form for name, (_, form) in FORMS.items() if name != "method"}
    assert exact(WAYS[way]({"a": values, "b": [values]})) == exact({"a": forms, "b": [forms]})


@dataclasses.dataclass
class Fields:
    lr: float = 0.1
    #: What mappings have, too.
    keys: int = 5


#: Objects that are accepted where a mapping is.
MAPPINGS: dict[str, Any] = {
    "dict": {"lr": 0.1, "keys": 5},
    "dataclass": Fields(),
    "namespace": argparse.Namespace(lr=0.1, keys=5),
    "named tuple": NamedTuple("Pair", [("lr", float), ("keys", int)])(0.1, 5),
    "pydantic": pydantic.create_model("Config", lr=(float, 0.1), keys=(int, 5))(),
}


@pytest.mark.parametrize("name", MAPPINGS)
def test_an_object_with_fields_is_accepted_where_a_mapping_is(tmp_path: Path, name: str) -> None:
    """Keywords win over its fields, as over those of a mapping."""
    config = MAPPINGS[name]
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(config, seed=1) as run:
            assert {key: run[key] for key in ("lr", "keys", "seed")} == {
                "lr": 0.1,
                "keys": 5,
                "seed": 1,
            }
            run.push(config, lr=2.0)
            run.add(config).commit()
            child = run.child(config, lr=3.0)
            child.update(config, keys=6)
            child.push()
        found = [(row["lr"], row["keys"], row["seed"]) for row in collection.records]
    assert found == [(2.0, 5, 1), (0.1, 5, 1), (0.1, 6, 1)]


class Odd:
    """Of no type that has a plain form."""


class Raising:
    def __repr__(self) -> str:
        message = "no text"
        raise ValueError(message)


class Huge:
    def __repr__(self) -> str:
        return "é\ud800" * 10**6


@dataclasses.dataclass
class Hostile:
    """A field that can't be read, one that is made anew at each look, and itself."""

    fine: int = 1
    bad: int = 2
    new: Any = None
    me: Any = None

    def __getattribute__(self, name: str) -> Any:
        if name == "bad":
            message = "not today"
            raise RuntimeError(message)
        return Hostile() if name == "new" else object.__getattribute__(self, name)


def _in_itself() -> Any:
    loop: dict[str, Any] = {"fine": 1}
    loop["again"] = [loop, loop]
    return loop


@pytest.fixture(autouse=True)
def _not_warned_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lenient, "_WARNED", set())


#: Attributes that have no plain form: what is stored, and what the warning says.
LEFT: dict[str, tuple[Any, Callable[[Any], bool], str]] = {
    "object": (Odd(), lambda x: x == f"<{__name__}.Odd object>", "Odd can't be stored"),
    "complex": (1j, lambda x: x == "1j", "complex"),
    "no repr": (Raising(), lambda x: x == "<Raising>", "Raising"),
    "huge repr": (Huge(), lambda x: len(x) <= 4_000 and x.startswith("é\\ud800"), "Huge"),
    "inside of a dict": (
        {"fine": [1, {"odd": Odd(), "at": [b"a"]}], "also": Color.RED},
        lambda x: (
            x
            == {
                "fine": [1, {"odd": f"<{__name__}.Odd object>", "at": ["b'a'"]}],
                "also": "RED",
            }
        ),
        "Odd inside",
    ),
    "odd keys": ({None: 1, (1, 2): 2}, lambda x: x == {"None": 1, "(1, 2)": 2}, "the key None"),
    "keys of one text": ({1: 2, "1": 3}, lambda x: x == {"1": 2, "1_": 3}, "two keys"),
    "in itself": (
        _in_itself(),
        lambda x: x["fine"] == 1 and all(type(each) is str for each in x["again"]),
        "contains itself",
    ),
    "hostile": (
        Hostile(),
        lambda x: x["fine"] == 1 and x["bad"] == "<unreadable: RuntimeError>",
        "Hostile.bad can't be read, it raised RuntimeError|nested",
    ),
    "array of bytes": (np.array([b"a"]), lambda x: x == "array([b'a'], dtype='|S1')", "S1"),
    "array of objects": (
        np.array([1, None, Odd()], dtype=object),
        lambda x: x[:2] == [1, None] and x[2].startswith("<tests.unit"),
        "Odd",
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_an_attribute_of_another_type_is_its_repr(name: str) -> None:
    """With one warning for each key, at the line of the caller; records refuse it."""
    value, is_right, said = LEFT[name]
    with pytest.warns(AttributeTypeWarning, match=f"'the key'.*({said})") as caught:
        recorder = Recorder({"the key": value, "fine": 1})
    assert [each.filename for each in caught] == [__file__]
    assert is_right(recorder["the key"]), recorder["the key"]
    recorder["the key"] = value  # where warnings are errors, this would be one
    assert is_right(recorder.push(x=1).records[0]["the key"])
    assert recorder.records[0]["fine"] == 1
    with pytest.raises(RigorousError, match="'the key'"):
        recorder.push({"the key": value})


def test_an_array_of_text_is_a_list_as_an_attribute() -> None:
    """Without a warning, also inside of a dict; a missing one is None."""
    names = np.array([["a", "b"], ["c", "d"]])
    recorder = Recorder(names=names, data={"labels": np.array(["x", None], dtype=object)})
    assert recorder["names"] == [["a", "b"], ["c", "d"]]
    assert recorder["data"] == {"labels": ["x", None]}
    recorder["frame"] = pd.array(["a", None], dtype="string")
    assert recorder.push(x=1).records[0]["frame"] == ["a", None]
    assert recorder.records[0]["names"] == names.tolist()


def test_where_warnings_are_errors_nothing_is_set_and_the_next_try_warns_again() -> None:
    """As all that is refused."""
    recorder = Recorder(a=1)
    for _ in range(2):
        with pytest.raises(AttributeTypeWarning):
            recorder.update(a=2, b=Odd())
    assert dict(recorder.local_data) == {"a": 1}


def test_strict_collections_refuse_attributes_too(tmp_path: Path) -> None:
    """At each place that takes attributes, also in a copy of the collection."""
    with ExperimentCollection(tmp_path / "c", quiet=True, strict=True) as collection:
        with pytest.raises(UnsupportedTypeError, match="'odd'"):
            collection.new_experiment(odd=Odd())
        with collection.new_experiment(path=Path("x")) as run:
            for way in (run.update, run.child, run.child().update):
                with pytest.raises(UnsupportedTypeError, match="'odd'"):
                    way(odd=Odd())
                with pytest.raises(UnsupportedValueError, match="'odd'"):
                    way(odd=_in_itself())
            run.push(x=1)
            again = pickle.loads(pickle.dumps(collection))
            with pytest.raises(UnsupportedTypeError, match="'odd'"):
                again.new_experiment(odd=Odd())
            again.close()
        assert collection.records[0]["path"] == "x"


def test_a_value_that_can_not_be_stored_exactly_is_refused_also_as_an_attribute() -> None:
    """The message names a way to store it."""
    for value in (pd.Timestamp(1), "\ud800", 10**5000, {"a": ["\ud800"]}):
        with pytest.raises(UnsupportedValueError, match="'x'"):
            Recorder(x=value)


def test_the_repr_is_the_same_in_each_process() -> None:
    """So that ``resume="auto"`` finds the experiment that was begun with such info."""
    with warnings.catch_warnings(action="ignore"):
        assert Recorder(x=Odd())["x"] == Recorder(x=Odd())["x"]


def test_models_of_libraries_that_are_installed() -> None:
    """As the libraries themselves make them."""
    attrs = pytest.importorskip("attrs")
    conf = pytest.importorskip("omegaconf").OmegaConf
    made = attrs.make_class("Made", {"a": attrs.field(default=Color.RED)})()
    config = conf.create({"a": 1, "b": "${a}", "c": [1, "${a}"], "lost": "???"})
    plain = {"a": 1, "b": 1, "c": [1, 1], "lost": "???"}
    recorder = Recorder(made=made, config=config, layers=config.c, odd=conf.create({"x": "${no}"}))
    assert dict(recorder.local_data) == {
        "made": {"a": "RED"},
        "config": plain,
        "layers": [1, 1],
        "odd": {"x": "${no}"},
    }
    assert dict(Recorder(config).local_data) == plain


def test_a_where_by_a_plain_form() -> None:
    """A condition has the plain form of its value, as records do."""
    recorder = Recorder().push(path=Path("a"), color=Color.RED).push(path=Path("b"))
    assert len(recorder.records.where(path=Path("a"), color=Color.RED)) == 1


def test_dicts_and_lists_are_logged_alike_fast_and_carefully() -> None:
    """The fast path takes those with nothing but plain values inside, and changes none."""
    values: list[Any] = [
        [1, 2.5],
        (1, 2),
        {"a": 1, "b": [None, True, "é\u2028"]},
        {"a": [-0.0, 1e300, 10**30, {"b": {}}]},
        [],
        {},
        [[[]]],
        {"long": ["x" * 100] * 3},
        {"a": float("nan"), "b": [float("inf")]},
        {"$value": 1, "$nonfinite": 2},
        [Size(1, 2)],
        {1: 2},
        [Level.HIGH, np.float64(0.5)],
        OrderedDict(z=1, a=2),
    ]
    careful = [Recorder().push(x=value).records[0]["x"] for value in values]
    recorder = Recorder()
    for _ in range(3):
        for value in values:
            recorder.push(x=value, step=1)
            recorder.push({"x": value, "text": "a", "step": 1.5})
    found = [row["x"] for row in recorder.records]
    assert exact(found) == exact([each for value in careful for each in (value, value)] * 3)
    for bad in ([10**5000], ["\ud800"], {"a": {1: 1, "1": 2}}, [Odd()], _in_itself()):
        with pytest.raises(RigorousError, match="'x'"):
            recorder.push(x=bad, step=1)
    assert len(recorder.records) == len(found)
    values[0].append(3)
    assert recorder.records[-1]["x"] == {"z": 1, "a": 2}
    assert recorder.records[0]["x"] == [1, 2.5]
