"""A page for another process, which reads its address here: see ``_page_process``.

The first line of standard input has what to show. Each other one is a part of the page to open in
the browser. It ends once standard input is closed, or the process is gone.
"""

from __future__ import annotations

import json
import os
import select
import sys
import webbrowser
from threading import Thread
from typing import Any

from rigorous_recorder.page import require_installed, server

__all__: list[str] = []


def _main() -> None:
    wanted, page = json.loads(sys.stdin.readline()), _Opened(os.getppid())
    try:
        require_installed()
        server.serve_while(wanted["paths"], page.is_needed, page.report, edits=wanted["edit"])
    except Exception as error:  # noqa: BLE001 - the other process raises it
        _print({"error": str(error), "type": type(error).__name__})


class _Opened:
    def __init__(self, parent: int) -> None:
        self._parent, self._address, self._rest = parent, "", b""

    def is_needed(self) -> bool:
        """Whether the other process is there, within about a second."""
        readable, _, _ = select.select([sys.stdin], [], [], 1.0)
        if os.getppid() != self._parent:
            return False
        if not readable:
            return True
        more = os.read(sys.stdin.fileno(), 1 << 16)
        *parts, self._rest = (self._rest + more).split(b"\n")
        for part in parts:
            self._open(part.decode())
        return bool(more)

    def report(self, address: str) -> None:
        """Send the other process the address."""
        self._address = address
        _print({"address": address})

    def _open(self, part: str) -> None:
        os.environ.pop("TERM", None)  # no browser of terminals, which is another process's
        Thread(target=webbrowser.open, args=(f"{self._address}{part}",), daemon=True).start()


def _print(found: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(found)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main()
