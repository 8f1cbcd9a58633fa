"""Every value that is stored and every name of a key, and how values are distinguished."""

from __future__ import annotations

import datetime as dt
import tempfile
import zoneinfo
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

__all__ = [
    "KINDS",
    "bigints",
    "exact",
    "family",
    "flat_columns",
    "ints",
    "keys",
    "longer_ints",
    "main_family",
    "scratch_folder",
    "simple_values",
    "values",
]

#: Names that one engine or another has trouble with.
ODD_NAMES: Final = (
    "A",
    "a",
    'say "hi"',
    "it's",
    "a.b",
    "a.b.c",
    "train/loss",
    "..",
    "*",
    "n" * 300,
    "🦆",
    "select",
    "FROM",
    "records",
    "index",
    "",
    "_empty",
    "a\0b",
    "\0",
    "_node",
    "_parent",
    "_time",
    "x",
    "x:int",
    "x:str",
    "x_2",
    "X",
    "c0",
    "r0",
    "n0",
    "ß",
    "ss",
    "İ",
    " a ",
    "a\nb",
    "%s",
    "$1",
    "\\",
    ";--",
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
keys = st.sampled_from(ODD_NAMES) | text.filter(lambda name: name != "#")

ints = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1, 2**53 + 1, 0, 1])
#: Ints beyond 64 bits that a decimal of 128 bits has room for.
bigints = st.integers(2**63, 10**38 - 1).flatmap(
    lambda n: st.sampled_from([n, -n - 1 + (n == 10**38 - 1)])
)
#: And those that it has none for.
longer_ints = st.integers(10**38, 10**60).flatmap(lambda n: st.sampled_from([n, -n])) | st.just(
    10**4300 - 1
)
floats = st.floats() | st.sampled_from([-0.0, float("nan"), float("inf"), 5e-324])

_ZONES: Final = [zoneinfo.ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York")]
_OFFSETS: Final = [
    dt.timezone(dt.timedelta(minutes=m)) for m in (-23 * 60 - 59, -210, -30, 0, 60, 330, 840)
]
_FOLDS: Final = [dt.datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=_ZONES[0]) for fold in (0, 1)]
aware = st.sampled_from(_FOLDS) | st.datetimes(
    dt.datetime(1700, 1, 1),  # pandas crashes on times in zones before 1678
    dt.datetime(9998, 12, 31),
    timezones=st.sampled_from([dt.UTC, *_OFFSETS, *_ZONES]),
    allow_imaginary=False,
)
_MOST: Final = dt.timedelta(microseconds=2**63 - 1)
timedeltas = st.timedeltas(-_MOST, _MOST)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
documents = st.lists(json_values, max_size=3) | st.dictionaries(keys, json_values, max_size=3)

_DTYPES: Final = ["float16", "float32", "float64", "int8", "int64", "uint8", "uint64", "bool"]


@st.composite
def _arrays(draw: st.DrawFn) -> Any:
    """Arrays of one dtype and number of dimensions, of changing shapes or of one."""
    dtype = draw(st.sampled_from(_DTYPES))
    depth = draw(st.integers(1, 3))
    shapes = hnp.array_shapes(min_dims=depth, max_dims=depth, min_side=1, max_side=3)
    if draw(st.booleans()):
        return hnp.arrays(dtype, draw(shapes))
    empty = [st.just(np.zeros((*[2] * (depth - 1), 0), dtype))]
    return st.one_of(hnp.arrays(dtype, shapes), *empty)


_SCALARS: Final = ["bool", "int8", "uint32", "int64", "float16", "float32", "float64"]
#: For each kind a strategy of strategies: what one column of that kind holds.
KINDS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "bool": st.just(st.booleans()),
    "int": st.just(ints),
    "bigint": st.just(bigints),
    "longer int": st.just(longer_ints),
    "float": st.just(floats),
    "str": st.just(text),
    "bytes": st.just(st.binary(max_size=40)),
    "date": st.just(st.dates()),
    "datetime": st.just(st.datetimes()),
    "aware": st.sampled_from([dt.UTC, *_OFFSETS, *_ZONES]).map(
        lambda zone: aware.map(lambda value: value.astimezone(zone))
    ),
    "timedelta": st.just(timedeltas),
    "scalar": st.sampled_from(_SCALARS).map(
        lambda name: hnp.from_dtype(np.dtype(name)).map(np.dtype(name).type)
    ),
    "array": _arrays(),
    "json": st.just(documents),
    "none": st.just(st.none()),
}

#: Any value of any kind.
values = st.one_of(*KINDS.values()).flatmap(lambda column: column)
#: Values whose meeting in one column is easily told; see ``flat_columns``.
simple_values = st.one_of(
    st.none(), st.booleans(), ints, floats, text, st.binary(max_size=20), st.dates(), st.datetimes()
)


def exact(value: Any) -> str:
    """Text that is equal for two values just where they are equal and of one type."""
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape} {exact(value.tolist())}"
    if isinstance(value, np.generic):
        return exact(value.item())
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k!r}: {exact(v)}' for k, v in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(exact(each) for each in value)}]"
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return f"{value.isoformat()} {value.tzinfo} {value.astimezone(dt.UTC).isoformat()}"
    if isinstance(value, dt.datetime):
        return f"datetime {value.isoformat()}"
    return f"{type(value).__name__} {value!r}"


#: The families of kinds of simple values, in the order that decides between equally many.
_FAMILIES: Final = {int: "number", float: "number", str: "str", bool: "bool"} | {
    dt.datetime: "datetime",
    dt.date: "date",
    bytes: "bytes",
    list: "json",
}


def family(value: Any) -> str:
    """The family of a simple value."""
    return _FAMILIES[type(value)]


def main_family(stored: Iterable[Any]) -> str | None:
    """The family of the column that is named as the key, by all values that are stored under it."""
    counts = Counter(family(value) for value in stored if value is not None)
    if not counts:
        return None
    order = list(dict.fromkeys(_FAMILIES.values()))
    most = max(counts, key=lambda each: (counts[each], -order.index(each)))
    return "number" if counts[most] <= 10 * counts["number"] else most


def flat_columns(key: str, found: Sequence[Any], stored: Sequence[Any]) -> dict[str, list[Any]]:
    """The columns of the flat table with the values of a key.

    Args:
        found: for each row its value.
        stored: all values that are stored under the key, hidden ones included.
    """
    main = main_family(stored)
    kinds = {each: set[type]() for each in dict.fromkeys(_FAMILIES.values())}
    for value in stored:
        if value is not None:
            kinds[family(value)].add(type(value))
    columns: dict[str, list[Any]] = {}
    for each, types in sorted(kinds.items(), key=lambda item: item[0] != main):
        name = key if each == main else f"{key}:{_kind_name(types)}"
        if types:
            cast = float if types == {int, float} else _unchanged
            is_here = [value is not None and family(value) == each for value in found]
            columns[name] = [
                cast(value) if here else None for value, here in zip(found, is_here, strict=True)
            ]
    return columns or {key: [None] * len(found)}


def _kind_name(types: set[type]) -> str:
    return "float" if types == {int, float} else "".join(each.__name__ for each in types)


def _unchanged(value: Any) -> Any:
    return value


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder in memory where there is such a place: the tests write thousands of files."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as path:
        yield Path(path)
