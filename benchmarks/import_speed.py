"""Importing runs of other tools, beside their own readers: seconds of CPU, peak memory, and bytes.

Run it with ``python benchmarks/import_speed.py [--rows N] [--peer PYTHON]``, where PYTHON has tensorboard,
tbparse and mlflow.
Each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO, Final

from machine import print_machine
from rigorous_recorder.exporters import export_runs
from rigorous_recorder.importers.event_frames import masked_crc

#: Rows of W&B's files, of which memory does not depend on the number.
HISTORY: Final = (50_000, 200_000, 800_000)
BLOCK: Final = 32_768
TAGS: Final = (b"loss/train", b"lr", b"accuracy/val", b"grad_norm")
#: As long as the ids of MLflow's runs are.
RUN: Final = "5d1c1f0e{:024}"
#: So many runs log in turn, one value each.
IN_TURN: Final = 10
OURS: Final = """
import resource, sys, time
from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import import_runs
start = time.process_time()
with ExperimentCollection(sys.argv[2]) as collection:
    import_runs(sys.argv[1], collection)
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
ACCUMULATOR: Final = """
import resource, sys, time
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
start = time.process_time()
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
[events.Scalars(tag) for tag in events.Tags()["scalars"]]
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
TBPARSE: Final = """
import resource, sys, time
from tbparse import SummaryReader
start = time.process_time()
SummaryReader(sys.argv[1]).scalars
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
#: The store is exported by us, since MLflow refuses one without all of its tables.
MLFLOW: Final = """
import resource, sys, time
from mlflow import MlflowClient
client = MlflowClient(f"sqlite:///{sys.argv[1]}/mlflow.db")
start = time.process_time()
for run in client.search_runs(["1"]):
    for key in run.data.metrics:
        client.get_metric_history(run.info.run_id, key)
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def write_events(folder: Path, rows: int) -> None:
    """Scalars as torch writes them."""
    noise = random.Random(0).random
    folder.mkdir()
    with (folder / "events.out.tfevents.1.host.1.0").open("wb") as file:
        for row in range(rows):
            tag = TAGS[row % len(TAGS)]
            value = b"\x0a" + bytes([len(tag)]) + tag + b"\x15" + struct.pack("<f", noise())
            summary = b"\x0a" + bytes([len(value)]) + value
            wall = b"\x09" + struct.pack("<d", 1.8e9 + row * 0.0015)
            step = b"\x10" + varint(row // len(TAGS))
            event = wall + step + b"\x2a" + bytes([len(summary)]) + summary
            size = struct.pack("<Q", len(event))
            file.write(size + packed_crc(size) + event + packed_crc(event))


def packed_crc(data: bytes) -> bytes:
    """The checksum of a part of a frame as it is in the file."""
    return struct.pack("<I", masked_crc(data))


def varint(number: int) -> bytes:
    """A number as Protocol Buffers have it."""
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def write_wandb(folder: Path, rows: int) -> None:
    """History of five metrics beside W&B's own keys, as W&B writes it."""
    noise = random.Random(0).random
    folder.mkdir()
    with (folder / "run-bench.wandb").open("wb") as file:
        file.write(b":W&B\xe1\xbe\x00")
        at = 7
        for row in range(rows):
            values = {"_step": row, "_timestamp": 1.8e9 + row / 100, "_runtime": row / 100}
            values |= {"loss": noise(), "accuracy": noise(), "lr": noise(), "norm": noise()}
            items = b"".join(
                field(1, field(2, key.encode()) + b"\x82\x01" + sized(repr(value).encode()))
                for key, value in (values | {"epoch": row // 1000}).items()
            )
            record = b"\x08" + varint(row + 1) + field(2, items + field(2, b"\x08" + varint(row)))
            at = write_record(file, at, record)


def write_record(file: BinaryIO, at: int, record: bytes) -> int:
    """A record in as many blocks as it takes; the offset after it."""
    is_first = True
    while record or is_first:
        if (room := BLOCK - at % BLOCK) < 7:
            file.write(bytes(room))
            at, room = at + room, BLOCK
        part, record = record[: room - 7], record[room - 7 :]
        kind = (2 if record else 1) if is_first else (3 if record else 4)
        framed = bytes([kind]) + part
        file.write(struct.pack("<IH", zlib.crc32(framed), len(part)) + framed)
        at, is_first = at + 7 + len(part), False
    return at


def field(number: int, data: bytes) -> bytes:
    """A field of bytes."""
    return bytes([number << 3 | 2]) + sized(data)


def sized(data: bytes) -> bytes:
    """Bytes behind their number."""
    return varint(len(data)) + data


def write_mlflow(file: Path, rows: int, runs: int = 1) -> None:
    """A store with the tables that MLflow has, and runs that log in turn."""
    noise = random.Random(0).random
    database = sqlite3.connect(file)
    database.executescript(
        "CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, status TEXT, start_time INT);"
        "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);"
        "CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);"
        "CREATE TABLE experiments (experiment_id INT, name TEXT);"
        "CREATE TABLE metrics (key TEXT, value FLOAT, timestamp INT, run_uuid TEXT, step INT,"
        " is_nan INT, PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));"
        "CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid)"
    )
    names = [RUN.format(number) for number in range(runs)]
    insert = "INSERT INTO runs VALUES (?, 'run', 'FINISHED', 0)"
    database.executemany(insert, [(name,) for name in names])
    rounds = ((row // runs, names[row % runs]) for row in range(rows))
    points = (
        (TAGS[at % 4].decode(), noise(), 1_800_000_000_000 + at // 4, name, at // 4, 0)
        for at, name in rounds
    )
    database.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", points)
    database.commit()
    database.close()


def bytes_of(path: Path) -> int:
    """The bytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)


def measured(python: str, code: str, source: Path, target: Path) -> str:
    """Seconds of CPU and peak memory of a program."""
    command = [python, "-c", code, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak = map(float, done.stdout.split()[-2:])
    return f"{seconds:8.2f} s {peak:7.0f} MB"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peer")
    chosen = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        events, store = Path(folder, "events"), Path(folder, "mlflow.db")
        write_events(events, chosen.rows)
        write_mlflow(store, chosen.rows)
        in_turn = Path(folder, "in_turn.db")
        write_mlflow(in_turn, chosen.rows, IN_TURN)
        sources = (("TensorBoard", events), ("MLflow", store), ("in turn", in_turn))
        for name, source in sources:
            target = Path(folder, f"{name}.collection")
            for when in ("first", "again"):
                print(f"{name:12} {when:14}{measured(sys.executable, OURS, source, target)}")
            print(f"{name:12} bytes         {bytes_of(target) / bytes_of(source):8.3f} x")
        for rows in HISTORY:
            source = Path(folder, f"wandb {rows}")
            write_wandb(source, rows)
            target = Path(folder, f"{source.name}.collection")
            print(f"{f'W&B {rows:,} x 5':27}{measured(sys.executable, OURS, source, target)}")
        if chosen.peer:
            stores = [Path(folder, f"exported {name}") for name in ("MLflow", "in turn")]
            for name, exported in zip(("MLflow", "in turn"), stores, strict=True):
                export_runs(Path(folder, f"{name}.collection"), exported, to="mlflow")
            peers = [
                ("Accumulator", ACCUMULATOR, events),
                ("tbparse", TBPARSE, events),
                ("MlflowClient", MLFLOW, stores[0]),
                ("MlflowClient, in turn", MLFLOW, stores[1]),
            ]
            for name, code, source in peers:
                print(f"{name:27}{measured(chosen.peer, code, source, source)}")


if __name__ == "__main__":
    main()
