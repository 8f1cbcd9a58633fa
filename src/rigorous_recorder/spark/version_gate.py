"""The format ``rigorous``, if the installed PySpark supports all that it needs."""

from __future__ import annotations

import pyspark

from ..errors import MissingPackageError

try:
    from .source import RigorousSource
except ImportError as error:
    message = (
        f"the format 'rigorous' needs PySpark 4.3 or newer, and {pyspark.__version__} is installed:"
        " pip install 'rigorous-recorder[spark]'"
    )
    raise MissingPackageError(message) from error

__all__ = ["RigorousSource"]
