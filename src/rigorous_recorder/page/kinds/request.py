"""What the browser requests of a kind of chart."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from ...errors import ArgumentError
from ..given import one_of, text_in

__all__ = ["BANDS", "KINDS", "STATISTICS", "PlotRequest"]

KINDS: Final = ("scatter", "histogram", "bars", "heatmap", "parallel")
BANDS: Final = ("std", "sem", "minmax", "quantile", "none")
#: How the values of a run become one.
STATISTICS: Final = ("last", "mean", "min", "max")
_MOST_KEYS: Final = 50
_MOST_BINS: Final = 500


class PlotRequest(NamedTuple):
    """What the browser requests.

    Attributes:
        kind: one of ``KINDS``.
        x, y: keys; "" for none.
        keys: further keys, of parallel coordinates.
        by: keys that separate what is drawn; none for the runs.
        statistic: how the values of a run become one.
        band: around a mean over runs.
        runs: those to draw; None for all.
        run: the one whose arrays are drawn, and ``at`` the number of its record; None for the last.
        bins: the number of bars of a histogram.
        is_log: whether its bars are even on a logarithmic axis.
        width, height: of the chart in pixels.
        low, high, bottom, top: the ends of x and y that are shown; None for all.
    """

    kind: str
    x: str
    y: str
    keys: tuple[str, ...]
    by: tuple[str, ...]
    statistic: str
    band: str
    runs: frozenset[str] | None
    run: str
    at: int | None
    bins: int
    is_log: bool
    width: int
    height: int
    low: float | None
    high: float | None
    bottom: float | None
    top: float | None

    @classmethod
    def of(cls, given: Any) -> PlotRequest:
        """The request in JSON of the browser.

        Raises:
            ArgumentError: it is not a valid one.
        """
        try:
            at, runs = given.get("at"), given.get("runs")
            ends = (_end(given.get(name)) for name in ("low", "high", "bottom", "top"))
            return cls(
                one_of(given["kind"], KINDS),
                text_in(given.get("x") or ""),
                text_in(given.get("y") or ""),
                tuple(map(text_in, given.get("keys") or ()))[:_MOST_KEYS],
                tuple(map(text_in, given.get("by") or ())),
                one_of(given.get("statistic") or "last", STATISTICS),
                one_of(given.get("band") or "std", BANDS),
                None if runs is None else frozenset(map(text_in, runs)),
                text_in(given.get("run") or ""),
                None if at is None else max(0, int(at)),
                _within(given.get("bins") or 40, _MOST_BINS),
                bool(given.get("is_log")),
                _within(given.get("width") or 600, 4_000),
                _within(given.get("height") or 300, 4_000),
                *ends,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            message = f"not a valid request of a chart: {error!r}"
            raise ArgumentError(message) from None

    def require(self, **keys: str) -> None:
        """Raise unless these keys are given.

        Raises:
            ArgumentError: naming the first that is not.
        """
        for name, key in keys.items():
            if not key:
                message = f"a chart of the kind {self.kind} needs a key for {name}"
                raise ArgumentError(message)


def _within(value: Any, most: int) -> int:
    return min(max(int(value), 1), most)


def _end(value: Any) -> float | None:
    if value is None or math.isfinite(end := float(value)):
        return None if value is None else end
    message = f"{value!r:.60}: expected a finite number"
    raise ValueError(message)
