"""What a run records of itself: enough to repeat it, and no secret."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._capture import dependencies, git
from rigorous_recorder._capture.git import repository
from rigorous_recorder._capture.machine import _gpu_driver, _gpus, machine
from rigorous_recorder._capture.program import command
from rigorous_recorder._capture.secrets import masked, masked_arguments, without_credentials

#: Each is planted somewhere, and must be found nowhere.
SECRET = "hunter2hunter2hunter2"
#: The folder that the package is imported from.
SOURCE = Path(sys.modules["rigorous_recorder"].__file__ or "").parents[1]
#: Without these a process can't load native code that is watched for wrong accesses.
_OF_LOADER = ("LD_", "ASAN_", "UBSAN_", "PYTHONMALLOC")
SCRIPT = """
import sys
from rigorous_recorder import ExperimentCollection
with ExperimentCollection(sys.argv[1], quiet=True) as collection:
    with collection.new_experiment(lr=0.1, capture=True) as run:
        run.push(step=0)
"""


def in_git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a script, a changed file, and secrets wherever people leave them."""
    folder = tmp_path / "code"
    folder.mkdir()
    in_git(folder, "init", "-b", "feature/x")
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")
    (folder / "config.py").write_text("LR = 0.1\n", encoding="utf-8")
    (folder / ".env").write_text("A=1\n", encoding="utf-8")
    (folder / "requirements.txt").write_text(
        f"--extra-index-url https://me:{SECRET}@example.org/simple\nnumpy==2.4\n", encoding="utf-8"
    )
    locked = "".join(f"sha256:{n:064}\n" for n in range(2000))
    (folder / "uv.lock").write_text(f"{locked}url = https://{SECRET}@h/x\n", encoding="utf-8")
    in_git(folder, "add", "-A")
    in_git(folder, "commit", "-m", "first")
    in_git(folder, "remote", "add", "origin", f"https://me:{SECRET}@example.org/a/b.git?t={SECRET}")
    changed = f'LR = 0.2\nAPI_KEY = "{SECRET}"\nconfig = dict(a={{"db_password": "{SECRET}"}})\n'
    (folder / "config.py").write_text(changed, encoding="utf-8")
    (folder / ".env").write_text(f"ANYTHING={SECRET}\n", encoding="utf-8")
    (folder / "new.txt").write_text(SECRET, encoding="utf-8")
    return folder


def test_a_run_records_its_environment_and_no_secret(checkout: Path, tmp_path: Path) -> None:
    """Commit, diff, command and job are there; what was planted is in no file of the collection."""
    study = tmp_path / "study"
    arguments = ["--api-key", SECRET, f"--wandb_token={SECRET}", "--max-tokens=512", "--auth", "x"]
    hidden = [
        "--keys.api_keys",
        SECRET,
        SECRET,
        f"me:{SECRET}@host:path",
        f"--url=https://x?sig={SECRET}",
    ]
    hidden += [
        "-H",
        f"authorization: token {SECRET}",
        f"--hooks=https://hooks.slack.com/services/{SECRET}",
    ]
    installed = packages_from_urls(tmp_path / "installed")
    of_loader = {key: os.environ[key] for key in os.environ if key.startswith(_OF_LOADER)}
    environment = {
        **of_loader,
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join([str(SOURCE), str(installed)]),
        "CONDA_PREFIX": str(installed),
        **dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "SLURM_JWT"), SECRET),
        **dict.fromkeys(("KUBERNETES_TOKEN", "RAY_AUTH_TOKEN", "HF_TOKEN"), SECRET),
        "SLURM_JOB_ID": "77",
        "RANK": "3",
        "SLURM_SUBMIT_DIR": f"ssh://u:{SECRET}@h/x",
    }
    command = [sys.executable, str(checkout / "train.py"), str(study), *arguments, *hidden]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path)
    with ExperimentCollection(study, quiet=True) as collection:
        found = collection.experiment(1).environment
        (row,) = collection.records
        assert row["lr"] == 0.1
        assert row["experiment_environment"] is None  # which would be a copy in every row
        commit = collection.sql(
            "SELECT experiment_environment ->> '$.git.commit' FROM level('experiment_environment')"
        )
        assert commit.fetchall() == [(found["git"]["commit"],)]
    assert len(found["git"]["commit"]) == 40
    assert found["git"]["branch"] == "feature/x"
    assert found["git"]["remote"] == "https://example.org/a/b.git"
    assert found["git"]["dirty"] is True
    assert found["git"]["untracked"] == ["new.txt"]
    assert "+LR = 0.2" in found["git"]["diff"]
    assert found["command"]["script"] == str(checkout / "train.py")
    assert found["command"]["arguments"][3:7] == [
        "--wandb_token=***",
        "--max-tokens=512",
        "--auth",
        "***",
    ]
    assert found["python"]["version"].startswith("3.")
    assert "pyarrow" in found["packages"]
    assert found["machine"]["memory_mb"] > 100
    assert found["job"] == {"RANK": "3", "SLURM_JOB_ID": "77", "SLURM_SUBMIT_DIR": "ssh://***@h/x"}
    files = found["dependencies"]
    assert files["uv.lock"].endswith(f"{1999:064}\nurl = https://***@h/x\n")
    assert files["requirements.txt"].startswith(
        "--extra-index-url https://***@example.org/simple\n"
    )
    assert files["conda-list.txt"] == "python-dateutil=2.9.0=py_0\n"
    lines = files["pip-freeze.txt"].splitlines()
    assert [line for line in lines if "from-" in line] == [
        "from-archive @ https://example.org/a.whl#sha256=abc  # 1.0",
        "-e /home/me/a code  # from-folder==2.0",
        "from-git @ git+https://example.org/a.git@c0ffee#subdirectory=sub  # 3.0",
        "from-nothing==4.0",
    ]
    assert any(line.startswith("pyarrow==") for line in lines)
    assert SECRET not in json.dumps(found)
    stored = [
        path.read_bytes() for path in tmp_path.glob("study.collection/**/*") if path.is_file()
    ]
    assert stored
    assert not [each for each in stored if SECRET.encode() in each]


def packages_from_urls(folder: Path) -> Path:
    """Packages that were not installed from an index: an archive, a folder, a repository, a bad file."""
    origins = {
        "from_archive-1.0": {
            "url": f"https://me:{SECRET}@example.org/a.whl?token={SECRET}",
            "archive_info": {"hashes": {"sha256": "abc"}},
        },
        "from_folder-2.0": {"url": "file:///home/me/a%20code", "dir_info": {"editable": True}},
        "from_git-3.0": {
            "url": f"https://{SECRET}@example.org/a.git",
            "vcs_info": {"vcs": "git", "commit_id": "c0ffee"},
            "subdirectory": "sub",
        },
        "from_nothing-4.0": {"url": SECRET, "vcs_info": []},
    }
    for name, origin in origins.items():
        path = folder / f"{name}.dist-info" / "direct_url.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(origin), encoding="utf-8")
    (folder / "conda-meta").mkdir()
    (folder / "conda-meta" / "python-dateutil-2.9.0-py_0.json").touch()
    return folder


def test_lock_files_are_those_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest of each name; none from above; of a large one the hash."""
    script = tmp_path / "project" / "src" / "train.py"
    script.parent.mkdir(parents=True)
    (tmp_path / "poetry.lock").write_text("of another")
    (tmp_path / "project" / "pyproject.toml").touch()
    (tmp_path / "project" / "uv.lock").write_text("of the project")
    (tmp_path / "project" / "requirements.txt").write_text("of the project")
    (script.parent / "requirements.txt").write_text("nearest")
    (script.parent / "pixi.lock").write_bytes(b"x" * (4 * 1024 * 1024 + 1))
    monkeypatch.chdir(script.parent)
    monkeypatch.setattr(dependencies, "script_folder", lambda: script.parent)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    found = dependencies.dependencies()
    assert found.pop("pip-freeze.txt")
    assert found.pop("pixi.lock").startswith("# 4194305 bytes, sha256 ")
    assert found == {"uv.lock": "of the project", "requirements.txt": "nearest"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("passwords=['a', 'b'], api_keys: [x, y]", "passwords=[***], api_keys: [***]"),
        ("token: abc, max_tokens: 5", "token: ***, max_tokens: 5"),
        ("https://u:p@h/x?api_key=abc&n=1", "https://***@h/x?api_key=***&n=1"),
        ("https://ghp_token@github.com/a", "https://***@github.com/a"),
        ('h = {"Authorization": "Bearer abcdefghij"}', 'h = {"Authorization": "***"}'),
        ("dbPassword='a b c' tokenizer=gpt2 monkey=1", "dbPassword='***' tokenizer=gpt2 monkey=1"),
        ("password: str = 'x'", "password: str = '***'"),
        ("x = 'hf_abcdefghijklmnopqrstuvwxyz'", "x = '***'"),
        ("license_key=abc key=5 wandb.key: abc", "license_key=*** key=5 wandb.key: ***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nend", "***\nend"),
    ],
)
def test_what_looks_like_a_secret_is_masked(given: str, expected: str) -> None:
    """By its name, its form, or its place in an address; other values stay."""
    assert masked(given) == expected


def test_addresses_and_arguments_lose_their_credentials() -> None:
    """In each form that git takes; a flag without a value does not mask the next one."""
    assert without_credentials("git@github.com:a/b.git") == "git@github.com:a/b.git"
    assert without_credentials("me:pw@example.org:a/b.git") == "example.org:a/b.git"
    assert without_credentials("ssh://me@example.org:22/a") == "ssh://example.org:22/a"
    assert without_credentials("/srv/git/a.git") == "/srv/git/a.git"
    assert masked_arguments(["--token", "--lr", "0.1"]) == ["--token", "--lr", "0.1"]
    assert masked_arguments(["-password", "x", "trainer.api_key=y"]) == [
        "-password",
        "***",
        "trainer.api_key=***",
    ]


def test_repositories_in_odd_states(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No repository, no commit, no branch, a large diff, no git: what there is is recorded."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert repository(tmp_path) is None
    new = tmp_path / "new"
    new.mkdir()
    in_git(new, "init", "-b", "main")
    (new / "a\nb").touch()
    assert repository(new) == {"branch": "main", "dirty": False, "untracked": ["a\nb"]}
    in_git(checkout, "checkout", "--detach")
    monkeypatch.setattr(git, "_LONGEST_DIFF", 100)
    found = repository(checkout)
    assert found is not None
    assert "branch" not in found
    assert found["diff_is_cut"] is True
    assert 0 < len(found["diff"]) <= 100
    assert found["diff_bytes"] > 100
    monkeypatch.setenv("PATH", str(new))
    assert repository(checkout) == {"commit": found["commit"]}
    assert repository(new) is None
    assert repository(tmp_path) is None


@pytest.mark.parametrize("end", ["exit 128", "exec sleep 30"])
def test_a_diff_that_git_does_not_end_is_not_a_whole_one(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Git fails, or takes too long: the line at which it stopped can have half of a secret."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f"for each; do if [ $each = diff ]; then printf '+a\\n+half of a'; {end}; fi; done\n"
        f'exec {shutil.which("git")} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(git, "_SECONDS", 2)
    found = repository(checkout)
    assert found is not None
    assert (found["dirty"], found["diff"], found["diff_is_cut"]) == (True, "+a\n", True)
    assert "diff_bytes" not in found


def test_without_git_commit_and_branch_are_read_from_files(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of loose and packed names, worktrees and submodules; as git tells them."""
    in_git(checkout, "reset", "--hard")
    (checkout / "src").mkdir()
    worktree, above = tmp_path / "worktree", tmp_path / "above"
    in_git(checkout, "worktree", "add", "-b", "other", str(worktree))
    above.mkdir()
    in_git(above, "init", "-b", "main")
    of_file = ["-c", "protocol.file.allow=always"]
    in_git(above, *of_file, "submodule", "add", "-b", "feature/x", str(checkout), "sub")
    places = [checkout / "src", worktree, above / "sub"]
    for packs in (False, True):
        if packs:
            in_git(checkout, "pack-refs", "--all")
            in_git(above / "sub", "pack-refs", "--all")
        found = [repository(each) for each in places]
        with monkeypatch.context() as context:
            context.setenv("PATH", str(tmp_path))
            by_hand = [repository(each) for each in places]
        assert [each and each.get("branch") for each in found] == [
            "feature/x",
            "other",
            "feature/x",
        ]
        expected = [each and {key: each[key] for key in ("commit", "branch")} for each in found]
        assert by_hand == expected


def test_the_remote_is_that_of_the_branch_or_origin_or_the_first(checkout: Path) -> None:
    """Also of a branch that follows a local one."""

    def remote() -> str | None:
        found = repository(checkout)
        return found and found.get("remote")

    in_git(checkout, "remote", "add", "fork", f"git@example.org:{SECRET}/x")
    assert remote() == "https://example.org/a/b.git"
    in_git(checkout, "branch", "local")
    in_git(checkout, "branch", "--set-upstream-to", "local")
    assert remote() == "https://example.org/a/b.git"
    in_git(checkout, "remote", "remove", "origin")
    in_git(checkout, "remote", "set-url", "fork", f"ssh://me:{SECRET}@example.org/c.git")
    assert remote() == "ssh://example.org/c.git"


def test_the_program_of_a_zip_file_or_notebook_is_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server of notebooks, or the editor, tells it."""
    archive, notebook = tmp_path / "a.pyz", tmp_path / "a.ipynb"
    archive.touch()
    notebook.touch()
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert "script" not in command()
    main.__file__ = str(archive / "__main__.py")
    assert command()["script"] == str(archive)
    del main.__file__
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    assert "script" not in command()  # of a process that a kernel started
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    assert command()["script"] == str(notebook)
    monkeypatch.delenv("JPY_SESSION_NAME")
    main.__vsc_ipynb_file__ = str(notebook)  # type: ignore[attr-defined]
    assert command()["script"] == str(notebook)


def test_the_user_is_recorded_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """In containers a process can run as one without a name."""
    monkeypatch.setenv("LOGNAME", "someone")
    assert machine()["user"] == "someone"

    def nobody() -> str:
        raise KeyError

    monkeypatch.setattr("getpass.getuser", nobody)
    assert "user" not in machine()


def test_gpus_are_read_from_the_files_of_the_driver(tmp_path: Path) -> None:
    """Model and version, without loading a library of the driver."""
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    about = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 32\n"
    (tmp_path / "gpus" / "0000:01:00.0" / "information").write_text(about, encoding="utf-8")
    version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 23 2025\n"
    (tmp_path / "version").write_text(version, encoding="utf-8")
    assert _gpus(tmp_path) == ["NVIDIA H200"]
    assert _gpu_driver(tmp_path) == "570.86.15"
    version = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.1.2  Release\n"
    (tmp_path / "version").write_text(version, encoding="utf-8")
    assert _gpu_driver(tmp_path) == "580.1.2"
    assert _gpus(tmp_path / "none") == []


def test_each_attempt_records_its_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one counts, and experiments are compared by it; nothing is recorded unasked."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        with collection.new_experiment(lr=1):
            pass
        assert collection.experiment(1).environment == {}
        monkeypatch.setenv("RANK", "1")
        with (
            pytest.raises(ValueError),
            collection.new_experiment(capture="environment", resume="auto"),
        ):
            raise ValueError
        monkeypatch.setenv("RANK", "2")
        collection.start(capture=["environment"], resume="auto").finish()
        two = collection.experiment(2)
        assert two.environment["job"]["RANK"] == "2"
        found = collection.experiment(1).diff(two)
        assert ("job.RANK", "environment", (None, "2")) in [tuple(each) for each in found]
        monkeypatch.setenv("RANK", "3")
        with collection.resume(2):
            pass
        assert collection.experiment(2).environment["job"]["RANK"] == "2"
        with collection.resume(2, capture=True):
            pass
        assert collection.experiment(2).environment["job"]["RANK"] == "3"


def test_other_options_are_refused_and_data_has_a_way(tmp_path: Path) -> None:
    """An attribute named ``capture`` is given in the mapping."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        for wrong in ("everything", ["environment", 3], 5, None):
            with pytest.raises(ValueError, match="expected True, False, 'environment'"):
                collection.new_experiment(capture=wrong)  # type: ignore[arg-type]
        with collection.new_experiment({"capture": 5}) as run:
            assert run["capture"] == 5
        with pytest.raises(ValueError, match="expected True, False, 'environment'"):
            collection.resume(1, capture="everything")  # type: ignore[arg-type]


def test_a_run_starts_though_nothing_can_be_captured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A section that raises is missing; the folder of the program may be gone."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr("rigorous_recorder._capture.environment.machine", lambda: 1 / 0)
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        with collection.new_experiment(capture=True):
            pass
        found = collection.experiment(1).environment
    assert "machine" not in found
    assert "python" in found
