"""Transformers' trainer with our callback."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection, Status

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")
from rigorous_recorder.integrations.transformers import RigorousCallback  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Config(transformers.PretrainedConfig):  # type: ignore[misc,name-defined]
    """Of the model below."""

    model_type = "line"


class Line(transformers.PreTrainedModel):  # type: ignore[misc,name-defined]
    """A line; from its call ``fails_at`` on the loss is NaN, or an error is raised."""

    config_class = Config
    _tied_weights_keys = None

    def __init__(self, fails_at: int = 10**9, error: BaseException | None = None) -> None:
        super().__init__(Config())
        self.layer, self.calls = torch.nn.Linear(1, 1), 0
        self.fails_at, self.error = fails_at, error
        self.post_init()

    def forward(self, x: Any, labels: Any) -> Any:
        found = self.layer(x)
        loss = ((found - labels) ** 2).mean()
        if self.training:
            self.calls += 1
            if self.calls >= self.fails_at:
                if self.error is not None:
                    raise self.error
                loss = loss * math.nan
        return {"loss": loss, "logits": found}


DATA = [{"x": [float(each)], "labels": [2.0 * each]} for each in range(4)]


def trainer(folder: Path, model: Any = None, callbacks: Any = (), **options: Any) -> Any:
    args = transformers.TrainingArguments(
        output_dir=str(folder / "out"),
        num_train_epochs=2,
        per_device_train_batch_size=2,
        logging_steps=1,
        use_cpu=True,
        disable_tqdm=True,
        learning_rate=1e-3,
        **{"report_to": [], "save_strategy": "no", **options},
    )
    return transformers.Trainer(
        model=model or Line(),
        args=args,
        train_dataset=DATA,
        eval_dataset={"a": DATA, "b": DATA},
        compute_metrics=lambda _: {"vector": np.arange(2.0), "text": "t"},
        callbacks=list(callbacks),
    )


def test_two_trainings_evaluations_and_a_prediction(
    study: ExperimentCollection, tmp_path: Path
) -> None:
    """Each call of the trainer's is a record with the values of its own history."""
    trained = trainer(
        tmp_path, callbacks=[RigorousCallback(study, {"m": 1})], eval_strategy="epoch"
    )
    for _ in range(2):
        trained.train()
        own = [row for row in trained.state.log_history if "loss" in row]
    trained.predict(DATA)
    rows = [row for row in study.records if row["loss"] is not None]
    assert [(row["training"], row["step"]) for row in rows] == [
        (training, step) for training in (0, 1) for step in (1, 2, 3, 4)
    ]
    for key in ("loss", "grad_norm", "learning_rate", "epoch"):
        assert [row[key] for row in rows[4:]] == [row[key] for row in own]
    evaluations = [row for row in study.records if row["eval_a_loss"] is not None]
    assert [row["step"] for row in evaluations] == [2, 4, 2, 4]
    assert evaluations[0]["eval_a_vector"].tolist() == [0.0, 1.0]
    assert evaluations[0]["eval_a_text"] == "t"
    (summary, _) = [row for row in study.records if row["train_loss"] is not None]
    assert summary["total_flos"] >= 0  # which Transformers' own printer takes out
    assert study.records[-1]["test_loss"] > 0
    training = study.level("training")[0]
    assert training["args"]["learning_rate"] == 1e-3
    assert json.loads(training["model_config"])["model_type"] == "line"
    assert training["model_parameters"] == 2
    assert study.experiment(1).status is Status.RUNNING  # a trainer can go on


def test_a_loss_that_is_nan_is_logged_as_it_is(study: ExperimentCollection, tmp_path: Path) -> None:
    """By itself the trainer logs 0.0 from then on."""
    for asked in (True, False):
        with study.new_experiment(asked=asked) as run:
            trainer(tmp_path, Line(fails_at=3), [RigorousCallback(run, nan_losses=asked)]).train()
    losses = [
        row["loss"] for row in study.records.where(asked=True) if row["grad_norm"] is not None
    ]
    assert [math.isnan(loss) for loss in losses] == [False, False, True, True]
    others = [
        row["loss"] for row in study.records.where(asked=False) if row["grad_norm"] is not None
    ]
    assert others[2:] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("bad"), Status.FAILED), (KeyboardInterrupt(), Status.STOPPED)],
)
def test_a_training_that_ends_early_and_is_resumed(
    study: ExperimentCollection, tmp_path: Path, error: BaseException, status: Status
) -> None:
    """The steps after the checkpoint come twice, in two attempts at one experiment."""
    options: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2}
    with pytest.raises(type(error)):
        with study.new_experiment(name="a") as run:
            trainer(tmp_path, Line(4, error), [RigorousCallback(run)], **options).train()
    assert study.experiment(1).status is status
    again = trainer(tmp_path, callbacks=[RigorousCallback(study, {"name": "a"})], **options)
    again.train(resume_from_checkpoint=True)
    rows = [row for row in study.records if row["loss"] is not None]
    assert [(row["experiment_attempt"], row["step"]) for row in rows] == [
        *((1, step) for step in (1, 2, 3)),
        *((2, step) for step in (3, 4)),
    ]
    assert {row["first_step"] for row in rows} == {None, 2}


def test_a_name_in_report_to_and_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """It logs below the trainer's folder; a failure ends no training."""
    trainer(tmp_path, report_to="rigorous").train()
    with ExperimentCollection.open(tmp_path / "out" / "rigorous", quiet=True) as collection:
        assert len([row for row in collection.records if row["loss"] is not None]) == 4
    (tmp_path / "file").touch()
    broken = trainer(tmp_path, callbacks=[RigorousCallback(tmp_path / "file" / "study")])
    assert broken.train().global_step == 4


def test_completions_and_values_of_trl(study: ExperimentCollection, tmp_path: Path) -> None:
    """As its trainers write them: a file for a step, and None where nothing was measured."""

    class Writes(transformers.TrainerCallback):  # type: ignore[misc,name-defined]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            path = Path(args.output_dir) / "completions" / f"completions_{state.global_step:05d}"
            path.parent.mkdir(exist_ok=True, parents=True)
            table = {
                "step": [state.global_step] * 2,
                "prompt": ["p", "q"],
                "reward": [0.5, math.nan],
            }
            pq.write_table(pa.table(table), path.with_suffix(".parquet"))

    with study.new_experiment() as run:
        trained = trainer(tmp_path, callbacks=[RigorousCallback(run), Writes()])
        trained.args.log_completions = True
        trained.train()
        trained.log({"reward": None, "completions/mean_length": 3.0})
    found = [(row["step"], row["prompt"]) for row in study.records.where(table="completions")]
    assert found == [(step, prompt) for step in (1, 2, 3, 4) for prompt in ("p", "q")]
    assert study.records.where(table=None)[-1]["completions/mean_length"] == 3.0


def test_a_real_training_of_trl(study: ExperimentCollection, tmp_path: Path) -> None:
    """GRPO of a tiny model of random weights: TRL's own values, and the completions it wrote."""
    trl = pytest.importorskip("trl", reason="trl is not installed")
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    names = ["<pad>", "<eos>", *"abcdefgh"]
    words = tokenizers.models.WordLevel({w: n for n, w in enumerate(names)}, unk_token="<pad>")
    core = tokenizers.Tokenizer(words)
    core.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", padding_side="left"
    )

    def length(completions: list[str], **_: Any) -> list[float]:
        return [float(len(each)) for each in completions]

    sizes = {"vocab_size": 10, "n_positions": 16, "n_embd": 8, "n_layer": 1, "n_head": 1}
    tokens = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    args = trl.GRPOConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=2,
        per_device_train_batch_size=2,
        num_generations=2,
        max_completion_length=3,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        log_completions=True,
    )
    trained = trl.GRPOTrainer(
        model=transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **tokens)),
        processing_class=tokenizer,
        reward_funcs=length,
        args=args,
        train_dataset=datasets.Dataset.from_dict({"prompt": ["a b", "c d", "e f", "g h"]}),
        callbacks=[RigorousCallback(study, {"m": 1}, capture=False)],
    )
    trained.train()
    history = [row for row in trained.state.log_history if "reward" in row]
    rows = [row for row in study.records if row["reward"] is not None and row["table"] is None]
    assert [row["step"] for row in rows] == [1, 2]
    for key in ("reward", "reward_std", "entropy", "completions/mean_length", "loss", "epoch"):
        assert [row[key] for row in rows] == [row[key] for row in history], key
    completions = list(study.records.where(table="completions"))
    assert [row["step"] for row in completions] == [1, 1, 2, 2]
    assert [row["length"] for row in completions] == [len(row["completion"]) for row in completions]
