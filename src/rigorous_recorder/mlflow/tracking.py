"""Where scripts import the client from."""

from __future__ import annotations

from .client import MlflowClient
from .exceptions import MlflowException

__all__ = ["MlflowClient", "MlflowException"]
