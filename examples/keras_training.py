"""A small training with Keras. Needs ``pip install keras`` and one of its backends.

Run it as ``python examples/keras_training.py [folder]``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from rigorous_recorder import ExperimentCollection

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras

from rigorous_recorder.integrations.keras import RigorousCallback

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

keras.utils.set_random_seed(0)
x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.1), "mse")
callback = RigorousCallback(FOLDER / "line", {"model": "line"})
model.fit(x, 2 * x, epochs=4, batch_size=8, validation_split=0.25, verbose=0, callbacks=[callback])
with ExperimentCollection.open(FOLDER / "line", quiet=True) as collection:
    counts = "SELECT model, count(batch_loss), count(val_loss), max(step) FROM records GROUP BY ALL"
    print(collection.sql(counts).fetchall())
