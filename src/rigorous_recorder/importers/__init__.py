"""Imports the runs of other tools into a collection, so that nothing of them is lost."""

from .contract import Format, Loss, Position, Record, Report, Rows, Run, Source, media, utc_time
from .formats import FORMATS, Found
from .importing import Imported, Listed, find_runs, import_runs, list_runs

__all__ = [
    "FORMATS",
    "Format",
    "Found",
    "Imported",
    "Listed",
    "Loss",
    "Position",
    "Record",
    "Report",
    "Rows",
    "Run",
    "Source",
    "find_runs",
    "import_runs",
    "list_runs",
    "media",
    "utc_time",
]
