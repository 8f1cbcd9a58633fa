"""`rigorous demo`: logs three curves into a small tree, and shows the tree, the table and a chart."""

import shlex
from contextlib import closing
from math import exp
from pathlib import Path
from typing import Annotated, Final

import typer

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.page import view as view_page

from .output import print_text
from .plot import print_curves

__all__ = ["EXAMPLES", "demo"]

EXAMPLES = "Examples: `rigorous demo`, `rigorous demo data/my_demo --view`"

_LEARNING_RATES: Final = (0.1, 0.3, 0.9)
_EPOCHS: Final = 5
_STEPS: Final = 8


def demo(
    folder: Annotated[
        Path, typer.Argument(help="Where to log to; '.collection' is added to its name.")
    ] = Path("data/demo"),
    *,
    view: Annotated[
        bool, typer.Option("--view", help="Open it in the browser afterwards, as `view` does.")
    ] = False,
) -> None:
    """Log three made-up learning curves, and show their tree, the flat table and a chart.

    Each of the three experiments has 5 epochs, and a record for each step. Every further call adds 3
    experiments to the folder.
    """
    with closing(ExperimentCollection(folder, quiet=True)) as collection:
        numbers = [log_curve(collection, rate) for rate in _LEARNING_RATES]
    # closed: all of it is Parquet, no file waits for more records, and reading still works
    name = shlex.quote(str(folder))
    print_text(f"Logged experiments {', '.join(map(str, numbers))}. To see them again:\n")
    print_text(f"\nrigorous show {name} --children 3\n\n{collection.tree(children=3)}\n")
    print_text(f"\nprint(ExperimentCollection.open({str(folder)!r}).records)\n\n")
    print_text(f"{collection.records}\n")
    print_text(f"\nrigorous plot {name} -x step -y loss --by learning_rate\n\n")
    print_curves(collection.records.plot("step", "loss", "learning_rate"))
    if view:
        print_text(f"\nrigorous view {name}\n\n")
        view_page([folder])


def log_curve(collection: ExperimentCollection, learning_rate: float) -> int:
    """Log an experiment whose loss decays; the accuracy of an epoch is set when the epoch is over."""
    with collection.new_experiment(learning_rate=learning_rate) as experiment:
        for number in range(1, _EPOCHS + 1):
            epoch = experiment.child(epoch=number)
            for step in range(_STEPS * (number - 1), _STEPS * number):
                epoch.push(step=step, loss=exp(-learning_rate * step / 10))
            epoch["accuracy"] = 1 - exp(-learning_rate * number)
    return int(experiment["experiment_number"])
