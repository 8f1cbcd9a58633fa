"""Whether a PySpark is installed that has all that is asked of it here."""

from __future__ import annotations

from ..errors import MissingPackageError

__all__ = ["VERSION"]

#: The version that is installed, for the message.
VERSION = "none"
try:
    import pyspark

    VERSION = pyspark.__version__
    import pyspark.sql.streaming.datasource
except ImportError as error:
    message = (
        f"PySpark 4.3 or newer is needed, and {VERSION} is installed:"
        " pip install 'rigorous-recorder[spark]'"
    )
    raise MissingPackageError(message) from error
