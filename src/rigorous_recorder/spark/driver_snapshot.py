"""The driver's snapshot of a collection, and the report of what is damaged in it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from pyspark.sql import types as st
from pyspark.sql.pandas.types import to_arrow_schema

from .._arrow import pa
from .._engines.scan import Scan
from .._engines.scanned_rows import Scope
from .._engines.snapshot import Snapshot
from .._engines.source import Source
from .._engines.spark_types import spark_fields, spark_schema, spark_type
from .._engines.sql import numbered_names
from .._once import once
from .._runs import Runs, nth_number
from .._store.folder import Folder
from .._store.store import FolderStore
from .._values.bigints import BIGINT
from .._values.kinds import FLOAT, INT, NULL, Kind
from ..errors import (
    ArgumentError,
    ColumnError,
    DamagedFileError,
    DamagedFileWarning,
    NotACollectionError,
    RigorousError,
)
from .options import Options

__all__ = ["DriverSnapshot", "Wanted", "short_errors"]

#: Collections that this process has read most recently, with what is cached of them.
_KNOWN: Final[dict[tuple[str, str, bool], Source]] = {}
_MOST_KNOWN: Final = 2
_MOST_REPORTED: Final = 3
_MOST_NAMED: Final = 30


@contextmanager
def short_errors() -> Iterator[None]:
    """Raise errors to the user without their traceback: Spark prints it before the message."""
    try:
        yield
    except RigorousError as error:
        raise error.with_traceback(None) from None


#: For a column of numbers, the kinds that a schema can request instead of its own.
_WIDER: Final[dict[Kind, tuple[Kind, ...]]] = {INT: (BIGINT, FLOAT), BIGINT: (FLOAT,)}


class Wanted(NamedTuple):
    """A column to read: its key, the kind that its values are unified to, its name and type."""

    key: str
    kind: Kind
    field: Any


class DriverSnapshot:
    """A snapshot of a collection for planning.

    Raises:
        NotACollectionError: there is no collection at the path.
        NewerFormatError: a newer version of this library wrote it.
        DamagedFileError: one of its files is damaged, unless damage is to be skipped.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        folder = Folder(options.path)
        if not folder.exists():
            message = f"there is no collection at {options.path}; this process sees no such folder"
            raise NotACollectionError(message)
        self.identity = str(folder.info()["id"])
        self._place = (str(options.path), self.identity, options.skips_damaged)
        known = _KNOWN.pop(self._place) if self._place in _KNOWN else None
        self._source = known or Source(FolderStore(options.path))
        self.refresh()
        _KNOWN[self._place] = self._source
        for place in list(_KNOWN)[:-_MOST_KNOWN]:
            del _KNOWN[place]

    def refresh(self) -> None:
        """Take a new snapshot."""
        with self._raising_for_damage():
            snapshot = self._source.now()
            snapshot.nodes.count  # noqa: B018 - what can't be read of it is found out now
        self.scan = Scan(snapshot, Scope())
        for found in ("_kinds", "_keys"):
            self.__dict__.pop(found, None)

    @property
    def snapshot(self) -> Snapshot:
        """The latest snapshot."""
        return self.scan.snapshot

    @contextmanager
    def _raising_for_damage(self) -> Iterator[None]:
        """Raise for damaged files, unless they are to be skipped."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DamagedFileWarning)
            yield
        found = [str(each.message) for each in caught if each.category is DamagedFileWarning]
        if not found or self.options.skips_damaged:
            return
        _KNOWN.pop(self._place, None)
        found = [text.replace(" and left out", "").partition(". See ")[0] for text in found]
        more = f"; and {len(found) - _MOST_REPORTED} more" if len(found) > _MOST_REPORTED else ""
        message = (
            f"{'; '.join(found[:_MOST_REPORTED])}{more}. ExperimentCollection.verify_folder(path) lists"
            " all that is wrong, ExperimentCollection.repair(path, into) saves what can be read, and"
            " option('damaged', 'skip') leaves it out"
        )
        raise DamagedFileError(message)

    # --- columns -------------------------------------------------------------------------------

    @once
    def _kinds(self) -> Mapping[str, Kind]:
        """The columns of the flat table by their names in Spark."""
        with self._raising_for_damage():
            return spark_fields(self.scan)

    @once
    def _keys(self) -> dict[str, str]:
        """For each name of a column its key."""
        flats = self.scan.flats
        return {name: flats[flat].key for flat, name in numbered_names(flats).items()}

    def schema(self) -> st.StructType:
        """The requested columns, with their own types.

        Raises:
            ColumnError: a requested column does not exist.
        """
        names = self.options.columns
        if names is None:
            return spark_schema(self._kinds)
        return spark_schema({name: self._kinds[name] for name in map(self._named, names)})

    def _named(self, name: str) -> str:
        """The name of a column that is requested by name or by key."""
        if name in self._kinds:
            return name
        for found, key in self._keys.items():
            if key == name:
                return found
        alike = [found for found in self._kinds if found.casefold() == name.casefold()]
        if alike:
            return alike[0]
        there = ", ".join(list(self._kinds)[:_MOST_NAMED]) or "none"
        more = ", ..." if len(self._kinds) > _MOST_NAMED else ""
        message = (
            f"there is no column {name!r}; there are: {there}{more}. In a schema, a column that does not"
            " exist yet is null with option('missing', 'null')"
        )
        raise ColumnError(message)

    def names_besides(self, schema: st.StructType) -> list[str]:
        """The columns of the collection that a schema lacks."""
        there = {field.name.casefold() for field in schema}
        return [
            name
            for name in self._kinds
            if name.casefold() not in there and self._keys[name] not in schema.names
        ]

    def wanted(self, schema: st.StructType) -> list[Wanted]:
        """The columns of a schema.

        Raises:
            ColumnError: one does not exist, is NOT NULL, or has values that its type can't hold.
        """
        fields = to_arrow_schema(schema, timezone="UTC")
        return [
            self._wanted(requested, field)
            for requested, field in zip(schema.fields, fields, strict=True)
        ]

    def _wanted(self, requested: st.StructField, field: pa.Field) -> Wanted:
        if not requested.nullable:
            message = (
                f"column {requested.name!r} is NOT NULL in the schema, but every column of the flat table"
                " can contain nulls: leave NOT NULL out"
            )
            raise ColumnError(message)
        try:
            name = self._named(requested.name)
        except ColumnError:
            if self.options.fills_missing:
                return Wanted(requested.name, NULL, field)
            raise
        kind = self._kinds[name]
        if kind == NULL or requested.dataType == spark_type(kind):
            return Wanted(self._keys[name], kind, field)
        wider = _WIDER.get(kind, ())
        if (
            wanted := next((k for k in wider if requested.dataType == spark_type(k)), None)
        ) is not None:
            return Wanted(self._keys[name], wanted, field)
        message = (
            f"column {name!r} is {spark_type(kind).simpleString()}, not"
            f" {requested.dataType.simpleString()}: leave it out of the schema, or give it that type; if"
            " you gave no schema, values of another kind were logged since: load it again"
        )
        raise ColumnError(message)

    # --- experiments ---------------------------------------------------------------------------

    def experiment(self) -> int | None:
        """The number of the experiment to read; None for all.

        Raises:
            ArgumentError: there is no experiment with this number.
        """
        if self.options.experiment is None:
            return None
        try:
            return nth_number(Runs(self.snapshot.nodes).numbers, self.options.experiment)
        except KeyError as error:
            raise ArgumentError(error.args[0]) from error
