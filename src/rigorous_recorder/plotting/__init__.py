"""Charts of records: mean and band of one column over another, in a terminal or as a picture."""

from .curves import Curve, Curves, curves_of
from .query import ATTEMPTS, BANDS, Attempts, Band, Chart

__all__ = ["ATTEMPTS", "BANDS", "Attempts", "Band", "Chart", "Curve", "Curves", "curves_of"]
