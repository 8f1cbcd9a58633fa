"""Where a browser reaches a port of this machine through the notebook or editor in front of it."""

from __future__ import annotations

import os

__all__ = ["proxied"]


def proxied(port: int) -> str | None:
    """The address of a port behind a proxy, with its last slash; None if no proxy is known.

    It is that of ``RIGOROUS_VIEW_URL``, in which ``{port}`` is replaced, or of code-server
    (``VSCODE_PROXY_URI``), or the path of jupyter-server-proxy at the host of a JupyterHub.
    """
    hub = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    for template in (
        os.environ.get("RIGOROUS_VIEW_URL"),
        os.environ.get("VSCODE_PROXY_URI"),
        hub and f"{hub.rstrip('/')}/proxy/{{port}}/",
    ):
        if template and template.startswith(("http://", "https://", "/")):
            address = template.replace("{{port}}", str(port)).replace("{port}", str(port))
            return f"{address.rstrip('/')}/"
    return None
