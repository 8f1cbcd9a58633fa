"""Collections on a Spark cluster. Needs PySpark: ``pip install 'rigorous-recorder[spark]'``."""

from .compaction import compact

__all__ = ["compact"]
