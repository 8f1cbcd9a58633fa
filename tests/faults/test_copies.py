"""Copies of a folder that a process logs to, by the tools that people copy with, hundreds of times."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection, Row
from rigorous_recorder.errors import IncompleteCopyWarning

from . import copied
from .copied import EPISODE, Noted, read_note

ROOT = Path(__file__).parents[2]
THOROUGH = os.environ.get("FAULTS") == "thorough"
#: A process that logs for longer has so much that each copy takes long.
COPIES_OF_ONE = 10
BLOCK = 65_536
#: About so long are all pauses of a slow copy.
_PAUSED_SECONDS = 2.0

Copier = Callable[[Path, Path], None]


def by_command(*command: str) -> Copier:
    """Copy by a command, which may complain of files that change or go meanwhile."""

    def copy(source: Path, target: Path) -> None:
        words = [each.format(source=source, target=target) for each in command]
        subprocess.run(words, check=False, capture_output=True)

    return copy


def by_tar(source: Path, target: Path) -> None:
    """Pack, and unpack."""
    archive = target.with_suffix(".tar")
    subprocess.run(["tar", "-C", source, "-cf", archive, "."], check=False, capture_output=True)
    target.mkdir()
    subprocess.run(["tar", "-C", target, "-xf", archive], check=True)
    archive.unlink()


def sizes_below(folder: Path) -> Iterator[int]:
    """The sizes of all files, but for those that are taken away meanwhile."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                yield path.stat().st_size


def slowly(is_pause: Callable[[int, int], bool], seconds: float) -> Copier:
    """Copy as over a network, with pauses inside of large files.

    Pauses are in so many places, by chance, that they take a few seconds: were they in all, a copy
    would take the longer the more is logged meanwhile, and the next one longer still.
    """

    def copy(source: Path, target: Path) -> None:
        sizes = list(sizes_below(source))
        ends = ((end, size) for size in sizes for end in range(BLOCK, size + BLOCK, BLOCK))
        places = sum(is_pause(min(end, size), size) for end, size in ends)
        share = _PAUSED_SECONDS / (seconds * max(places, 1))
        dice = random.Random(places)

        def copy_file(source: str, target: str) -> str:
            size = Path(source).stat().st_size
            with open(source, "rb") as reading, open(target, "wb") as writing:  # noqa: PTH123
                while block := reading.read(BLOCK):
                    writing.write(block)
                    if is_pause(reading.tell(), size) and dice.random() < share:
                        time.sleep(seconds)
            return target

        # A file that was taken away meanwhile is passed over, as tools do.
        try:
            shutil.copytree(source, target, copy_function=copy_file)
        except shutil.Error as error:
            assert all("No such file" in reason for *_, reason in error.args[0])

    return copy


def by_the_library(source: Path, target: Path) -> None:
    """As others copy who have the collection open."""
    with closing(ExperimentCollection(source, extension="", quiet=True)) as collection:
        collection.copy_to(target, extension="")


TOOLS: dict[str, Copier] = {
    "cp -r": by_command("cp", "-r", "{source}", "{target}"),
    "cp -al": by_command("cp", "-al", "{source}", "{target}"),
    "tar": by_tar,
    "rsync": by_command("rsync", "-a", "{source}/", "{target}/"),
    "in two halves": slowly(lambda at, size: at - BLOCK < size // 2 <= at, 0.3),
    "by blocks": slowly(lambda at, size: at < size, 0.003),
    "copy_to": by_the_library,
}


@contextmanager
def writer(folder: Path, note: Path, rows: int, backing: str) -> Iterator[None]:
    """A process that logs, until the end of this."""
    command = [sys.executable, "-m", copied.__name__, folder, note, str(rows), backing]
    with subprocess.Popen(list(map(str, command)), cwd=ROOT) as process:
        try:
            while read_note(note).records < 10 * EPISODE:
                assert process.poll() is None
                time.sleep(0.01)
            yield
        finally:
            process.kill()


#: Counts of rows: all, those that are wrong, different ones, those of them that had been logged before,
#: and those without a total that had been said before. Each row says whether it is right.
COUNTING = """
    SELECT count(*), count(*) FILTER (NOT coalesce(
        a = i * 7 AND d = i * 13 AND text = i || ' is the number of this record'
        AND short = i::VARCHAR AND list = '[' || i || ',' || (i + 1) || ']'
        AND name = 'a run' AND episode = i // {episode} AND coalesce(total = episode * 3, true),
        false)), count(DISTINCT i), count(DISTINCT i) FILTER (i < {records}),
        count(*) FILTER (total IS NULL AND i // {episode} < {totals})
    FROM records
"""
#: So many of the first and of the last rows are read as dicts as well.
FEW = 300


def check(copy: Path, before: Noted, found: Counter[str]) -> None:
    """Each row is whole, and if any is missing that had been logged before, that is reported."""
    problems = ExperimentCollection.verify_folder(copy, extension="")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with closing(ExperimentCollection(copy, extension="", quiet=True)) as collection:
            counts = count_rows(collection, before)
            wrong = sum(not copied.is_right(dict(row)) for row in some_rows(collection))
    is_told = any(issubclass(each.category, IncompleteCopyWarning) for each in caught)
    # A tool that pauses inside of a live file copies rows beyond one that was not written yet: what
    # comes after that place was logged while the file was copied.
    gaps = [each for each in caught if "a row is missing after the first" in str(each.message)]
    assert len(caught) - len(gaps) == is_told, [str(each.message) for each in caught]
    rows, wrong_in_sql, different, logged_before, without_total = counts
    is_lossy = logged_before < before.records or without_total > 0
    found["copies"] += 1
    found["rows"] += rows
    found["wrong"] += max(wrong, wrong_in_sql)
    found["doubled"] += rows - different
    found["lossy copies"] += is_lossy
    found["untold"] += is_lossy and not (is_told and problems)
    found["told"] += is_told


def count_rows(collection: ExperimentCollection, before: Noted) -> tuple[int, ...]:
    """What ``COUNTING`` counts."""
    there = collection.records.columns
    if "i" not in there:
        return 0, 0, 0, 0, 0
    query = COUNTING.format(episode=EPISODE, records=before.records, totals=before.totals)
    if "total" not in there:  # no episode has ended yet
        query = query.replace("total", "NULL::BIGINT")
    (counts,) = collection.sql(query).fetchall()
    return tuple(counts)


def some_rows(collection: ExperimentCollection) -> list[Row]:
    """The first and the last rows, as dicts."""
    records = collection.records
    return [*records[:FEW], *records[-FEW:]]


_MORE = 300 if THOROUGH else 5


@pytest.mark.parametrize(
    ("copies", "rows", "backing"),
    [
        (2, 1024, "mapped"),
        pytest.param(_MORE, 0, "mapped", marks=pytest.mark.slow),
        pytest.param(_MORE, 1024, "written behind", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("tool", TOOLS)
def test_copies_of_a_running_folder(
    tool: str, copies: int, rows: int, backing: str, tmp_path: Path
) -> None:
    """No row is wrong, none is there twice, and no loss of what had been logged is untold."""
    if tool == "rsync" and shutil.which("rsync") is None:
        pytest.skip("NO rsync COMMAND HERE, its copies of a running folder are not tested")
    found = Counter[str]()
    while found["copies"] < copies:
        place = tmp_path / f"{found['copies']}"
        place.mkdir()
        with writer(place / "study", place / "note", rows, backing):
            made: list[tuple[Path, Noted]] = []
            for number in range(min(COPIES_OF_ONE, copies - found["copies"])):
                made.append((place / f"copy {number}", read_note(place / "note")))
                TOOLS[tool](place / "study", made[-1][0])
                if number % 2:  # some are looked at while the original runs on, some afterwards
                    check(*made.pop(), found)
        for copy, before in made:
            check(copy, before, found)
        shutil.rmtree(place)
    sys.stdout.write(f"{tool}, {backing}, tables of {rows}: {dict(found)}\n")
    assert (found["wrong"], found["doubled"], found["untold"]) == (0, 0, 0)
    if tool == "copy_to":
        assert found["lossy copies"] == found["told"] == 0
