"""Level: the recorders that have a key as a table, once each, whatever their number of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ._arrow import pa
from ._engines.conditions import AnyCondition, conditions_of
from ._engines.known_keys import require_known
from ._engines.level_table import Attempts, LevelScan
from ._engines.rows import Row
from ._public import public
from ._records import Records
from ._row_table import RowTable
from .plotting import Curves

__all__ = ["Level"]


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

    def to_arrow(self) -> pa.Table:
        """The rows as a ``pyarrow.Table``, with a column for every key that any of them has."""
        return self._scan().table()

    def _table_with(self, names: Iterable[str]) -> pa.Table:
        found = self._scan()
        return found._replace(scan=found.scan.naming(names)).table()

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
