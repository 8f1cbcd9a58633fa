"""A page for another process, which reads its address here: see ``_page_process``.

It ends once standard input is closed, or the process is gone.
"""

from __future__ import annotations

import json
import os
import select
import sys
import webbrowser
from functools import partial
from threading import Thread
from typing import Any

from rigorous_recorder.page import require_installed, server

__all__: list[str] = []


def _main() -> None:
    wanted = json.loads(sys.stdin.readline())
    try:
        require_installed()
        server.serve_while(
            wanted["paths"],
            partial(_is_needed, os.getppid()),
            partial(_report, opens_browser=wanted["opens_browser"], part=wanted["part"]),
            edits=wanted["edit"],
        )
    except Exception as error:  # noqa: BLE001 - the other process raises it
        _print({"error": str(error), "type": type(error).__name__})


def _is_needed(parent: int) -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], 1.0)
    return os.getppid() == parent and not (readable and not os.read(sys.stdin.fileno(), 1024))


def _report(address: str, *, opens_browser: bool, part: str) -> None:
    _print({"address": address})
    if opens_browser:
        os.environ.pop("TERM", None)  # no browser of terminals, which is another process's
        Thread(target=webbrowser.open, args=(f"{address}{part}",), daemon=True).start()


def _print(found: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(found)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main()
