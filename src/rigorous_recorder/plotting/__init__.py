"""Charts of records: mean and band of one column over another, in a terminal or as a picture."""

from .curves import MOST_CHARACTERS, Curve, Curves, chart_of
from .look import look_of
from .query import ATTEMPTS, BANDS, Attempts, Band, Chart, keys_of
from .smoothing import smoothing_of

__all__ = [
    "ATTEMPTS",
    "BANDS",
    "MOST_CHARACTERS",
    "Attempts",
    "Band",
    "Chart",
    "Curve",
    "Curves",
    "chart_of",
    "keys_of",
    "look_of",
    "smoothing_of",
]
