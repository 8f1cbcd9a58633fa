"""Write the collections of today's format that later versions must read: once for each format.

``python tests/data/write_collections.py FOLDER`` makes ``closed.collection``, which was closed and
compacted, and ``killed.collection``, whose process was killed while it logged; ``... FOLDER features``
makes ``no-features.collection`` and ``unknown-feature.collection``.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from rigorous_recorder import ExperimentCollection


def write_closed(path: Path) -> None:
    """Experiments with values of every kind, one that failed, one deleted, one resumed."""
    with ExperimentCollection(path, quiet=True) as collection:
        with collection.new_experiment(model="cnn", lr=0.1, tags={"a": [1, 2]}) as experiment:
            for number in (1, 2):
                episode = experiment.child(episode=number)
                episode.push(step=0, loss=0.5 / number)
                episode.push(step=1, loss=float("nan"))
                episode["total"] = 10 * number
        with collection.new_experiment(model="rnn", lr=0.01) as experiment:
            experiment.push(step=0, text="naïve", raw=b"\0\xff", flag=True, big=2**100)
            experiment.push(
                step=1,
                day=dt.date(2026, 1, 2),
                at=dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
                plain=dt.datetime(2026, 1, 2, 3, 4, 5),
                took=dt.timedelta(seconds=1.5),
                array=np.arange(6, dtype=np.float32).reshape(2, 3),
                ragged=[1.5, 2.5],
                nested={"b": [None, {"c": -0.0}]},
                missing=None,
                loss="text",
            )
        with collection.new_experiment(model="gone") as experiment:
            experiment.push(step=0)
        collection.delete(experiment["experiment_number"])
    with ExperimentCollection(path, quiet=True) as collection:  # by now the writer is finished
        collection.compact()
        with collection.new_experiment(model="mlp") as experiment:
            experiment.push(step=0)
        collection.delete(experiment["experiment_number"])


def write_killed(path: Path) -> None:
    """Rows in live files, as a process leaves them that is killed."""
    collection = ExperimentCollection(path, quiet=True)
    with collection.new_experiment(model="cnn") as experiment:
        for step in range(5):
            experiment.push(step=step, note=f"step {step}, long enough for a buffer of its own")
        experiment.sync()
        os.kill(os.getpid(), signal.SIGKILL)


def write_with_features(path: Path, features: list[str]) -> None:
    """One record, in a collection that lists these features."""
    with ExperimentCollection(path, quiet=True) as collection:
        with collection.new_experiment(model="cnn") as experiment:
            experiment.push(step=0, loss=0.5)
    about = path.with_name(f"{path.name}.collection") / "collection.json"
    info = {**json.loads(about.read_text()), "features": features}
    about.write_text(json.dumps(info, indent=2))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if sys.argv[2:] == ["features"]:
        write_with_features(folder / "no-features", [])
        write_with_features(folder / "unknown-feature", ["columns-in-pages"])
        sys.exit()
    if sys.argv[2:] == ["killed"]:
        write_killed(folder / "killed.collection")
    write_closed(folder / "closed.collection")
    subprocess.run([sys.executable, __file__, str(folder), "killed"], check=False)
