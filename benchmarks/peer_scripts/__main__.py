"""Do one thing with one contender, and answer with one JSON line.

``python -m peer_scripts MODULE:CLASS time|hold|count FOLDER RECORDS``
"""

from __future__ import annotations

import gc
import importlib
import json
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from peer_scripts.answer import take_stdout
from peer_scripts.protocol import Contender


def find_contender(name: str) -> type[Contender]:
    """The class that ``module:class`` names."""
    module, _, attribute = name.partition(":")
    found: type[Contender] = getattr(importlib.import_module(f"peer_scripts.{module}"), attribute)
    return found


def random_losses(records: int) -> list[float]:
    """The values to log, made before any clock starts."""
    return [random.random() for _ in range(records)]


def time_logging(contender: type[Contender], folder: Path, records: int) -> dict[str, Any]:
    """Seconds of the loop, seconds until all is saved, and the bytes of all that was written."""
    losses = random_losses(records)
    logger = contender(folder)
    gc.collect()
    start = time.perf_counter()
    logger.log(losses)
    logged = time.perf_counter()
    logger.close()
    closed = time.perf_counter()
    return {
        "log": logged - start,
        "whole": closed - start,
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "version": contender.version,
    }


def hold_unsaved(contender: type[Contender], folder: Path, records: int, answer: TextIO) -> None:
    """Say when the last call has returned, and then wait for the kill with nothing closed."""
    logger = contender(folder)
    logger.log(random_losses(records))
    print(json.dumps("logged"), file=answer)
    signal.pause()
    logger.close()


def main() -> None:
    """Do what the command line says."""
    name, action, place, records = sys.argv[1:]
    answer, contender, folder = take_stdout(), find_contender(name), Path(place)
    if action == "time":
        print(json.dumps(time_logging(contender, folder, int(records))), file=answer)
    elif action == "count":
        print(json.dumps(contender.count(folder)), file=answer)
    else:
        hold_unsaved(contender, folder, int(records), answer)


if __name__ == "__main__":
    main()
