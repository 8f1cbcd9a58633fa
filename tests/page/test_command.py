"""`rigorous view` as a user runs it: its address, its end, and what it says where it can't."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest

from rigorous_recorder import ExperimentCollection, page
from rigorous_recorder.errors import ArgumentError, MissingPackageError

INSTALLED = all(map(find_spec, ("starlette", "uvicorn", "youplot", "numpy")))
needs_extra = pytest.mark.skipif(not INSTALLED, reason="needs the extra [page]")


def test_without_the_extra_the_error_has_the_line_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing of the page is needed for that."""
    monkeypatch.setattr(page, "find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(MissingPackageError, match=r"\(uvicorn\): pip install 'rigorous-rec.*page]"):
        page.view()


@needs_extra
def test_a_port_in_use_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """As is a host that is not this machine's."""
    ExperimentCollection(tmp_path / "study").start().finish()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ArgumentError, match=f"port {port}: .*omit --port"):
            page.view([tmp_path], port=port, opens_browser=False)
    with pytest.raises(ArgumentError, match="expected an address of this machine"):
        page.view([tmp_path], host="192.0.2.1", opens_browser=False)


@needs_extra
def test_the_command_prints_its_address_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """The page is there at once, also while an experiment runs; an open one is no error."""
    pytest.importorskip("typer")
    pytest.importorskip("rich")
    pytest.importorskip("plotext")
    run = ExperimentCollection(tmp_path / "study", quiet=True).start(lr=0.1)
    run.push(step=0, loss=1.0)
    command = [sys.executable, "-m", "rigorous_recorder", "view", str(tmp_path), "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = process.stdout.readline().decode().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        with urlopen(f"{address}api/runs", timeout=30) as answer:
            assert b'"running"' in answer.read()
        with urlopen(f"{address}api/live", timeout=30) as live:
            assert live.readline() == b"retry: 1000\n"
            process.send_signal(signal.SIGINT)
            live.read()
        assert process.wait(30) in {0, 130}
        assert process.stderr.read() == b""
    run.finish()
