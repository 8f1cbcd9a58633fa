"""Make the README's picture of the page: ``examples/gridworld.py``, opened in Chromium.

Run ``python benchmarks/page_screenshot.py docs/page.png``; it needs the extras ``[cli,page]`` and
Playwright.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import which

from playwright.sync_api import sync_playwright

EXAMPLE = Path(__file__).parents[1] / "examples" / "gridworld.py"
SIZE = {"width": 1300, "height": 640}
CHARTS = 4


def main(target: str) -> None:
    """Log the example into a temporary folder, open the page, and save what it shows."""
    rigorous = [sys.executable, "-m", "rigorous_recorder"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(EXAMPLE)]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        command = [*rigorous, "view", "--no-browser"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                save(server.stdout.readline().strip(), target)
            finally:
                server.terminate()


def save(address: str, target: str) -> None:
    """Save the page at an address as a picture, once its chart is drawn."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(f"{address}#by=learning_rate")
        page.locator("article[data-state=drawn]").nth(CHARTS - 1).wait_for()
        page.screenshot(path=target)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
