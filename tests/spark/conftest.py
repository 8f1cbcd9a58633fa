"""Tests with a Spark: all of one process share one, and all run in one process."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from .session import session

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process of many that run tests starts a Java runtime."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("spark"))
            # What PySpark leaves behind in a process that used it is none of a test's.
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            kinds = "ignore::rigorous_recorder.errors.MixedKindsWarning"
            item.add_marker(pytest.mark.filterwarnings(kinds))


@pytest.fixture
def spark() -> SparkSession:
    """The session, with its settings as they were at first."""
    return session()
