"""The study of the first README, logged word for word; answer its seconds as one JSON line.

``python -m peer_scripts.study FOLDER RECORDS``
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from random import random

from peer_scripts.answer import take_stdout
from rigorous_recorder import ExperimentCollection, RecordKeeper

TESTS = 500


def log_study(folder: Path, records: int) -> None:
    """Two models: one is pushed to, the other's records come together in two places."""
    collection = ExperimentCollection(str(folder / "my_study"))
    with collection.new_experiment() as experiment_recorder:
        model1_recorder = RecordKeeper(model="model1").set_parent(experiment_recorder)
        model2_recorder = RecordKeeper(model="model2").set_parent(experiment_recorder)
        model1_train_recorder = RecordKeeper(training=True).set_parent(model1_recorder)
        model2_train_recorder = RecordKeeper(training=True).set_parent(model2_recorder)
        for each_index in range(records):
            model1_train_recorder.push(index=each_index, loss=random())
            model2_train_recorder.add(index=each_index)
            model2_train_recorder.add({"loss": random()})
            model2_train_recorder.commit()
        model1_test_recorder = RecordKeeper(testing=True).set_parent(model1_recorder)
        model2_test_recorder = RecordKeeper(testing=True).set_parent(model2_recorder)
        for each_index in range(TESTS):
            model1_test_recorder.push(index=each_index, accuracy=random())
            model2_test_recorder.add(index=each_index, accuracy=random())
            model2_test_recorder.commit()


def main() -> None:
    """Answer how long it took until all was saved."""
    answer = take_stdout()
    start = time.perf_counter()
    log_study(Path(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(time.perf_counter() - start), file=answer)


if __name__ == "__main__":
    main()
