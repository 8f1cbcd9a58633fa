"""Time pages of experiments in headless Chromium: this library's, TensorBoard's, Trackio's, MLflow's.

Run it with ``python benchmarks/page_speed.py --peers PYTHON [--cases NAMES] [--rounds N] [--live
SECONDS]``, where PYTHON is the interpreter of an environment with ``tensorboard==2.21.0``,
``trackio==0.43.0`` and ``mlflow==3.17.2`` (``--install`` makes it); without it only this library's
page is timed. It needs ``playwright``, Pillow and Chromium.

All are given the same values, see ``page_data.py``, in a folder of the case that is found again. The
clock runs from navigation, with a server that has just begun to listen, until a picture of the first
chart has lines; a picture is taken again at once. Tools take turns; the table has medians, and
ratios to the fastest peer of the same round. It prints Markdown, and on stderr what it is at.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from page_data import CASES
from page_live import RATE, RUNS

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
REQUIREMENTS = ("tensorboard==2.21.0", "trackio==0.43.0", "mlflow==3.17.2", "setuptools<81")
#: So many pixels in color are lines; axes and text are gray.
COLORED = 150
PATIENCE = 180.0


class Tool(NamedTuple):
    """How a page is served and seen.

    Attributes:
        name: for people.
        command: with {folder} and {port}.
        path: of the page.
        chart: what selects its charts.
        variables: of the environment.
    """

    name: str
    command: Sequence[str]
    path: str
    chart: str
    variables: dict[str, str]


_SHOW = (
    "import trackio; trackio.show(project='study', open_browser=False, server_port={port},"
    " block_thread=True)"
)
TOOLS = {
    "ours": Tool(
        "rigorous view",
        ["-m", "rigorous_recorder", "view", "{folder}", "--no-browser", "--port", "{port}"],
        "/",
        "article .plot",
        {},
    ),
    "tensorboard": Tool(
        "TensorBoard",
        ["-m", "tensorboard.main", "--logdir", "{folder}", "--port", "{port}"],
        "/#timeseries",
        "line-chart",
        {},
    ),
    "trackio": Tool(
        "Trackio",
        ["-c", _SHOW],
        "/?project=study",
        "canvas, .vega-embed svg",
        {"TRACKIO_DIR": "{folder}/trackio"},
    ),
    "mlflow": Tool(
        "MLflow",
        [
            *("-m", "mlflow", "server", "--backend-store-uri", "sqlite:///{folder}/mlflow.db"),
            *("--port", "{port}"),
        ],
        "/#/experiments/1/runs?compareRunsMode=CHART",
        ".js-plotly-plot",
        {},
    ),
}


class Seen(NamedTuple):
    """What was measured of a page.

    Attributes:
        port: seconds from the start to the port.
        first: seconds from navigation to the first lines.
        megabytes: to the browser until then.
        memory: the largest resident size of the server and its children, in MB.
    """

    port: float
    first: float
    megabytes: float
    memory: float


class Server:
    """A tool that serves a folder."""

    def __init__(self, tool: Tool, python: str, folder: Path) -> None:
        self._port = _free_port()
        words = {"folder": str(folder), "port": str(self._port)}
        command = [python, *(each.format(**words) for each in tool.command)]
        variables = {name: value.format(**words) for name, value in tool.variables.items()}
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        start = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            env=environment | variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait(start)
        self.seconds = time.perf_counter() - start
        self.address = f"http://127.0.0.1:{self._port}{tool.path}"

    def _wait(self, start: float) -> None:
        while time.perf_counter() - start < PATIENCE:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        message = "no port in time"
        raise TimeoutError(message)

    def processes(self) -> list[int]:
        """The server, and all below it."""
        return [self._process.pid, *below(self._process.pid)]

    def memory(self) -> float:
        """The largest resident size in MB, summed over its processes."""
        return sum(_status(each, "VmHWM") for each in self.processes()) / 1024

    def close(self) -> None:
        """End it."""
        for each in below(self._process.pid):
            os.kill(each, 15)
        self._process.terminate()
        self._process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def below(process: int) -> list[int]:
    try:
        found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [each for child in found for each in (int(child), *below(int(child)))]


def _status(process: int, name: str) -> int:
    try:
        found = re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    except FileNotFoundError:
        return 0
    return int(found[1]) if found else 0


def cpu_seconds(processes: Sequence[int]) -> float:
    """The processor time that processes have used."""
    total = 0
    for each in processes:
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class Traffic:
    """The bytes that a page receives, as they are on the wire."""

    def __init__(self, session: CDPSession) -> None:
        self.bytes = 0
        self.requests = 0
        self.charts = 0
        session.send("Network.enable")
        session.on("Network.dataReceived", self._add)
        session.on("Network.responseReceived", self._begin)

    def _add(self, event: dict[str, Any]) -> None:
        self.bytes += max(0, event["encodedDataLength"])

    def _begin(self, event: dict[str, Any]) -> None:
        self.requests += 1
        self.charts += event["response"]["url"].endswith("/api/chart")
        self.bytes += max(0, event["response"].get("encodedDataLength", 0))


def is_drawn(page: Page, tool: Tool) -> bool:
    """Whether a picture of the first chart has lines."""
    chart = page.locator(tool.chart).first
    if not chart.count() or (box := chart.bounding_box()) is None:
        return False
    if not (box["width"] > 50 and box["height"] > 50 and box["y"] < 800):
        return False
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=box))).convert("RGB"), "i2")
    return int((np.ptp(picture, axis=2) > 25).sum()) >= COLORED


def seen(browser: Browser, tool: Tool, python: str, folder: Path, case: str) -> Seen:
    """A page from a cold server."""
    server = Server(tool, python, folder)
    context = browser.new_context(viewport={"width": 1300, "height": 800})
    try:
        page = context.new_page()
        traffic = Traffic(context.new_cdp_session(page))
        start = time.perf_counter()
        page.goto(server.address, wait_until="commit", timeout=PATIENCE * 1000)
        if tool is TOOLS["tensorboard"] and case == "runs":  # of many runs none is selected
            page.locator("runs-data-table input[type=checkbox]").first.click(timeout=60_000)
        while not is_drawn(page, tool):
            if time.perf_counter() - start > PATIENCE:
                return Seen(server.seconds, float("nan"), float("nan"), server.memory())
        first = time.perf_counter() - start
        page.wait_for_timeout(300)
        return Seen(server.seconds, first, traffic.bytes / 1e6, server.memory())
    finally:
        context.close()
        server.close()


class Live(NamedTuple):
    """What a page costs while runs log, by minute and as parts of a core.

    Attributes:
        charts: requests of whole charts.
        delay: the median and the longest time from a record to its point, in seconds.
    """

    kilobytes: float
    requests: float
    charts: float
    server: float
    browser: float
    delay: tuple[float, float]


#: How many points are drawn, where a page has it.
_POINTS = "Number(document.querySelector('article[data-points]')?.dataset.points)"


def live(browser: Browser, process: int, server: Server, seconds: float, began: float) -> Live:
    """A page that is open for some time, once it has loaded."""
    context = browser.new_context(viewport={"width": 1300, "height": 800})
    page = context.new_page()
    traffic = Traffic(context.new_cdp_session(page))
    page.goto(server.address, wait_until="commit")
    page.wait_for_timeout(8_000)
    sent, requests, charts = traffic.bytes, traffic.requests, traffic.charts
    before = [cpu_seconds(server.processes()), cpu_seconds([process, *below(process)])]
    start = time.perf_counter()
    delays = []
    while time.perf_counter() - start < seconds:
        page.wait_for_timeout(1_000)
        logged = (time.perf_counter() - began) * RATE * RUNS
        delays.append((logged - page.evaluate(_POINTS)) / RATE / RUNS)
    took = time.perf_counter() - start
    after = [cpu_seconds(server.processes()), cpu_seconds([process, *below(process)])]
    context.close()
    used = [(b - a) / took for a, b in zip(before, after, strict=True)]
    minutes = took / 60
    counts = (traffic.bytes - sent) / 1e3, traffic.requests - requests, traffic.charts - charts
    delay = statistics.median(delays), max(delays)
    return Live(*(each / minutes for each in counts), *used, delay)


def written(tool: str, case: str, python: str, data: Path) -> Path:
    """The folder of a case, written where it is missing."""
    folder, done = data / tool / case, data / tool / f"{case}.done"
    if not done.exists():
        say(f"writing {case} with {tool}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        script = str(Path(__file__).with_name("page_data.py"))
        subprocess.run([python, script, tool, case, str(folder)], check=True, capture_output=True)
        done.touch()
    return folder


@contextmanager
def logging(tool: str, python: str, folder: Path, seconds: float) -> Iterator[float]:
    """Five runs that log ten records a second each, in a process of their own; when it began."""
    script = str(Path(__file__).with_name("page_live.py"))
    command = [python, script, tool, str(folder), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield time.perf_counter() - (RATE - 1) / RATE
        process.kill()


def say(text: str) -> None:
    """Tell what the command is at."""
    print(text, file=sys.stderr, flush=True)


def print_case(case: str, rounds: Sequence[dict[str, Seen]]) -> None:
    """The medians of each tool, and the ratio of ours to the fastest peer."""
    cells = []
    for name in rounds[0]:
        some = [each[name] for each in rounds if each[name].first == each[name].first]
        if not some:
            cells.append("none in time")
            continue
        port, first, size, memory = (statistics.median(each) for each in zip(*some, strict=True))
        cells.append(f"{first:.2f} s; port {port:.2f} s; {size:.2f} MB; {memory:.0f} MB")
    ratios = [
        each["ours"].first / min(fast)
        for each in rounds
        if (fast := [s.first for n, s in each.items() if n != "ours" and s.first == s.first])
    ]
    ratio = f"{statistics.median(ratios):.2f}" if ratios else ""
    print(f"| {CASES[case].title} | {' | '.join(cells)} | {ratio} |", flush=True)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="interpreter with the peers")
    parser.add_argument("--install", action="store_true", help="make that environment below --data")
    parser.add_argument("--tools", default="tensorboard,trackio,mlflow")
    parser.add_argument("--cases", default="fifty,million,ten,names,runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--live", type=float, default=0.0, help="seconds of live pages")
    parser.add_argument("--data", type=Path, default=Path("benchmarks/.page"))
    given = parser.parse_args()
    if given.install:
        given.peers = _installed(given.data / "peers")
    pythons = {"ours": sys.executable}
    if given.peers:
        pythons |= dict.fromkeys(given.tools.split(","), given.peers)
    print(f"load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores\n")
    names = [TOOLS[each].name for each in pythons]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        print(f"| first lines; to the port; to the browser; server | {' | '.join(names)} | ratio |")
        print(f"|---{'|---' * (len(names) + 1)}|")
        for case in filter(None, given.cases.split(",")):
            _time_case(browser, case, pythons, given)
        if given.live:
            _time_live(browser, pythons, given)
        browser.close()
    print(f"\nload {os.getloadavg()[0]:.1f}")


def _time_case(browser: Browser, case: str, pythons: dict[str, str], given: Any) -> None:
    folders = {}
    for tool, python in pythons.items():
        try:
            folders[tool] = written(tool, case, python, given.data.absolute())
        except subprocess.CalledProcessError as error:
            say(f"{tool}: {error.stderr.decode()[-500:]}")
    rounds = []
    for number in range(given.rounds):
        say(f"{case}, round {number + 1}")
        order = sorted(folders, reverse=bool(number % 2))
        found = {t: seen(browser, TOOLS[t], pythons[t], folders[t], case) for t in order}
        rounds.append({tool: found[tool] for tool in folders})
    print_case(case, rounds)


def _time_live(browser: Browser, pythons: dict[str, str], given: Any) -> None:
    (process,) = [each for each in below(os.getpid()) if "chrom" in _command(each)][:1]
    print("\n| live, a minute | kB | requests, of charts | server, browser, of a core | delay |")
    print("|---|---|---|---|---|")
    for tool, python in pythons.items():
        folder = given.data.absolute() / tool / "live"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with logging(tool, python, folder, given.live + 120) as began:
            server = Server(TOOLS[tool], python, folder)
            try:
                found = live(browser, process, server, given.live, began)
            finally:
                server.close()
        print(
            f"| {TOOLS[tool].name} | {found.kilobytes:.0f} | {found.requests:.0f}, {found.charts:.0f} |"
            f" {found.server:.1%}, {found.browser:.1%} |"
            f" {found.delay[0]:.2f} s, at most {found.delay[1]:.2f} s |",
            flush=True,
        )


def _command(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_text()


def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        sys.exit("needs Chromium")
    return found


def _installed(folder: Path) -> str:
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
    return str(python)


if __name__ == "__main__":
    main()
