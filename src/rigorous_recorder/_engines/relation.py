"""A DuckDB relation that still gives its rows after files were merged away.

DuckDB opens files by name, when a relation is read. A compaction in between takes the names away, not the
rows: so the query is made again, of the same snapshot, and this finds the rows in the merged file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from .._arrow import pa
from .._lazy_imports import duckdb
from ..errors import CompactedError

__all__ = ["Made", "Relation", "Source", "compacted"]

_Result = TypeVar("_Result")

#: Methods of DuckDB before 2.0 that give what they did not give before.
_GIVES_THE_NEXT: Final = frozenset({"fetchone", "fetchmany", "fetch_df_chunk", "execute"})


class Made(NamedTuple):
    """A relation of DuckDB's own, and what it reads.

    Attributes:
        relation: the relation.
        paths: the files that it opens by name.
        only_reads: whether nothing is changed by making it once more.
    """

    relation: Any
    paths: Sequence[str]
    only_reads: bool

    @property
    def is_outdated(self) -> bool:
        """Whether files were merged away since it was made."""
        return not all(map(os.path.exists, self.paths))


class Source:
    """A query, and the relation that it is now.

    Args:
        make: makes the relation, of the files that are there.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self.made = make()

    def renew(self) -> None:
        """Make the relation anew, of the files that are there now.

        Raises:
            CompactedError: making it changes something, which must not be done twice.
            DeletedError: rows were deleted since.
        """
        if not self.made.only_reads:
            raise compacted()
        self.made = self._make()


class Relation:
    """Whatever DuckDB gives of a query before it is read: used as DuckDB's own.

    Args:
        source: the query.
        build: what to do with its relation.
    """

    __slots__ = ("__weakref__", "_build", "_has_given", "_made", "_relation", "_source")

    def __init__(self, source: Source, build: Callable[[Any], Any]) -> None:
        self._source = source
        self._build = build
        self._has_given = False
        self._made: Made | None = None
        self._relation: Any = None
        self._call(lambda relation: relation)

    @property  # type: ignore[misc]  # mypy knows it as an attribute
    def __class__(self) -> type:
        """That of the relation: ``isinstance`` holds."""
        return type(self._relation)

    def _call(self, use: Callable[[Any], _Result]) -> _Result:
        """Use the relation, made anew where its files are gone."""
        while True:
            made = self._source.made
            try:
                if self._made is not made:
                    self._relation, self._made = self._build(made.relation), made
                return use(self._relation)
            except duckdb.IOException as error:
                if not made.is_outdated:
                    raise
                if self._has_given:
                    raise compacted() from error
                if self._source.made is made:  # else another thread was faster
                    self._source.renew()

    def _named(self, name: str, /, *args: Any, **named: Any) -> Any:
        """What a method gives."""
        found = self._call(lambda relation: _done(relation, name, args, named))
        self._has_given |= name in _GIVES_THE_NEXT
        return self._wrapped(found, lambda base: _done(self._build(base), name, args, named, base))

    def _wrapped(self, found: Any, build: Callable[[Any], Any]) -> Any:
        if isinstance(found, pa.RecordBatchReader):
            batches = _guarded(found, self._source.made)
            return pa.RecordBatchReader.from_batches(found.schema, batches)
        if isinstance(found, Iterator):
            return _guarded(found, self._source.made)
        is_lazy = type(found).__module__ == type(self._relation).__module__
        return Relation(self._source, build) if is_lazy else found

    def __getattr__(self, name: str) -> Any:
        found = self._call(lambda relation: getattr(relation, name))
        if callable(found):
            return partial(self._named, name)
        return self._wrapped(found, lambda base: getattr(self._build(base), name))

    def __getitem__(self, name: Any) -> Any:
        return self._named("__getitem__", name)

    def __contains__(self, name: object) -> bool:
        return bool(self._named("__contains__", name))

    def __len__(self) -> int:
        return int(self._named("__len__"))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        reader = self._call(pa.RecordBatchReader.from_stream)
        return self._wrapped(reader, self._build).__arrow_c_stream__(requested_schema)

    def __dir__(self) -> list[str]:
        return dir(self._relation)

    def __repr__(self) -> str:
        return self._call(repr)

    def __str__(self) -> str:
        return self._call(str)


def _done(
    relation: Any, name: str, args: tuple[Any, ...], named: dict[str, Any], base: Any = None
) -> Any:
    """What a method of DuckDB's gives, for arguments among which other relations can be.

    Args:
        base: of which relation those are to be; None for that of which they are now.
    """
    taken = [_own(each, base) for each in args]
    return getattr(relation, name)(*taken, **{key: _own(v, base) for key, v in named.items()})


def _own(value: Any, base: Any) -> Any:
    if type(value) is not Relation:
        return value
    return value._relation if base is None else value._build(base)


def _guarded(rows: Any, made: Made) -> Iterator[Any]:
    """Rows as they come; what was given is given, so nothing can begin anew.

    Raises:
        CompactedError: files of theirs were merged away, and DuckDB had not opened them.
    """
    try:
        yield from rows
    except (duckdb.IOException, pa.ArrowException, OSError) as error:
        if made.is_outdated:
            raise compacted() from error
        raise


def compacted() -> CompactedError:
    """The error of whoever can't go on, and can ask again."""
    return CompactedError(
        "files were merged by a compaction while a result was read part by part. Ask again: all"
        " records are there"
    )
