"""Two classifiers learn handwritten digits, and every batch of their training is logged.

    python examples/digits.py [FOLDER]

The tree is experiment > model > epoch > batch. Attributes that are known late are set late: an epoch's
accuracies when the epoch is over, a model's test accuracy when its training is over. Both are in
every batch's row of the flat table. It needs scikit-learn, which includes the digits.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from rigorous_recorder import ExperimentCollection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rigorous_recorder import Recorder

EPOCHS = 8
BATCH_SIZE = 32
CLASSES = np.arange(10)
SEED = 0

QUERY = """
SELECT experiment_number, model, epoch,
       round(avg(loss), 4) AS mean_loss,
       round(train_accuracy, 4) AS train_accuracy,
       round(validation_accuracy, 4) AS validation_accuracy,
       round(test_accuracy, 4) AS test_accuracy
FROM records
GROUP BY ALL
ORDER BY ALL
"""


class Images(NamedTuple):
    """Some of the digits: pixels (n, 64) between 0 and 1, and the labels (n,) 0 to 9."""

    pixels: NDArray[np.float64]
    labels: NDArray[np.int64]

    def batches(self, generator: np.random.Generator) -> Iterator[Images]:
        """All of the images in a new random order, up to 32 at a time."""
        order = generator.permutation(len(self.labels))
        for start in range(0, len(order), BATCH_SIZE):
            chosen = order[start : start + BATCH_SIZE]
            yield Images(self.pixels[chosen], self.labels[chosen])


class Digits(NamedTuple):
    """The three sets: to learn from, to watch the learning on, and to judge it once by."""

    train: Images
    validation: Images
    test: Images


def main(folder: str) -> None:
    """Train both models in one new experiment at ``folder``, and print what came of them."""
    collection = ExperimentCollection(folder)
    digits = load()
    with collection.new_experiment(
        dataset="digits", batch_size=BATCH_SIZE, seed=SEED
    ) as experiment:
        model = experiment.child(model="logistic regression", learning_rate=0.05, alpha=1e-4)
        train(model, logistic_regression(model), digits)
        model = experiment.child(model="neural network", learning_rate=0.005, hidden_units=64)
        train(model, neural_network(model), digits)
    collection.sql(QUERY).show(max_width=120)
    collection.close()


def load() -> Digits:
    """The 1,797 digits: 60% to train on, 20% to validate on, 20% to test on."""
    pixels, labels = load_digits(return_X_y=True)
    split = train_test_split(pixels / 16, labels, test_size=0.4, random_state=SEED)
    train_pixels, other_pixels, train_labels, other_labels = split
    half = len(other_labels) // 2
    return Digits(
        train=Images(train_pixels, train_labels),
        validation=Images(other_pixels[:half], other_labels[:half]),
        test=Images(other_pixels[half:], other_labels[half:]),
    )


def logistic_regression(model: Recorder) -> SGDClassifier:
    """A classifier with the hyperparameters that stand in the recorder."""
    return SGDClassifier(
        loss="log_loss",
        learning_rate="constant",
        eta0=model["learning_rate"],
        alpha=model["alpha"],
        random_state=SEED,
    )


def neural_network(model: Recorder) -> MLPClassifier:
    """A classifier with the hyperparameters that stand in the recorder."""
    return MLPClassifier(
        hidden_layer_sizes=(model["hidden_units"],),
        learning_rate_init=model["learning_rate"],
        random_state=SEED,
    )


def train(model: Recorder, classifier: SGDClassifier | MLPClassifier, digits: Digits) -> None:
    """Train for 8 epochs; the test accuracy is set only at the end."""
    generator = np.random.default_rng(SEED)
    for number in range(1, EPOCHS + 1):
        epoch = model.child(epoch=number)
        train_epoch(epoch, classifier, digits.train.batches(generator))
        epoch["train_accuracy"] = classifier.score(*digits.train)
        epoch["validation_accuracy"] = classifier.score(*digits.validation)
    model["test_accuracy"] = classifier.score(*digits.test)


def train_epoch(
    epoch: Recorder, classifier: SGDClassifier | MLPClassifier, batches: Iterator[Images]
) -> None:
    """Learn from each batch, and log the loss (cross entropy) left on it."""
    for number, batch in enumerate(batches):
        classifier.partial_fit(*batch, classes=CLASSES)
        probabilities = classifier.predict_proba(batch.pixels)
        epoch.push(batch=number, loss=log_loss(batch.labels, probabilities, labels=CLASSES))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "data/digits")
