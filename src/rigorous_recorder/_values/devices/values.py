"""Logged values that are still on their device, and their kinds by dtype and shape."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

from ..arrays import DTYPES, ArrayKind
from ..kinds import BOOL, FLOAT, INT, Kind

__all__ = ["WIDENED", "DeviceValue", "Unavailable", "is_widened", "kind_of", "plain_values"]

#: Dtypes that numpy lacks, with those in which their values are stored exactly.
WIDENED: Final = dict.fromkeys(
    [
        "bfloat16",
        "float8_e4m3fn",
        "float8_e4m3fnuz",
        "float8_e5m2",
        "float8_e5m2fnuz",
        "float8_e8m0fnu",
    ],
    "float32",
)
#: The numpy dtypes of plain numbers.
_NUMBERS: Final[dict[Kind, str]] = {BOOL: "bool", INT: "int64", FLOAT: "float64"}
#: A uint64 may exceed signed 64 bits: it is read at once.
_FAMILIES: Final[dict[str, Kind]] = {
    "bool": BOOL,
    **{name: FLOAT if name[0] == "f" else INT for name in DTYPES if name != "uint64"},
}


class DeviceValue:
    """A tensor as it was when it was logged, still on its device.

    Args:
        kind: the kind that it is stored as.
        tensor: the tensor.
        stream: the queue of the device in which it is computed; None if there is only one.
    """

    __slots__ = ("kind", "stream", "tensor")

    def __init__(self, kind: Kind, tensor: Any, stream: Any = None) -> None:
        self.kind = kind
        self.tensor = tensor
        self.stream = stream


class Unavailable(NamedTuple):
    """Replaces a value that could not be fetched, with the reason."""

    error: Exception


@lru_cache(maxsize=1024)
def kind_of(dtype: Any, shape: tuple[int, ...]) -> Kind | None:
    """The kind of a tensor; None if it depends on its numbers, or if it has none."""
    name = WIDENED.get(_name(dtype), _name(dtype))
    if not shape:
        return _FAMILIES.get(name)
    return ArrayKind.of(name, shape) if name in DTYPES and 0 not in shape else None


@lru_cache(maxsize=256)
def is_widened(dtype: Any) -> bool:
    """Whether numpy lacks this dtype, so that its values are stored as a wider one."""
    return _name(dtype) in WIDENED


def _name(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


def plain_values(kind: Kind, stacked: Any, count: int) -> list[Any]:
    """The values of a numpy array, one per row: numbers or arrays.

    Raises:
        ValueError, TypeError: they do not match the dtype and shape of their tensors.
    """
    shape, dtype = (kind.shape, kind.dtype) if isinstance(kind, ArrayKind) else ((), _NUMBERS[kind])
    if stacked.shape != (count, *shape):
        message = f"expected {count} values of shape {shape}, not an array of shape {stacked.shape}"
        raise ValueError(message)
    exact = stacked.astype(dtype, order="C", casting="safe", copy=False)
    return list(exact) if shape else exact.tolist()
