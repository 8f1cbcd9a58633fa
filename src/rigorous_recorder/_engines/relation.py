"""A DuckDB relation that can be read even after its files have been compacted away.

DuckDB opens files by name when a relation is read. If a compaction has removed a file in between,
the query is built again over the same snapshot, which finds the rows in the merged file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from .._arrow import pa
from .._lazy_imports import duckdb
from ..errors import CompactedError

__all__ = ["Made", "Query", "Relation", "compacted"]

_Result = TypeVar("_Result")

#: Methods that, before DuckDB 2.0, return a new batch on each call.
_GIVES_THE_NEXT: Final = frozenset({"fetchone", "fetchmany", "fetch_df_chunk", "execute"})


class Made(NamedTuple):
    """A DuckDB relation and the files that it reads.

    Attributes:
        relation: the relation.
        paths: the files that it opens by name.
        only_reads: whether it has no side effect, so that it can be built again.
    """

    relation: Any
    paths: Sequence[str]
    only_reads: bool

    @property
    def is_outdated(self) -> bool:
        """Whether files were compacted away since it was built."""
        return not all(map(os.path.exists, self.paths))


class Query:
    """A query and its current relation.

    Args:
        make: builds the relation from the files that exist.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self.made = make()

    def renew(self) -> None:
        """Build the relation again, from the files that exist now.

        Raises:
            CompactedError: the query has side effects, so it can't run twice.
            DeletedError: rows were deleted since.
        """
        if not self.made.only_reads:
            raise compacted()
        self.made = self._make()


class Relation:
    """A lazy DuckDB result, used like DuckDB's own relation.

    Args:
        query: the query.
        build: derives this result from the query's relation.
    """

    __slots__ = ("__weakref__", "_build", "_has_given", "_made", "_query", "_relation")

    def __init__(self, query: Query, build: Callable[[Any], Any]) -> None:
        self._query = query
        self._build = build
        self._has_given = False
        self._made: Made | None = None
        self._relation: Any = None
        self._call(lambda relation: relation)

    @property  # type: ignore[misc]  # an attribute to mypy
    def __class__(self) -> type:
        """The class of the relation, for ``isinstance``."""
        return type(self._relation)

    def _call(self, use: Callable[[Any], _Result]) -> _Result:
        """Use the relation, built again if its files no longer exist."""
        while True:
            made = self._query.made
            try:
                if self._made is not made:
                    self._relation, self._made = self._build(made.relation), made
                return use(self._relation)
            except duckdb.IOException as error:
                if not made.is_outdated:
                    raise
                if self._has_given:
                    raise compacted() from error
                if self._query.made is made:  # else another thread was faster
                    self._query.renew()

    def _named(self, name: str, /, *args: Any, **named: Any) -> Any:
        """Call a method of the relation."""
        found = self._call(lambda relation: _done(relation, name, args, named))
        self._has_given |= name in _GIVES_THE_NEXT
        return self._wrapped(found, lambda base: _done(self._build(base), name, args, named, base))

    def _wrapped(self, found: Any, build: Callable[[Any], Any]) -> Any:
        if isinstance(found, pa.RecordBatchReader):
            batches = _guarded(found, self._query.made)
            return pa.RecordBatchReader.from_batches(found.schema, batches)
        if isinstance(found, Iterator):
            return _guarded(found, self._query.made)
        is_lazy = type(found).__module__ == type(self._relation).__module__
        return Relation(self._query, build) if is_lazy else found

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
    """Call a method of DuckDB with arguments that can contain other relations.

    Args:
        base: the relation that those are rebuilt on; None to use their current ones.
    """
    owned = [_own(each, base) for each in args]
    return getattr(relation, name)(*owned, **{key: _own(v, base) for key, v in named.items()})


def _own(value: Any, base: Any) -> Any:
    if type(value) is not Relation:
        return value
    return value._relation if base is None else value._build(base)


def _guarded(rows: Any, made: Made) -> Iterator[Any]:
    """The rows as they are read; after the first, the query can't start over.

    Raises:
        CompactedError: files were compacted away before DuckDB opened them.
    """
    try:
        yield from rows
    except (duckdb.IOException, pa.ArrowException, OSError) as error:
        if made.is_outdated:
            raise compacted() from error
        raise


def compacted() -> CompactedError:
    """The error for a reader that can't continue but can query again."""
    return CompactedError(
        "files were merged by a compaction while a result was read in parts. Run the query again:"
        " all records are there"
    )
