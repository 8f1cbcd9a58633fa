"""Damaged and hostile files are reported, with file and offset; everything else is imported."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import FORMATS, Report, import_runs
from rigorous_recorder.importers.formats import find

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
