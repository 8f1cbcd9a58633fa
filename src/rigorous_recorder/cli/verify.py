"""`rigorous verify`: read every file of a collection to its end, and list damage."""

import warnings

import typer

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store.near import folder_of
from rigorous_recorder.errors import DamagedFileWarning

from .damage import print_damage
from .output import print_message
from .target import Collection, Json

__all__ = ["EXAMPLES", "verify"]

EXAMPLES = "Examples: `rigorous verify data/my_study`, `rigorous verify data/my_study --json`"


def verify(path: Collection, *, as_json: Json = False) -> None:
    """Read every file to its end, verify checksums, and list what is damaged.

    For each damaged file it reports how many of its rows `rigorous repair` can recover, and which
    keys lose values in these. Nothing is changed, and files of killed processes are not recovered.
    The exit code is 1 if anything is damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedFileWarning)  # listed below
        problems = ExperimentCollection.verify_folder(folder_of(path), extension="")
    print_damage(problems, as_json=as_json)
    if problems:
        raise typer.Exit(1)
    if not as_json:
        print_message(f"every file of {path} is as it was written")
