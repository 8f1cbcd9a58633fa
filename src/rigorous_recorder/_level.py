"""Level: the recorders that have one key as a table, each once, however many records they have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """One row for each recorder that has a key as an attribute of its own.

    A row has all that the recorder has and inherits, and in the column ``records`` how many records
    it has, those of recorders below it included. (Where a key has that name, the column is
    ``records_``.) In the flat table an episode's reward is repeated in each of its records; here it is
    once, so that means, counts and spreads are those of episodes.

    Of recorders that a resumed experiment has again, those of the last attempt are in it. Rows are
    those of now at each use, in the order in which the recorders were begun.
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
        self._scan()  # so that a key that is nowhere is refused where it is written

    def where(self, /, *conditions: str, **values: Any) -> Level:
        """Those of the recorders that meet all conditions, which are as of ``Records.where``.

        Examples:
            >>> level = collection.level("episode")  # doctest: +SKIP
            >>> level.where("total_reward > 100", seed=[1, 2])  # doctest: +SKIP
        """
        wanted = (*self._conditions, *conditions_of(conditions, values))
        return Level(self._records, self._key, self._attempts, wanted)

    def to_arrow(self) -> pa.Table:
        """The rows as a ``pyarrow.Table``, with a column for every key that any of them has."""
        return self._scan().table()

    def plot(
        self, x: str, y: str | Sequence[str], by: str | Sequence[str] = (), **options: Any
    ) -> Curves:
        """As ``Records.plot``, with its options, of the recorders: each counts once.

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
