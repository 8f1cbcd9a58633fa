"""What scripts import of W&B: it works, or the error names what to use instead."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection

#: Statements as in W&B's examples and in frameworks.
WORK = """
import wandb.plot
import wandb.data_types
from wandb import AlertLevel, Artifact, Classes, Settings, data_types, sdk
from wandb.data_types import Image, Table, WBValue
from wandb.errors import AuthenticationError, CommError, UsageError
from wandb.errors.errors import Error
from wandb.errors.term import termwarn
from wandb.plot import confusion_matrix
from wandb.sdk.data_types.base_types.wb_value import WBValue
from wandb.sdk.data_types.image import Image
from wandb.sdk.data_types.video import Video
from wandb.sdk.lib import RunDisabled
from wandb.sdk.lib.config_util import ConfigError
from wandb.sdk.lib.runid import generate_id
from wandb.sdk.wandb_run import Run
from wandb.util import generate_id, json_dumps_safer, make_artifact_name_safe
from wandb.wandb_run import Run
"""
#: What has no place here, and a part of the advice.
ADVISED = {
    "from wandb import JoinedTable": "docs/integrations.md lists what it has",
    "from wandb.apis.public import Runs": "use ExperimentCollection.open",
    "from wandb.fastai import WandbCallback": "use RigorousCallback of rigorous_recorder.integrations.f",
    "from wandb.integration.catboost import WandbCallback": "use CatBoostCallback of rigorous",
    "from wandb.integration.sb3 import WandbCallback": "rigorous_recorder.integrations.stable_base",
    "from wandb.integration.ultralytics import add_wandb_callback": "use wandb.log() in code of",
    "from wandb.sdk.data_types.trace_tree import Trace": "docs/integrations.md",
    "from wandb.util import nothing": "has no 'util.nothing'",
    "import wandb.sklearn": "use wandb.log() with wandb.Table",
    "wandb.agent('x')": "use Optuna or Ray Tune",
    "wandb.Api().runs('p')": "use ExperimentCollection.open",
    "wandb.controller()": "use Optuna or Ray Tune",
    "wandb.integration.gym.monitor()": "use RecordEpisodes of rigorous_recorder.integrations.gymnas",
    "wandb.sklearn.plot_roc(1, 2)": "use wandb.log() with wandb.Table",
    "wandb.sweep({})": "use Optuna or Ray Tune",
    "wandb.tensorboard.patch()": "use SummaryWriter of rigorous_recorder.tensorboard",
    "wandb.Table(['a'], [[1]]).cast('a', int)": "has no 'Table.cast'",
    "wandb.init(mode='disabled').upsert_artifact()": "has no 'Run.upsert_artifact'",
    "wandb.util.nothing()": "has no 'util.nothing'",
}
#: Runs statements by either name, and prints the errors.
STATEMENTS = """
import sys
import rigorous_recorder.wandb as wandb
if {is_patched}:
    wandb.patch()
for line in {lines}:
    try:
        exec(line)
    except Exception as error:
        print(line, "|", error)
"""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_CONSOLE", "off")


def errors_of(lines: list[str], *, is_patched: bool) -> list[str]:
    """What a process of its own prints of the statements that fail."""
    if not is_patched:
        lines = [line.replace("from wandb", "from rigorous_recorder.wandb") for line in lines]
        lines = [line.replace("import wandb", "import rigorous_recorder.wandb") for line in lines]
    code = STATEMENTS.format(is_patched=is_patched, lines=lines)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return ran.stdout.splitlines()


@pytest.mark.parametrize("is_patched", [False, True])
def test_imports_work_or_give_advice(is_patched: bool) -> None:
    """By the package's own name, and after ``patch()`` by the original's; nothing else is raised."""
    lines = [*WORK.strip().splitlines(), *ADVISED]
    found = errors_of(lines, is_patched=is_patched)
    assert len(found) == len(ADVISED), "\n".join(found)
    for line, advice in zip(found, ADVISED.values(), strict=True):
        assert "rigorous_recorder.wandb has no " in line
        assert advice in line


def test_classes_are_the_same_by_all_names() -> None:
    """So that ``isinstance`` and ``except`` hold, also after ``patch()``."""
    code = """
import rigorous_recorder.wandb as ours
from rigorous_recorder.wandb.sdk.wandb_run import Run
ours.patch()
import wandb, wandb.errors.errors, wandb.sdk.data_types.image, wandb.integration.shared
assert wandb is ours
assert wandb.sdk.data_types.image.Image is ours.Image
assert wandb.errors.errors.Error is ours.Error and wandb.errors.errors is ours.errors
assert wandb.sdk.wandb_run.Run is Run is ours.Run
assert wandb.plot.__spec__.name == "rigorous_recorder.wandb.plot"
assert wandb.integration.shared is ours.integration.shared
assert not hasattr(wandb, "sklearn") and not hasattr(wandb, "__wrapped__")
assert len(wandb.util.make_artifact_name_safe("a/b" * 99)) == 128
assert wandb.util.json_dumps_safer({"a": 1j}) == '{"a": "1j"}'
"""
    subprocess.run([sys.executable, "-c", code], check=True)


#: The callbacks of W&B for boosting, as its examples use them; ``{module}`` is where they come from.
BOOSTING = """
import lightgbm as lgb
import numpy as np
import xgboost as xgb
import {module} as wandb
from {module}.integration.lightgbm import log_summary, wandb_callback
from {module}.xgboost import WandbCallback
x = np.random.default_rng(0).random((60, 3))
y = (x[:, 0] > 0.5).astype(int)
with wandb.init(project="p", id="xgboost"):
    data = xgb.DMatrix(x, y)
    given = {{"objective": "binary:logistic", "eval_metric": ["logloss", "auc"], "nthread": 1}}
    xgb.train(given, data, 3, evals=[(data, "train")], verbose_eval=False,
              early_stopping_rounds=2, callbacks=[WandbCallback(log_model=True)])
with wandb.init(project="p", id="lightgbm") as run:
    data = lgb.Dataset(x, y)
    given = {{"objective": "binary", "metric": ["auc"], "verbosity": -1, "num_threads": 1}}
    model = lgb.train(given, data, 3, valid_sets=[data], valid_names=["v"], callbacks=[wandb_callback()])
    log_summary(model, save_model_checkpoint=True)
    lgb.cv(given, data, 2, nfold=2, callbacks=[wandb_callback(log_params=False)])
"""


@pytest.mark.slow
def test_callbacks_for_boosting_log_the_keys_of_the_originals() -> None:
    """Each iteration, the best value in the summary, the importances, and the model as an artifact."""
    for name in ("xgboost", "lightgbm"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    code = BOOSTING.format(module="rigorous_recorder.wandb")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        first, second = collection.experiments
        rows = [row for row in first.records if row["train-auc"] is not None]
        assert [row["epoch"] for row in rows] == [0, 1, 2]
        assert first["summary"]["train-logloss"] == {"min": rows[-1]["train-logloss"]}
        assert first["learner"]["objective"]["name"] == "binary:logistic"
        assert [r["best_iteration"] for r in first.records if r["best_score"] is not None] == [0]
        artifacts = [row["path"] for row in first.records if row["artifact"] is not None]
        assert artifacts == ["xgboost_model.json"]
        rows = [row for row in second.records if row["v_auc"] is not None]
        assert [(row["iteration"], row["step"]) for row in rows] == [(0, 0), (1, 1), (2, 2)]
        assert second["summary"]["v_auc"] == {"max": max(row["v_auc"] for row in rows)}
        assert (second["objective"], second["summary"]["best_iteration"]) == ("binary", 0)
        table = [row["Feature"] for row in second.records if row["table"] is not None]
        assert table == ["Column_0", "Column_1", "Column_2"]
        folds = [row for row in second.records if row["valid_auc-stdv"] is not None]
        assert [row["iteration"] for row in folds] == [0, 1]


#: Those for Keras.
KERAS = """
import keras
import numpy as np
import rigorous_recorder.wandb as wandb
from rigorous_recorder.wandb.keras import WandbMetricsLogger, WandbModelCheckpoint
x = np.random.default_rng(0).random((20, 3))
rate = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.25)
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(rate), "mse")
with wandb.init(project="p", id="k"):
    checkpoint = WandbModelCheckpoint("m-{epoch}.keras")
    model.fit(x, x.sum(1), epochs=2, batch_size=5, verbose=0, callbacks=[WandbMetricsLogger(), checkpoint])
    model.compile("sgd", "mse")
    model.fit(x, x.sum(1), batch_size=5, verbose=0, callbacks=[WandbMetricsLogger(log_freq=2)])
try:
    WandbMetricsLogger()
except wandb.Error as error:
    print(error)
try:
    from rigorous_recorder.wandb.keras import WandbCallback
except ImportError as error:
    print(error)
"""


@pytest.mark.slow
def test_callbacks_for_keras_log_the_keys_of_the_originals() -> None:
    """Epochs or batches, the learning rate of a schedule too, and checkpoints with versions."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("keras") is None:
        pytest.skip("keras or torch is not installed")
    env = {**os.environ, "KERAS_BACKEND": "torch"}
    ran = subprocess.run(
        [sys.executable, "-c", KERAS], capture_output=True, text=True, check=True, env=env
    )
    lines = ran.stdout.splitlines()
    assert lines[0] == "WandbMetricsLogger needs a run: call wandb.init() first"
    assert "use WandbMetricsLogger" in lines[1]
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        (run,) = collection.experiments
        rows = list(run.records)
        epochs = [row for row in rows if row["epoch/loss"] is not None]
        assert [row["epoch/epoch"] for row in epochs] == [0, 1, 0]
        rates = [row["epoch/learning_rate"] for row in epochs]
        assert rates == pytest.approx([0.1 / 16, 0.1 / 256, 0.01])
        assert [row["batch/batch_step"] for row in rows if row["batch/loss"] is not None] == [0, 2]
        artifacts = [(r["version"], r["path"]) for r in rows if r["artifact"] is not None]
        assert artifacts == [("v0", "m-1.keras"), ("v1", "m-2.keras")]
        assert run["step_metrics"] == {"epoch/*": "epoch/epoch", "batch/*": "batch/batch_step"}
