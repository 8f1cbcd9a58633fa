"""What a push costs while a page of its collection is open and live, beside one that nobody reads.

Run it with ``python benchmarks/page_push.py [--rounds N]``. A training pushes records as fast as it
can; the server of the page, and a reader that requests the new points of its chart at each event, as
the browser does, are processes of their own, which are stopped (SIGSTOP) in every other turn. Costs
are the processor's time of the training alone, with its background thread, so that what others do to
the machine matters little; it prints Markdown with medians and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import Request, urlopen

from rigorous_recorder import ExperimentCollection, Recorder

RECORDS = 200_000
#: In a turn nothing is measured before readers have caught up, or stand still.
SETTLING = 0.6


def read(address: str) -> None:
    """Request the new points of a chart at each event, and count the answers."""
    cursors: Any = {}
    answers = 0
    with urlopen(f"{address}api/live") as events:
        for line in events:
            if not line.startswith(b"data:"):
                continue
            body = {"y": ["loss", "accuracy"], "x": "step", "pixels": 600, "cursors": cursors}
            with urlopen(Request(f"{address}api/chart", json.dumps(body).encode())) as found:
                content = found.read()
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            cursors = {each["y"]: each["cursor"] for each in header["charts"]}
            answers += 1
            print(answers, flush=True)


def seconds(run: Recorder, first: int) -> float:
    """The processor's time of some pushes."""
    start = time.process_time()
    for step in range(first, first + RECORDS):
        run.push(step=step, loss=1.0 / (step + 1), accuracy=step * 1e-7)
    return time.process_time() - start


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--read", metavar="ADDRESS", help="be the reader")
    given = parser.parse_args()
    if given.read:
        read(given.read)
        return
    print(f"load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores\n")
    with tempfile.TemporaryDirectory() as folder:
        collection = ExperimentCollection(Path(folder) / "study", quiet=True)
        with collection, collection.new_experiment() as run:
            run.push(step=0, loss=1.0, accuracy=0.0)
            print_costs(run, folder, given.rounds)


def print_costs(run: Recorder, folder: str, rounds: int) -> None:
    """Push in turns."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    view = ["-m", "rigorous_recorder", "view", folder, "--no-browser", "--port", str(port)]
    server = subprocess.Popen([sys.executable, *view], stdout=subprocess.PIPE)
    assert server.stdout is not None
    address = server.stdout.readline().decode().strip()
    command = [sys.executable, __file__, "--read", address]
    reader = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert reader.stdout is not None
    reader.stdout.readline()
    costs: dict[bool, list[float]] = {True: [], False: []}
    try:
        for turn in range(2 * rounds):
            is_open = (turn + turn // 2) % 2 == 0
            for each in (server, reader):
                each.send_signal(signal.SIGCONT if is_open else signal.SIGSTOP)
            time.sleep(SETTLING)
            costs[is_open].append(seconds(run, 1 + turn * RECORDS) / RECORDS * 1e9)
    finally:
        for each in (reader, server):
            each.kill()
    answers = reader.stdout.read().split()[-1].decode()
    reader.wait()
    server.wait()
    open_, alone = median(costs[True][1:]), median(costs[False][1:])
    print("| a push, ns of the processor | page open | nobody reads | ratio | answers |")
    print("|---|---|---|---|---|")
    print(
        f"| two floats and a step | {open_:.0f} | {alone:.0f} | {open_ / alone:.3f} | {answers} |"
    )
    print(f"\nload {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
