"""Values, keys and calls that do what nobody expects: an error or a stored record, never a crash."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._values.foreign import CONVERTERS
from rigorous_recorder.errors import (
    ClosedError,
    KeyNotTextError,
    RigorousError,
    UnsupportedTypeError,
    UnsupportedValueError,
)

ROOT = Path(__file__).parents[2]
PATIENCE = 30  # seconds, for what should take a moment


class Hook:
    """What a hostile value does, once, when it is looked at."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.is_armed = False
        self.action = action

    def __call__(self) -> None:
        if self.is_armed:
            self.is_armed = False
            self.action()


# --- values whose code is somebody else's ------------------------------------------------------


class Convertible(float):
    """A value that a converter is known for."""

    hook: Hook


def _float(hook: Hook) -> Any:
    class Hostile(float):
        def __float__(self) -> float:
            hook()
            return 1.5

    return Hostile(1.5)


def _int(hook: Hook) -> Any:
    class Hostile(int):
        def __int__(self) -> int:
            hook()
            return 7

        __index__ = __int__

    return Hostile(7)


def _index(hook: Hook) -> Any:
    class Hostile:
        def __index__(self) -> int:
            hook()
            return 7

        __int__ = __index__

        def __float__(self) -> float:
            hook()
            return 7.0

    return Hostile()


def _text(hook: Hook) -> Any:
    class Hostile(str):
        __slots__ = ()

        def __str__(self) -> str:
            hook()
            return "x"

        def encode(self, *_: Any) -> bytes:  # type: ignore[override]
            hook()
            return b"x"

    return Hostile("text")


def _bytes(hook: Hook) -> Any:
    class Hostile(bytes):
        def __bytes__(self) -> bytes:
            hook()
            return b"x"

        def __len__(self) -> int:
            hook()
            return 100

    return Hostile(b"bytes")


def _dict(hook: Hook) -> Any:
    class Hostile(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            hook()
            return super().items()

    return Hostile(a=1)


def _mapping(hook: Hook) -> Any:
    class Hostile(Mapping):  # type: ignore[type-arg]
        def __len__(self) -> int:
            hook()
            return 1

        def __iter__(self) -> Iterator[str]:
            hook()
            return iter(["a"])

        def __getitem__(self, key: str) -> int:
            hook()
            return 1

    return Hostile()


def _list(hook: Hook) -> Any:
    class Hostile(list):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[Any]:
            hook()
            return super().__iter__()

        def __len__(self) -> int:
            hook()
            return 1

    return Hostile([1])


def _leaf(hook: Hook) -> Any:
    class Hostile:
        dtype = "float64"

        def tolist(self) -> float:
            hook()
            return 1.5

    return [Hostile()]


def _dtype(hook: Hook) -> Any:
    class Hostile:
        shape = ()

        @property
        def dtype(self) -> str:
            hook()
            return "float64"

        def item(self) -> float:
            return 1.5

    return Hostile()


def _shape(hook: Hook) -> Any:
    class Hostile:
        dtype = "float64"

        @property
        def shape(self) -> tuple[int, ...]:
            hook()
            return ()

        def item(self) -> float:
            return 1.5

    return Hostile()


def _item(hook: Hook) -> Any:
    class Hostile:
        dtype = "float64"
        shape = ()

        def item(self) -> float:
            hook()
            return 1.5

    return Hostile()


def _array(hook: Hook) -> Any:
    class Hostile:
        dtype = "float64"
        shape = (2,)

        def __array__(self, *_: Any, **__: Any) -> Any:
            hook()
            return np.ones(2)

    return Hostile()


def _dlpack(hook: Hook) -> Any:
    class Hostile:
        dtype = "float64"
        shape = ()

        def __dlpack_device__(self) -> tuple[int, int]:
            hook()
            return 1, 0

        def item(self) -> float:
            return 1.5

    return Hostile()


def _device(hook: Hook) -> Any:
    class Hostile:
        dtype = "float64"
        shape = ()

        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

        def copy(self) -> Any:
            hook()
            return self

        def get(self) -> Any:
            return np.float64(1.5)

    return Hostile()


def _date(hook: Hook) -> Any:
    class Hostile(dt.date):
        def toordinal(self) -> int:
            hook()
            return super().toordinal()

    return Hostile(2024, 1, 1)


def _day(hook: Hook) -> Any:
    class Number:
        def __index__(self) -> int:
            hook()
            return 7

    class Ordinal:
        def __sub__(self, other: object) -> Any:
            return Number()

    class Hostile(dt.date):
        def toordinal(self) -> Any:
            return Ordinal()

    return Hostile(2024, 1, 1)


def _datetime(hook: Hook) -> Any:
    class Hostile(dt.datetime):
        def replace(self, *_: Any, **__: Any) -> Any:
            hook()
            return dt.datetime(2024, 1, 1)

    return Hostile(2024, 1, 1)


def _zone(hook: Hook) -> Any:
    class Hostile(dt.tzinfo):
        def utcoffset(self, _when: dt.datetime | None) -> dt.timedelta:
            hook()
            return dt.timedelta(hours=1)

        def dst(self, _when: dt.datetime | None) -> None:
            return None

    return dt.datetime(2024, 1, 1, tzinfo=Hostile())


def _timedelta(hook: Hook) -> Any:
    class Hostile(dt.timedelta):
        def __floordiv__(self, other: Any) -> Any:
            hook()
            return super().__floordiv__(other)

    return Hostile(seconds=1)


def _converter(hook: Hook) -> Any:
    value = Convertible(1.5)
    value.hook = hook
    return value


VALUES: dict[str, Callable[[Hook], Any]] = {
    "__float__ of a float": _float,
    "__int__ of an int": _int,
    "__index__ of no int": _index,
    "__str__ of a str": _text,
    "__bytes__ and __len__ of bytes": _bytes,
    "items() of a dict": _dict,
    "methods of a mapping": _mapping,
    "__iter__ and __len__ of a list": _list,
    "tolist() inside a list": _leaf,
    "dtype": _dtype,
    "shape": _shape,
    "item()": _item,
    "__array__": _array,
    "__dlpack_device__": _dlpack,
    "copy() of a device value": _device,
    "toordinal() of a date": _date,
    "__index__ of a date's ordinal": _day,
    "replace() of a datetime": _datetime,
    "utcoffset() of a time zone": _zone,
    "__floordiv__ of a timedelta": _timedelta,
    "a converter": _converter,
}


def _key(hook: Hook) -> dict[Any, Any]:
    class Hostile(str):
        __slots__ = ()

        def __hash__(self) -> int:
            hook()
            return 1

        def __eq__(self, other: object) -> bool:
            hook()
            return self is other

    return {"value": 1.5, Hostile("value"): 2.5, Hostile("other"): 3}


def _keys(hook: Hook) -> Any:
    class Hostile(dict):  # type: ignore[type-arg]
        def keys(self) -> Any:
            hook()
            return super().keys()

        def __getitem__(self, key: Any) -> Any:
            hook()
            return super().__getitem__(key)

        def __iter__(self) -> Iterator[Any]:
            hook()
            return super().__iter__()

    return Hostile(value=1.5)


#: Fields as they are handed to ``push``.
FIELDS: dict[str, Callable[[Hook], Any]] = {
    "__hash__ and __eq__ of a key": _key,
    "keys() of the fields": _keys,
    **{
        name: lambda hook, make=make: {"value": make(hook)}  # type: ignore[misc]
        for name, make in VALUES.items()
    },
}


@pytest.fixture(autouse=True)
def _a_converter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONVERTERS, Convertible, _convert)


def _convert(value: Convertible) -> float:
    value.hook()
    return 1.5


@pytest.fixture(scope="module", params=["memory", "folder"])
def parent(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recorder]:
    """What the recorders of the tests stand below."""
    with ExperimentCollection(tmp_path_factory.mktemp("hostile") / "study") as collection:
        top = Recorder(top=True)
        yield top if request.param == "memory" else top.set_parent(collection.recorder)


@pytest.fixture
def recorder(parent: Recorder) -> Recorder:
    """A recorder whose table knows the columns of the usual records."""
    made = parent.child(test=True)
    for number in (-3, -2, -1):
        made.push(number=number, value=1.5)
    return made


def numbers(recorder: Recorder) -> list[Any]:
    return [row["number"] for row in recorder.records if "number" in row]


def try_push(recorder: Recorder, fields: Any) -> bool:
    """Whether the record was stored; an error is as good, if nothing was logged."""
    try:
        recorder.push(fields)
    except Exception:  # noqa: BLE001 - whatever the value raised
        return False
    return True


@pytest.mark.parametrize("name", FIELDS)
class TestAHostileValue:
    """While a value is looked at, its own code runs."""

    def try_with(self, name: str, recorder: Recorder, action: Callable[[Any], object]) -> None:
        hook = Hook(lambda: action(fields))
        fields = FIELDS[name](hook)
        fields["number"] = 0
        hook.is_armed = True
        is_kept = try_push(recorder, fields)
        hook.is_armed = False
        recorder.push(number=1, value=2.5)
        assert [n for n in numbers(recorder) if n < 100] == [-3, -2, -1, *[0] * is_kept, 1]

    def test_that_raises(self, name: str, recorder: Recorder) -> None:
        """An error of a value's own leaves no record, or one; those before and after are there."""

        def action(_: object) -> None:
            raise ZeroDivisionError

        self.try_with(name, recorder, action)

    def test_that_pushes(self, name: str, recorder: Recorder) -> None:
        """Records that a value pushes meanwhile are there once, as the record that it is in."""
        self.try_with(name, recorder, lambda _: recorder.push(number=100, value=0.5))
        assert numbers(recorder).count(100) <= 1

    def test_that_pushes_wider_records(self, name: str, recorder: Recorder) -> None:
        """So are those that widen the table and are long."""

        def action(_: object) -> None:
            recorder.push({"number": 101, f"only in {name}": 1, "text": "long" * 99})
            recorder.push(number=102, value="text")

        self.try_with(name, recorder, action)
        assert [n for n in numbers(recorder) if n > 100] in ([], [101, 102])

    def test_that_pushes_what_is_refused(self, name: str, recorder: Recorder) -> None:
        """A record that is refused is refused to whoever pushes it, also in the middle of another.

        The record around it is not concerned.
        """
        answers = []

        def action(_: object) -> None:
            answers.append(try_push(recorder, {"number": 103, "value": object()}))

        self.try_with(name, recorder, action)
        assert answers in ([], [False])
        assert 103 not in numbers(recorder)

    def test_that_changes_the_fields(self, name: str, recorder: Recorder) -> None:
        """A dict that is changed while it is pushed gives one record or an error."""

        def action(fields: Any) -> None:
            fields.clear()
            fields.update(number=104, late=1)
            fields.update(dict.fromkeys(map(str, range(100)), "late" * 9))

        hook = Hook(lambda: action(fields))
        fields = FIELDS[name](hook)
        fields["number"] = 0
        hook.is_armed = True
        is_kept = try_push(recorder, fields)
        hook.is_armed = False
        recorder.push(number=1)
        assert len(recorder.records) == 4 + is_kept
        assert [n for n in numbers(recorder) if n not in {0, 104}] == [-3, -2, -1, 1]

    def test_that_reads_and_syncs(self, name: str, recorder: Recorder) -> None:
        """Records can be read and synced in the middle of another one."""
        seen = []

        def action(_: object) -> None:
            recorder.sync()
            seen.append(numbers(recorder))

        self.try_with(name, recorder, action)
        assert seen in ([], [[-3, -2, -1]])

    def test_that_extends_and_adds(self, name: str, recorder: Recorder) -> None:
        """Many rows at once, and data of the node, said in the middle of a record, are there."""
        ran = []

        def action(_: object) -> None:
            recorder.extend({"number": [200, 201], "note": ["x" * 40, "y"]})
            recorder["late"] = name
            ran.append(True)

        self.try_with(name, recorder, action)
        assert [n for n in numbers(recorder) if n >= 200] == [200, 201] * len(ran)
        assert recorder.get("late") == (name if ran else None)

    def test_in_data_of_a_node(self, name: str, recorder: Recorder) -> None:
        """The same values in a node's data and in what is added: stored, or an error."""
        for set_it in (recorder.update, recorder.add):
            hook = Hook(lambda: recorder.push(number=100))
            fields = FIELDS[name](hook)
            hook.is_armed = True
            try:
                set_it(fields)
            except Exception:  # noqa: BLE001 - whatever the value raised
                assert dict(recorder.pending) == {}
        recorder.push(number=1)
        assert [n for n in numbers(recorder) if n != 100] == [-3, -2, -1, 1]


CLOSERS = ("a converter", "item()", "items() of a dict", "keys() of the fields")


def close_in_the_middle(folder: str) -> None:
    """For a process of its own: values that close the collection of their recorder."""
    CONVERTERS[Convertible] = _convert
    for turn, name in enumerate(CLOSERS):
        collection = ExperimentCollection(f"{folder}/{turn}", quiet=True)
        recorder = collection.recorder.child(name=name)
        for number in range(3):
            recorder.push(number=number, value=1.5)
        hook = Hook(collection.close)
        fields = FIELDS[name](hook)
        fields["number"] = 3
        hook.is_armed = True
        print(json.dumps(try_push(recorder, fields)), flush=True)  # noqa: T201 - to the test
        assert not hook.is_armed
        collection.close()


def run(code: str, *arguments: str) -> list[str]:
    """The lines that a process prints, which must end well and soon."""
    try:
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", code, *arguments],
            cwd=ROOT,
            text=True,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"it does not come to an end: {error.stdout!r}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_that_closes(tmp_path: Path) -> None:
    """A value that closes its collection is an error or a stored record, and all others are saved."""
    said = run(
        f"import sys; from {__name__} import close_in_the_middle as f; f(sys.argv[1])",
        str(tmp_path),
    )
    assert len(said) == len(CLOSERS)
    for turn, is_kept in enumerate(map(json.loads, said)):
        with ExperimentCollection(tmp_path / str(turn), quiet=True) as collection:
            found = [row["number"] for row in collection.records]
            assert found == [0, 1, 2] + [3] * is_kept, CLOSERS[turn]
            assert collection.verify() == []


CRASHES = {
    # Two keys of the same text that are not equal: both texts go to one column.
    "long texts under one name": """
class Key(str):
    __hash__ = lambda self: 7
    __eq__ = lambda self, other: self is other
recorder.push({"a": "x" * 60_000, Key("a"): "y" * 60_000})
for number in range(200):
    recorder.push(a="z" * 100, number=number)
rows = list(recorder.records)
assert set(rows[0]["a"]) <= set("xy"), rows[0]["a"][:100]
assert [(row["a"], row["number"]) for row in rows[1:]] == [("z" * 100, n) for n in range(200)]
""",
    # A tensor that was added is replaced, and its finalizer logs all that was added.
    "a finalizer that commits": """
class Tensor:
    dtype, shape = "float32", ()
    __dlpack_device__ = lambda self: (2, 0)
    get = copy = lambda self: self
    __del__ = lambda self, recorder=recorder: recorder.commit()
recorder.push(number=0)
recorder.add(a=Tensor())
recorder.add(a=1.0, b=2.0, c=3.0).commit()
found = {key: value for row in recorder.records for key, value in row.items() if value is not None}
assert found == {"number": 0, "a": 1.0, "b": 2.0, "c": 3.0}, found
""",
    "a finalizer that changes the dict": """
class Tensor:
    dtype, shape = "float32", ()
    __dlpack_device__ = lambda self: (2, 0)
    get = copy = lambda self: self
    __del__ = lambda self: fields.clear()
recorder.push(number=0)
recorder.add(a=Tensor())
fields = {"a": 1.0, "b": "".join(["te", "xt"]) * 9, "c": "".join(["mo", "re"]) * 9}
recorder.add(fields).commit()
assert recorder.records[1]["a"] == 1.0
""",
    # Called by native code, which says so when there are no keywords.
    "no keywords": """
import ctypes
call = ctypes.pythonapi.PyObject_Vectorcall
call.restype = ctypes.py_object
call.argtypes = [ctypes.py_object, ctypes.c_void_p, ctypes.c_size_t, ctypes.py_object]
recorder.push(number=0)
assert call(recorder.push, None, 0, ()) is recorder
assert call(recorder.add, None, 0, ()) is recorder
assert len(recorder.records) == 2
""",
}


def test_what_could_crash() -> None:
    """None of these ends the process, and all that was logged is there."""
    code = """
import sys, traceback
from rigorous_recorder import Recorder
failed = False
for code in sys.argv[1:]:
    print(code, file=sys.stderr, flush=True)
    try:
        exec(code, {"recorder": Recorder()})
    except Exception:
        failed = True
        traceback.print_exc()
sys.exit(failed)
"""
    run(code, *CRASHES.values())


def test_a_record_is_not_mixed_with_one_that_was_refused(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An array of a record that was refused in the middle of another one is not in that."""
    for _ in range(3):
        recorder.push(number=-1, array=np.zeros(3))

    def convert(_value: Convertible) -> int:
        with pytest.raises(UnsupportedTypeError):
            recorder.push(array=np.ones(3), number=2j)
        return 5

    monkeypatch.setitem(CONVERTERS, Convertible, convert)
    recorder.push(array=np.zeros(3), number=Convertible(5))
    found = recorder.records[-1]
    assert found["number"] == 5
    assert found["array"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("way", ["converter", "item"])
def test_a_tree_that_moves_in_the_middle_of_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A record whose value moves its recorder into a collection is there, in the collection."""
    recorder = Recorder(moving=True)
    for number in range(3):
        recorder.push(number=number, value=1.5)
    with ExperimentCollection(tmp_path / "study") as collection:
        hook = Hook(lambda: recorder.set_parent(collection.recorder))
        value = (_converter if way == "converter" else _item)(hook)
        hook.is_armed = True
        recorder.push(number=3, value=value)
        recorder.push(number=4)
        assert not hook.is_armed
        assert [row["number"] for row in collection.records] == [0, 1, 2, 3, 4]


def test_a_type_without_a_module(recorder: Recorder) -> None:
    """A value of a type that says nothing of where it is from is stored, or refused, not both."""
    kind = type("Nowhere", (float,), {"__module__": None})
    for number in range(3):
        is_kept = try_push(recorder, {"number": number, "value": kind(1.5)})
        assert numbers(recorder).count(number) == is_kept


def test_a_type_that_has_no_hash(recorder: Recorder) -> None:
    """A value of a type that no set or dict can have is stored."""

    class Meta(type):
        def __hash__(cls) -> int:
            raise RuntimeError("types like this have no hash")

    class Odd(float, metaclass=Meta):
        pass

    recorder.push(x=Odd(1.5)).push(x=Odd(2))
    assert [row["x"] for row in recorder.records][-2:] == [1.5, 2.0]


def test_a_finalizer_that_pushes(recorder: Recorder) -> None:
    """Records that finalizers of logged values push are there once, and in order."""

    class Last(float):
        def __del__(self) -> None:
            other.push(number=1000, value=0.5)

    other = recorder.child()
    for number in range(50):
        recorder.push({"number": number, "value": Last(number)})
        recorder.push(number=number, value=Last(number))
        recorder.add(value=Last(number), number=number).commit()
    assert numbers(recorder) == [-3, -2, -1, *(n for n in range(50) for _ in "abc")]
    assert numbers(other) == [1000] * 150


def test_keys_that_are_a_subclass_of_str(recorder: Recorder) -> None:
    """They name the same columns as plain text does, however they hash and compare."""

    class Plain(str):
        __slots__ = ()

    class Odd(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Odd)

    for key in (Plain("value"), Odd("value")):
        for _ in range(3):
            recorder.push({key: 2.5})
            recorder.push(**{key: 2.5})
            recorder.add({key: 2.5}).commit()
            recorder.add(**{key: 2.5}).commit()
    assert [row["value"] for row in recorder.records] == [1.5] * 3 + [2.5] * 24
    assert all(type(key) is str for row in recorder.records for key in row)
    recorder.push({"value": 1.5, Odd("value"): 2.5})
    assert recorder.records[-1]["value"] in {1.5, 2.5}
    assert len(recorder.records) == 28


@pytest.mark.parametrize("value", [1 << 20_000, -1 << 20_000], ids=int.bit_length)
def test_huge_ints(recorder: Recorder, value: int) -> None:
    """Ints that Python makes no text of are refused wherever they come."""
    for _ in range(3):
        for fields in ({"number": value}, {"number": 1, "value": value}, {"new": value}):
            with pytest.raises(UnsupportedValueError, match="20,001 bits"):
                recorder.push(fields)
            with pytest.raises(UnsupportedValueError, match="20,001 bits"):
                recorder.push(**fields)
            with pytest.raises(UnsupportedValueError, match="20,001 bits"):
                recorder.add(fields)
    recorder.push(number=2**63 - 1)
    assert numbers(recorder) == [-3, -2, -1, 2**63 - 1]


def test_a_value_nested_too_deeply(recorder: Recorder) -> None:
    """It is refused, as one that contains itself; one within the limit is stored."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, {"a": deep}):
        with pytest.raises(UnsupportedValueError, match="deep"):
            recorder.push(number=0, value=value)
    while deep:  # else its deallocation nests, too
        deep = deep[0]
    assert numbers(recorder) == [-3, -2, -1]


def test_pushes_where_the_stack_ends(recorder: Recorder) -> None:
    """At any distance from the end of the stack a push is an error or stored, at most once."""
    kept: list[int] = []

    def dive(depth: int) -> None:
        recorder.push(number=depth, value=0.5 if depth % 2 else {"a": [depth]})
        kept.append(depth)
        dive(depth + 1)

    for _ in range(3):
        with pytest.raises(RecursionError):
            dive(len(numbers(recorder)))
    found = numbers(recorder)[3:]
    assert len(found) == len(set(found))
    assert [n for n in found if n in set(kept)] == kept
    recorder.push(number=-4)
    assert numbers(recorder)[-1] == -4


def test_a_dict_that_another_thread_changes(recorder: Recorder) -> None:
    """Each push of a dict that is being changed is one record or an error."""
    fields: dict[str, Any] = {"number": 0, "value": 0.5, "inner": {}}
    is_over = threading.Event()

    def change() -> None:
        n = 0
        while not is_over.is_set():
            n += 1
            key = f"key {n % 30}"
            fields[key] = fields["inner"][key] = "text" * (n % 9)
            if n % 30 == 29:
                for each in range(30):
                    fields.pop(f"key {each}", None)
                    fields["inner"].pop(f"key {each}", None)

    thread = threading.Thread(target=change)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        kept = sum(try_push(recorder, fields) for _ in range(400))
        is_there = {"number": 0, "value": 0.5}
        kept += sum(try_push(recorder, {**is_there, "inner": fields["inner"]}) for _ in range(100))
    finally:
        is_over.set()
        thread.join()
        sys.setswitchinterval(before)
    assert kept
    assert numbers(recorder) == [-3, -2, -1] + [0] * kept
    assert all(row["value"] in {0.5, 1.5} for row in recorder.records)


BASE = np.arange(24, dtype="float64").reshape(4, 6)
ARRAYS: dict[str, Any] = {
    "every second": BASE[:, ::2],
    "transposed": BASE.T,
    "backwards": BASE[::-1, ::-1],
    "in the order of Fortran": np.asfortranarray(BASE),
    "of one value": np.broadcast_to(np.float64(1.5), (4, 6)),
    "read only": np.frombuffer(BASE.tobytes()),
    "unaligned": np.frombuffer(b"\0" + BASE.tobytes(), "u1")[1:].view("float64"),
    "a subclass": BASE.view(np.recarray),
    "with a mask that hides nothing": np.ma.masked_array(BASE, mask=BASE > 99),
    "a matrix of no rows": BASE[:, :0],
    "empty": BASE[0, :0],
    "of bytes in another order": BASE.astype(">f8"),
    "of ints in another order": np.array([2**40, -1], ">i8"),
    "of half floats": BASE.astype("float16"),
    "of bools": BASE > 4,
    "of 64 bits without a sign": np.array([2**64 - 1, 0], "uint64"),
}
BAD_ARRAYS: dict[str, Any] = {
    "of objects": np.array([object(), None]),
    "of complex numbers": BASE.astype(complex),
    "of long doubles": BASE.astype("longdouble"),
    "of texts": np.array(["a", "b"]),
    "of records": np.zeros(3, [("a", "f8")]),
    "of times": np.zeros(3, "datetime64[us]"),
    "without rows": BASE[:0],
}


@pytest.mark.parametrize("name", ARRAYS)
def test_odd_arrays(recorder: Recorder, name: str) -> None:
    """Arrays of any layout are stored with their numbers, beside those of the plain layout."""
    array = ARRAYS[name]
    plain = np.zeros(array.shape, array.dtype)
    for _ in range(3):
        recorder.push({f"array {name}": plain})
        recorder.push({f"array {name}": array})
        recorder.push(**{f"array {name}": array})
    found = [row[f"array {name}"] for row in recorder.records][3:]
    expected = [plain, np.asarray(array), np.asarray(array)] * 3
    for each, wanted in zip(found, expected, strict=True):
        assert each.dtype == wanted.dtype.newbyteorder("=")
        np.testing.assert_array_equal(each, wanted)


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_arrays_that_are_refused(recorder: Recorder, name: str) -> None:
    """Arrays that can't be stored are refused also under a key that has arrays of their shape."""
    array = BAD_ARRAYS[name]
    key = f"array {name}"
    for _ in range(3):
        if array.size:
            recorder.push({key: np.zeros(array.shape)})
        with pytest.raises(RigorousError, match=key):
            recorder.push({"number": 0, key: array})
        with pytest.raises(RigorousError, match=key):
            recorder.push(**{key: array}, number=0)
    assert 0 not in numbers(recorder)


def test_an_array_that_is_resized_and_changed(recorder: Recorder) -> None:
    """What is in the record is the array as it was at the push."""
    array = np.zeros(3)
    expected = []
    for n in range(1, 30):
        array.resize(1 + n % 3, refcheck=False)
        array[:] = n
        recorder.push(array=array, number=n)
        expected.append([n] * (1 + n % 3))
        array[:] = -1
    assert [row["array"].tolist() for row in recorder.records[3:]] == expected


def test_an_array_that_another_thread_resizes(recorder: Recorder) -> None:
    """Each push is one record with a whole array, or an error."""
    array = np.zeros(3)
    is_over = threading.Event()

    def change() -> None:
        n = 0
        while not is_over.is_set():
            n += 1
            array.resize(1 + n % 300, refcheck=False)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        kept = sum(try_push(recorder, {"number": 0, "array": array.copy()}) for _ in range(300))
    finally:
        is_over.set()
        thread.join()
    assert kept
    assert numbers(recorder) == [-3, -2, -1] + [0] * kept


# --- wrong calls -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["push", "add"])
def test_wrong_calls(recorder: Recorder, method: str) -> None:
    """Calls that make no sense are errors that name the right call, and log nothing."""
    call = getattr(recorder, method)
    for wrong in (1, "text", [1], (("a", 1),), object()):
        with pytest.raises(UnsupportedTypeError, match="as keywords or as one mapping"):
            call(wrong)
        with pytest.raises(UnsupportedTypeError, match="as keywords or as one mapping"):
            call(wrong, number=0)
    with pytest.raises(TypeError, match="positional argument"):
        call({}, {})
    with pytest.raises(TypeError, match="positional argument"):
        call({}, {}, number=0)
    with pytest.raises(KeyNotTextError):
        call({1: 1})
    with pytest.raises(TypeError):
        call(**{1: 1})  # type: ignore[misc]
    with pytest.raises(UnsupportedValueError, match="surrogate"):
        call({"\ud800": 1})
    with pytest.raises(UnsupportedValueError, match="surrogate"):
        call(**{"\ud800": 1})
    with pytest.raises(UnsupportedValueError, match="surrogate"):
        call(text="\ud800")
    with pytest.raises(TypeError):
        recorder.commit({})  # type: ignore[call-arg]
    assert dict(recorder.pending) == {}
    assert numbers(recorder) == [-3, -2, -1]


def test_odd_calls_that_are_right(recorder: Recorder) -> None:
    """A dict unpacked, None for no mapping, nothing at all: each is what it says."""
    recorder.push(**{"number": 0})  # noqa: PIE804 - this is what is tested
    recorder.push(None, number=1)
    recorder.push({}, number=2)
    recorder.push({"number": 0, "value": 0.5}, number=3)
    recorder.push({"number": 4}, **{})  # noqa: PIE804 - as above
    recorder.add().add({}).add(None)
    assert dict(recorder.pending) == {}
    recorder.add({"number": 0}, number=5).commit()
    recorder.add(number=0).push(number=6)
    recorder.add(number=0).push({"number": 7})
    assert numbers(recorder)[3:] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert recorder.records[6]["value"] == 0.5


def test_records_of_nothing(recorder: Recorder) -> None:
    """A push or a commit without any fields is a record, which has the data of its recorder."""
    recorder.push()
    recorder.push({})
    recorder.commit()
    rows = [dict(row) for row in recorder.records]
    assert len(rows) == 6
    assert all(row.get("number") is None and row["test"] for row in rows[3:])


def test_pushes_after_the_collection_was_closed(tmp_path: Path) -> None:
    """Every way to log is an error then, also for records of a shape that went in before."""
    collection = ExperimentCollection(tmp_path / "study")
    recorder = collection.recorder.child()
    for number in range(5):
        recorder.push(number=number)
        recorder.add(number=number).commit()
    recorder.add(number=6)
    collection.close()
    for call in (
        lambda: recorder.push(number=5),
        lambda: recorder.push({"number": 5}),
        recorder.commit,
        lambda: recorder.extend({"number": [5]}),
        lambda: recorder.update(number=5),
    ):
        with pytest.raises(ClosedError):
            call()
    assert len(ExperimentCollection(tmp_path / "study")) == 10
