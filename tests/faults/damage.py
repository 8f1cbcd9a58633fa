"""Damaged collections: thousands of seeded variants, each read in a process of its own.

``python -m tests.faults.damage FIRST LAST`` tries the seeds of that range, prints what went wrong with
which of them, and ends with 1 if anything did.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import pickle
import random
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import polars as pl
import pyarrow.compute
import pyarrow.dataset
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store import backend, own_files, seal
from rigorous_recorder._store.folder import TABLES, Folder
from rigorous_recorder._store.live_files import read_live
from rigorous_recorder.errors import (
    DamagedFileError,
    DamagedFileWarning,
    IncompleteCopyWarning,
    MixedKindsWarning,
    NotACollectionError,
)

from ..small_tables import make_small

assert duckdb
assert pyarrow.compute
assert pyarrow.dataset
assert pyarrow.ipc

#: Indexes of the other collection's records start here: none may ever be seen.
FOREIGN = 2_400_000
#: Records of a session.
RECORDS = 24
#: Seconds after which a child is taken to hang.
PATIENCE = 30
#: Bytes of address space that a child may have.
SPACE = 12 << 30


# --- sound collections ---------------------------------------------------------------------------


def fields_of(i: int) -> dict[str, Any]:
    """The record with that index: a value of most kinds."""
    found: dict[str, Any] = {"i": i, "value": i / 4}
    found |= [
        {"note": f"note {i} " * (i % 5)},
        {"flag": i % 2 == 0, "day": dt.date(2020, 1, 1) + dt.timedelta(i % 5000)},
        {"array": np.array([[i, 1.5], [2, 3]], "float32"), "raw": bytes([i % 256]) * (i % 20)},
        {"deep": {"a": [i, None, "x"]}, "when": dt.datetime(2020, 1, 1, 0, i % 60)},
        {"either": i if i % 3 else f"text {i}", "span": dt.timedelta(microseconds=i)},
        {"list": np.arange(i % 7), "zoned": dt.datetime(2020, 1, 1, i % 24, tzinfo=dt.UTC)},
    ][i // RECORDS % 6]
    few = [i / 8, -i, i % 3 == 0, None, f"text {i} " * (i % 3), [i, {"deep": None}]]
    found |= {f"loss/{i % 17}": few[i % 6], f"{'long ' * (i % 4)}key {i % 11}": few[i % 5]}
    return found


def above(i: int) -> dict[str, Any]:
    """What the ancestors of a record know."""
    return {"session": i // RECORDS, "model": f"m{i // 12}", "episode": i // 6}


def log(collection: ExperimentCollection, session: int, start: int) -> Any:
    """Log records in a tree of three levels, and leave the experiment open."""
    first = start + RECORDS * session
    run = collection.new_experiment(session=first // RECORDS)
    recorder = run.__enter__()
    model = episode = recorder
    for i in range(first, first + RECORDS):
        if i % 12 == 0:
            model = recorder.child(model=f"m{i // 12}")
        if i % 6 == 0:
            episode = model.child(episode=i // 6)
        episode.push(fields_of(i))
    recorder["done"] = True
    return run


@dataclass
class Sound:
    """A sound collection, and which records are in which of its files."""

    folder: Path
    running: str = ""
    holds: dict[str, set[int]] = field(default_factory=dict)

    @property
    def indexes(self) -> set[int]:
        """Those of all records."""
        return set().union(*self.holds.values())


def _seal_at_once(_self: Any, job: Callable[[], object]) -> None:
    job()


@contextmanager
def small_tables() -> Iterator[None]:
    """Live tables of 16 rows, sealed at once."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch.setattr, rows=16, dense=8)
        patch.setattr(own_files, "_FAN", 8)
        yield


def build(place: Path, start: int = 0) -> Sound:
    """A collection with merged files, files of finished writers, a dead and a running one."""
    work = place / "work.collection"
    names = random.Random(start)
    backend._random_writer = lambda: names.randrange(1, 1 << 32)  # type: ignore[assignment]
    uuid.uuid4 = lambda: uuid.UUID(int=names.getrandbits(128))  # type: ignore[assignment]
    with small_tables():
        for session in (0, 1):
            with closing(ExperimentCollection(work, quiet=True)) as finished:
                log(finished, session, start).__exit__(None, None, None)
        with closing(ExperimentCollection(work, quiet=True)) as finished:
            finished.compact()
        with closing(ExperimentCollection(work, quiet=True)) as finished:
            log(finished, 2, start).__exit__(None, None, None)
        dead, running = (ExperimentCollection(work, quiet=True) for _ in range(2))
        runs = [log(dead, 3, start), log(running, 4, start)]
        for each in (dead, running):
            each._store.flush()
        sound = Sound(place / "sound.collection", running._store.backend.writer)
        _settle(work)
        shutil.copytree(work, sound.folder)
        for run in runs:
            run.__exit__(None, None, None)
        for each in (dead, running):
            each.close()
    shutil.rmtree(work)
    _find_holders(sound)
    return sound


def _settle(work: Path) -> None:
    """Wait until nothing is being sealed any more."""
    seen: list[str] = []
    while (now := sorted(map(str, work.rglob("*")))) != seen:
        seen = now
        time.sleep(0.2)


def _find_holders(sound: Sound) -> None:
    for path in (sound.folder / "records").iterdir():
        sound.holds[f"records/{path.name}"] = set(pq.ParquetFile(path).read()["i"].to_pylist())
    folder = Folder(sound.folder)
    for name in folder.lives("records"):
        found = read_live(folder.live_path(name), name)
        rows = set() if found is None else set(found.whole["i"].to_pylist())
        sealed = any(rows <= held for held in sound.holds.values())
        sound.holds[f"live/{name}"] = set() if sealed else rows


# --- damage --------------------------------------------------------------------------------------


class Damage(NamedTuple):
    """What was done to a collection.

    Attributes:
        files: the damaged ones, relative to the collection.
        is_told: whether reading notices for certain that the bytes are not those that were written.
        text: what was done.
    """

    files: list[str]
    is_told: bool
    text: str


def flip(data: bytearray, dice: random.Random) -> int:
    at = 0
    for _ in range(dice.choice([1, 1, 2, 8, 64])):
        at = dice.randrange(len(data))
        data[at] ^= 1 << dice.randrange(8)
    return at


def zero(data: bytearray, dice: random.Random) -> int:
    start = dice.randrange(len(data))
    size = min(dice.choice([1, 8, 64, 4096]), len(data) - start)
    data[start : start + size] = bytes(size)
    return start


def scramble(data: bytearray, dice: random.Random) -> int:
    start = dice.randrange(len(data))
    size = min(dice.choice([4, 64, 1024]), len(data) - start)
    data[start : start + size] = dice.randbytes(size)
    return start


def cut(data: bytearray, dice: random.Random) -> int:
    del data[dice.randrange(len(data)) :]
    return len(data)


def grow(data: bytearray, dice: random.Random) -> int:
    data += dice.randbytes(dice.choice([1, 100]))
    return 0


def empty(data: bytearray, dice: random.Random) -> int:
    data.clear()
    return 0


def noise(data: bytearray, dice: random.Random) -> int:
    data[:] = dice.randbytes(len(data))
    return 0


_BYTES = [flip, flip, flip, flip, zero, zero, scramble, scramble, cut, cut, grow, empty, noise]


def damage(sound: Sound, other: Sound, copy: Path, dice: random.Random) -> Damage:
    """Damage one file of a copy of a collection."""
    paths = sorted(path for path in copy.rglob("*") if path.is_file())
    path = dice.choice(paths)
    if dice.random() < 0.6:
        path = dice.choice([each for each in paths if each.suffix in {".parquet", ".arrow"}])
    name = str(path.relative_to(copy))
    if dice.random() < 0.7:
        change = dice.choice(_BYTES)
        data = bytearray(path.read_bytes())
        if data or change in {empty, noise}:
            before = bytes(data)
            at = change(data, dice)
            path.write_bytes(data)
            is_told = data != before and change in {empty, noise}
            text = f"{change.__name__} {name} at byte {at} of {len(before)}"
            return Damage([name], is_told, text)
    what = dice.choice([_swap, _swap_with_other, _double, _delete, _replace, _link, _break_place])
    return what(path, paths, other, copy, dice)


def _swap(path: Path, paths: list[Path], other: Sound, copy: Path, dice: random.Random) -> Damage:
    partner = dice.choice([each for each in paths if each != path])
    one, two = path.read_bytes(), partner.read_bytes()
    path.write_bytes(two)
    partner.write_bytes(one)
    names = [str(each.relative_to(copy)) for each in (path, partner)]
    # A live file that waits to be filled has no rows, and says so under any number.
    is_spare = any(each.name.startswith(".") for each in (path, partner))
    is_told = one != two and not is_spare and not _is_same_live(path, partner)
    what = "swapped with a spare" if is_spare else "swapped"
    return Damage(names, is_told, f"{what} {' and '.join(names)}")


def _is_same_live(one: Path, two: Path) -> bool:
    """Whether these are live files of one writer's table, that say no number."""
    ends = [
        (p.name.split("-")[0], p.name.split(".")[1]) for p in (one, two) if p.suffix == ".arrow"
    ]
    return len(ends) == 2 and ends[0] == ends[1]


def _alike(path: Path, other: Sound) -> list[Path]:
    """The files of another collection of the kind of this one; all, where it has none of them."""
    files = [each for each in sorted(other.folder.rglob("*")) if each.is_file()]
    return [each for each in files if each.suffix == path.suffix] or files


def _swap_with_other(
    path: Path, paths: list[Path], other: Sound, copy: Path, dice: random.Random
) -> Damage:
    name = str(path.relative_to(copy))
    partner = dice.choice(_alike(path, other))
    path.write_bytes(partner.read_bytes())
    is_told = path.suffix in {".parquet", ".arrow"}
    return Damage([name], is_told, f"{name} is another collection's {partner.name}")


def _double(path: Path, paths: list[Path], other: Sound, copy: Path, dice: random.Random) -> Damage:
    if path.suffix == ".parquet":
        writer = path.name.split("-")[0]
        new = dice.choice(
            [
                f"{dice.randrange(1 << 32):08x}-0.parquet",
                f"merged-{dice.randbytes(16).hex()}.parquet",
                f"{writer}-0-99.parquet" if writer != "merged" else "00000001-7-9.parquet",
                f"{writer}-77.parquet" if writer != "merged" else "00000001-3.parquet",
            ]
        )
    elif path.suffix == ".arrow":
        new = f"{dice.randrange(1 << 32):08x}-0.records.arrow"
    else:
        new = f"{path.name}.bak"
    target = path.with_name(new)
    target.write_bytes(path.read_bytes())
    is_told = path.suffix in {".parquet", ".arrow"}
    return Damage([str(target.relative_to(copy))], is_told, f"{path.name} doubled as {new}")


def _delete(path: Path, paths: list[Path], other: Sound, copy: Path, dice: random.Random) -> Damage:
    name = str(path.relative_to(copy))
    path.unlink()
    return Damage([name], False, f"deleted {name}")


def _replace(
    path: Path, paths: list[Path], other: Sound, copy: Path, dice: random.Random
) -> Damage:
    name = str(path.relative_to(copy))
    path.unlink()
    what = dice.choice(["folder", "full folder", "pipe", "socket", "device"])
    if what == "pipe":
        os.mkfifo(path)
    elif what == "socket":
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is short
        with closing(socket.socket(socket.AF_UNIX)) as listener:
            listener.bind(path.name)
        os.chdir(here)
    elif what == "device" and os.getuid() == 0:
        try:
            os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # zeros, for ever
        except PermissionError:
            path.mkdir()
    else:
        path.mkdir()
        if what == "full folder":
            (path / "inside").write_bytes(b"x")
    return Damage([name], True, f"a {what} in place of {name}")


def _link(path: Path, paths: list[Path], other: Sound, copy: Path, dice: random.Random) -> Damage:
    name = str(path.relative_to(copy))
    outside = copy.parent / f"outside{path.suffix}"
    outside.write_bytes(path.read_bytes())
    elsewhere = dice.choice(_alike(path, other))
    target = dice.choice([path.name, "nowhere", "/dev/zero", elsewhere, outside])
    path.unlink()
    path.symlink_to(target)
    return Damage([name], True, f"a link to {target} in place of {name}")


def _break_place(
    path: Path, paths: list[Path], other: Sound, copy: Path, dice: random.Random
) -> Damage:
    """One of the folders is gone, another's, or a file."""
    place = copy / dice.choice(["records", "nodes", "live"])
    files = [str(p.relative_to(copy)) for p in paths if p.parent == place]
    what = dice.choice(["gone", "linked", "a file"])
    shutil.rmtree(place)
    if what == "linked":
        place.symlink_to(other.folder / place.name)
    elif what == "a file":
        place.write_bytes(b"x")
    return Damage([place.name, *files], True, f"{place.name} is {what}")


# --- what must hold ------------------------------------------------------------------------------


class _Check:
    """Everything that is asked of one damaged copy."""

    def __init__(self, sound: Sound, copy: Path, done: Damage, dice: random.Random) -> None:
        self.copy = copy
        self.done = done
        self.dice = dice
        self.told: list[str] = []
        self.lacking: list[str] = []
        self.lost_at_most = set().union(*(sound.holds.get(name, set()) for name in done.files))
        self.all = sound.indexes
        self.sure = self.all - self.lost_at_most
        touched = {name.split("/")[0] for name in done.files if name.split("/")[0] in TABLES}
        live = {name.split(".")[-2] for name in done.files if name.endswith(".arrow")}
        self.nodes_are_sound = not {"nodes"} & (touched | live) and done.files[0] != "live"
        self.can_lie = any(
            word in done.text.split()[0] for word in ("flip", "zero", "scramble", "cut", "grow")
        ) and done.files[0].endswith((".parquet", ".arrow"))
        self.new: list[int] = []

    def run(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("always", category=DamagedFileWarning)
            warnings.filterwarnings("ignore", category=MixedKindsWarning)
            warnings.showwarning = self._hear  # type: ignore[assignment]
            try:
                collection = self._open()
            except NotACollectionError as error:
                names = [self.done.files[0], "collection.json"]
                assert any(name in str(error) for name in names), error
                assert self.done.files[0] in {"collection.json", "records", "nodes", "live"} or (
                    "collection.json" in self.done.files
                ), error
                self._repair()
                return
            self._verify(collection)
            self.dice.choice(
                [
                    *(partial(self._read, collection, ask) for ask in self._asks),
                    partial(self._read, collection, self._by_overview, self._log),
                    partial(self._read, collection, len, self._compact),
                    self._repair,
                ]
            )()
            collection.close()

    def _hear(self, message: Any, category: type[Warning], *_rest: Any) -> None:
        if issubclass(category, IncompleteCopyWarning):  # of the collection: no file is known
            assert any(name.endswith((".parquet", ".arrow")) for name in self.done.files), message
            self.lacking.append(str(message))
        else:
            self.told.append(str(message))

    @property
    def lacks_recorders(self) -> bool:
        """Whether records may be left out since their recorders are gone, which was reported."""
        return bool(self.lacking) and not self.nodes_are_sound

    def _open(self) -> ExperimentCollection:
        return ExperimentCollection(self.copy, extension="", quiet=True)

    @property
    def _asks(self) -> list[Callable[[ExperimentCollection], int]]:
        return [self._by_rows, self._by_rows, self._by_arrow, self._by_sql, self._by_polars]

    def _by_rows(self, collection: ExperimentCollection) -> int:
        rows = [dict(row) for row in collection.records]
        self.check(rows)
        return len(rows)

    def _read(
        self,
        collection: ExperimentCollection,
        ask: Callable[[ExperimentCollection], int],
        change: Callable[[], None] | None = None,
    ) -> None:
        if change is not None:
            change()
            self._by_rows(collection)
        most = len(self.all) + len(self.new)
        least = len(self.sure) + len(self.new)
        count = ask(collection)
        assert (0 if self.lacks_recorders else least) <= count <= most, (ask, count, least, most)
        damaged = [Path(name).name for name in self.done.files]
        for message in self.told:
            assert (
                any(n in message for n in damaged) or "collection.verify() lists which" in message
            )
        if (
            count < most
            and not self.done.text.startswith("deleted")
            and "gone" not in self.done.text
            and "a spare" not in self.done.text
        ):
            assert self.told or self.lacks_recorders, "rows are lost in silence"

    def check(self, rows: list[dict[str, Any]]) -> None:
        """All that is sound is there, once, with its own values."""
        found: dict[Any, list[dict[str, Any]]] = {}
        for row in rows:
            found.setdefault(repr(row.get("i")), []).append(row)
        for i in [*self.sure, *self.new]:
            alike = found.get(repr(i), [])
            if not alike and self.lacks_recorders:
                continue
            right = [row for row in alike if self._is_right(row, i)]
            assert right, f"record {i} is not there as it was logged: {alike}"
            assert len(alike) == 1 or self.can_lie, f"record {i} is there {len(alike)} times"
        expected = {repr(i) for i in [*self.all, *self.new]}
        others = Counter({i: len(each) for i, each in found.items() if i not in expected})
        if others:
            assert self.can_lie, f"records that nobody logged: {others}"
            assert others.total() <= len(self.lost_at_most)
        for i in self.lost_at_most:
            for row in found.get(repr(i), []):
                assert self._is_right(row, i) or self.can_lie, f"record {i} has wrong values: {row}"

    def _is_right(self, row: dict[str, Any], i: int) -> bool:
        expected = fields_of(i)
        if not all(_equal(row.get(key), value) for key, value in expected.items()):
            return False
        for key, value in above(i).items():
            if row.get(key) != value and i not in self.new:
                if self.nodes_are_sound and not self.can_lie:
                    return False
                if self.nodes_are_sound and i in self.sure:
                    return False
        return True

    def _by_arrow(self, collection: ExperimentCollection) -> int:
        table = collection.records.to_arrow()
        table.validate(full=True)
        return int(table.num_rows)

    def _by_sql(self, collection: ExperimentCollection) -> int:
        (count,) = collection.sql("SELECT count(*) FROM records").fetchall()[0]
        rows = collection.sql("SELECT * FROM records").to_arrow_table()
        assert rows.num_rows <= count
        collection.sql("SELECT count(*) FROM nodes, experiments").fetchall()
        return int(count)

    def _by_polars(self, collection: ExperimentCollection) -> int:
        lazy = collection.records.to_polars(lazy=True)
        if "value" in collection.records.columns and not self.can_lie:
            lazy.filter(pl.col("value") > 3).collect()
        return int(lazy.select(pl.len()).collect().item())

    def _by_overview(self, collection: ExperimentCollection) -> int:
        str(collection.experiments)
        str(collection.tree())
        str(collection.overview())
        repr(collection)
        return len(collection)

    def _verify(self, collection: ExperimentCollection) -> None:
        problems = collection.verify()
        names = [str(each.path.relative_to(self.copy)) for each in problems]
        # Of what is gone the table is named that lacks it.
        tables = {
            table for table in ("records", "nodes") if any(table in f for f in self.done.files)
        }
        assert set(names) <= {*self.done.files, *tables}, (names, self.done)
        assert all(each.reason for each in problems)
        matters = [
            name
            for name in self.done.files
            if name.endswith((".parquet", ".arrow", "collection.json"))
        ]
        if self.done.is_told and matters and "is gone" not in self.done.text:
            assert names, f"verify finds nothing: {self.done.text}"

    def _log(self) -> None:
        i = 5000 + len(self.new)
        try:
            with closing(self._open()) as collection:
                with collection.new_experiment() as experiment:
                    experiment.push(fields_of(i))
        except DamagedFileError as error:
            assert "experiments.lock" in str(error)
            assert "live/experiments.lock" in self.done.files
        else:
            self.new.append(i)

    def _compact(self) -> None:
        try:
            with closing(self._open()) as collection:
                collection.compact()
        except DamagedFileError as error:
            assert "compact.lock" in str(error)
            assert "live/compact.lock" in self.done.files

    def _repair(self) -> None:
        into = self.copy.with_name(f"repaired{len(self.new)}.collection")
        lost = (
            ExperimentCollection.repair(self.copy, into, extension="")
            if (not self.done.text.endswith("linked") and "is a file" not in self.done.text)
            else None
        )
        if lost is None:
            return
        with closing(ExperimentCollection(into, extension="", quiet=True)) as repaired:
            before = len(self.told)
            assert repaired.verify() == [] or self.lacking  # what is gone is gone from it as well
            self.check([dict(row) for row in repaired.records])
            assert len(self.told) == before, "a repaired collection warns"


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, np.ndarray):
        return isinstance(found, np.ndarray) and np.array_equal(found, expected)
    return bool(type(found) is type(expected) and found == expected)


# --- one after another ---------------------------------------------------------------------------


class Collections(NamedTuple):
    """The sound ones, and where copies are made."""

    place: Path
    sound: Sound
    other: Sound


def prepare(place: Path) -> Collections:
    """Build the collections, and load all that the children need, without starting a thread."""
    for name in ("sound", "other"):
        (place / name).mkdir()
    child = os.fork()  # who logs has threads, which a process that forks must not have
    if not child:
        try:
            found = build(place / "sound"), build(place / "other", FOREIGN)
            (place / "built").write_bytes(pickle.dumps(found))
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the child ends here
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    sound, other = pickle.loads((place / "built").read_bytes())
    seal.load()
    return Collections(place, sound, other)


def attempt(seed: int, collections: Collections) -> str:
    """Damage a copy, read it in a child; what went wrong, or nothing."""
    dice = random.Random(f"damage {seed}")
    place = collections.place / f"try{seed}"
    place.mkdir()
    copy = place / "copy.collection"
    shutil.copytree(collections.sound.folder, copy)
    done = damage(collections.sound, collections.other, copy, dice)
    lock = copy / "live" / f"{collections.sound.running}.lock"
    held = os.open(lock, os.O_RDWR) if lock.is_file() and not lock.is_symlink() else None
    if held is not None:
        fcntl.flock(held, fcntl.LOCK_EX)
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(PATIENCE)
        resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))
        text = ""
        try:
            _Check(collections.sound, copy, done, dice).run()
        except BaseException:  # noqa: BLE001 - all of it is told
            text = traceback.format_exc()
        os.write(write_end, text.encode(errors="replace")[-6000:])
        os._exit(1 if text else 0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as report:
        text = report.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if held is not None:
        os.close(held)
    shutil.rmtree(place)
    if code == 0:
        return ""
    how = "hangs" if code == -signal.SIGALRM else f"ends with {code}"
    return f"seed {seed}: {done.text}: {how}\n{text}"


def attempts(first: int, last: int) -> list[str]:
    """What went wrong with any of these seeds, in this process and children of it."""
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=base) as place:
        collections = prepare(Path(place))
        found = (attempt(seed, collections) for seed in range(first, last))
        return [text for text in found if text]


def main() -> int:
    first, last = map(int, sys.argv[1:])
    failed = attempts(first, last)
    sys.stdout.writelines(f"{text}\n" for text in failed)
    sys.stdout.write(f"{last - first} damaged collections, {len(failed)} with trouble\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
