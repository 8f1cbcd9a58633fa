"""The digits example runs as its readers would run it, and logs what it says it logs."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rigorous_recorder import ExperimentCollection

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("sklearn")

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits.py"
MODELS = {"logistic regression", "neural network"}
BATCHES = 34  # 1,078 training images, 32 a batch
EPOCHS = 8


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The folder that one run of the example wrote, and what it printed."""
    folder = str(tmp_path_factory.mktemp("example") / "digits")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", [str(EXAMPLE), folder])
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    return folder, printed.getvalue()


@pytest.fixture(scope="module")
def records(study: tuple[str, str]) -> Iterator[list[dict[str, Any]]]:
    collection = ExperimentCollection(study[0], quiet=True)
    yield [dict(record) for record in collection.records]
    collection.close()


def test_every_batch_of_both_models_is_a_record(records: list[dict[str, Any]]) -> None:
    """Each batch of each epoch of each model is one record."""
    logged = {(record["model"], record["epoch"], record["batch"]) for record in records}
    assert len(records) == len(logged) == len(MODELS) * EPOCHS * BATCHES
    assert {record["model"] for record in records} == MODELS


def test_both_models_have_learnt_the_digits(records: list[dict[str, Any]]) -> None:
    """Both models get more than nine of ten digits right that they were not trained on."""
    accuracies = {record["model"]: record["test_accuracy"] for record in records}
    assert accuracies.keys() == MODELS
    assert min(accuracies.values()) > 0.9


def test_the_late_test_accuracy_is_in_every_row_below_its_model(
    records: list[dict[str, Any]],
) -> None:
    """What was set on the model after its training is inherited by each of its batches, and stored once."""
    told = {(record["model"], record["test_accuracy"]) for record in records}
    assert {model for model, accuracy in told if accuracy is not None} == MODELS
    assert len(told) == len(MODELS)


def test_the_late_accuracies_of_an_epoch_are_in_its_rows(records: list[dict[str, Any]]) -> None:
    """Each epoch's rows carry the one pair of accuracies that was measured at its end."""
    told = {
        (each["model"], each["epoch"], each["train_accuracy"], each["validation_accuracy"])
        for each in records
    }
    assert len(told) == len(MODELS) * EPOCHS
    assert all(
        0 <= accuracy <= 1 for *_, train, validation in told for accuracy in (train, validation)
    )


def test_the_loss_falls_while_a_model_learns(records: list[dict[str, Any]]) -> None:
    """A batch of the last epoch has less loss than one of the first, in the mean of each model."""
    for model in MODELS:
        first, last = (
            sum(
                each["loss"] for each in records if (each["model"], each["epoch"]) == (model, epoch)
            )
            for epoch in (1, EPOCHS)
        )
        assert last < first / 2


def test_hyperparameters_stand_only_above_the_model_that_has_them(
    records: list[dict[str, Any]],
) -> None:
    """A key that one model has and the other has not is None in the rows of the other."""
    hidden_units = {(record["model"], record.get("hidden_units")) for record in records}
    assert hidden_units == {("logistic regression", None), ("neural network", 64)}


def test_the_query_is_printed_with_the_late_scores(
    study: tuple[str, str], records: list[dict[str, Any]]
) -> None:
    """The table at the end shows each model's late test accuracy."""
    _, printed = study
    assert "mean_loss" in printed
    for accuracy in {record["test_accuracy"] for record in records}:
        assert str(round(accuracy, 4)) in printed


def test_the_example_trains_in_one_experiment_that_ended_well(
    records: list[dict[str, Any]],
) -> None:
    """The whole run is experiment 1, without an error."""
    assert {(each["experiment_number"], each["had_error"]) for each in records} == {(1, False)}
