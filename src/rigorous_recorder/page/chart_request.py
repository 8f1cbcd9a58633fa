"""What the browser requests of charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ..errors import ArgumentError
from .given import (
    count_in,
    ends_in,
    flag_in,
    mapping_in,
    number_in,
    one_of,
    pair_in,
    requested,
    text_in,
    texts_in,
    words_in,
)

__all__ = ["ChartRequest", "Cursors"]

_MOST_PIXELS: Final = 4_000
_BANDS: Final = ("std", "sem", "minmax", "quantile", "none")
#: Keys of one request.
_MOST_KEYS: Final = 64

#: How far an answer went: by collection.
Cursors = Mapping[str, tuple[int, int]]


class ChartRequest(NamedTuple):
    """What the browser requests.

    Attributes:
        y: the keys of charts.
        x: a key; none is the number of a point.
        is_likely: whether x was not chosen, so that a chart whose records lack it has another one.
        xs: the x of earlier answers, by key, where it is another one.
        by: keys that separate lines; none for one line for each run.
        band: around the mean of points with the same x, or ``none``.
        pixels: the width of the chart.
        low, high: the ends of x that are shown, and ``zoom_x``, of charts over which x; None for all.
        smooth: the weight of the moving average, or 0.
        log_x: whether pixels are even on a logarithmic axis.
        from_start: whether x is counted from the start of each run.
        levels_once: whether in means each recorder counts once beside its siblings.
        runs: those that count in lines over several runs; None for all.
        cursors: what earlier answers had, for the points since; by key.
    """

    y: tuple[str, ...]
    x: str
    is_likely: bool
    xs: Mapping[str, str]
    by: tuple[str, ...]
    band: str
    pixels: int
    low: float | None
    high: float | None
    zoom_x: str | None
    smooth: float
    log_x: bool
    from_start: bool
    levels_once: bool
    runs: frozenset[str] | None
    cursors: Mapping[str, Cursors]

    @classmethod
    def of(cls, given: Any) -> ChartRequest:
        """The request in JSON of the browser.

        Raises:
            ArgumentError: it is not a valid one.
        """
        try:
            given = requested(given)
            low, high = ends_in(given, "low", "high")
            return cls(
                y=_keys(given),
                x=text_in(given, "x"),
                is_likely=flag_in(given, "is_likely"),
                xs=words_in(given, "xs"),
                by=texts_in(given, "by"),
                band=one_of(given, "band", _BANDS, default="std"),
                pixels=count_in(given, "pixels", 1, _MOST_PIXELS, default=600),
                low=low,
                high=high,
                zoom_x=None if given.get("zoom_x") is None else text_in(given, "zoom_x"),
                smooth=number_in(given, "smooth", 0.0, 0.9999, default=0.0),
                log_x=flag_in(given, "log_x"),
                from_start=flag_in(given, "from_start"),
                levels_once=flag_in(given, "levels_once"),
                runs=None if given.get("runs") is None else frozenset(texts_in(given, "runs")),
                cursors=_cursors(mapping_in(given, "cursors")),
            )
        except ValueError as error:
            message = f"not a valid request of a chart: {error}"
            raise ArgumentError(message) from None

    @property
    def is_merged(self) -> bool:
        """Whether more of records is needed than their values."""
        return self.from_start or self.levels_once

    def over(self, x: str) -> ChartRequest:
        """The request of a chart over another x, of which all is shown if the zoom is not its own."""
        is_shown = self.zoom_x in {None, x}
        low, high = (self.low, self.high) if is_shown else (None, None)
        return self._replace(x=x, low=low, high=high)


def _keys(given: Mapping[str, Any]) -> tuple[str, ...]:
    is_one = isinstance(given.get("y"), str)
    found = (text_in(given, "y"),) if is_one else tuple(dict.fromkeys(texts_in(given, "y")))
    if not 0 < len(found) <= _MOST_KEYS:
        message = f"y has {len(found)} keys: expected 1 to {_MOST_KEYS}"
        raise ValueError(message)
    return found


def _cursors(given: Mapping[str, Any]) -> dict[str, Cursors]:
    by_key = {key: mapping_in(given, key) for key in given}
    return {key: {name: pair_in(each, name) for name in each} for key, each in by_key.items()}
