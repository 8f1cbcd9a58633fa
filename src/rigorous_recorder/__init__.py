"""A data logger for experiments: a tree of recorders, read back as one flat table."""

from . import _system, errors  # noqa: F401 - first of all it refuses systems that lack something
from ._collection import ExperimentCollection
from ._comparison import Difference
from ._display.tree import Tree
from ._experiment import Experiment
from ._experiments import Experiments
from ._level import Level
from ._lifecycle import Run
from ._live.implementation import is_native as native
from ._overview import ExperimentOverview
from ._recorder import Recorder
from ._records import Records, Row
from ._records_view import RecordsView
from ._status import Status, register_stop
from .plotting import Curve, Curves

__all__ = [
    "Curve",
    "Curves",
    "Difference",
    "Experiment",
    "ExperimentCollection",
    "ExperimentOverview",
    "Experiments",
    "Level",
    "RecordKeeper",
    "Recorder",
    "Records",
    "RecordsView",
    "Row",
    "Run",
    "Status",
    "Tree",
    "errors",
    "native",
    "register_stop",
]

__version__ = "2.0.0"

RecordKeeper = Recorder

# Reprs, pickles and the API reference name the public classes by where users import them from.
for _name in __all__:
    if isinstance(_public := globals()[_name], type):
        _public.__module__ = __name__
