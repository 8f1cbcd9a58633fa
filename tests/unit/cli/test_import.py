"""`rigorous import`: what is found, what is listed, and what is written."""

from __future__ import annotations

from pathlib import Path

from .conftest import Run

CELLS = "rows with another number of cells than the header: as a list, by the key cells"


def test_runs_are_found_listed_and_imported_once(run: Run, tmp_path: Path) -> None:
    """A dry run writes nothing; the report names what is damaged, and the last line counts."""
    table = tmp_path / "results.csv"
    table.write_text("seed,step,loss\n1,0,0.5\n2,0,0.25\n2,1,7,8\n")
    study = tmp_path / "study"
    listed = run("import", table, study, "--dry-run")
    assert (listed.code, listed.lines) == (
        0,
        ["csv results.csv: 3 records", "  cells (1), loss (2), seed (2), step (2)"],
    )
    assert not study.with_suffix(".collection").exists()
    done = run("import", "csv", table, study, "--parent", "seed")
    assert (done.code, done.err.splitlines()) == (
        0,
        [
            "CSV: 1 source found",
            f"{table} at byte 32: {CELLS}",
            "3 records imported",
        ],
    )
    again = run("import", table, study)
    assert again.err.splitlines()[-1] == "0 records imported; 1 source unchanged"
    tree = run("show", study)
    assert "seed=1: 1 record\n" in tree.out


def test_wrong_use_is_reported(run: Run, tmp_path: Path) -> None:
    """With code 2, and nothing is created."""
    assert run("import", tmp_path).code == 2
    nothing = run("import", tmp_path, tmp_path / "study")
    assert (nothing.code, "the runs of no known tool" in nothing.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_other_levels_than_before_are_reported(run: Run, tmp_path: Path) -> None:
    """What was imported stays as it is, and new rows are at its levels."""
    table, study = tmp_path / "results.csv", tmp_path / "study"
    table.write_text("seed,model,loss\n1,a,0.5\n")
    run("import", table, study, "--parent", "seed")
    with table.open("a") as file:
        file.write("2,b,0.25\n")
    again = run("import", table, study, "--parent", "model")
    assert again.err.splitlines() == [
        "CSV: 1 source found",
        f"{table}: was imported with --parent seed, and stays so: for others use a new collection",
        "1 record imported",
    ]
    tree = run("show", study).out
    assert "seed=2: 1 record\n" in tree
    assert "model=" not in tree


def test_formats_of_one_folder_are_named(run: Run, tmp_path: Path) -> None:
    """As of Ray Tune, which writes event files of TensorBoard with the same values."""
    trial = tmp_path / "exp" / "trial"
    trial.mkdir(parents=True)
    (trial / "result.json").write_text('{"training_iteration": 1, "loss": 0.5, "none": null}\n')
    (trial / "params.json").write_text("{}")
    (trial / "events.out.tfevents.1.host").write_bytes(b"")
    found = run("import", tmp_path / "exp", "--dry-run")
    assert found.err.splitlines()[:3] == [
        "TensorBoard: 1 source found",
        "Ray Tune: 1 source found",
        (
            "TensorBoard and Ray Tune wrote to the same folders: if they have the same values,"
            " import one of them (tensorboard or ray)"
        ),
    ]
    assert found.lines[-2:] == ["ray trial: 1 record", "  loss (1), training_iteration (1)"]
