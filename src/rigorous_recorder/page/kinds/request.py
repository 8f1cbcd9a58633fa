"""What the browser requests of a kind of chart."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ...errors import ArgumentError
from ..given import LAST, count_in, ends_in, flag_in, one_of, requested, text_in, texts_in

__all__ = ["BANDS", "KINDS", "STATISTICS", "PlotRequest"]

KINDS: Final = ("scatter", "histogram", "bars", "heatmap", "parallel")
BANDS: Final = ("std", "sem", "minmax", "quantile", "none")
#: How the values of a run become one.
STATISTICS: Final = ("last", "mean", "min", "max")
_MOST_KEYS: Final = 50
_MOST_BINS: Final = 500
_MOST_PIXELS: Final = 4_000


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
        run: the one whose arrays are drawn, and ``at`` the number of its record, or of a later one
            for the last.
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
    at: int
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
            given = requested(given)
            runs = None if given.get("runs") is None else frozenset(texts_in(given, "runs"))
            return cls(
                one_of(given, "kind", KINDS),
                text_in(given, "x"),
                text_in(given, "y"),
                texts_in(given, "keys")[:_MOST_KEYS],
                texts_in(given, "by"),
                one_of(given, "statistic", STATISTICS, default="last"),
                one_of(given, "band", BANDS, default="std"),
                runs,
                text_in(given, "run"),
                count_in(given, "at", 0, LAST, default=LAST),
                count_in(given, "bins", 1, _MOST_BINS, default=40),
                flag_in(given, "is_log"),
                count_in(given, "width", 1, _MOST_PIXELS, default=600),
                count_in(given, "height", 1, _MOST_PIXELS, default=300),
                *ends_in(given, "low", "high"),
                *ends_in(given, "bottom", "top"),
            )
        except ValueError as error:
            message = f"not a valid request of a chart: {error}"
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
