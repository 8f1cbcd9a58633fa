"""What pages need around them: a Java runtime for Spark, in the folder that they run in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..spark.session import end_java, use_java


@pytest.fixture
def java_here() -> Iterator[None]:
    """Relative paths are those of the folder in which Spark was started."""
    use_java()
    end_java()
    yield
    end_java()
