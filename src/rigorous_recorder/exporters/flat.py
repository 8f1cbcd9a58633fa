"""The flat table for libraries of tables: batches of types that they take, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rigorous_recorder._arrow import pa, pc

from .contract import Losses
from .study import Study

__all__ = ["Batches", "flat_table"]


class Batches:
    """The flat table in batches.

    Attributes:
        schema: their schema.
        reader: the batches, once.
    """

    def __init__(
        self, study: Study, losses: Losses, *, is_plain: bool, valid: Callable[[str], str]
    ) -> None:
        source = pa.RecordBatchReader.from_stream(study.records)
        wanted = {field.name: _type(field.type, is_plain=is_plain) for field in source.schema}
        self._names = [name for name, kind in wanted.items() if not pa.types.is_null(kind)]
        for kind in (field.type for field in source.schema):
            if pa.types.is_null(kind):
                losses.add("columns without any value: not taken")
            elif is_plain and pa.types.is_duration(kind):
                losses.add("columns of durations: as microseconds")
        names = _distinct(self._names, valid)
        if changed := sum(old != new for old, new in zip(self._names, names, strict=True)):
            losses.add("columns whose names it can't have: by other names", changed)
        kinds = (wanted[name] for name in self._names)
        self.schema = pa.schema(list(map(pa.field, names, kinds)))
        self.reader = pa.RecordBatchReader.from_batches(self.schema, self._converted(source))

    def _converted(self, source: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        for batch in source:
            columns = map(batch.column, self._names)
            arrays = list(map(_cast, columns, self.schema.types))
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def flat_table(
    study: Study,
    losses: Losses,
    *,
    is_plain: bool = True,
    valid: Callable[[str], str] = str,
) -> Batches:
    """The flat table.

    Args:
        is_plain: whether durations are ints, and times are in UTC.
        valid: gives the name that a column can have instead of its own; names that differ in the case
            of letters alone, or not at all, get a number.
    """
    return Batches(study, losses, is_plain=is_plain, valid=valid)


def _distinct(names: list[str], valid: Callable[[str], str]) -> list[str]:
    found: dict[str, str] = {}
    if valid is str:
        return names
    for name in names:
        wanted = new = valid(name)
        number = 1
        while new.casefold() in found:
            number += 1
            new = f"{wanted} ({number})"
        found[new.casefold()] = new
    return list(found.values())


def _type(kind: pa.DataType, *, is_plain: bool) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _type(kind.storage_type, is_plain=is_plain)
    if is_plain and pa.types.is_duration(kind):
        return pa.int64()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        return pa.list_(_type(kind.value_type, is_plain=is_plain))
    return kind


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if values.type == kind:
        return values
    if pa.types.is_duration(values.type) and pa.types.is_integer(kind):
        values = values.cast(pa.duration("us"))
    return pc.cast(values, kind, safe=False)
