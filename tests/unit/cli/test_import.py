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
