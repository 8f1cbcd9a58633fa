"""A data logger for experiments: a tree of recorders, read back as one flat table."""

from . import errors
from ._live.twin import is_native as native
from .collection import ExperimentCollection
from .recorder import Recorder
from .records import Records, Row

__all__ = ["ExperimentCollection", "RecordKeeper", "Recorder", "Records", "Row", "errors", "native"]

__version__ = "2.0.0"

RecordKeeper = Recorder
