"""Level: the recorders that have a key as a table, once each, whatever their number of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ._arrow import pa
from ._engines.conditions import AnyCondition, conditions_of
from ._engines.known_keys import require_known
from ._engines.level_table import Attempts, LevelScan
from ._engines.ordered import Cut, Order, Step
from ._engines.rows import Row, selected
from ._public import public
from ._records import Records
from ._row_table import RowTable, checked_count, checked_keys, checked_signs, sorted_places
from ._values.chunks import int64_array
from .plotting import Curves

__all__ = ["Level", "LevelView"]


@public
class Level(RowTable):
    """One row for each recorder that has a key as its own attribute.

    A row has all own and inherited attributes, and in the column ``records`` the number of records
    of the recorder and of recorders below it. (If there is a key with this name, the column is
    ``records_``.) The flat table repeats an episode's reward in each of its records; here it occurs
    once, so that means, counts and spreads are over episodes.

    Of recorders that a resumed experiment repeats, it has those of the last attempt. Each use reads
    the latest rows, in the order in which the recorders were created.
    """

    _sql_name = "level"

    def __init__(
        self,
        records: Records,
        key: str,
        attempts: Attempts = "last",
        conditions: tuple[AnyCondition, ...] = (),
    ) -> None:
        self._records = records
        self._key = key
        self._attempts = attempts
        self._conditions = conditions
        self._scan()  # raises early for a key that does not exist

    def where(self, /, *conditions: str, **values: Any) -> Level:
        """The recorders that meet all conditions, which are those of ``Records.where``.

        Examples:
            >>> level = collection.level("episode")  # doctest: +SKIP
            >>> level.where("total_reward > 100", seed=[1, 2])  # doctest: +SKIP
        """
        wanted = (*self._conditions, *conditions_of(conditions, values))
        return Level(self._records, self._key, self._attempts, wanted)

    def select(self, /, *keys: str) -> LevelView:
        """The same rows with only these keys, in this order; a key can be a path into dicts.

        Raises:
            ArgumentTypeError: a key is not text.
            ArgumentError: there are no keys.
            ColumnError: a key does not exist; the message suggests similar ones.
        """
        return LevelView(self).select(*keys)

    def sort(self, /, *keys: str, descending: bool | Sequence[bool] = False) -> LevelView:
        """The rows sorted by columns, the first of them first; ``records`` sorts by their number.

        Rows without a value, and with NaN, come last in any case; equal ones stay in order.

        Args:
            keys: columns, and paths in dicts.
            descending: whether the largest value comes first; a list has a value for each key.

        Raises:
            ArgumentTypeError: a key is not text.
            ArgumentError: there are no keys, or ``descending`` has another length.
            ColumnError: a key does not exist, or, on reading, its values can't be ordered.

        Examples:
            >>> collection.level("episode").sort("total_reward", descending=True).head(3)
            ... # doctest: +SKIP
        """
        return LevelView(self).sort(*keys, descending=descending)

    def head(self, n: int = 5) -> LevelView:
        """The first ``n`` rows.

        Raises:
            ArgumentTypeError: ``n`` is not an int.
            ArgumentError: it is negative.
        """
        return LevelView(self).head(n)

    def tail(self, n: int = 5) -> LevelView:
        """The last ``n`` rows; errors are those of ``head``."""
        return LevelView(self).tail(n)

    def to_arrow(self) -> pa.Table:
        """The rows as a ``pyarrow.Table``, with a column for every key that any of them has."""
        return self._scan().table()

    def _table_with(self, names: Iterable[str]) -> pa.Table:
        return self._naming(names).table()

    def _naming(self, names: Iterable[str]) -> LevelScan:
        """The level with columns for those names that are paths in dicts."""
        found = self._scan()
        return found._replace(scan=found.scan.naming(names))

    def plot(
        self, x: str, y: str | Sequence[str], by: str | Sequence[str] = (), **options: Any
    ) -> Curves:
        """A chart like ``Records.plot``, with its options, in which each recorder counts once.

        Examples:
            >>> print(collection.level("episode").plot("episode", "total_reward"))  # doctest: +SKIP
        """
        records = self._records._that_meet(self._conditions)
        return records.plot(x, y, by, **{"attempts": self._attempts, **options})

    def __len__(self) -> int:
        return len(self._scan().positions())

    def _rows(self) -> Iterator[Row]:
        return self._scan().rows()

    def _scan(self) -> LevelScan:
        scan = self._records._scan()
        require_known(scan.snapshot, self._conditions)
        found = LevelScan(scan, self._key, self._attempts, self._conditions)
        found.check()
        return found


@public
class LevelView(RowTable):
    """Sorted or selected rows of a level, as returned by ``Level.sort`` and others."""

    _sql_name = "level"

    def __init__(
        self, level: Level, steps: tuple[Step, ...] = (), keys: tuple[str, ...] | None = None
    ) -> None:
        self._level = level
        self._steps = steps
        self._keys = keys

    def select(self, /, *keys: str) -> LevelView:
        """The same rows with only these keys; see ``Level.select``."""
        known = self._scan(keys).keys() if self._keys is None else self._keys
        return LevelView(self._level, self._steps, checked_keys(keys, known, "select"))

    def sort(self, /, *keys: str, descending: bool | Sequence[bool] = False) -> LevelView:
        """The same rows in another order; see ``Level.sort``."""
        names = checked_keys(keys, self._table_with(keys).column_names, "sort")
        order = Order(names, checked_signs(names, descending))
        return LevelView(self._level, (*self._steps, order), self._keys)

    def head(self, n: int = 5) -> LevelView:
        """The first ``n`` rows; see ``Level.head``."""
        cut = Cut(checked_count(n, "head"), is_last=False)
        return LevelView(self._level, (*self._steps, cut), self._keys)

    def tail(self, n: int = 5) -> LevelView:
        """The last ``n`` rows; see ``Level.head``."""
        cut = Cut(checked_count(n, "tail"), is_last=True)
        return LevelView(self._level, (*self._steps, cut), self._keys)

    def to_arrow(self) -> pa.Table:
        """The rows as a ``pyarrow.Table``."""
        return self._table_with(())

    def _table_with(self, names: Iterable[str]) -> pa.Table:
        scan = self._scan(names)
        table = scan.table()
        found = table.take(int64_array(self._places(table)))
        if self._keys is None:
            return found
        return found.select(scan.columns_of(self._keys, table.column_names))

    def __len__(self) -> int:
        return len(self._places(self._scan().table()))

    def _rows(self) -> Iterator[Row]:
        scan = self._scan()
        rows = list(scan.rows())
        key_named = scan.scan.snapshot.key_named
        keys = None if self._keys is None else [key_named(key) for key in self._keys]
        for at in self._places(scan.table()):
            yield rows[at] if keys is None else selected(rows[at], keys)

    def _scan(self, names: Iterable[str] = ()) -> LevelScan:
        """The level, with columns for the paths in dicts that are selected, sorted by or named."""
        sorted_by = (key for each in self._steps if isinstance(each, Order) for key in each.keys)
        return self._level._naming((*names, *(self._keys or ()), *sorted_by))

    def _places(self, table: pa.Table) -> list[int]:
        """The numbers of the rows that remain after all steps, in order."""
        found = list(range(len(table)))
        for step in self._steps:
            if isinstance(step, Cut):
                found = (
                    found[max(0, len(found) - step.rows) :] if step.is_last else found[: step.rows]
                )
            else:
                rows = table.take(int64_array(found))
                found = [found[at] for at in sorted_places(rows, step.keys, step.descending)]
        return found
