#!/usr/bin/env bash
# py4j 0.10.9.9 (the bridge of PySpark): the first command whose connection was closed by the Java side
# is sent again and succeeds, yet the retry is reported by logging.info(), a function of the module,
# which attaches a handler to the root logger where there is none.
# The usual guess: a library leaves the root logger alone, above all where nothing failed.
# Why it matters: from that instant logger.hasHandlers() is true for every library of the process, and a
# later logging.basicConfig(filename=...) of the program does nothing: its log file is never made.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet py4j==0.10.9.9
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import logging
import os
import socket
import threading

from py4j.java_gateway import GatewayClient, GatewayParameters

listening = socket.create_server(("127.0.0.1", 0))


def answer():
    """Close the first connection without an answer, as a gateway that restarts does; then answer yes."""
    first, _ = listening.accept()
    first.recv(1024)
    first.close()
    second, _ = listening.accept()
    second.recv(1024)
    second.sendall(b"!yv\n")
    second.close()


thread = threading.Thread(target=answer)
thread.start()
library = logging.getLogger("any_library")
before = library.hasHandlers()
parameters = GatewayParameters(port=listening.getsockname()[1])
client = GatewayClient(gateway_parameters=parameters)
response = client.send_command("c\nt\nping\ne\n")
thread.join()
listening.close()
logging.basicConfig(filename="program.log", level=logging.INFO)
logging.getLogger("program").info("first line")

seen = {
    "response": response,
    "handlers before": before,
    "handlers after": library.hasHandlers(),
    "the program's log file": os.path.exists("program.log"),
}
print(seen)
assert seen == {
    "response": "yv",
    "handlers before": False,
    "handlers after": True,
    "the program's log file": False,
}, seen
PYTHON
echo "as described"
