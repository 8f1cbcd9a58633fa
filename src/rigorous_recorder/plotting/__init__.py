"""Charts of records: mean and band of one column over another, in a terminal or as a picture."""

from .curves import Curve, Curves, chart_of
from .look import look_of
from .query import ATTEMPTS, BANDS, Attempts, Band, Chart
from .smoothing import smoothing_of

__all__ = [
    "ATTEMPTS",
    "BANDS",
    "Attempts",
    "Band",
    "Chart",
    "Curve",
    "Curves",
    "chart_of",
    "look_of",
    "smoothing_of",
]
