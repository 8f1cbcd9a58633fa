"""Comparison of experiments: their attributes, and the last numbers that they logged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ._arrow import pc
from ._engines.scan import Scan
from ._keys import FIRST_KEYS
from ._public import public
from ._tree.columns import keys_of
from ._values.kinds import FLOAT, INT

__all__ = ["Difference", "differences"]


@public
class Difference(NamedTuple):
    """A key with different values in some experiments.

    Attributes:
        key: the key; for nested values a path such as ``config.lr``.
        of: "attribute"; "environment", for what ``capture`` recorded; or "last record", for the last
            value that was logged under the key.
        values: the value of each experiment; None if it has none.
    """

    key: str
    of: str
    values: tuple[Any, ...]


def differences(
    attributes: Sequence[Mapping[str, Any]],
    environments: Sequence[Mapping[str, Any]],
    scans: Sequence[Scan],
) -> list[Difference]:
    """The attributes and parts of environments that differ, and all last numbers of records.

    Args:
        attributes: the attributes of each experiment.
        environments: what ``capture`` recorded of each, or nothing.
        scans: the records of each experiment.
    """
    last = [_last_numbers(scan) for scan in scans]
    return [
        *_unequal("attribute", attributes),
        *_unequal("environment", environments),
        *(Difference(key, "last record", values) for key, values in _side_by_side(last)),
    ]


def _unequal(of: str, several: Sequence[Mapping[str, Any]]) -> list[Difference]:
    flat = [dict(_flat(each)) for each in several]
    return [Difference(k, of, values) for k, values in _side_by_side(flat) if not _are_same(values)]


def _side_by_side(found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for key in dict.fromkeys(key for each in found for key in each):
        yield key, tuple(each.get(key) for each in found)


def _flat(attributes: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The user's attributes, with nested ones flattened."""
    for key, value in attributes.items():
        if above or key not in FIRST_KEYS:
            if isinstance(value, dict) and value:
                yield from _flat(value, f"{above}{key}.")
            else:
                yield f"{above}{key}", value


def _are_same(values: Sequence[Any]) -> bool:
    first = values[0]
    return all(type(each) is type(first) and _is_equal(each, first) for each in values)


def _is_equal(one: Any, other: Any) -> bool:
    if hasattr(one, "shape"):
        one, other = one.tolist(), other.tolist()
    return bool(one == other or repr(one) == repr(other))  # NaN equals NaN here


def _last_numbers(scan: Scan) -> dict[str, Any]:
    """The last number of each key in any record, in reading order."""
    keys = keys_of(column for column in scan.record_columns if column.kind in {INT, FLOAT})
    found: dict[str, Any] = dict.fromkeys(keys)
    for piece in scan.pieces(keys):
        piece.unpack(keys)
        for key in keys:
            ends: list[tuple[int, Any]] = []
            for column, values in piece.own(key).items():
                if column.kind in {INT, FLOAT} and values.null_count < len(values):
                    at = pc.indices_nonzero(values.is_valid())[-1].as_py()
                    ends.append((at, values[at].as_py()))
            if ends:
                found[key] = max(ends, key=lambda end: end[0])[1]
    return {key: value for key, value in found.items() if value is not None}
