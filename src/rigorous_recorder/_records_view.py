"""RecordsView: sorted records, or the first or last of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ._arrow import pa
from ._engines.ordered import Cut, Order, Step, chosen_rows, rows_in_order, table_in_order
from ._engines.rows import Row
from ._engines.scan import Scan
from ._public import public
from ._row_table import RowTable, checked_count, checked_keys, checked_signs

__all__ = ["RecordsView", "order_by"]


@public
class RecordsView(RowTable):
    """Sorted records, or the first or last of them, as returned by ``Records.sort`` and others.

    Each use reads the latest rows. For the first and last records nothing else is read; sorting
    needs memory for the columns to sort by, of all records, and for the selected rows.
    """

    _sql_name = "records"

    def __init__(
        self, scan: Callable[[], Scan], steps: tuple[Step, ...], keys: tuple[str, ...] | None = None
    ) -> None:
        self._scan = scan
        self._steps = steps
        self._keys = keys

    def select(self, /, *keys: str) -> RecordsView:
        """The same rows with only these keys, in this order.

        Raises:
            ArgumentTypeError: a key is not text.
            ArgumentError: there are no keys.
            ColumnError: a key does not exist; the message suggests similar ones.
        """
        scan = self._selected(self._scan()).naming(keys)
        known = [*scan.keys, *scan.paths]
        return RecordsView(self._scan, self._steps, checked_keys(keys, known, "select"))

    def sort(self, /, *keys: str, descending: bool | Sequence[bool] = False) -> RecordsView:
        """The same rows in another order; see ``Records.sort``."""
        order = order_by(self._selected(self._scan()), keys, descending)
        return RecordsView(self._scan, (*self._steps, order), self._keys)

    def head(self, n: int = 5) -> RecordsView:
        """The first ``n`` rows.

        Raises:
            ArgumentTypeError: ``n`` is not an int.
            ArgumentError: it is negative.
        """
        cut = Cut(checked_count(n, "head"), is_last=False)
        return RecordsView(self._scan, (*self._steps, cut), self._keys)

    def tail(self, n: int = 5) -> RecordsView:
        """The last ``n`` rows; errors are those of ``head``."""
        cut = Cut(checked_count(n, "tail"), is_last=True)
        return RecordsView(self._scan, (*self._steps, cut), self._keys)

    def to_arrow(self) -> pa.Table:
        """The rows as a ``pyarrow.Table``."""
        scan = self._scan()
        shown = self._selected(scan)
        shown.warn_of_mixed(shown.flats)
        return table_in_order(shown, chosen_rows(scan, self._steps))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self._selected(self._scan()).flats)

    def __len__(self) -> int:
        return len(chosen_rows(self._scan(), self._steps))

    def _rows(self) -> Iterator[Row]:
        scan = self._scan()
        return rows_in_order(self._selected(scan), chosen_rows(scan, self._steps))

    def _selected(self, scan: Scan) -> Scan:
        """The same scan with the selected keys."""
        return scan if self._keys is None else scan.selecting(self._keys)


def order_by(scan: Scan, keys: Sequence[str], descending: bool | Sequence[bool]) -> Order:
    """An order of the records of a scan.

    Raises:
        ArgumentTypeError: a key is not text.
        ArgumentError: there are no keys, or ``descending`` has another length.
        ColumnError: a key does not exist; the message suggests similar ones.
    """
    names = checked_keys(keys, list(scan.flats), "sort")
    return Order(names, checked_signs(names, descending))
