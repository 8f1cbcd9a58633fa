"""Run by itself: reads through Spark Connect, whose session can't be beside another kind.

Args: the folder to log in, and of the server's address or ``local[2]``.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from pyspark.sql import SparkSession

from rigorous_recorder._engines import spark_nodes

from .session import use_java
from .tables import require_same
from .test_to_spark import log


def main(folder: str, remote: str) -> None:
    """Compare what Spark Connect reads with what Arrow reads."""
    use_java()
    # Settings that only a server takes are no concern of one that is started here.
    warnings.filterwarnings("ignore", "Failed to set spark", UserWarning)
    spark = (
        SparkSession.builder.remote(remote)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    assert "connect" in type(spark).__module__
    with log(Path(folder)) as collection:
        some = collection.recorder.children[1].all_records
        for records in (collection.records, collection.records.where(model="a"), some):
            require_same(records.to_spark(spark), records)
        spark_nodes._MOST_RANGES = 0  # type: ignore[misc]
        require_same(collection.records.to_spark(spark), collection.records)
    sys.stdout.write("all the same\n")
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
