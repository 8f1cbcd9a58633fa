"""A data logger for experiments: a tree of recorders, read back as one flat table."""

from . import _system, errors  # noqa: F401 - first of all it refuses systems that lack something
from ._display.experiments import Experiments
from ._display.tree import Tree
from ._live.implementation import is_native as native
from .collection import ExperimentCollection
from .overview import ExperimentOverview, Status
from .plotting import Curve, Curves
from .recorder import Recorder
from .records import Records, Row

__all__ = [
    "Curve",
    "Curves",
    "ExperimentCollection",
    "ExperimentOverview",
    "Experiments",
    "RecordKeeper",
    "Recorder",
    "Records",
    "Row",
    "Status",
    "Tree",
    "errors",
    "native",
]

__version__ = "2.0.0"

RecordKeeper = Recorder
