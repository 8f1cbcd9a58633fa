"""W&B as a drop-in: what a script logs is what the original's own files have, and nothing is dropped."""

from __future__ import annotations

import datetime as dt
import math
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rigorous_recorder import ExperimentCollection, Status, mlflow, wandb
from rigorous_recorder.errors import ArgumentError
from rigorous_recorder.importers import import_runs
from rigorous_recorder.wandb.captured import Captured
from rigorous_recorder.wandb.settings import Given

#: A script as W&B's users write them; ``{module}`` is where it comes from.
SCRIPT = """
import sys
{module}
with wandb.init(project="demo", id="abc", name="first", mode="offline", notes="n", group="g",
                job_type="j", tags=["a", "b"], config={{"lr": 0.1, "layers": [1, 2]}}) as run:
    wandb.config.update({{"optimizer": {{"name": "adam"}}}})
    wandb.config.more = "m"
    wandb.config.job_type = "of the configuration"
    wandb.define_metric("accuracy", summary="max,min")
    for step in range(5):
        wandb.log({{"loss": 1 / (step + 1), "accuracy": [0.1, 0.4, 0.3, 0.2, 0.25][step]}})
    wandb.log({{"a": 1}}, commit=False)
    wandb.log({{"b": 2}})
    wandb.log({{"c": 1.5}}, step=10)
    wandb.log({{"d": 2}}, step=10)
    wandb.log({{"e": 2}}, step=12, commit=True)
    wandb.log({{"f": float("nan"), "g": float("inf"), "h": "text", "j": True}})
    wandb.log({{"k": {{"x": 1, "y": {{"z": 2.5}}}}, "val/loss": 3, "step": 7, "time": 8}})
    wandb.log({{}})
    wandb.alert("title", "text")
    run.summary["best"] = 7
    assert run.step == 16, run.step
"""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    yield
    wandb.teardown()


def rows_of(path: Path | str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The attributes of the only experiment, and its records without what they inherit."""
    with ExperimentCollection.open(path, quiet=True) as collection:
        (experiment,) = collection.experiments
        known = set(experiment) | {"environment"}
        return dict(experiment), [
            {key: value for key, value in row.items() if value is not None and key not in known}
            for row in experiment.records
            if row["part"] not in {"system", "console"}
        ]


def ordered(value: Any) -> Any:
    """A value in which all dicts have their keys sorted."""
    if isinstance(value, dict):
        return {key: ordered(each) for key, each in sorted(value.items())}
    return [ordered(each) for each in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_a_script_logs_what_the_originals_own_file_has(tmp_path: Path) -> None:
    """Value for value, by the importer: steps, configuration, summary rules, alerts."""
    pytest.importorskip("wandb", reason="wandb is not installed")
    Path("ours.py").write_text(SCRIPT.format(module="import rigorous_recorder.wandb as wandb"))
    Path("theirs.py").write_text(SCRIPT.format(module="import wandb"))
    for name in ("ours.py", "theirs.py"):
        subprocess.run([sys.executable, name], check=True, capture_output=True)
    import_runs("wandb", "theirs.collection", format="wandb")
    (ours, rows), (theirs, expected) = rows_of("demo.collection"), rows_of("theirs.collection")
    own = {"time", "_runtime"}
    expected = [{key: each for key, each in row.items() if key not in own} for row in expected]
    found = [{key: each for key, each in row.items() if key != "time"} for row in rows]
    alerts = [row for row in found if row.get("part") == "alerts"]
    assert [{**each, "step": None} for each in alerts] == [
        {**row, "step": None} for row in expected if row.get("part") == "alerts"
    ]
    records = [row for row in found if "part" not in row]
    theirs_too = [row for row in expected if "part" not in row]
    # As text, in which NaN equals itself; the original has the keys of a dict in any order.
    assert repr(ordered(records)) == repr(ordered(theirs_too))
    names = "lr layers optimizer more config.job_type notes group job_type tags run"
    assert [ours[key] for key in names.split()] == [theirs[key] for key in names.split()]
    assert (ours["job_type"], ours["config.job_type"]) == ("j", "of the configuration")
    assert (ours["run_id"], ours["project"], ours["exit_code"]) == ("abc", "demo", 0)
    assert ours["summary"] == {"accuracy": {"max": 0.4, "min": 0.1}, "best": 7}
    assert theirs["summary"]["accuracy"] == ours["summary"]["accuracy"]


def test_the_script_without_the_original(tmp_path: Path) -> None:
    """The same, against what is known to be right; names that a record has already are told apart."""
    code = SCRIPT.format(module="import rigorous_recorder.wandb as wandb")
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    about, rows = rows_of("demo.collection")
    assert all(type(row.pop("time")) is dt.datetime for row in rows)
    assert rows[:2] == [
        {"step": 0, "loss": 1.0, "accuracy": 0.1},
        {"step": 1, "loss": 0.5, "accuracy": 0.4},
    ]
    assert rows[5:8] == [
        {"step": 5, "a": 1, "b": 2},
        {"step": 10, "c": 1.5, "d": 2},
        {"step": 12, "e": 2},
    ]
    assert math.isnan(rows[8].pop("f"))
    assert rows[8] == {"step": 13, "g": math.inf, "h": "text", "j": True}
    nested = {"k": {"x": 1, "y": {"z": 2.5}}, "val/loss": 3}
    assert rows[9] == {"step": 14, **nested, "metric.step": 7, "metric.time": 8}
    assert rows[10] == {"step": 15}
    assert rows[11]["alert"] == "title"
    assert about["summary"] == {"accuracy": {"max": 0.4, "min": 0.1}, "best": 7}
    assert about["had_error"] is False
    assert about["name"] == "first"


#: Prints, also as C code does, and logs; ``{given}`` are arguments of ``init``.
PRINTS = """
import os
import rigorous_recorder.wandb as wandb
run = wandb.init(project="p"{given})
print("hello")
os.system("echo from a shell")
run.log({{"loss": 1.0}})
"""


def parts_of(given: str, **variables: str) -> tuple[set[str], list[str], dict[str, Any]]:
    """The parts that a script's run has, the lines of its console, and its environment."""
    env = {**os.environ, **variables}
    code = PRINTS.format(given=given)
    ran = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert (ran.stdout, ran.stderr) == ("hello\nfrom a shell\n", "")
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        experiment = collection.experiment(-1)
        rows = list(experiment.records)
        lines = [row["line"] for row in rows if row["part"] == "console"]
        return {row["part"] for row in rows if row["part"]}, lines, dict(experiment.environment)


def test_a_run_records_its_environment_console_and_machine() -> None:
    """As W&B does by default; also when it goes on."""
    for _ in range(2):
        parts, lines, environment = parts_of(", id='a', resume='allow'")
        assert parts == {"console"} | ({"system"} if find_spec("psutil") else set())
        assert lines[-2:] == ["hello", "from a shell"]
        assert environment["python"]["implementation"] == "CPython"
    assert lines == ["hello", "from a shell"] * 2


def test_what_is_recorded_can_be_switched_off() -> None:
    """By settings, by variables as the original takes them, and by ``capture``."""
    off = {"WANDB_CONSOLE": "off", "WANDB__DISABLE_STATS": "true", "WANDB_X_DISABLE_META": "1"}
    assert parts_of("", **off) == (set(), [], {})
    settings = "wandb.Settings(console='off', _disable_stats=True, disable_git=True)"
    parts, _, environment = parts_of(f", settings={settings}")
    assert parts == set()
    assert "python" in environment
    assert "git" not in environment
    parts, lines, environment = parts_of(", capture='console'", WANDB_CONSOLE="off")
    assert (parts, lines, environment) == ({"console"}, ["hello", "from a shell"], {})


@pytest.mark.parametrize(
    ("settings", "variables", "expected"),
    [
        ({}, {}, "console environment system"),
        ({"console": "wrap"}, {"WANDB_CONSOLE": "off"}, "console environment system"),
        (
            {"x_disable_stats": False},
            {"WANDB_X_DISABLE_STATS": "true"},
            "console environment system",
        ),
        ({"x_disable_machine_info": True}, {}, "console"),
        ({}, {"WANDB_DISABLE_GIT": "false"}, "console environment system"),
        ({}, {"WANDB_DISABLE_GIT": "true"}, "console system"),
        ({"x_disable_meta": True, "console": "off"}, {}, "system"),
    ],
)
def test_settings_come_before_variables(
    settings: dict[str, Any],
    variables: dict[str, str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the repository, the environment is not recorded by the collection."""
    monkeypatch.setattr("rigorous_recorder.wandb.captured._has_psutil", lambda: True)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = Captured(None, Given(settings)).by_collection
    assert " ".join(sorted(found)) == expected


@pytest.mark.parametrize("error", ["ModuleNotFoundError", "ImportError", "OSError"])
def test_a_missing_package_does_not_break_init(
    error: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked for by name is reported in one line, and else left out in silence."""
    Path("broken").mkdir()
    Path("broken/psutil.py").write_text(f"raise {error}('broken')", encoding="utf-8")
    monkeypatch.syspath_prepend("broken")
    for name in [name for name in sys.modules if name.partition(".")[0] == "psutil"]:
        monkeypatch.delitem(sys.modules, name)
    assert "system" not in Captured(None, Given({})).by_collection
    assert capsys.readouterr().err == ""
    run = wandb.init(project="p", capture=["system"])
    assert len(capsys.readouterr().err.splitlines()) == 1
    run.finish()
    with pytest.raises(ArgumentError, match="capture='all'"):
        wandb.init(project="p", capture="all")  # type: ignore[arg-type]


def test_nothing_is_dropped() -> None:
    """Steps that go back, second values at a step, and values that the original changes."""
    run = wandb.init(project="p", capture=False)
    run.log({"loss": 1.0}, step=5)
    run.log({"loss": 2.0}, step=5)
    run.log({"loss": 3.0}, step=3)
    run.log({"big": 2**70, "when": dt.timedelta(1), "array": np.arange(40), "odd": 1j})
    run.finish()
    _, rows = rows_of("p.collection")
    steps = [(row["step"], row.get("loss")) for row in rows]
    assert steps == [(5, 1.0), (5, 2.0), (3, 3.0), (5, None)]
    assert rows[-1]["big"] == 2**70
    assert rows[-1]["when"] == dt.timedelta(1)
    assert np.array_equal(rows[-1]["array"], np.arange(40))
    assert rows[-1]["odd"] == "1j"


def test_config_and_summary_are_those_of_the_original() -> None:
    """Items and attributes; a parameter is not changed by accident; names of attributes are kept."""
    run = wandb.init(project="p", config={"lr": 0.1, "name": "x"}, capture=False)
    assert wandb.run is run
    assert (wandb.config.lr, wandb.config["lr"], dict(run.config)["name"]) == (0.1, 0.1, "x")
    with pytest.raises(wandb.ConfigError, match=r"config\['lr'\] is 0.1 and would become 0.2"):
        wandb.config.lr = 0.2
    wandb.config.update({"lr": 0.2}, allow_val_change=True)
    wandb.config.setdefaults({"lr": 9, "seed": 1})
    with pytest.raises(AttributeError, match="config has no 'missing'"):
        _ = wandb.config.missing
    wandb.define_metric("hidden", summary="none")
    wandb.define_metric("val/*", summary="max,last")
    wandb.define_metric("val/*", step_metric="epoch")
    with pytest.raises(wandb.Error, match="median"):
        wandb.define_metric("x", summary="median")
    for value in (1.0, 3.0, math.nan, 2.0):
        wandb.log({"val/a": value, "loss": value, "hidden": value})
    assert run.summary["loss"] == 2.0
    assert run.summary["val/a"] == {"max": 3.0, "last": 2.0}
    with pytest.raises(KeyError):
        _ = run.summary["hidden"]
    wandb.summary["mine"] = 4
    run.log({"waits": 1}, step=9)
    assert run.summary["waits"] == 1
    wandb.finish(exit_code=3)
    about, rows = rows_of("p.collection")
    assert (about["lr"], about["seed"], about["config.name"]) == (0.2, 1, "x")
    assert about["summary"] == {"val/a": {"max": 3.0, "last": 2.0}, "mine": 4}
    assert about["step_metrics"] == {"val/*": "epoch"}
    assert (about["exit_code"], about["had_error"]) == (3, True)
    assert rows[-1]["waits"] == 1
    assert wandb.run is None
    with pytest.raises(wandb.Error, match=r"wandb\.init\(\)"):
        wandb.log({"a": 1})
    with pytest.raises(wandb.Error, match=r"wandb\.init\(\)"):
        _ = wandb.config.lr
    with pytest.raises(wandb.UsageError, match=r"no Api\(\): use ExperimentCollection.open"):
        wandb.Api().runs("p")
    with pytest.raises(AttributeError, match="has no 'Missing'"):
        _ = wandb.Missing


def test_the_run_with_the_id_goes_on_where_several_have_a_number() -> None:
    """As a failed run and the next one do."""
    for id_, exit_code in (("failed", 1), ("finished", 0)):
        wandb.init(project="p", id=id_, capture=False).finish(exit_code)
    wandb.init(project="p", id="failed", resume="must", capture=False).log({"again": 1})
    wandb.finish()
    with ExperimentCollection.open("p", quiet=True) as collection:
        found = [
            (each["run_id"], each.status, len(each.records)) for each in collection.experiments
        ]
    assert found == [("failed", Status.FINISHED, 1), ("finished", Status.FINISHED, 0)]


def test_a_value_set_by_hand_stays_until_it_is_logged() -> None:
    """As in the original; rules also fit keys inside of dicts, and are there when the run goes on."""
    run = wandb.init(project="p", id="a", capture=False)
    run.define_metric("n.x", summary="max,last")
    run.define_metric("n.hidden", summary="none")
    run.define_metric("off", summary="none")
    for value in (1, 3, 2):
        run.log({"n": {"x": value, "y": -value, "hidden": 1}, "acc": value, "off": value})
        run.summary.update({"acc": 9, "off": 9, "best": 7})
    assert run.summary["acc"] == 9
    run.log({"acc": 4, "off": 4})
    assert (run.summary["acc"], run.summary["off"], run.summary["best"]) == (4, 9, 7)
    assert run.summary["n"] == {"x": {"max": 3, "last": 2}, "y": -2}
    run.finish()
    again = wandb.init(project="p", id="a", resume="must", capture=False)
    again.define_metric("n.x", summary="max,last")
    again.log({"n": {"x": 1}})
    assert again.summary["n"] == {"x": {"max": 3, "last": 1}}
    again.finish()
    experiment, _ = rows_of("p.collection")
    assert experiment["summary"] == {"n": {"x": {"max": 3, "last": 1}}, "off": 9, "best": 7}


def test_parts_of_a_dict_are_one_value() -> None:
    """Of calls for one step, unless one would replace what another has logged."""
    run = wandb.init(project="p", capture=False)
    run.log({"g": {"x": 1, "in": {"a": 1}}}, commit=False)
    run.log({"g": {"y": 2, "in": {"b": 2}}, "h": 3})
    run.log({"g": {"x": 1}}, commit=False)
    run.log({"g": {"x": 2}})
    run.log({"g": {"x": 1}}, step=9)
    run.log({"g": 5}, step=9)
    run.finish()
    _, rows = rows_of("p.collection")
    assert [(row["step"], row["g"], row.get("h")) for row in rows] == [
        (0, {"x": 1, "y": 2, "in": {"a": 1, "b": 2}}, 3),
        (1, {"x": 1}, None),
        (1, {"x": 2}, None),
        (9, {"x": 1}, None),
        (9, 5, None),
    ]


def test_no_record_inherits_a_parameter_with_the_name_of_a_metric() -> None:
    """It is moved to ``config.<name>``, as in imported runs: also later, and when the run goes on."""
    run = wandb.init(project="p", id="a", config={"lr": 0.1, "seed": 1}, capture=False)
    run.log({"loss": 1.0})
    run.log({"lr": 0.01})
    run.config.update({"loss": "mse"})
    run.config.update({"lr": 0.2}, allow_val_change=True)
    run.finish()
    again = wandb.init(project="p", id="a", resume="must", config={"lr": 0.3}, capture=False)
    assert again.config.as_dict() == {"lr": 0.3, "seed": 1, "loss": "mse"}
    again.log({"seed": 5, "lr": 0.02})
    again.finish()
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        rows = [(row["loss"], row["lr"], row["seed"]) for row in collection.records]
        assert rows == [(1.0, None, None), (None, 0.01, None), (None, 0.02, 5)]
        (experiment,) = collection.experiments
        names = ("lr", "config.lr", "config.seed", "config.loss", "seed")
        assert [experiment[name] for name in names] == [None, 0.3, 1, "mse", None]


#: A training that is begun again and again, as by a scheduler.
AGAIN = """
import sys
import rigorous_recorder.wandb as wandb
run = wandb.init(project="p", resume={resume}, capture=False)
print(run.id, run.resumed)
wandb.log({{"loss": 1.0}})
sys.exit({code})
"""


def test_a_run_begins_where_its_id_cannot_be_noted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """That costs ``resume="auto"``, which is reported, and nothing else."""
    Path("p.artifacts").touch()
    with wandb.init(project="p", resume="auto", capture=False) as run:
        run.log({"loss": 1.0})
    assert "could not log" in capsys.readouterr().err
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        assert [row["loss"] for row in collection.records] == [1.0]


def test_what_a_resumed_run_set_counts_when_it_is_resumed_again() -> None:
    """Parameters, tags and the name, for records and for the row of the run."""
    with wandb.init(project="p", id="a", name="one", config={"lr": 0.1, "n": 1}, capture=False):
        wandb.log({"loss": 3.0})
    again = {"project": "p", "id": "a", "resume": "must", "capture": False}
    with wandb.init(**again, tags=["x"]) as run:
        run.config.update({"lr": 0.2}, allow_val_change=True)
        run.name = "two"
        run.log({"loss": 2.0})
    with wandb.init(**again) as run:
        assert (run.config["lr"], run.tags, run.name) == (0.2, ("x",), "two")
        run.log({"loss": 1.0})
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        rows = [[row[key] for key in ("loss", "lr", "n", "run")] for row in collection.records]
        assert rows == [[3.0, 0.1, 1, "one"], [2.0, 0.2, 1, "two"], [1.0, 0.2, 1, "two"]]
        (row,) = collection.experiments
        assert (row["lr"], row["tags"], row["name"], row["n"]) == (0.2, ["x"], "two", 1)


def test_a_script_goes_on_with_the_run_that_did_not_end_well() -> None:
    """With ``resume="auto"`` or True, without an id; one that ended well is followed by another."""
    found = []
    for resume, code in (("'auto'", 1), ("'auto'", 3), (True, 0), ("'auto'", 0), ("'allow'", 0)):
        command = [sys.executable, "-c", AGAIN.format(resume=resume, code=code)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (code, "")
        found.append(ran.stdout.split())
    first, other, third = found[0][0], found[3][0], found[4][0]
    assert found == [
        [first, "False"],
        [first, "True"],
        [first, "True"],
        [other, "False"],
        [third, "False"],
    ]
    assert len({first, other, third}) == 3
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        steps = [row["step"] for row in collection.experiments[0].records]
        assert steps == [0, 1, 2]


def test_options_that_do_nothing_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """Those by which a script expects values that would not be there."""
    wandb.init(project="p", capture=False, sync_tensorboard=True, monitor_gym=False).finish()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "init(sync_tensorboard=...) does nothing here: use rigorous_recorder.tensorboard.patch(),"
        " with which SummaryWriter logs itself"
    )
    wandb.init(project="p", capture=False, fork_from="a?_step=3", save_code=True).finish()
    assert "init(fork_from=...) does nothing here" in capsys.readouterr().err


def test_settings_of_a_run_are_those_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its names, what it was given, and the defaults that scripts ask for."""
    monkeypatch.setenv("WANDB_RUN_GROUP", "g")
    settings = wandb.Settings(project="p", run_name="n", root_dir="here", x_label="rank 0")
    run = wandb.init(settings=settings, capture=False)
    assert Path("here/p.collection").is_dir()
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert wandb.setup().settings.mode == "offline"
    assert wandb.setup(settings={"project": "q"}).settings.project == "q"
    run.name = None
    assert (run.name, run.recorder["run"] if run.recorder else None) == (run.id, run.id)
    run.name = "n"
    found = run.settings
    assert (found.project, found.run_name, found.run_group, found.x_label) == (
        "p",
        "n",
        "g",
        "rank 0",
    )
    assert (found.console, found.silent, found.x_disable_stats, found._offline) == (
        "wrap",
        False,
        False,
        True,
    )
    run.finish()


def test_a_run_goes_on_and_others_begin(capsys: pytest.CaptureFixture[str]) -> None:
    """By its id; a second ``init`` says what it does not use; seeds of a script stay its own."""
    random.seed(0)
    state = random.getstate()
    first = wandb.init(project="p", id="one", capture=False)
    assert random.getstate() == state
    first.log({"loss": 1.0})
    assert wandb.init(project="other", config={"a": 1}) is first
    assert "not used: project, config" in capsys.readouterr().err
    second = wandb.init(project="p", reinit="create_new", capture=False)
    assert wandb.run is first
    second.log({"loss": 5.0})
    third = wandb.init(project="p", reinit=True, capture=False)
    assert wandb.run is third
    with pytest.raises(wandb.Error, match="needs a run"):
        wandb.teardown()
        wandb.init(project="p", reinit="create_new", capture=False)
        wandb.log({"loss": 1.0})
    wandb.teardown()
    again = wandb.init(project="p", id="one", resume="must", capture="environment")
    assert (again.step, again.resumed, again.summary["loss"]) == (1, True, 1.0)
    again.log({"loss": 0.5})
    again.finish()
    for wrong in ({"id": "no", "resume": "must"}, {"id": "one", "resume": "never"}):
        with pytest.raises(wandb.UsageError, match="resume"):
            wandb.init(project="p", **wrong)
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        one = next(each for each in collection.experiments if each["run_id"] == "one")
        assert [(row["step"], row["loss"]) for row in one.records] == [(0, 1.0), (1, 0.5)]
        assert "python" in one.environment
        assert [each.status for each in collection.experiments] == [Status.FINISHED] * 4


#: Ends without ``finish``, as most do; a forked child logs, and ends as a process of its own.
UNFINISHED = """
import os, sys
import numpy as np
import rigorous_recorder.wandb as wandb
wandb.init(project="p", config={"vector": np.arange(3)}, capture=False)
wandb.define_metric("acc", summary="max,mean")
for step in range(3):
    wandb.log({"acc": np.float32(step)}, step=step)
weights = np.zeros(2)
wandb.log({"weights": weights, "acc": 3.0}, step=7)
weights += 1
wandb.summary["best"] = 10**400
if os.fork() == 0:
    wandb.log({"child": 1}, commit=True)
    sys.exit()
os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_script_that_ends_without_finish_loses_nothing() -> None:
    """Its last step, rules and values set by hand are there; nothing is twice, and nothing reported."""
    ran = subprocess.run([sys.executable, "-c", UNFINISHED], capture_output=True, check=True)
    assert ran.stderr == b""
    experiment, rows = rows_of("p.collection")
    assert [(row["step"], row.get("acc")) for row in rows if "child" not in row] == [
        (0, 0.0),
        (1, 1.0),
        (2, 2.0),
        (7, 3.0),
    ]
    assert [row["weights"].tolist() for row in rows if "weights" in row] == [[0.0, 0.0]]
    assert [row["step"] for row in rows if "child" in row] == [7]
    assert experiment["exit_code"] == 0
    assert experiment["summary"] == {"acc": {"max": 3.0, "mean": 1.5}, "best": 10**400}


#: Hands its run to a process, as W&B's own example does.
SHARED = """
import copy
import multiprocessing
import rigorous_recorder.wandb as wandb

def log(run):
    run.config.c2 = 22
    run.log({"s": 21, "lr": 5})
    assert (run.id, run.config.c1, run.summary["s"]) == ("a", 11, 21)
    run.log({"waits": 1}, step=7)

if __name__ == "__main__":
    with wandb.init(project="p", id="a", config={"lr": 0.1}, capture=False) as run:
        run.config.c1 = 11
        run.log({"s": 11})
        child = multiprocessing.get_context("spawn").Process(target=log, args=(run,))
        child.start()
        child.join()
        assert child.exitcode == 0
        copy.deepcopy(run).log({"s": 31})
        run.log({"s": 12})
"""


def test_a_run_that_is_handed_to_a_process_is_the_same() -> None:
    """It logs there, with what waits at its end, and ends in the process that began it."""
    Path("shared.py").write_text(SHARED, encoding="utf-8")
    ran = subprocess.run([sys.executable, "shared.py"], capture_output=True, text=True, check=False)
    assert (ran.stderr, ran.returncode) == ("", 0)
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        (experiment,) = collection.experiments
        assert (experiment.status, experiment["exit_code"], experiment["c2"]) == (
            Status.FINISHED,
            0,
            22,
        )
        rows = [(row["step"], row["s"], row["lr"], row["waits"]) for row in experiment.records]
        assert sorted(rows, key=str) == [
            (0, 11, None, None),
            (1, 12, None, None),
            (1, 21, 5, None),
            (1, 31, None, None),
            (7, None, None, 1),
        ]


#: Each way in which a script ends, in a process of its own.
ENDS = """
import os, sys
import pyarrow.compute, pyarrow.parquet
import rigorous_recorder.wandb as wandb
ends = {
    "status": "sys.exit(3)", "zero": "sys.exit(0)", "text": "sys.exit('no data')",
    "interrupt": "raise KeyboardInterrupt",
}
for name, end in ends.items():
    if os.fork() == 0:
        run = wandb.init(project="p", id=name, capture=False)
        wandb.log({"loss": 1.0})
        exec(end)
        break
    os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_run_ends_as_its_script_does() -> None:
    """Also by ``sys.exit`` outside of ``with``: with an exit code, it failed."""
    subprocess.run([sys.executable, "-c", ENDS], capture_output=True, check=True)
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        found = {e["run_id"]: (e.status.value, e["exit_code"]) for e in collection.experiments}
        assert found == {
            "status": ("failed", 3),
            "zero": ("finished", 0),
            "text": ("failed", 1),
            "interrupt": ("stopped", 255),
        }
        assert [len(each.records) for each in collection.experiments] == [1] * 4


#: Goes on with runs that are still running in another process.
BESIDE = """
import rigorous_recorder.mlflow as mlflow
import rigorous_recorder.wandb as wandb
with wandb.init(project="p", id="shared", resume="must", config={"rank": 1}) as run:
    run.log({"loss": -1.0})
mlflow.set_tracking_uri("here")
with mlflow.start_run(run_id="ID"):
    mlflow.log_metric("loss", -2.0)
"""


def test_a_run_that_is_running_elsewhere_takes_both(capsys: pytest.CaptureFixture[str]) -> None:
    """The second logger has a child of it, says so, and does not end it."""
    mlflow.set_tracking_uri("here")
    run = wandb.init(project="p", id="shared", config={"rank": 0}, capture=False)
    run.log({"loss": 1.0})
    with mlflow.start_run(capture=False) as other:
        mlflow.log_metric("loss", 2.0)
        code = BESIDE.replace("ID", other.info.run_id)
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert ran.stderr.count("is still running: this logger logs to a child of it") == 2
        mlflow.log_metric("loss", 3.0)
    run.log({"loss": 4.0})
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        assert collection.experiment(1).status is Status.RUNNING
    run.finish()
    again = wandb.init(project="p", id="shared", capture=False)
    again.finish()
    assert "there is a run with the id 'shared' already" in capsys.readouterr().err
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        first, second = collection.experiments
        rows = [(row["loss"], row["rank"], bool(row["process"])) for row in first.records]
        assert sorted(rows) == [(-1.0, 1, True), (1.0, 0, False), (4.0, 0, False)]
        assert (first.status, len(second.records)) == (Status.FINISHED, 0)
    with ExperimentCollection.open("here/Default.collection", quiet=True) as collection:
        assert sorted(row["loss"] for row in collection.records) == [-2.0, 2.0, 3.0]


def test_a_step_metric_is_filled_in_and_marked() -> None:
    """With its last value, as in W&B's own files and what is imported of them."""
    run = wandb.init(project="p", capture=False)
    epoch = run.define_metric("epoch")
    run.define_metric("val/*", step_metric=epoch)
    run.define_metric("*", step_metric="total")
    run.define_metric("alone", step_metric="epoch", step_sync=False)
    run.log({"val/loss": 1.0})
    run.log({"epoch": 3, "total": 30})
    run.log({"val/loss": 2.0})
    run.log({"other": 1})
    run.log({"alone": 1})
    run.log({"val/loss": 3.0, "epoch": 4})
    run.finish()
    about, rows = rows_of("p.collection")
    assert about["step_metrics"] == {"val/*": "epoch", "*": "total", "alone": "epoch"}
    assert [{k: v for k, v in row.items() if k not in {"step", "time"}} for row in rows] == [
        {"val/loss": 1.0},
        {"epoch": 3, "total": 30},
        {"val/loss": 2.0, "epoch": 3, "epoch/carried": True},
        {"other": 1, "total": 30, "total/carried": True},
        {"alone": 1},
        {"val/loss": 3.0, "epoch": 4, "total": 30, "total/carried": True},
    ]


def test_what_scripts_and_frameworks_use_beside_logging(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Versions, ids, lines, code, models."""
    assert wandb.__version__ > "0.2"
    assert len(wandb.util.generate_id()) == 8
    Path("code").mkdir()
    for name in ("a.py", "b.txt", ".hidden.py"):
        Path("code", name).write_text(name, encoding="utf-8")
    run = wandb.init(project="p", id="x", tags=["t"], capture=False)
    wandb.termlog("hello")
    assert [row["path"] for row in run.log_code("code").rows()] == ["a.py"]
    Path("w.pt").write_bytes(b"1")
    run.log_model("w.pt", "net")
    assert Path(run.use_model("net:latest")).read_bytes() == b"1"
    wandb.save("w.pt")
    with wandb.restore("w.pt") as file:
        assert file.read() == "1"
    assert (run.settings.run_id, run.settings.project, run.settings.run_tags) == ("x", "p", ("t",))
    run.link_artifact(run.use_artifact("net"), "registry")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "hello"
    assert "link_artifact() links nothing here" in lines[1]


#: What frameworks log to W&B, of which nothing is installed here or used.
FRAMEWORKS = """
import rigorous_recorder.wandb
rigorous_recorder.wandb.patch()
import torch
from accelerate import Accelerator
from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments

class Line(PreTrainedModel):
    config_class = PretrainedConfig

    def __init__(self):
        super().__init__(PretrainedConfig())
        self.layer = torch.nn.Linear(1, 1)
        self.post_init()

    def forward(self, x, labels=None):
        return {"loss": ((self.layer(x) - labels) ** 2).mean()}

args = TrainingArguments(
    "out", max_steps=2, per_device_train_batch_size=1, logging_steps=1, use_cpu=True,
    report_to=["wandb"], save_strategy="no", disable_tqdm=True, run_name="first",
)
data = [{"x": [float(n)], "labels": [2.0 * n]} for n in range(2)]
Trainer(Line(), args, train_dataset=data).train()
import wandb
wandb.finish()
accelerator = Accelerator(cpu=True, log_with="wandb")
accelerator.init_trackers("p", config={"lr": 0.1}, init_kwargs={"wandb": {"name": "second"}})
accelerator.log({"loss": torch.tensor(1.5)}, step=3)
accelerator.end_training()
"""


@pytest.mark.slow
def test_loggers_of_frameworks_log_here_after_patch() -> None:
    """Transformers' own callback, with watched gradients, and Accelerate's tracker."""
    for name in ("torch", "transformers", "accelerate"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    known = {**os.environ, "WANDB_PROJECT": "p", "WANDB_WATCH": "all"}
    command = [sys.executable, "-c", FRAMEWORKS]
    ran = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        first, second = collection.experiments
        assert (first.name, first["model/num_parameters"]) == ("first", 2)
        losses = [
            row["train/global_step"] for row in first.records if row["train/loss"] is not None
        ]
        assert losses == [1, 2]
        watched = [row for row in first.records if row["gradient_norm"] is not None]
        assert {row["parameter"] for row in watched} == {"layer.weight", "layer.bias"}
        losses = [(row["step"], row["loss"]) for row in second.records if row["part"] is None]
        assert losses == [(3, 1.5)]
        assert (second.name, second["lr"], second.status) == ("second", 0.1, Status.FINISHED)


def test_threads_and_odd_values_lose_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Of parts of a step; of a parameter, a time or a number for which there is no rule."""
    run = wandb.init(project="p", config={"fine": 1, "odd": {"object": object()}}, capture=False)
    run.define_metric("*", summary="mean")

    def log(name: str) -> None:
        for number in range(200):
            run.log({f"{name}/{number}": 1}, commit=False)

    threads = [threading.Thread(target=log, args=(name,)) for name in "abcd"]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    run.log({"loss": 1.0}, commit=False)
    run.log({"more": 1})
    run.log({"loss": 10**400, "_timestamp": "noon"})
    run.log({"loss": np.float32(3)})
    run.finish()
    experiment, rows = rows_of("p.collection")
    assert len(rows[0]) == 4 * 200 + 4
    assert (rows[1]["loss"], rows[1]["_timestamp"]) == (10**400, "noon")
    assert experiment["fine"] == 1
    assert "object object" in experiment["odd"]["object"]
    assert "_timestamp is not a valid time" in capsys.readouterr().err


def test_a_run_that_goes_on_has_what_it_had() -> None:
    """Its name, parameters, summary and rules; what is given again is set."""
    first = wandb.init(project="p", id="a", name="n", tags=["t"], config={"lr": 0.1}, capture=False)
    first.config["step"] = 5
    first.define_metric("acc", summary="max")
    first.log({"acc": 3.0, "once": 1})
    first.log({"acc": 1.0})
    first.summary["best"] = 7
    first.finish()
    run = wandb.init(project="p", id="a", resume="allow", notes="new", capture=False)
    assert (run.name, run.tags, run.notes) == ("n", ("t",), "new")
    assert run.config.as_dict() == {"lr": 0.1, "step": 5}
    run.define_metric("acc", summary="max")
    run.log({"acc": 2.0})
    assert run.summary["once"] == 1
    run.finish()
    experiment, _ = rows_of("p.collection")
    assert experiment["summary"] == {"acc": {"max": 3.0}, "best": 7}
    assert (experiment["run"], experiment["notes"]) == ("n", "new")


def test_names_lead_nowhere_else_and_files_keep_their_paths(tmp_path: Path) -> None:
    """Files of one name are two; one that is in the run's folder stays; versions get more aliases."""
    for wrong in ({"project": "../x"}, {"project": "a/b"}, {"id": "../x"}, {"id": ".."}):
        with pytest.raises(wandb.UsageError, match="is not a valid"):
            wandb.init(**{"project": "p", **wrong}, capture=False)
    run = wandb.init(project="p", capture=False)
    for folder in ("d1", "d2", run.dir):
        Path(folder).mkdir(exist_ok=True)
        Path(folder, "m.txt").write_text(folder)
    names = [*run.save(f"{run.dir}/m.txt"), *run.save("d*/m.txt")]
    assert [Path(each).read_text() for each in names] == [run.dir, "d1", "d2"]
    artifact = wandb.Artifact("made", "model")
    with artifact.new_file("x.txt") as file:
        file.write("hi")
    run.log_artifact(artifact)
    for alias in ("first", "second"):
        run.log_artifact("d1", name="d", type="data", aliases=[alias])
    assert run.use_artifact("d:first").version == run.use_artifact("d:second").version == "v0"
    assert Path(run.use_artifact("made").file()).read_text() == "hi"


def test_parameters_of_objects_and_arrays_and_media_in_dicts() -> None:
    """Setting a value again is no change, also for NaN and arrays; columns of one name are two."""

    class Parameters:
        def __init__(self) -> None:
            self.lr = 0.1

    run = wandb.init(project="p", config=Parameters(), capture=False)
    for _ in range(2):
        run.config.update({"nan": float("nan"), "array": np.arange(3), "in": {"a": np.arange(3)}})
    with pytest.raises(wandb.ConfigError):
        run.config.update({"array": np.arange(4)})
    run.log({"d": {"picture": wandb.Image(np.zeros((2, 2))), "x": 1}})
    run.log({"t": wandb.Table(columns=["a", "a", 1], data=[[1, 2, 3]])})
    run.finish()
    experiment, rows = rows_of("p.collection")
    assert experiment["lr"] == 0.1
    assert (rows[0]["d.picture"][:4], rows[0]["d.x"]) == (b"\x89PNG", 1)
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        (row,) = collection.records.where(table="t")
        assert (row["a"], row["a (2)"], row["1"]) == (1, 2, 3)


def test_wrong_calls_and_values_that_can_not_be_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """What the original refuses is refused; what fails inside is reported once, and training goes on."""
    run = wandb.init(project="p", capture=False)
    for wrong in ([1], "text", {1: 2}):
        with pytest.raises(TypeError):
            run.log(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="step is an int"):
        run.log({"a": 1}, step=1.5)  # type: ignore[arg-type]
    for _ in range(2):
        run.log({"a": object(), "b": 2})
    run.log({"c": wandb.Image(np.zeros((2, 2))), "d": 1}, step=np.int64(7))
    run.finish()
    run.log({"late": 1})
    _, rows = rows_of("p.collection")
    assert [row["b"] for row in rows[:2]] == [2, 2]
    assert rows[0]["a"].startswith("<object object")
    assert rows[2]["step"] == 7
    assert rows[2]["c"].startswith(b"\x89PNG")
    assert rows[3]["late"] == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_disabled_runs_log_nothing(tmp_path: Path) -> None:
    """Not a file, whatever is called."""
    with wandb.init(project="p", mode="disabled", config={"a": 1}) as run:
        run.log({"loss": 1.0, "table": wandb.Table(["a"], [[1]])})
        run.alert("title")
        run.log_artifact(wandb.Artifact("a", "model"))
        assert (run.config.a, run.summary["loss"], run.disabled) == (1, 1.0, True)
    assert list(tmp_path.iterdir()) == []


def test_media_tables_and_charts_are_in_the_tree() -> None:
    """Bytes with a name; a table's rows are records of a child."""
    run = wandb.init(project="p", capture=False)
    Path("page.html").write_text("<p>", encoding="utf-8")
    run.log(
        {
            "picture": wandb.Image(np.zeros((2, 3, 3), np.uint8), caption="c"),
            "pictures": [wandb.Image(np.zeros((2, 2))), wandb.Image(np.full((2, 2), 255.0))],
            "sound": wandb.Audio(np.zeros(4), sample_rate=8),
            "page": wandb.Html("page.html"),
            "counts": wandb.Histogram([1, 2, 2], num_bins=2),
        }
    )
    table = wandb.Table(columns=["x", "y"], data=[[1, "a"]])
    table.add_data(2, "b")
    table.add_column("z", [0.5, 1.5])
    with pytest.raises(ValueError, match="3 columns"):
        table.add_data(1)
    run.log({"table": table})
    matrix = wandb.plot.confusion_matrix(y_true=[0, 1, 1], preds=[0, 1, 0], class_names=["n", "y"])
    curve = wandb.plot.roc_curve([0, 1, 1], np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]))
    lines = wandb.plot.line_series(np.arange(2), np.eye(2), keys=["a", "b"], xname="n")
    run.log({"matrix": matrix, "curve": curve, "lines": lines})
    Path("m.pdb").write_text("ATOM", encoding="utf-8")
    run.log({"molecule": wandb.Molecule("m.pdb"), "points": wandb.Object3D(np.zeros((2, 3)))})
    run.log({"frame": pd.DataFrame({"a": [1, 2]})})
    run.finish()
    _, rows = rows_of("p.collection")
    first = rows[0]
    assert first["picture"].startswith(b"\x89PNG")
    assert (first["picture/caption"], first["picture/height"], first["page/name"]) == (
        "c",
        2,
        "page.html",
    )
    assert first["pictures/1"] != first["pictures/0"]
    assert (first["sound"][:4], first["page"]) == (b"RIFF", b"<p>")
    assert first["counts"] == {"_type": "histogram", "values": [1, 2], "bins": [1.0, 1.5, 2.0]}
    tables = {
        name: [r for r in rows if r.get("table") == name]
        for name in ("table", "matrix", "curve", "lines", "frame")
    }
    assert [(row["x"], row["y"], row["z"]) for row in tables["table"]] == [
        (1, "a", 0.5),
        (2, "b", 1.5),
    ]
    counts = {(r["Actual"], r["Predicted"]): r["nPredictions"] for r in tables["matrix"]}
    assert counts == {("n", "n"): 1, ("n", "y"): 0, ("y", "n"): 1, ("y", "y"): 1}
    points = [(r["fpr"], r["tpr"]) for r in tables["curve"] if r["class"] == "1"]
    assert points == [(0.0, 0.5), (0.0, 1.0), (1.0, 1.0)]
    found = [(r["lineKey"], r["n"], r["lineVal"]) for r in tables["lines"]]
    assert found == [("a", 0, 1.0), ("a", 1, 0.0), ("b", 0, 0.0), ("b", 1, 1.0)]
    (third,) = [row for row in rows if "molecule" in row]
    assert (third["molecule"], third["molecule/name"]) == (b"ATOM", "m.pdb")
    assert third["points"].shape == (2, 3)
    assert [row["a"] for row in tables["frame"]] == [1, 2]


def test_artifacts_have_versions_and_lie_beside_the_collection(tmp_path: Path) -> None:
    """The same files make no new one; names can't lead outside."""
    run = wandb.init(project="p", capture=False)
    Path("model.bin").write_bytes(b"1")
    for content, version in ((b"1", "v0"), (b"1", "v0"), (b"2", "v1")):
        Path("model.bin").write_bytes(content)
        artifact = wandb.Artifact("net", "model", metadata={"epoch": 1})
        artifact.add_file("model.bin")
        artifact.add(wandb.Table(["a"], [[1]]), "rows")
        logged = run.log_artifact(artifact, aliases=["latest", f"is-{content.decode()}"])
        assert logged.version == version
    assert Path(run.use_artifact("net:v0").download(), "model.bin").read_bytes() == b"1"
    assert Path(run.use_artifact("net:latest").download("copy"), "model.bin").read_bytes() == b"2"
    assert run.use_artifact("net:is-2").version == "v1"
    with pytest.raises(wandb.Error, match=r"no artifact 'net:v7'.*v0.*v1"):
        run.use_artifact("net:v7")
    for wrong in ("../x", "/x", "a/../../x"):
        with pytest.raises(ValueError, match="not a valid name"):
            wandb.Artifact("a", "t").add_file("model.bin", wrong)
    with pytest.raises(ValueError, match="not a valid name"):
        wandb.Artifact("../a", "t")
    (saved,) = run.save("model.*")
    assert Path(saved).read_bytes() == b"2"
    run.finish()
    _, rows = rows_of("p.collection")
    sizes = [(row["version"], row["path"], row["size"]) for row in rows if row.get("artifact")]
    assert sizes.count(("v1", "model.bin", 1)) == 1
