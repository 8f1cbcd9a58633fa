"""What all tests share: warnings are errors, and how hard hypothesis tries."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "more", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough", max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "few", max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


#: Where files are in memory: syncing thousands of small ones to a disk is a third of the tests' time. Together the
#: tests have some 100 MB there at a time, and at most a few GB.
_MEMORY = Path("/dev/shm")
_ENOUGH = 8 << 30

if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors; of many processes one runs all tests of a group."""
    if config.getoption("dist", "no") == "load":
        config.option.dist = "loadgroup"
    config.addinivalue_line("filterwarnings", "error")


def pytest_runtest_setup() -> None:
    """Each test begins where nobody has configured logging.

    py4j does so where a connection breaks: the reports of later tests then went to its handler.
    """
    logging.getLogger().handlers.clear()
