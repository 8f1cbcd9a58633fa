"""`rigorous compact`: merge small files of a collection into large ones."""

from contextlib import closing

from rigorous_recorder._display.text import bytes_text

from .output import print_message
from .target import Collection, open_collection

__all__ = ["EXAMPLES", "compact"]

EXAMPLES = "Example: `rigorous compact data/my_study`"


def compact(path: Collection) -> None:
    """Merge small files of finished writers into large ones.

    Other processes may log and read meanwhile. If it is interrupted, no record is lost or duplicated.
    """
    with closing(open_collection(path, read_only=False)) as collection:
        before = collection.size_on_disk()
        fewer = collection.compact()
        after = collection.size_on_disk()
    print_message(f"{fewer} files fewer; {bytes_text(before)} before, {bytes_text(after)} now")
