"""Damaged and hostile files are reported, with file and offset; everything else is imported."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import FORMATS, Report, event_frames, import_runs
from rigorous_recorder.importers.files import read_yaml
from rigorous_recorder.importers.formats import find

pytest.importorskip("yaml")

from .test_again import frame, scalar
from .test_samples import DATA

EVENTS = DATA / "tensorboard/torch/first/events.out.tfevents.1795871760.host.26636.0"


def files_of_samples() -> list[Path]:
    return [
        file
        for file in sorted(DATA.rglob("*"))
        if file.is_file() and file.name != "expected.json" and ".aim" not in file.parts
    ]


def damaged(random_: random.Random, data: bytes) -> bytes:
    """The bytes with one kind of damage."""
    if not data:
        return bytes(7)
    at = random_.randrange(len(data))
    kind = random_.randrange(6)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + random_.randbytes(random_.randrange(1, 40)) + data[at + 1 :]
    if kind == 2:
        return data[:at] + bytes(random_.randrange(1, 300)) + data[at:]
    if kind == 3:
        return data[:at] + data[at + random_.randrange(1, 200) :]
    changed = bytearray(data)
    for _ in range(random_.randrange(1, 20)):
        changed[random_.randrange(len(data))] = random_.randrange(256)
    return bytes(changed)


def tries(seed: int, times: int) -> Iterator[tuple[Path, bytes]]:
    random_ = random.Random(seed)
    files = files_of_samples()
    for _ in range(times):
        file = random_.choice(files)
        yield file, damaged(random_, file.read_bytes())


@pytest.mark.parametrize(
    ("seed", "times"), [(1, 30), pytest.param(2, 1500, marks=pytest.mark.slow)]
)
def test_no_damage_ends_an_import(seed: int, times: int, tmp_path: Path) -> None:
    """Whatever one file of a sample has, every format reads what it can, and raises nothing."""
    for number, (file, data) in enumerate(tries(seed, times)):
        folder = tmp_path / str(number)
        shutil.copytree(file.parent, folder)
        (folder / file.name).write_bytes(data)
        report = Report()
        for name in FORMATS:
            for format_, source in find(folder, (name,), {}):
                list(format_.read(source, report, None))
        if number % 10 == 0:
            with ExperimentCollection(tmp_path / f"study{number}") as collection:
                if found := find(folder, (), {}):
                    import_runs([source.path for _, source in found], collection)
        shutil.rmtree(folder)


def steps_of(folder: Path, collection: ExperimentCollection) -> tuple[list[int], list[str]]:
    """The steps that are imported, and the report."""
    done = import_runs(folder, collection)
    return [row["step"] for row in collection.records], [str(each) for each in done.report.losses]


def test_damage_in_event_files_is_reported_with_its_offset(tmp_path: Path) -> None:
    """What follows is read where the length before it can be trusted, or a right one is found."""
    good = [scalar("loss", step, 1.0) for step in range(6)]
    wrong_data = good[1][:-5] + b"\0" + good[1][-4:]
    wrong_length = b"\xff" + good[3][1:]
    file = tmp_path / "runs" / "a" / "events.out.tfevents.1.host"
    file.parent.mkdir(parents=True)
    parts = [good[0], wrong_data, good[2], wrong_length, good[4], good[5][:-1]]
    file.write_bytes(b"".join(parts))
    offsets = [sum(map(len, parts[:number])) for number in range(len(parts))]
    for name, data in (("events.empty.tfevents", b""), ("events.short.tfevents", b"1234567")):
        (file.parent / name).write_bytes(data)
    with ExperimentCollection(tmp_path / "study") as collection:
        steps, report = steps_of(tmp_path / "runs", collection)
    assert steps == [0, 2, 4]
    assert report == [
        f"{file.parent}/events.empty.tfevents: is empty: its writer ended before it wrote something",
        f"{file} at byte {offsets[1]}: records with a wrong checksum: skipped",
        f"{file} at byte {offsets[3]}: a wrong checksum of a length: skipped to the next record",
        f"{file} at byte {offsets[5]}: ends within a record",
        f"{file.parent}/events.short.tfevents at byte 0: ends within a record",
    ]


def test_lengths_that_lie_cost_no_memory(tmp_path: Path) -> None:
    """A record of exabytes is one that is not whole yet; a tensor of a trillion numbers is skipped."""
    size = (2**62).to_bytes(8, "little")
    header = size + event_frames.masked_crc(size).to_bytes(4, "little")
    dims = b"".join(b"\x12\x06\x08" + b"\x80\x80\x80\x80\x08" for _ in range(2))
    tensor = b"\x08\x01\x12" + bytes([len(dims)]) + dims + b"\x2d" + bytes(4)
    value = b"\x0a\x01x\x42" + bytes([len(tensor)]) + tensor
    summary = b"\x0a" + bytes([len(value)]) + value
    huge = frame(b"\x2a" + bytes([len(summary)]) + summary)
    file = tmp_path / "events.out.tfevents.1.host"
    file.write_bytes(huge + scalar("loss", 3, 1.0) + header)
    with ExperimentCollection(tmp_path / "study") as collection:
        steps, report = steps_of(tmp_path, collection)
    assert steps == [3]
    assert report == [
        f"{file} at byte 0: values that are not valid or too large: skipped",
        f"{file} at byte {file.stat().st_size - 12}: ends within a record",
    ]


def test_native_and_pure_frames_are_the_same() -> None:
    """Also of damaged files, from any offset."""
    random_ = random.Random(3)
    for file in sorted(DATA.glob("tensorboard/**/*tfevents*")):
        whole = file.read_bytes()
        for data in (whole, *(damaged(random_, whole) for _ in range(8))):
            start = random_.choice([0, len(data) // 2])
            native, pure = event_frames.scan(data, start), event_frames._scan(data, start)
            assert repr(native) == repr(pure)
            assert event_frames.find_frame(data, 1) == next(
                (at for at in range(1, len(data) - 11) if event_frames._is_header(data, at)),
                max(1, len(data) - 11),
            )


def test_databases_of_other_versions_are_read_as_far_as_they_are_known(tmp_path: Path) -> None:
    """A column more or less is no matter; a view instead of a table is never queried."""
    file = tmp_path / "mlflow.db"
    shutil.copy(DATA / "mlflow" / "sqlite" / "mlflow.db", file)
    file.chmod(0o600)
    with sqlite3.connect(file) as database:
        database.execute("ALTER TABLE metrics ADD COLUMN new TEXT DEFAULT 'x'")
        database.execute("ALTER TABLE runs DROP COLUMN source_version")
    database.close()
    with ExperimentCollection(tmp_path / "study") as collection:
        assert import_runs(file, collection).records == 18
    with sqlite3.connect(file) as database:
        database.execute("DROP TABLE tags")
        database.execute("CREATE VIEW tags AS SELECT key, value, run_uuid FROM params")
    database.close()
    assert find(file, (), {}) == []


def test_a_database_in_use_is_read_without_a_change(tmp_path: Path) -> None:
    """Rows that wait in the log beside it are there; no file is created or touched."""
    folder = tmp_path / "store"
    folder.mkdir()
    file = folder / "mlflow.db"
    shutil.copy(DATA / "mlflow" / "sqlite" / "mlflow.db", file)
    file.chmod(0o600)

    def files() -> dict[str, tuple[int, int, bytes]]:
        return {
            each.name: (each.stat().st_mtime_ns, each.stat().st_ino, each.read_bytes())
            for each in folder.iterdir()
        }

    database = sqlite3.connect(file, isolation_level=None)
    assert database.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    database.execute("PRAGMA wal_autocheckpoint = 0")
    run = database.execute("SELECT run_uuid FROM metrics").fetchone()[0]
    with ExperimentCollection(tmp_path / "study") as collection:
        for step in (1, 2):
            insert = "INSERT INTO metrics VALUES ('new', 1.0, 1795871840000, ?, ?, 0)"
            database.execute(insert, (run, step))
            before = files()
            assert {*before} == {"mlflow.db", "mlflow.db-wal", "mlflow.db-shm"}
            import_runs(folder, collection)
            assert files() == before
            assert sum(row["new"] is not None for row in collection.records) == step
    database.close()
    before = files()
    with ExperimentCollection(tmp_path / "other") as collection:
        import_runs(folder, collection)
    assert files() == before
    assert {*before} == {"mlflow.db"}


def test_yaml_is_plain_data(tmp_path: Path) -> None:
    """No tag constructs anything, and aliases stand for what they name."""
    file = tmp_path / "x.yaml"
    file.write_text("a: !!python/object/apply:os.system ['exit 1']\nb: !!python/tuple [1, 2]\n")
    report = Report()
    assert read_yaml(file, report) == {"a": ["exit 1"], "b": [1, 2]}
    assert report.losses == []
    file.write_text("a: &a [1, 1]\nb: [*a, *a]\n")
    assert read_yaml(file, report) == {"a": [1, 1], "b": [[1, 1], [1, 1]]}
    file.write_text("a: &a [1, *a]\n")
    assert read_yaml(file, report) is None
    assert [str(each) for each in report.losses] == [f"{file}: is not valid YAML"]
