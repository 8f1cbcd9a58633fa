"""A data logger for experiments: a tree of recorders, read back as one flat table."""

from . import errors
from .collection import ExperimentCollection
from .recorder import Recorder
from .records import Records, Row

__all__ = ["ExperimentCollection", "RecordKeeper", "Recorder", "Records", "Row", "errors"]

__version__ = "2.0.0"

RecordKeeper = Recorder
