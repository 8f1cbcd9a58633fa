"""A data logger for experiments: a tree of recorders, read back as one flat table."""

import sys
from typing import TYPE_CHECKING

from . import _system, errors  # noqa: F401 - first, since it refuses unsupported systems
from ._collection import ExperimentCollection
from ._lazy import lazy_module
from ._lifecycle import Run
from ._live.implementation import is_native as native
from ._recorder import Recorder
from ._status import Status, register_stop

if TYPE_CHECKING:
    from ._comparison import Difference
    from ._display.tree import Tree
    from ._engines.rows import Row
    from ._experiment import Experiment
    from ._experiments import Experiments
    from ._level import Level, LevelView
    from ._overview import ExperimentOverview
    from ._page_process import View
    from ._records import Records
    from ._records_view import RecordsView
    from ._saved_views import SavedViews
    from .plotting import Curve, Curves
else:
    #: Where the classes are that only reading needs; each module loads when it is used.
    _ON_USE = {
        "Curve": "plotting",
        "Curves": "plotting",
        "Difference": "_comparison",
        "Experiment": "_experiment",
        "ExperimentOverview": "_overview",
        "Experiments": "_experiments",
        "Level": "_level",
        "LevelView": "_level",
        "Records": "_records",
        "RecordsView": "_records_view",
        "Row": "_engines.rows",
        "SavedViews": "_saved_views",
        "Tree": "_display.tree",
        "View": "_page_process",
    }

    plotting = lazy_module(f"{__name__}.plotting")

    def __getattr__(name: str) -> object:
        if name not in _ON_USE:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=sys.modules[__name__])
        found = getattr(lazy_module(f"{__name__}.{_ON_USE[name]}"), name)
        return globals().setdefault(name, found)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "Curve",
    "Curves",
    "Difference",
    "Experiment",
    "ExperimentCollection",
    "ExperimentOverview",
    "Experiments",
    "Level",
    "LevelView",
    "RecordKeeper",
    "Recorder",
    "Records",
    "RecordsView",
    "Row",
    "Run",
    "SavedViews",
    "Status",
    "Tree",
    "View",
    "errors",
    "native",
    "register_stop",
]

__version__ = "2.0.0"

RecordKeeper = Recorder
