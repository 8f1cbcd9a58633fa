"""`collection.view()`: the page from Python, in a process that ends with this one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin
from urllib.request import urlopen

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._page_process import View
from rigorous_recorder.errors import ArgumentError, MissingPackageError, NotACollectionError

INSTALLED = all(map(find_spec, ("starlette", "uvicorn", "youplot", "numpy")))
needs_extra = pytest.mark.skipif(not INSTALLED, reason="needs the extra [page]")


@needs_extra
def test_the_page_is_shown_while_this_process_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a frame; the same one however often it is asked for, until it is closed."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    run = collection.start(lr=0.1)
    run.push(step=0, loss=1.0)
    with collection.view(opens_browser=False) as page:
        assert collection.view(opens_browser=False).address == page.address
        assert f'<iframe src="{page.address}"' in page._repr_html_()
        rows = collection.records.where("loss > 0.7").view(opens_browser=False)
        assert rows.address == f"{page.address}#tab=rows&where=%28loss%20%3E%200.7%29"
        with pytest.raises(HTTPError, match="404"):  # by another user of this machine
            urlopen(urljoin(page.address, "/api/runs"), timeout=30)
        with urlopen(f"{page.address}api/runs", timeout=30) as answer:
            assert b'"running"' in answer.read()
            assert "http://localhost:*" in answer.headers["content-security-policy"]
        assert (page.is_open, repr(page)) == (True, f"<View {page.address}>")
        assert [*frames(rows, monkeypatch)] == [
            "/user/ada/proxy/{port}/{secret}/#tab=rows&amp;where=%28loss%20%3E%200.7%29",
            "https://code.example.org/proxy/{port}/{secret}/#tab=rows&amp;where=%28loss%20%3E%200.7%29",
            "https://{port}.example.org/{secret}/#tab=rows&amp;where=%28loss%20%3E%200.7%29",
        ]
        run.push(step=1, loss=0.5)
    assert (page.is_open, repr(page)) == (False, "<View closed>")
    with pytest.raises(URLError):
        urlopen(page.address, timeout=30)
    run.finish()


def frames(page: View, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What is shown behind a JupyterHub, code-server, and the proxy of the environment variable."""
    _, _, place, secret, *_ = page.address.split("/")
    for name, value in (
        ("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/"),
        ("VSCODE_PROXY_URI", "https://code.example.org/proxy/{{port}}"),
        ("RIGOROUS_VIEW_URL", "https://{port}.example.org"),
    ):
        monkeypatch.setenv(name, value)
        (found,) = re.findall('<iframe src="([^"]*)"', page._repr_html_())
        yield found.replace(place.rpartition(":")[2], "{port}").replace(secret, "{secret}")


def test_records_in_memory_have_no_page() -> None:
    """The error says what to do."""
    with pytest.raises(ArgumentError, match="in memory only"):
        Recorder().push(a=1).records.view()


@needs_extra
@pytest.mark.slow
def test_errors_are_those_of_the_command(tmp_path: Path) -> None:
    """Also from the other process."""
    with pytest.raises(NotACollectionError, match="nowhere"):
        ExperimentCollection(tmp_path / "nowhere").view(opens_browser=False)


@pytest.mark.slow
def test_without_the_extra_the_error_has_the_line_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of the page finds a package that can't be found."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    collection.start().finish()
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    code = "import importlib.util as u\nfound = u.find_spec\nu.find_spec = lambda name, *a: None if name == 'uvicorn' else found(name, *a)\n"
    (hidden / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hidden), *sys.path]))
    with pytest.raises(MissingPackageError, match=r"uvicorn\): pip install 'rigorous-rec.*page]"):
        collection.view(opens_browser=False)


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize("ends", ["normally", "killed"])
def test_the_page_ends_with_its_process(tmp_path: Path, ends: str) -> None:
    """Also if that is killed; rows that were selected by SQL are in the address."""
    code = f"""
import os, signal
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection({str(tmp_path / "study")!r})
with collection.new_experiment() as experiment:
    experiment.push(loss=1.0)
page = collection.records.where("loss > 0.5").view(opens_browser=False)
print(page._process._child.pid, page.address, flush=True)
if {ends!r} == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == (-signal.SIGKILL if ends == "killed" else 0), done.stderr
    pid, address = done.stdout.split()
    assert address.endswith("/#tab=rows&where=%28loss%20%3E%200.5%29")
    subprocess.run(["tail", f"--pid={pid}", "-f", os.devnull], timeout=30, check=True)
    with pytest.raises(URLError):
        urlopen(address, timeout=30)
